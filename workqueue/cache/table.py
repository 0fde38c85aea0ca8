"""What a cache consists of: the objects, and the indexes over them.

A reader and its writer share one; nobody else touches it.
"""

import threading

from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import IndexFunc, NamespaceIndex, Values
from workqueue.cache.packing import Packer


class Table:
    """Objects by key and by index. Whoever calls a method holds the lock, or knows the table alone."""

    def __init__(self, packer: Packer) -> None:
        """:param packer: has made the bodies small, or has not."""
        self.packer = packer
        self.lock = threading.Lock()
        # All below are guarded by lock.
        #: The objects. What an entry says is never changed, only replaced.
        self.entries: dict[ObjectKey, Entry] = {}
        #: The sum of len(stored) over entries.
        self.body_bytes = 0
        self.indexers: dict[str, IndexFunc] = {}
        #: For each index, for each value, the keys found under it; no set is ever empty.
        self.indices: dict[str, dict[str, set[ObjectKey]]] = {}
        #: For each index but those by namespace, whose value the key says, the values of each key that has any: exactly
        #: the inverse of indices.
        self.values: dict[str, dict[ObjectKey, tuple[str, ...]]] = {}
        self.index_errors = 0

    def add_indexers(self, indexers: dict[str, IndexFunc]) -> None:
        """Have indexes in which nothing is found yet."""
        self.indexers.update(indexers)
        for name, index in indexers.items():
            self.indices[name] = {}
            if not isinstance(index, NamespaceIndex):
                self.values[name] = {}

    def take(self, other: "Table") -> None:
        """Hold what another table holds, which is of no use after that."""
        self.entries, self.body_bytes = other.entries, other.body_bytes
        self.indices, self.values = other.indices, other.values
        self.index_errors += other.index_errors

    def put(self, entry: Entry, values: Values) -> Entry | None:
        """Store an entry under its values in all indexes; returns what was there."""
        old = self.entries.get(entry.key)
        if old is not None:
            self.body_bytes -= len(old.stored)
        self.entries[entry.key] = entry
        self.body_bytes += len(entry.stored)
        self.index(entry.key, values)
        return old

    def remove(self, key: ObjectKey) -> Entry | None:
        """Remove what is stored under a key; returns it."""
        old = self.entries.pop(key, None)
        if old is not None:
            self.body_bytes -= len(old.stored)
            for name in self.indexers:
                self._unindex(name, key)
        return old

    def index(self, key: ObjectKey, values: Values) -> None:
        """Have a stored object found under these values in these indexes, and under no others there."""
        for name, found in values.items():
            stored = self.values.get(name)
            if stored is None:
                self._find_under(name, key.namespace, key)
                continue
            if found is None:
                self.index_errors += 1
            elif stored.get(key, ()) == found:
                continue
            if key in stored:
                self._unindex(name, key)
            if found:
                stored[key] = found
                for value in found:
                    self._find_under(name, value, key)

    def _find_under(self, name: str, value: str, key: ObjectKey) -> None:
        index = self.indices[name]
        keys = index.get(value)
        if keys is None:
            index[value] = {key}
        else:
            keys.add(key)

    def _unindex(self, name: str, key: ObjectKey) -> None:
        index = self.indices[name]
        stored = self.values.get(name)
        for value in (key.namespace,) if stored is None else stored.pop(key, ()):
            keys = index[value]
            keys.discard(key)
            if not keys:
                del index[value]
