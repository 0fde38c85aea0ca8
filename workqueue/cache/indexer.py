"""The writing side of the cache: it belongs to the informer alone.

Semantics: client-go tools/cache/thread_safe_store.go and store.go. Departures: an index function that
raises is counted and logged and its object kept (client-go ends the process while it holds the
lock); objects without a name are refused.
"""

import builtins
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from workqueue.base.errors import ConfigurationError, IndexConflict
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.entry import Entry, encode
from workqueue.cache.indexes import FieldIndex, IndexFunc, NamespaceIndex, index_values
from workqueue.cache.reader import Reader, Table

logger = logging.getLogger("workqueue.cache")

#: Changes an object before it is stored. Returns what to store; must not raise for objects it does not know.
Transform = Callable[[dict[str, Any]], Mapping[str, Any]]

#: The values of one object in each index; None where the index function raised.
_Values = dict[str, tuple[str, ...] | None]


class Change(NamedTuple):
    """What a write did to one key: (None, None) is nothing at all."""

    old: Entry | None
    new: Entry | None


class Indexer(Reader):
    """The one writer of a cache."""

    def __init__(self, indexers: Mapping[str, IndexFunc] | None = None, *, transform: Transform | None = None) -> None:
        """
        :param indexers: the first indexes, by name.
        :param transform: changes each object before it is stored; gets a copy of its own. If it raises,
            nothing is stored by that call.
        """
        super().__init__(Table())
        self._transform = transform
        #: The same cache without the verbs that write.
        self.reader = Reader(self._table)
        self.add_indexers(indexers or {})

    def add(self, body: Mapping[str, Any]) -> Change:
        """Store the object under its key, whatever was there before.

        :return: the entry that was there and the one that is there now.
        :raises InvalidObject: if it has no name or is no JSON; nothing is stored.
        """
        return self.put(self.encode(body))

    update = add

    def encode(self, body: Mapping[str, Any]) -> Entry:
        """What :meth:`add` would store: transformed, not stored.

        :raises InvalidObject: as :meth:`add`.
        """
        entry = encode(body)
        if self._transform is None:
            return entry
        changed = encode(self._transform(entry.decode()))
        if changed.key != entry.key:
            raise ValueError(f"transform made {changed.key} of {entry.key}: a key must stay what it is")
        return changed

    def put(self, entry: Entry) -> Change:
        """Store what :meth:`encode` made."""
        indexed: _Values = {}
        while True:
            indexed |= self._index(entry, self._missing(indexed))
            with self._table.lock:
                if len(indexed) == len(self._table.indexers):  # else an index was added meanwhile
                    old = self._table.entries.get(entry.key)
                    self._put_locked(entry, indexed)
                    return Change(old, entry)

    def delete(self, body: Mapping[str, Any]) -> Change:
        """Remove what is stored under the object's key; nothing stored there is no error.

        :raises InvalidObject: if it has no name.
        """
        return self.remove(object_key(body))

    def remove(self, key: ObjectKey) -> Change:
        """Remove what is stored under the key."""
        with self._table.lock:
            old = self._table.entries.pop(key, None)
            if old is not None:
                self._table.body_bytes -= len(old.body)
                for name in self._table.indexers:
                    self._unindex_locked(name, key)
        return Change(old, None)

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> builtins.list[Change]:
        """Make the cache hold exactly these objects, at once: no reader sees a part of it.

        Of two objects with one key the last is kept.

        :return: what changed, removals first, then the objects in their order.
        :raises InvalidObject: if one has no name or is no JSON; nothing changes then.
        """
        entries = {entry.key: entry for entry in map(self.encode, bodies)}
        indexed: dict[ObjectKey, _Values] = {key: {} for key in entries}
        while True:
            for key, entry in entries.items():
                indexed[key] |= self._index(entry, self._missing(indexed[key]))
            with self._table.lock:
                if any(len(values) < len(self._table.indexers) for values in indexed.values()):
                    continue  # an index was added meanwhile
                before = self._table.entries
                self._table.entries = {}
                self._table.body_bytes = 0
                for name in self._table.indexers:
                    self._table.indices[name] = {}
                    self._table.values[name] = {}
                for key, entry in entries.items():
                    self._put_locked(entry, indexed[key])
                break
        gone = [Change(old, None) for key, old in before.items() if key not in entries]
        return gone + [Change(before.get(key), entry) for key, entry in entries.items()]

    def resync(self) -> builtins.list[Entry]:
        """What a resync delivers again: everything stored at this instant. Nothing changes."""
        return self.entries()

    def add_indexers(self, indexers: Mapping[str, IndexFunc]) -> None:
        """Add indexes; objects stored already are found by them at once.

        :raises IndexConflict: if a name is taken; none is added then.
        :raises ConfigurationError: if something is no index function.
        """
        for name, function in indexers.items():
            if not callable(function):
                raise ConfigurationError(
                    f"index {name!r} is {function!r}, expected a function, or such as field('spec.nodeName')"
                )
        indexed: dict[ObjectKey, tuple[Entry, _Values]] = {}
        while True:
            with self._table.lock:
                taken = sorted(set(indexers) & set(self._table.indexers))
                if taken:
                    raise IndexConflict(f"indexer conflict: {', '.join(taken)} exist already")
                entries = self._table.entries
                changed = [
                    entry for key, entry in entries.items() if key not in indexed or indexed[key][0] is not entry
                ]
                if not changed:
                    self._table.indexers.update(indexers)
                    for name in indexers:
                        self._table.indices[name] = {}
                        self._table.values[name] = {}
                    for entry in entries.values():
                        self._reindex_locked(entry, indexed[entry.key][1])
                    return
            # Outside the lock: it may take a while, and the functions are the user's.
            for entry in changed:
                indexed[entry.key] = (entry, self._index(entry, indexers))

    def _missing(self, indexed: _Values) -> dict[str, IndexFunc]:
        """The indexes whose values are not computed yet."""
        return {name: function for name, function in list(self._table.indexers.items()) if name not in indexed}

    def _index(self, entry: Entry, indexers: Mapping[str, IndexFunc]) -> _Values:
        """Compute an entry's values, each index function on its own so that one cannot harm another."""
        if not indexers:
            return {}
        shared = entry.decode()
        found: _Values = {}
        for name, function in indexers.items():
            # A function of the user's may change what it is given: it gets a body of its own.
            body = shared if isinstance(function, FieldIndex | NamespaceIndex) else entry.decode()
            try:
                found[name] = index_values(function, body)
            except Exception:
                logger.exception("index %s failed on %s; the object is kept and not found by it", name, entry.key)
                found[name] = None
        return found

    def _put_locked(self, entry: Entry, indexed: _Values) -> None:
        old = self._table.entries.get(entry.key)
        if old is not None:
            self._table.body_bytes -= len(old.body)
        self._table.entries[entry.key] = entry
        self._table.body_bytes += len(entry.body)
        self._reindex_locked(entry, indexed)

    def _reindex_locked(self, entry: Entry, indexed: _Values) -> None:
        for name, values in indexed.items():
            if values is None:
                self._table.index_errors += 1
            elif self._table.values[name].get(entry.key, ()) == values:
                continue
            self._unindex_locked(name, entry.key)
            if values:
                self._table.values[name][entry.key] = values
                index = self._table.indices[name]
                for value in values:
                    index.setdefault(value, set()).add(entry.key)

    def _unindex_locked(self, name: str, key: ObjectKey) -> None:
        index = self._table.indices[name]
        for value in self._table.values[name].pop(key, ()):
            keys = index[value]
            keys.discard(key)
            if not keys:
                del index[value]
