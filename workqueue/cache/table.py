"""What a cache consists of: the objects, and the indexes over them.

A reader and its writer share one; nobody else touches it. Keys are not kept: an object's namespace
leads to its name, and what an index finds are the objects.
"""

import threading

from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import IndexFunc, Values
from workqueue.cache.packing import Packer
from workqueue.cache.pieces import Piece, Pieces

#: What is found under one value: a set that needs less memory than Python's.
Bucket = dict[Entry, None]


class Table:
    """Objects by key and by index. Whoever calls a method holds the lock, or knows the table alone."""

    def __init__(self, packer: Packer) -> None:
        """:param packer: has made the bodies small, or has not."""
        self.packer = packer
        self.lock = threading.Lock()
        # All below are guarded by lock.
        #: The objects, by namespace; none of these is ever empty. What an entry says is never changed, only replaced.
        self.objects: dict[str, Pieces] = {}
        self.count = 0
        #: The sum of len(stored) over all entries.
        self.body_bytes = 0
        #: In the order of the entries' values.
        self.indexers: dict[str, IndexFunc] = {}
        #: For each index, for each value, the entries found under it: those whose values say so. None is ever empty.
        self.indices: dict[str, dict[str, Bucket]] = {}
        self.index_errors = 0

    def add_indexers(self, indexers: dict[str, IndexFunc]) -> None:
        """Have indexes in which nothing is found yet."""
        self.indexers |= indexers
        self.indices |= {name: {} for name in indexers}

    def adopt_indexes(self, other: "Table") -> None:
        """Have the indexes of another table too, in which all objects of this one are found, as their values say."""
        self.indexers |= other.indexers
        self.indices |= other.indices
        self.index_errors += other.index_errors

    def place(self, name: str) -> int:
        """Where an entry's values in an index are."""
        return list(self.indexers).index(name)

    def take(self, other: "Table") -> "Table":
        """Hold what another table holds, which is of no use after that; returns one with what was held before."""
        before = Table(self.packer)
        before.objects, before.count = self.objects, self.count
        self.objects, self.count, self.body_bytes = other.objects, other.count, other.body_bytes
        self.indices = other.indices
        self.index_errors += other.index_errors
        return before

    def get(self, key: ObjectKey) -> Entry | None:
        """What is stored under a key."""
        pieces = self.objects.get(key.namespace)
        return None if pieces is None else pieces.get(key.name)

    def present(self, entry: Entry) -> Entry | None:
        """What is stored under the key of an entry."""
        pieces = self.objects.get(entry.namespace)
        return None if pieces is None else pieces.get(entry.name)

    def freeze(self) -> list[Piece]:
        """All objects at this instant."""
        return [piece for pieces in self.objects.values() for piece in pieces.freeze()]

    def freeze_spaces(self, namespace: str = "") -> dict[str, list[Piece]]:
        """All objects at this instant by namespace, or those of one namespace."""
        if not namespace:
            return {space: pieces.freeze() for space, pieces in self.objects.items()}
        return {namespace: self.objects[namespace].freeze()} if namespace in self.objects else {}

    def put(self, entry: Entry) -> Entry | None:
        """Store an entry, found under its values in all indexes; returns what was there."""
        pieces = self.objects.get(entry.namespace)
        if pieces is None:
            pieces = self.objects[entry.namespace] = Pieces()
        old = pieces.put(entry)
        self.body_bytes += len(entry.stored)
        if old is None:
            self.count += 1
            self.index(entry, entry.values)
        else:
            self.body_bytes -= len(old.stored)
            for index, found, before in zip(self.indices.values(), entry.values, old.values, strict=False):
                if found is not None and found == before:
                    for value in found:
                        bucket = index[value]
                        del bucket[old]
                        bucket[entry] = None
                else:
                    self._lose(index, before, old)
                    self._find(index, found, entry)
        return old

    def remove(self, key: ObjectKey) -> Entry | None:
        """Remove what is stored under a key; returns it."""
        pieces = self.objects.get(key.namespace)
        old = None if pieces is None else pieces.remove(key.name)
        if pieces is not None and old is not None:
            if not pieces.count:
                del self.objects[key.namespace]
            self.count -= 1
            self.body_bytes -= len(old.stored)
            self.unindex(old, old.values)
        return old

    def index(self, entry: Entry, values: Values) -> None:
        """Have an entry found under these values in all indexes."""
        for index, found in zip(self.indices.values(), values, strict=False):
            self._find(index, found, entry)

    def unindex(self, entry: Entry, values: Values) -> None:
        """The reverse."""
        for index, found in zip(self.indices.values(), values, strict=False):
            self._lose(index, found, entry)

    def _find(self, index: dict[str, Bucket], found: tuple[str, ...] | None, entry: Entry) -> None:
        if found is None:
            self.index_errors += 1
            return
        for value in found:
            bucket = index.get(value)
            if bucket is None:
                index[value] = {entry: None}
            else:
                bucket[entry] = None

    @staticmethod
    def _lose(index: dict[str, Bucket], found: tuple[str, ...] | None, entry: Entry) -> None:
        for value in found or ():
            bucket = index[value]
            del bucket[entry]
            if not bucket:
                del index[value]
