"""The writing side of the cache: it belongs to the informer alone.

Semantics: client-go tools/cache/thread_safe_store.go and store.go. Departures: an index function that
raises is counted and logged and its object kept (client-go ends the process while it holds the
lock); objects without a name are refused.
"""

import builtins
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from workqueue.base.errors import ConfigurationError, IndexConflict
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.batches import Batch, in_batches
from workqueue.cache.entry import Entry, encode
from workqueue.cache.indexes import IndexFunc, ReadyMade, Values, index_values
from workqueue.cache.packing import Compression, Packer
from workqueue.cache.parsing import Part, Raw, loads, parse_object
from workqueue.cache.reader import Reader
from workqueue.cache.table import Table
from workqueue.cache.wire import WireDecoder

logger = logging.getLogger("workqueue.cache")

#: Changes an object before it is stored. Returns what to store; must not raise for objects it does not know.
Transform = Callable[[dict[str, Any]], Mapping[str, Any]]

#: An object: any mapping of JSON, or its JSON.
Object = Mapping[str, Any] | Raw


class Prepared(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An object that is ready to be stored."""

    entry: Entry
    #: Its values in some of the indexes; the rest is computed when it is stored.
    values: Values


class Change(NamedTuple):
    """What a write did to one key: (None, None) is nothing at all."""

    old: Entry | None
    new: Entry | None


class Indexer(Reader):
    """The one writer of a cache."""

    def __init__(
        self,
        indexers: Mapping[str, IndexFunc] | None = None,
        *,
        transform: Transform | None = None,
        compression: Compression = "auto",
    ) -> None:
        """
        :param indexers: the first indexes, by name.
        :param transform: changes each object before it is stored; gets a copy of its own. If it raises,
            nothing is stored by that call.
        :param compression: see :class:`workqueue.cache.packing.Packer`.
        """
        self._packer = Packer(compression)
        super().__init__(Table(self._packer))
        #: Stored objects that are to be packed next.
        self._batch = Batch()
        self._transform = transform
        #: For the indexes that there are; replaced with them, under the table's lock.
        self._decoder = WireDecoder({})
        #: The same cache without the verbs that write.
        self.reader = Reader(self._table)
        self.add_indexers(indexers or {})

    def add(self, body: Mapping[str, Any]) -> Change:
        """Store the object under its key, whatever was there before.

        :return: the entry that was there and the one that is there now.
        :raises InvalidObject: if it has no name or is no JSON; nothing is stored.
        """
        return self.put(self.prepare(body))

    update = add

    def prepare(self, body: Object, *, head: bytes = b"") -> Prepared:
        """Make ready what :meth:`add` would store: transformed, not stored.

        :param body: an object, or its JSON, which is not decoded unless it must be. Bytes are kept then, of a part of
            something longer a copy.
        :param head: as of :meth:`workqueue.cache.wire.WireDecoder.decode`.
        :raises InvalidObject: if it has no name or is no JSON.
        """
        if self._transform is None:
            if isinstance(body, bytes | Part):
                return Prepared(*self._decoder.decode(body, head=head))
            return Prepared(encode(body), {})
        entry = encode(parse_object(body, head=head) if isinstance(body, bytes | Part) else body)
        changed = encode(self._transform(entry.decode()))
        if changed.key != entry.key:
            raise ValueError(f"transform made {changed.key} of {entry.key}: a key must stay what it is")
        return Prepared(changed, {})

    def complete(self, prepared: Prepared) -> Prepared:
        """The same with its values in all indexes that there are: before it is packed they cost less."""
        if len(prepared.values) == len(self._table.indexers):
            return prepared
        missing = {name: index for name, index in self.indexers().items() if name not in prepared.values}
        entry = prepared.entry
        return Prepared(entry, prepared.values | self._index(entry, missing, entry.body))

    def put(self, prepared: Prepared) -> Change:
        """Store what :meth:`prepare` made ready."""
        entry, values = prepared.entry, prepared.values
        while True:
            with self._table.lock:
                if self._table.indexers.keys() <= values.keys():
                    old = self._table.put(entry, values)
                    break
                missing = {name: index for name, index in self._table.indexers.items() if name not in values}
            values = values | self._index(entry, missing, entry.body)  # outside the lock: the functions are the user's
        self._pack_later(entry)
        return Change(old, entry)

    def delete(self, body: Mapping[str, Any]) -> Change:
        """Remove what is stored under the object's key; nothing stored there is no error.

        :raises InvalidObject: if it has no name.
        """
        return self.remove(object_key(body))

    def remove(self, key: ObjectKey) -> Change:
        """Remove what is stored under the key."""
        self._batch.discard(key)
        with self._table.lock:
            return Change(self._table.remove(key), None)

    def replace(
        self, bodies: Iterable[Mapping[str, Any] | Prepared], *, namespace: str | None = None
    ) -> builtins.list[Change]:
        """Make the cache hold exactly these objects, at once: no reader sees a part of it.

        Of two objects with one key the last is kept.

        :param bodies: objects, or what :meth:`prepare` made of them.
        :param namespace: only what is stored of this namespace is replaced; None is everything.
        :return: what changed, removals first, then the objects in their order.
        :raises InvalidObject: if one has no name or is no JSON; nothing changes then.
        """
        made = [body if isinstance(body, Prepared) else self.prepare(body) for body in bodies]
        prepared = {each.entry.key: each for each in made}
        while True:
            fresh = Table(self._packer)
            fresh.add_indexers(self.indexers())
            for key, each in prepared.items():
                if not fresh.indexers.keys() <= each.values.keys():
                    missing = {name: index for name, index in fresh.indexers.items() if name not in each.values}
                    more = self._index(each.entry, missing, each.entry.body)
                    prepared[key] = Prepared(each.entry, each.values | more)
            stored = self._table.entries  # read without its lock: nobody but the writer, which is here, changes it
            plain = [each.entry for each in prepared.values() if not each.entry.is_settled]
            self.pack([entry for entry in plain if stored.get(entry.key) is not entry])
            if namespace is None:  # outside the lock: a million objects take their time, and readers go on meanwhile
                for each in prepared.values():
                    fresh.put(each.entry, each.values)
            with self._table.lock:
                if self._table.indexers.keys() != fresh.indexers.keys():
                    continue  # an index was added meanwhile
                before = self._table.entries
                if namespace is None:
                    self._table.take(fresh)
                else:
                    before = {key: entry for key, entry in before.items() if key.namespace == namespace}
                    for key in before.keys() - prepared.keys():
                        self._table.remove(key)
                    for each in prepared.values():
                        self._table.put(each.entry, each.values)
                break
        gone = [Change(old, None) for key, old in before.items() if key not in prepared]
        return gone + [Change(before.get(key), each.entry) for key, each in prepared.items()]

    def pack(self, entries: Iterable[Entry], *, beside: int = 0) -> int:
        """Make bodies small of objects that are not stored yet; those of a list, while it comes.

        :param entries: of :meth:`prepare`.
        :param beside: bytes of bodies that came before them.
        :return: bytes of their bodies before.
        """
        entries = list(entries)
        before = live = self._table.body_bytes + beside
        for entry in entries:
            live += len(entry.stored)
            self._packer.see(entry.stored, live=live)
        batch = Batch()
        for entry in entries:
            batch.add(entry)
            if batch.is_full:
                self._pack_now(batch.take())
        self._pack_now(batch.take())
        return live - before

    def _pack_now(self, entries: Sequence[Entry]) -> None:
        """Make bodies small of objects that are not stored."""
        dictionary = self._packer.dictionary
        if dictionary is not None and entries:
            frames = self._packer.pack(dictionary, [entry.stored for entry in entries])
            for entry, frame in zip(entries, frames, strict=True):
                entry.pack(frame, dictionary)

    def _pack_later(self, entry: Entry) -> None:
        """Make the body of a stored object small, with others."""
        self._packer.see(entry.stored, live=self._table.body_bytes)
        dictionary = self._packer.dictionary
        if dictionary is None:
            return
        self._batch.add(entry)
        if not self._batch.is_full:
            return
        stored = self._table.entries  # read without its lock: nobody but the writer, which is here, changes it
        entries = [each for each in self._batch.take() if stored.get(each.key) is each]
        if entries:
            frames = self._packer.pack(dictionary, [each.stored for each in entries])
            with self._table.lock:
                for each, frame in zip(entries, frames, strict=True):
                    self._table.body_bytes += each.pack(frame, dictionary)

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
        indexed: dict[ObjectKey, tuple[Entry, Values]] = {}
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
                    self._table.add_indexers(dict(indexers))
                    for key in entries:
                        self._table.index(key, indexed[key][1])
                    self._decoder = WireDecoder(self._table.indexers)
                    return
            # Outside the lock: it may take a while, and the functions are the user's.
            for entry, body in in_batches(changed):
                indexed[entry.key] = (entry, self._index(entry, indexers, body))

    def _index(self, entry: Entry, indexers: Mapping[str, IndexFunc], raw: bytes) -> Values:
        """Compute an entry's values, each index function on its own so that one cannot harm another."""
        if not indexers:
            return {}
        shared = loads(raw)
        found: Values = {}
        for name, function in indexers.items():
            # A function of the user's may change what it is given: it gets a body of its own.
            body = shared if isinstance(function, ReadyMade) else loads(raw)
            try:
                found[name] = index_values(function, body)
            except Exception:
                logger.exception("index %s failed on %s; the object is kept and not found by it", name, entry.key)
                found[name] = None
        return found
