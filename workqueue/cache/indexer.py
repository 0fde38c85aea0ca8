"""The writing side of the cache: it belongs to the informer alone.

Semantics: client-go tools/cache/thread_safe_store.go and store.go. Departures: an index function that
raises is counted and logged and its object kept (client-go ends the process while it holds the
lock); objects without a name are refused.
"""

import builtins
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from workqueue.base.errors import ConfigurationError, IndexConflict, InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.batches import BATCH, Batch, in_batches
from workqueue.cache.draft import Change, Changes, Draft
from workqueue.cache.entry import Entry, encode, keep_frame, keep_values
from workqueue.cache.indexes import FieldIndex, IndexFunc, Values, check_index, compute
from workqueue.cache.packing import Compression, Packer
from workqueue.cache.parsing import Part, Raw, parse_object
from workqueue.cache.partial import KEPT, Cutter
from workqueue.cache.reader import Reader
from workqueue.cache.table import Table
from workqueue.cache.wire import WireDecoder

logger = logging.getLogger("workqueue.cache")

#: Changes an object before it is stored. Returns what to store; must not raise for objects it does not know.
Transform = Callable[[dict[str, Any]], Mapping[str, Any]]

#: An object: any mapping of JSON, or its JSON.
Object = Mapping[str, Any] | Raw


class Indexer(Reader):
    """The one writer of a cache."""

    def __init__(
        self,
        indexers: Mapping[str, IndexFunc] | None = None,
        *,
        transform: Transform | None = None,
        compression: Compression = "auto",
        metadata_only: bool = False,
    ) -> None:
        """
        :param indexers: the first indexes, by name.
        :param transform: changes each object before it is stored; gets a copy of its own. If it raises,
            nothing is stored by that call.
        :param compression: see :class:`workqueue.cache.packing.Packer`.
        :param metadata_only: keep nothing of an object but its kind, its apiVersion and its metadata.
        :raises ConfigurationError: if an index wants something that is not kept, or cannot be.
        """
        #: None if objects are kept whole.
        self._cutter = Cutter() if metadata_only else None
        self._packer = Packer(compression)
        super().__init__(Table(self._packer))
        #: Stored objects that are to be packed next.
        self._batch = Batch()
        self._transform = transform
        #: Held while indexes are added, so that each has its place in the entries' values.
        self._adding = threading.Lock()
        #: For the indexes that there are; replaced with them, under the table's lock.
        self._decoder = WireDecoder({})
        #: The same cache without the verbs that write.
        self.reader = Reader(self._table)
        self.add_indexers(indexers or {})

    @property
    def metadata_only(self) -> bool:
        """True if nothing is kept of objects but what they are and their metadata."""
        return self._cutter is not None

    def objects_are(self, kind: str, api_version: str) -> None:
        """See :meth:`workqueue.cache.partial.Cutter.objects_are`; for a cache of metadata only."""
        if self._cutter is not None:
            self._cutter.objects_are(kind, api_version)

    def add(self, body: Mapping[str, Any]) -> Change:
        """Store the object under its key, whatever was there before.

        :return: the entry that was there and the one that is there now.
        :raises InvalidObject: if it has no name or is no JSON; nothing is stored.
        """
        return self.put(self.prepare(body))

    update = add

    def prepare(self, body: Object, *, head: bytes = b"") -> Entry:
        """Make ready what :meth:`add` would store: transformed, not stored.

        :param body: an object, or its JSON, which is not decoded unless it must be. Bytes are kept then, of a part of
            something longer a copy.
        :param head: as of :meth:`workqueue.cache.wire.WireDecoder.decode`.
        :raises InvalidObject: if it has no name or is no JSON.
        """
        if self._cutter is not None:
            body, head = self._cutter.cut(body, head=head), b""
        if self._transform is None:
            return self._decoder.decode(body, head=head) if isinstance(body, bytes | Part) else encode(body)
        given = parse_object(body, head=head) if isinstance(body, bytes | Part) else encode(body).decode()
        key = object_key(given)
        given["metadata"].pop("managedFields", None)
        returned = self._transform(given)
        try:
            changed = encode(returned)
        except InvalidObject:
            _check_returned(returned, key)
            raise
        if changed.key != key:
            raise ValueError(f"transform made {changed.key} of {key}: a key must stay what it is")
        return changed

    def complete(self, entry: Entry) -> Entry:
        """The same with its values in all indexes that there are: before it is packed they cost less.

        :param entry: of :meth:`prepare`, and not stored.
        """
        if (known := len(entry.values)) < len(self._table.indexers):
            with self._table.lock:
                missing = dict(list(self._table.indexers.items())[known:])
            keep_values(entry, entry.values + self._index(entry, missing, entry.body))
        return entry

    def put(self, entry: Entry) -> Change:
        """Store what :meth:`prepare` made ready."""
        while True:
            with self._table.lock:
                if len(entry.values) >= len(self._table.indexers):
                    old = self._table.put(entry)
                    break
            self.complete(entry)  # outside the lock: the functions are the user's
        self._pack_later(entry)
        return Change(old, entry)

    def delete(self, body: Mapping[str, Any]) -> Change:
        """Remove what is stored under the object's key; nothing stored there is no error.

        :raises InvalidObject: if it has no name.
        """
        return self.remove(object_key(body))

    def remove(self, key: ObjectKey) -> Change:
        """Remove what is stored under the key."""
        with self._table.lock:
            return Change(self._table.remove(key), None)

    def draft(self, entries: Iterable[Entry] = ()) -> Draft:
        """What the cache may be replaced by, put together apart from it.

        :param entries: complete ones to begin with.
        """
        draft = Draft(self._fresh(), cache=self._table, complete=self.complete)
        for entry in entries:
            draft.add(entry)
        return draft

    def _fresh(self) -> Table:
        fresh = Table(self._packer)
        with self._table.lock:
            fresh.add_indexers(self._table.indexers)
        return fresh

    def replace(self, bodies: Iterable[Mapping[str, Any]] | Draft, *, namespace: str | None = None) -> Changes:
        """Make the cache hold exactly these objects, at once: no reader sees a part of it.

        Of two objects with one key the last is kept.

        :param bodies: objects, or a :meth:`draft` of them, which is of no use after that.
        :param namespace: only what is stored of this namespace is replaced; None is everything.
        :return: what changed, removals first, then the objects in their order.
        :raises InvalidObject: if one has no name or is no JSON; nothing changes then.
        """
        draft = bodies if isinstance(bodies, Draft) else self._drafted(bodies)
        draft.pack()
        before: dict[Entry, Entry | None] = {}
        while True:
            came = draft.came()
            present = self._of(namespace) if namespace is not None else []
            with self._table.lock:
                if self._table.indexers.keys() == draft.table.indexers.keys():
                    if namespace is None:
                        retired = self._table.take(draft.table)
                    else:
                        gone = [self._table.remove(old.key) for old in present if draft.table.present(old) is None]
                        before = {entry: self._table.put(entry) for entry in came}
                    break
            fresh = self._fresh()  # an index was added meanwhile: first see which, then compute at least those
            for entry in came:
                self.complete(entry)
            draft.replant(fresh)
        if namespace is not None:
            return Changes([old for old in gone if old is not None], came, before=before.get)
        replaced = (old for piece in retired.freeze() for old in piece.values())
        return Changes([old for old in replaced if self._table.present(old) is None], came, before=retired.present)

    def _drafted(self, bodies: Iterable[Mapping[str, Any]]) -> Draft:
        latest: dict[ObjectKey, Entry] = {}
        for entry in [self.prepare(body) for body in bodies]:
            latest.pop(entry.key, None)
            latest[entry.key] = entry
        return self.draft(self.complete(entry) for entry in latest.values())

    def _of(self, namespace: str) -> builtins.list[Entry]:
        """What is stored of a namespace."""
        with self._table.lock:
            stored = self._table.objects.get(namespace)
            pieces = stored.freeze() if stored is not None else []
        return [entry for piece in pieces for entry in piece.values()]

    def _pack_later(self, entry: Entry) -> None:
        """Make the body of a stored object small, with others."""
        self._packer.see(entry.stored, live=self._table.body_bytes)
        dictionary = self._packer.dictionary
        if dictionary is None:
            return
        self._batch.add(entry)
        if not self._batch.is_full:
            return
        # Read without the lock: nobody but the writer, which is here, changes it.
        entries = [each for each in self._batch.take() if self._table.present(each) is each]
        if entries:
            frames = self._packer.pack(dictionary, [each.stored for each in entries])
            with self._table.lock:
                for each, frame in zip(entries, frames, strict=True):
                    self._table.body_bytes += keep_frame(each, frame, dictionary)

    def resync(self) -> builtins.list[Entry]:
        """What a resync delivers again: everything stored at this instant. Nothing changes."""
        return self.entries()

    def add_indexers(self, indexers: Mapping[str, IndexFunc]) -> None:
        """Add indexes; when it returns, all objects are found by them. Nobody sees them before, and nobody is held up.

        :raises IndexConflict: if a name is taken; none is added then.
        :raises ConfigurationError: if something is no index function.
        """
        for name, function in indexers.items():
            check_index(name, function)
            if self.metadata_only and isinstance(function, FieldIndex) and function.path[0] not in KEPT:
                raise ConfigurationError(
                    f"index {name!r} wants {'.'.join(function.path)}: with metadata_only=True nothing is known but "
                    "kind, apiVersion and metadata"
                )
        added = dict(indexers)
        with self._adding:
            with self._table.lock:
                taken = sorted(added.keys() & self._table.indexers.keys())
                if taken:
                    raise IndexConflict(f"indexer conflict: {', '.join(taken)} exist already")
                first = len(self._table.indexers)
                self._table.add_indexers(added)
                self._table.unready.update(added)
                self._decoder = WireDecoder(self._table.indexers, labels=self._table.labels)
                pieces = self._table.freeze()
            # From now on whatever is written is found in them; what was there before is left.
            try:
                for piece in pieces:
                    self._index_later(list(piece.values()), added, first=first)
            except BaseException:
                self._take_back(added, first=first)
                raise
            with self._table.lock:
                self._table.unready.difference_update(added)

    def _index_later(self, entries: Sequence[Entry], indexers: Mapping[str, IndexFunc], *, first: int) -> None:
        """Have entries found in the last indexes, unless they are already, or are stored no more.

        :param first: how many indexes there are before those.
        """
        for start in range(0, len(entries), BATCH):
            # Outside the lock: it may take a while, and the functions are the user's.
            some = [entry for entry in entries[start : start + BATCH] if len(entry.values) == first]
            found = [(entry, self._index(entry, indexers, body)) for entry, body in in_batches(some)]
            with self._table.lock:
                for entry, values in found:
                    if self._table.present(entry) is entry and len(entry.values) == first:
                        self._table.index(entry, values)

    def _take_back(self, indexers: Mapping[str, IndexFunc], *, first: int) -> None:
        """There was no memory for the last indexes, say."""
        with self._table.lock:
            self._table.give_up_indexers(indexers)
            self._decoder = WireDecoder(self._table.indexers, labels=self._table.labels)
            nothing: Values = ((),) * len(indexers)
            for piece in self._table.freeze():
                for entry in piece.values():
                    keep_values(entry, entry.values[:first] + nothing)

    def _index(self, entry: Entry, indexers: Mapping[str, IndexFunc], raw: bytes) -> Values:
        """Compute an entry's values; who raises is counted, and the object kept."""

        def failed(name: str, error: BaseException) -> None:
            with self._table.lock:
                self._table.index_errors[name] += 1
                failures = self._table.index_errors[name]
            if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th … time: it may fail on each object of a list
                logger.error(
                    "index %s failed on %s (%d times so far); the object is kept and not found by it",
                    name, entry.key, failures, exc_info=error,
                )  # fmt: skip

        return compute(raw, indexers, failed=failed)


def _check_returned(returned: object, key: ObjectKey) -> None:
    """:raises InvalidObject: if a transform returned something that is no object with a name."""
    if not isinstance(returned, Mapping):
        told = "None" if returned is None else f"a value of type {type(returned).__name__}"
        raise InvalidObject(f"transform returned {told} for {key}, expected the object (is there a return?)") from None
    metadata = returned.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InvalidObject(
            f"transform returned an object without metadata.name for {key}, expected the object"
        ) from None
