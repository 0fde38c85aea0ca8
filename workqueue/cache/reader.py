"""The reading side of the cache: by key, by index, as a whole.

Semantics: client-go tools/cache/thread_safe_store.go and store.go. A :class:`Reader` is what users
get; the verbs that write are :class:`workqueue.cache.Indexer`'s, over the same table. Objects are
decoded outside the lock, a private copy for each caller, so nobody can change the cache by
changing what it was given.
"""

import builtins
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from workqueue.base.errors import IndexNotFound
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.batches import decode_all, in_batches
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import IndexFunc, NamespaceIndex, NoIndex, index_values
from workqueue.cache.packing import PackingStatistics
from workqueue.cache.pages import Objects, Spaces, in_order, page_of
from workqueue.cache.parsing import loads
from workqueue.cache.table import Table
from workqueue.cache.weighing import label_bytes

#: Objects found under some values that are copied while the lock is held: a millisecond or two. If there are more, all
#: objects are looked through without it, which costs less than to decode them.
LARGE = 20_000

#: What memory is needed for.
Use = Literal["bodies", "dictionaries", "objects", "indexes"]

#: Bytes of an object in CPython beside its body, its name's letters and its labels: the entry, the heads of name and
#: body, uid and version, its place in a dictionary.
OBJECT = 290
#: Bytes of a value that an index knows, with the smallest dictionary; and of each object found under it.
VALUE, FOUND = 300, 36


@dataclass(frozen=True, slots=True)
class IndexerStatistics:
    """The cache at one instant."""

    #: Objects stored.
    objects: int
    #: Bytes of their bodies, as they are kept.
    body_bytes: int
    #: Bytes by what they are for. "bodies" and "dictionaries" are what they are; "objects", all that is kept of objects
    #: beside their bodies, and "indexes" are worked out from numbers and, for the labels, some of the objects; right
    #: within a fifth or so.
    bytes: Mapping[Use, int]
    #: Values with at least one object, by index.
    index_values: Mapping[str, int]
    #: Objects found by an index, each as often as it has values in it.
    index_entries: Mapping[str, int]
    #: Calls of index functions that raised.
    index_errors: int
    #: What was done to make the bodies small.
    packing: PackingStatistics


class Reader:
    """Looks objects up. Every object handed out is the caller's own."""

    def __init__(self, table: Table) -> None:
        """:param table: shared with the writer; take :attr:`Indexer.reader` instead of calling this."""
        self._table = table

    def get(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The stored object with the same key as this one, None if there is none.

        :raises InvalidObject: if ``body`` has no name.
        """
        return self.get_by_key(object_key(body))

    def get_by_key(self, key: ObjectKey | tuple[str, str] | str) -> dict[str, Any] | None:
        """The object stored under the key, None if there is none.

        :param key: an ObjectKey, a (namespace, name) pair or the text of either.
        :raises InvalidKey: if it names no object.
        """
        entry = self.entry(key)
        return None if entry is None else entry.decode()

    def entry(self, key: ObjectKey | tuple[str, str] | str) -> Entry | None:
        """What is stored under the key, not decoded: uid, resourceVersion and labels cost nothing.

        :raises InvalidKey: if it names no object.
        """
        found = ObjectKey.of(key)
        with self._table.lock:
            return self._table.get(found)

    def entries(self) -> builtins.list[Entry]:
        """All that is stored at this instant, in no order."""
        with self._table.lock:
            pieces = self._table.freeze()
        return [entry for piece in pieces for entry in piece.values()]

    def count(self, namespace: str = "") -> int:
        """How many objects are stored.

        :param namespace: in one namespace; "" is in all.
        """
        with self._table.lock:
            if not namespace:
                return self._table.count
            return self._table.objects[namespace].count if namespace in self._table.objects else 0

    def spaces(self, namespace: str = "") -> Spaces:
        """All that is stored at this instant, by namespace, not decoded; each namespace can be iterated once.

        :param namespace: one namespace alone; "" is all of them.
        """
        with self._table.lock:
            spaces = self._table.freeze_spaces(namespace)
        return {space: chain.from_iterable(piece.values() for piece in pieces) for space, pieces in spaces.items()}

    def list(self, *, limit: int | None = None, continue_: str = "") -> Objects:
        """All objects at this instant, in no order; with a limit a page of them, in the order of their keys.

        :param limit: as many at most; None is all.
        :param continue_: what the page before said; "" begins.
        :return: a list, whose ``continue_`` is what to ask for the next page by, "" if there is none. What is stored
            all the time is on exactly one page.
        :raises ConfigurationError: if the limit is no whole number from 1, or missing where there is something to go
            on with.
        :raises InvalidKey: if ``continue_`` is nothing that a page says.
        """
        return page_of(self.spaces(), limit=limit, continue_=continue_)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All objects at this instant, in no order, each decoded when it is its turn."""
        return (loads(body) for _, body in in_batches(self.entries()))

    def list_keys(self) -> builtins.list[ObjectKey]:
        """All keys at this instant, in no order."""
        return [entry.key for entry in self.entries()]

    def __len__(self) -> int:
        with self._table.lock:
            return self._table.count

    def __bool__(self) -> bool:
        """A cache is a cache, also when it is empty."""
        return True

    def index(self, name: str, body: Mapping[str, Any]) -> builtins.list[dict[str, Any]]:
        """The objects that share any of this object's values in the index, each once.

        :param name: of the index.
        :param body: the object to compare with; it need not be stored.
        :raises IndexNotFound: if there is no such index.
        """
        with self._table.lock:
            function = self._indexer_locked(name)
        return decode_all(self.entries_by_index(name, *index_values(function, body)))

    def index_keys(self, name: str, value: str) -> builtins.list[ObjectKey]:
        """The keys found under the value, sorted.

        :raises IndexNotFound: if there is no such index.
        """
        return in_order(self.entries_by_index(name, value))

    def by_index(self, name: str, value: str) -> builtins.list[dict[str, Any]]:
        """The objects found under the value, in no order; none for a value that nothing has.

        :raises IndexNotFound: if there is no such index.
        """
        return decode_all(self.entries_by_index(name, value))

    def entries_by_index(self, name: str, *values: str) -> builtins.list[Entry]:
        """As :meth:`by_index`, not decoded; those found under any of some values, each once.

        :raises IndexNotFound: if there is no such index.
        """
        table = self._table
        with table.lock:
            index = self._indexer_locked(name)
            if isinstance(index, NamespaceIndex):
                spaces = [table.objects[value] for value in dict.fromkeys(values) if value in table.objects]
                pieces = [piece for space in spaces for piece in space.freeze()]
                wanted = None
            else:
                buckets = [bucket for value in values if (bucket := table.indices[name].get(value)) is not None]
                if sum(map(len, buckets)) <= LARGE:
                    return list(buckets[0]) if len(buckets) == 1 else list(dict.fromkeys(chain(*buckets)))
                pieces, place, wanted = table.freeze(), table.place(name), frozenset(values)
        entries = (entry for piece in pieces for entry in piece.values())
        if wanted is None:
            return list(entries)
        return [entry for entry in entries if not wanted.isdisjoint(entry.values[place] or ())]

    def count_by_index(self, name: str, *values: str) -> int:
        """How many are found under some values; one that is found under two of them counts twice.

        :raises IndexNotFound: if there is no such index.
        """
        table = self._table
        with table.lock:
            if isinstance(self._indexer_locked(name), NamespaceIndex):
                return sum(table.objects[value].count for value in values if value in table.objects)
            return sum(len(table.indices[name].get(value, ())) for value in values)

    def list_index_func_values(self, name: str) -> builtins.list[str]:
        """The values with at least one object, in no order; none if there is no such index."""
        with self._table.lock:
            if isinstance(self._table.indexers.get(name), NamespaceIndex):
                return list(self._table.objects)
            return [] if name in self._table.unready else list(self._table.indices.get(name, ()))

    def indexers(self) -> dict[str, IndexFunc]:
        """The indexes by name: a copy."""
        with self._table.lock:
            return self._table.readable()

    def statistics(self) -> IndexerStatistics:
        """The cache at this instant."""
        labels = label_bytes(self._table)
        with self._table.lock:
            table, packing = self._table, self._table.packer.statistics()
            indexers = table.readable()
            spaces = {name for name, index in indexers.items() if isinstance(index, NamespaceIndex)}
            index_values = {name: len(table.indices[name]) for name in indexers}
            index_entries = {name: table.index_entries[name] for name in indexers}
            return IndexerStatistics(
                objects=table.count,
                body_bytes=table.body_bytes,
                bytes={
                    "bodies": table.body_bytes,
                    "dictionaries": packing.dictionary_bytes,
                    "objects": OBJECT * table.count + table.name_length + labels,
                    "indexes": VALUE * sum(index_values.values()) + FOUND * sum(index_entries.values()),
                },
                index_values=index_values | dict.fromkeys(spaces, len(table.objects)),
                index_entries=index_entries | dict.fromkeys(spaces, table.count),
                index_errors=table.index_errors.total(),
                packing=packing,
            )

    def _indexer_locked(self, name: str) -> IndexFunc:
        if name not in self._table.indexers or name in self._table.unready:
            known = ", ".join(sorted(self._table.readable())) or "none"
            raise IndexNotFound(f"Index with name {name} does not exist; there are: {known}")
        return self._table.indexers[name]

    def _check(self) -> None:
        """Assert every invariant, the indexes computed anew included; for tests."""
        table = self._table
        entries = self.entries()
        with table.lock:
            assert table.count == len(entries) == sum(pieces.count for pieces in table.objects.values()), "miscounted"
            assert all(pieces.count for pieces in table.objects.values()), "an empty namespace is kept"
            assert all(table.get(entry.key) is entry for entry in entries), "an entry under a wrong key"
            assert table.body_bytes == sum(len(entry.stored) for entry in entries), "bytes miscounted"
            assert table.name_length == sum(len(entry.name) for entry in entries), "names miscounted"
            assert list(table.indexers) == list(table.indices) == list(table.index_entries), (
                "an index without its table"
            )
            assert table.unready == {name for name, index in table.indexers.items() if isinstance(index, NoIndex)}, (
                "an index is being added"
            )
            for place, (name, function) in enumerate(table.indexers.items()):
                if isinstance(function, NoIndex):
                    continue  # an entry that was on its way may be found by it: nobody looks
                expected: dict[str, set[Entry]] = {}
                for entry in entries:
                    with contextlib.suppress(Exception):  # one that raises finds nothing
                        for value in index_values(function, entry.decode()):
                            expected.setdefault(value, set()).add(entry)
                if isinstance(function, NamespaceIndex):
                    assert expected.keys() == table.objects.keys(), "an object in a wrong namespace"
                    assert not table.indices[name], "what is known from the objects is kept again"
                    continue
                assert table.index_entries[name] == sum(map(len, expected.values())), f"{name}: entries miscounted"
                assert {value: set(found) for value, found in table.indices[name].items()} == expected, (
                    f"index {name} is not what its function says"
                )
                said = {(value, entry) for entry in entries for value in entry.values[place] or ()}
                assert said == {(value, entry) for value, found in expected.items() for entry in found}, "stale values"
