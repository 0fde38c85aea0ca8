"""The reading side of the cache: by key, by index, as a whole.

Semantics: client-go tools/cache/thread_safe_store.go and store.go. A :class:`Reader` is what users
get; the verbs that write are :class:`workqueue.cache.Indexer`'s, over the same table. Objects are
decoded outside the lock, a private copy for each caller, so nobody can change the cache by
changing what it was given.
"""

import builtins
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.base.errors import IndexNotFound
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.batches import decode_all
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import IndexFunc, index_values
from workqueue.cache.packing import PackingStatistics
from workqueue.cache.table import Table


@dataclass(frozen=True, slots=True)
class IndexerStatistics:
    """The cache at one instant."""

    #: Objects stored.
    objects: int
    #: Bytes of their bodies, as they are kept.
    body_bytes: int
    #: Values with at least one object, by index.
    index_values: Mapping[str, int]
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
            return self._table.entries.get(found)

    def entries(self) -> builtins.list[Entry]:
        """All that is stored at this instant, in no order."""
        with self._table.lock:
            return list(self._table.entries.values())

    def list(self) -> builtins.list[dict[str, Any]]:
        """All objects at this instant, in no order."""
        return decode_all(self.entries())

    def list_keys(self) -> builtins.list[ObjectKey]:
        """All keys at this instant, in no order."""
        with self._table.lock:
            return list(self._table.entries)

    def __len__(self) -> int:
        with self._table.lock:
            return len(self._table.entries)

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
        values = index_values(function, body)
        with self._table.lock:
            found = {key for value in values for key in self._table.indices[name].get(value, ())}
            entries = [self._table.entries[key] for key in found]
        return decode_all(entries)

    def index_keys(self, name: str, value: str) -> builtins.list[ObjectKey]:
        """The keys found under the value, sorted.

        :raises IndexNotFound: if there is no such index.
        """
        with self._table.lock:
            self._indexer_locked(name)
            keys = list(self._table.indices[name].get(value, ()))
        return sorted(keys)

    def by_index(self, name: str, value: str) -> builtins.list[dict[str, Any]]:
        """The objects found under the value, in no order; none for a value that nothing has.

        :raises IndexNotFound: if there is no such index.
        """
        return decode_all(self.entries_by_index(name, value))

    def entries_by_index(self, name: str, value: str) -> builtins.list[Entry]:
        """As :meth:`by_index`, not decoded."""
        with self._table.lock:
            self._indexer_locked(name)
            return [self._table.entries[key] for key in self._table.indices[name].get(value, ())]

    def list_index_func_values(self, name: str) -> builtins.list[str]:
        """The values with at least one object, in no order; none if there is no such index."""
        with self._table.lock:
            return list(self._table.indices.get(name, ()))

    def indexers(self) -> dict[str, IndexFunc]:
        """The indexes by name: a copy."""
        with self._table.lock:
            return dict(self._table.indexers)

    def statistics(self) -> IndexerStatistics:
        """The cache at this instant."""
        with self._table.lock:
            table = self._table
            return IndexerStatistics(
                objects=len(table.entries),
                body_bytes=table.body_bytes,
                index_values={name: len(values) for name, values in table.indices.items()},
                index_errors=table.index_errors,
                packing=table.packer.statistics(),
            )

    def _indexer_locked(self, name: str) -> IndexFunc:
        if name not in self._table.indexers:
            known = ", ".join(sorted(self._table.indexers)) or "none"
            raise IndexNotFound(f"Index with name {name} does not exist; there are: {known}")
        return self._table.indexers[name]

    def _check(self) -> None:
        """Assert every invariant, the indexes computed anew included; for tests."""
        table = self._table
        with table.lock:
            assert table.body_bytes == sum(len(entry.stored) for entry in table.entries.values()), "bytes miscounted"
            assert all(key == entry.key for key, entry in table.entries.items()), "an entry under a wrong key"
            assert set(table.indexers) == set(table.indices) >= set(table.values), "an index without its tables"
            for name, function in table.indexers.items():
                expected: dict[str, set[ObjectKey]] = {}
                for key, entry in table.entries.items():
                    with contextlib.suppress(Exception):  # one that raises finds nothing
                        for value in index_values(function, entry.decode()):
                            expected.setdefault(value, set()).add(key)
                assert table.indices[name] == expected, f"index {name} is not what its function says"
                if name not in table.values:
                    continue
                inverse = {(value, key) for key, values in table.values[name].items() for value in values}
                assert inverse == {(value, key) for value, keys in expected.items() for key in keys}, "stale values"
