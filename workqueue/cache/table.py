"""What a cache consists of: the objects, and the indexes over them.

A reader and its writer share one; nobody else touches it. Keys are not kept: an object's namespace
leads to its name, and what an index finds are the objects.
"""

import threading
from collections import Counter
from collections.abc import Collection

from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import Entry, keep_values
from workqueue.cache.indexes import IndexFunc, NoIndex, Values
from workqueue.cache.packing import Packer
from workqueue.cache.pieces import Piece, Pieces
from workqueue.cache.shared import SharedLabels

#: What is found under one value: a set that needs less memory than Python's.
Bucket = dict[Entry, None]


class Table:
    """Objects by key and by index. Whoever calls a method holds the lock, or knows the table alone."""

    def __init__(self, packer: Packer) -> None:
        """:param packer: has made the bodies small, or has not."""
        self.packer = packer
        self.lock = threading.Lock()
        #: Label sets that repeat, for who decodes what is to be stored here.
        self.labels = SharedLabels()
        # All below are guarded by lock.
        #: The objects, by namespace; none of these is ever empty. What an entry says is never changed, only replaced.
        self.objects: dict[str, Pieces] = {}
        self.count = 0
        #: The sum of len(stored) over all entries.
        self.body_bytes = 0
        #: The characters of all names.
        self.name_length = 0
        #: In the order of the entries' values.
        self.indexers: dict[str, IndexFunc] = {}
        #: Those of them in which not everything is found yet, or never will be: nobody reads them, whoever writes keeps
        #: them up to date.
        self.unready: set[str] = set()
        #: For each index, for each value, the entries found under it: those whose values say so. None is ever empty.
        self.indices: dict[str, dict[str, Bucket]] = {}
        #: For each index, how many entries are found in it, each as often as it has values.
        self.index_entries: dict[str, int] = {}
        #: Calls of each index's function that raised.
        self.index_errors: Counter[str] = Counter()

    def add_indexers(self, indexers: dict[str, IndexFunc]) -> None:
        """Have indexes in which nothing is found yet of what is stored."""
        self.indexers |= indexers
        self.indices |= {name: {} for name in indexers}
        self.index_entries |= dict.fromkeys(indexers, 0)

    def give_up_indexers(self, names: Collection[str]) -> None:
        """Have indexes no more that nobody could read yet, and nothing found by them.

        Their places stay, under names that nobody asks for: an entry on its way here may have values in them, which
        would be those of the next index if that had such a place.
        """
        self.indexers |= dict.fromkeys(names, NoIndex())
        called = {name: f"\0{place}" if name in names else name for place, name in enumerate(self.indexers)}
        self.indexers = {called[name]: index for name, index in self.indexers.items()}
        self.indices = {called[name]: {} if name in names else index for name, index in self.indices.items()}
        self.index_entries = {called[name]: 0 if name in names else n for name, n in self.index_entries.items()}
        self.unready = {called[name] for name in self.unready}

    def readable(self) -> dict[str, IndexFunc]:
        """The indexes that may be read."""
        if not self.unready:
            return self.indexers.copy()
        return {name: index for name, index in self.indexers.items() if name not in self.unready}

    def place(self, name: str) -> int:
        """Where an entry's values in an index are."""
        return list(self.indexers).index(name)

    def take(self, other: "Table") -> "Table":
        """Hold what another table holds, which is of no use after that; returns one with what was held before.

        That can be read by key. What it consists of is let go of with it, and so not while the lock is held.
        """
        before = Table(self.packer)
        before.objects, before.count, before.indices = self.objects, self.count, self.indices
        self.objects, self.count = other.objects, other.count
        self.body_bytes, self.name_length = other.body_bytes, other.name_length
        self.indices, self.index_entries = other.indices, other.index_entries
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
            self.name_length += len(entry.name)
            before: Values = ()
        else:
            self.body_bytes -= len(old.stored)
            before = old.values
            if entry.values is not before and entry.values == before:
                keep_values(entry, before)  # the indexes have those texts: there need not be others beside them
        for place, name in enumerate(self.indices):
            # Who is stored may have no values yet in an index that is not ready: it is found there later.
            found = entry.values[place] if place < len(entry.values) else ()
            self._move(name, before[place] if place < len(before) else (), found, old, entry)
        return old

    def remove(self, key: ObjectKey) -> Entry | None:
        """Remove what is stored under a key; returns it."""
        pieces = self.objects.get(key.namespace)
        old = None if pieces is None else pieces.remove(key.name)
        if pieces is not None and old is not None:
            if not pieces.count:
                del self.objects[key.namespace]
            self.count -= 1
            self.name_length -= len(old.name)
            self.body_bytes -= len(old.stored)
            for name, found in zip(self.indices, old.values, strict=False):
                if found:
                    self._lose(name, found, old)
        return old

    def index(self, entry: Entry, values: Values) -> None:
        """Have a stored entry found under some more values, those in the last indexes."""
        for name, found in zip(list(self.indices)[len(entry.values) :], values, strict=True):
            if found:
                self._find(name, found, entry)
        keep_values(entry, entry.values + values)

    def _move(
        self,
        name: str,
        before: tuple[str, ...] | None,
        found: tuple[str, ...] | None,
        old: Entry | None,
        entry: Entry,
    ) -> None:
        """Have an entry found in an index in the place of the one before it."""
        if old is not None and before:
            if found == before:
                index = self.indices[name]
                for value in found:
                    bucket = index[value]
                    del bucket[old]
                    bucket[entry] = None
                return
            self._lose(name, before, old)
        if found:
            self._find(name, found, entry)

    def _find(self, name: str, found: tuple[str, ...], entry: Entry) -> None:
        index = self.indices[name]
        self.index_entries[name] += len(found)
        for value in found:
            bucket = index.get(value)
            if bucket is None:
                index[value] = {entry: None}
            else:
                bucket[entry] = None

    def _lose(self, name: str, found: tuple[str, ...], entry: Entry) -> None:
        index = self.indices[name]
        self.index_entries[name] -= len(found)
        for value in found:
            bucket = index[value]
            del bucket[entry]
            if not bucket:
                del index[value]
