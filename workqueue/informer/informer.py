"""The informer: events in, cache up to date, handlers told, in this order.

Semantics: client-go tools/cache shared_informer.go and controller.go (processDeltas). It does not
know where events come from: a lane calls :meth:`Informer.apply`, :meth:`Informer.remove` and
:meth:`Informer.replace`, then :meth:`Informer.deliver`.

All handlers hear of all changes in the order in which the cache changed, one call after another,
whichever thread brought the event: client-go keeps that order for one handler with its three
functions; here the three are handlers of their own, so it is kept for all of them together.

What handlers are told, folded in order, always gives the cache: an unchanged resourceVersion is no
update, an older one is ignored, and an object with another uid under the same name is a delete and
an add (client-go reports one update with two uids there).
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.base.origin import reset_origin, set_origin
from workqueue.cache import (
    Change,
    Changes,
    Draft,
    Entry,
    Indexer,
    IndexerStatistics,
    Object,
    Part,
    Reader,
    compact_uid,
    compact_version,
    parse_identity,
)
from workqueue.informer.lane import ConsistencyStatistics, LaneStatistics
from workqueue.informer.notifications import Handler, HandlerFunc, HandlerStatistics, Kind, Notification
from workqueue.informer.pending import Pending, notifications
from workqueue.informer.progress import Progress

#: Changes told to handlers before somebody else gets a turn.
SLICE = 500


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """One informer at one instant."""

    name: str
    #: The cache is live now.
    synced: bool
    #: Events taken in, those without effect included.
    events: int
    #: Events of an older state than the stored one, or of a former object under the name: ignored.
    stale_events: int
    #: Changes not told yet.
    pending: int
    cache: IndexerStatistics
    handlers: tuple[HandlerStatistics, ...]
    #: Of what brings the events, where that is known.
    lane: LaneStatistics | None = None
    #: Of its consistency check, if there is one.
    consistency: ConsistencyStatistics | None = None


class Informer:
    """Keeps one resource's cache and tells its handlers."""

    def __init__(self, name: str, *, indexer: Indexer, clock: Clock | None = None) -> None:
        """
        :param name: of the resource, for logs and metrics.
        :param indexer: the cache; from now on this informer is its only writer.
        :param clock: where time comes from.
        """
        self.name = name
        self.clock: Clock = clock if clock is not None else RealClock()
        #: How far the cache has come; the lane that brings the events says so.
        self.progress = Progress(self.clock)
        self._indexer = indexer
        self._lock = threading.Lock()

        # All below are guarded by _lock.
        self._handlers: tuple[Handler, ...] = ()
        #: The same by what they want to hear of.
        self._listeners: dict[Kind, tuple[Handler, ...]] = {"add": (), "update": (), "delete": ()}
        self._events = 0
        self._stale_events = 0
        #: What is to be told, in the order of the changes, and to whom: those who were there at the change.
        #: Added to under _lock, taken from under _delivering.
        self._pending = Pending()

        #: Held while handlers are called, so that calls are one after another. Nobody waits for it with _lock held.
        self._delivering = threading.Lock()
        #: The thread that holds _delivering; written by it alone.
        self._deliverer: int | None = None

    @property
    def reader(self) -> Reader:
        """The cache, for reading."""
        return self._indexer.reader

    # For users.

    def add_handler(self, function: HandlerFunc, *, kind: Kind) -> Handler:
        """Have a function told of one kind of change.

        Added late, it is told first of everything that is stored, as an add with ``initial=True``.

        :param function: takes keyword arguments: key, namespace, name, uid, labels, old, new,
            final_state_known, initial; more may come, so end it with ``**_``.
        :param kind: "add", "update" or "delete".
        """
        handler = Handler(function, kind=kind, clock=self.clock)
        with self._lock:
            self._handlers += (handler,)
            self._listeners = {**self._listeners, kind: (*self._listeners[kind], handler)}
            if kind == "add":
                stored = Changes([], self._indexer.entries())
                self._pending.add_all(stored, {"add": (handler,), "update": (), "delete": ()}, initial=True)
        while self.deliver(at_most=SLICE):
            pass  # in slices: whoever else delivers, an event loop mostly, waits for one of them and not for all
        return handler

    @property
    def has_synced(self) -> bool:
        """True while everything that exists is in the cache, as far as anybody can know."""
        return self.progress.has_synced

    def wait_for_sync(self, timeout: float) -> bool:
        """See :meth:`Progress.wait_for_sync`."""
        return self.progress.wait_for_sync(timeout)

    def wait_for(self, key: ObjectKey, *, version: str, timeout: float) -> Entry | None:
        """See :meth:`Progress.wait_for`."""
        return self.progress.wait_for(key, version=version, read=lambda: self._indexer.entry(key), timeout=timeout)

    def expect_gone(self, key: ObjectKey, *, uid: str, timeout: float) -> None:
        """See :meth:`Progress.expect_gone`."""
        self.progress.expect_gone(key, uid=uid, read=lambda: self._indexer.entry(key), timeout=timeout)

    # For tests, which may lend an operator's informer.

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """Those that were added, in that order."""
        with self._lock:
            return self._handlers

    def forget_handler(self, handler: Handler) -> None:
        """Tell a handler of nothing that happens from now on."""
        with self._lock:
            self._handlers = tuple(each for each in self._handlers if each is not handler)
            left = tuple(each for each in self._listeners[handler.kind] if each is not handler)
            self._listeners = {**self._listeners, handler.kind: left}

    # For the lane that brings the events.

    def stop(self) -> None:
        """Wake those who wait for what will not come."""
        self.progress.stop()

    def renew(self) -> None:
        """Begin again in the same process, as if nothing had ever been seen; handlers stay."""
        with self._delivering, self._lock:
            self._indexer.replace([])
            self._pending.clear()
        self.progress.renew()

    def prepare(self, body: Object, *, head: bytes = b"") -> Entry:
        """Make an object ready for a :meth:`draft`.

        :param body, head: as of :meth:`workqueue.cache.Indexer.prepare`.
        :raises InvalidObject: if it has no name or is no JSON; and whatever its transform raises.
        """
        return self._indexer.complete(self._indexer.prepare(body, head=head))

    def stored_of(self, body: Object) -> Entry | None:
        """What is stored of an object that cannot be made ready in the state that it is in now.

        :param body: as of :meth:`prepare`.
        :return: None if nothing is, or if it is of another object that had this name before, and is gone.
        """
        try:
            known = parse_identity(body) if isinstance(body, bytes | Part) else body
            stored = self._indexer.entry(object_key(known))
        except InvalidObject:
            return None
        uid = str(known["metadata"].get("uid") or "")
        return stored if stored is not None and (not uid or not stored.uid or uid == stored.uid) else None

    @property
    def metadata_only(self) -> bool:
        """True if the cache keeps nothing of objects but what they are and their metadata."""
        return self._indexer.metadata_only

    def objects_are(self, kind: str, api_version: str) -> None:
        """What objects are that the API server sends as PartialObjectMetadata."""
        self._indexer.objects_are(kind, api_version)

    def draft(self) -> Draft:
        """See :meth:`workqueue.cache.Indexer.draft`."""
        return self._indexer.draft()

    def apply(self, body: Object, *, initial: bool = False) -> Entry:
        """An object exists in this state.

        :param body: the object, any mapping of JSON, or its JSON.
        :param initial: it was there at the start.
        :return: that state.
        :raises InvalidObject: if it has no name or is no JSON; nothing changes.
        """
        entry = self._indexer.prepare(body)
        key = entry.key
        with self._lock:
            self._events += 1
            stored = self._indexer.entry(key)
            if stored is not None:
                if entry.is_older_than(stored):
                    self._stale_events += 1
                    return entry
                if entry.is_same_state(stored):
                    return entry
            self._tell_locked(self._indexer.put(entry), initial=initial)
        self.progress.applied(key)
        return entry

    def remove(self, body: Object) -> Entry:
        """An object was deleted; what is stored under its key goes, unless that is another object by its uid.

        :param body: the final state. If it cannot be stored, handlers are given the last state that could.
        :return: the final state.
        :raises InvalidObject: if it has no name; nothing changes.
        """
        final = self._final(body)
        key = final.key
        with self._lock:
            self._events += 1
            stored = self._indexer.entry(key)
            if stored is None or not stored.is_same_object(final) or final.is_older_than(stored):
                self._stale_events += 1
            else:
                self._indexer.remove(key)
                self._push_locked(Notification("delete", final if final.stored else stored, None))
        self.progress.applied(key, gone=final.resource_version)
        return final

    def _final(self, body: Object) -> Entry:
        """The final state as an entry; one without a body if it cannot be stored: the object is gone all the same."""
        try:
            return self._indexer.prepare(body)
        except Exception:
            known = parse_identity(body) if isinstance(body, bytes | Part) else body
            key, metadata = object_key(known), known["metadata"]
            uid, version = str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
            return Entry(
                namespace=key.namespace,
                name=key.name,
                compact_uid=compact_uid(uid),
                compact_version=compact_version(version),
                labels={},
                stored=b"",
            )

    def remove_missing(self, missing: Entry) -> None:
        """An object was found to be gone: a tombstone with its last known state.

        :param missing: the entry that was looked for; nothing happens if the cache holds another by now.
        """
        with self._lock:
            if self._indexer.entry(missing.key) is missing:
                self._tell_locked(self._indexer.remove(missing.key))
        self.progress.applied(missing.key, gone=missing.resource_version)

    def replace(
        self,
        bodies: Iterable[Mapping[str, Any]] | Draft,
        *,
        initial: bool = False,
        namespace: str | None = None,
        versions: Literal["go on", "begin anew"] = "go on",
    ) -> int:
        """These objects exist and no others: swap the whole cache at once, then tell the differences.

        Deletions are told first, as tombstones: client-go's order for a relist.

        :param bodies: objects, or a :meth:`draft` of them.
        :param initial: they were there at the start.
        :param namespace: they are all that exist of this namespace; None is everywhere.
        :param versions: "begin anew" if the API server's storage went back in time: one resourceVersion can be two
            states then, and only what is equal is unchanged.
        :return: how many objects came, changed or went.
        :raises InvalidObject: if one is no object; nothing changes.
        """
        with self._lock:
            self._events += 1
            changes = self._indexer.replace(bodies, namespace=namespace).news(by_content=versions == "begin anew")
            self._pending.add_all(changes, self._listeners, initial=initial)
        self.progress.wake()
        return len(changes)

    def resync(self, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Deliver every cached object again, as an update from itself to itself, with no request.

        :param stopped: asked before each object; the rest is left out once it says True.
        """
        for key in self._indexer.list_keys():
            if stopped():
                return
            with self._lock:  # for each key anew: intake goes on in between
                entry = self._indexer.entry(key)
                if entry is not None:
                    self._push_locked(Notification("update", entry, entry, resync=True))
            self.deliver()

    def deliver(self, *, at_most: int | None = None) -> bool:
        """Tell the handlers what has changed. When it returns False, everything pushed before the call was told.

        Called by a handler it does nothing: what the handler changed is told after it, in order.

        :param at_most: how many changes to tell before it returns, so that a loop gets its turn.
        :return: True if there is more to tell.
        """
        if self._deliverer == threading.get_ident():
            return False
        with self._delivering:
            self._deliverer = threading.get_ident()
            try:
                while at_most is None or at_most > 0:
                    told = self._pending.take()
                    if told is None:
                        return False
                    notification, handlers = told
                    token = set_origin(notification.origin)
                    try:
                        for handler in handlers:
                            handler.tell(notification)
                    finally:
                        reset_origin(token)
                    if at_most is not None:
                        at_most -= 1
                return bool(self._pending)
            finally:
                self._deliverer = None

    def statistics(self) -> InformerStatistics:
        """The informer at this instant."""
        with self._lock:
            return InformerStatistics(
                name=self.name,
                synced=self.has_synced,
                events=self._events,
                stale_events=self._stale_events,
                pending=len(self._pending),
                cache=self._indexer.statistics(),
                handlers=tuple(handler.statistics() for handler in self._handlers),
            )

    def _tell_locked(self, change: Change, *, initial: bool = False) -> None:
        """Turn a change of the store into notifications."""
        for notification in notifications(change, initial=initial):
            self._push_locked(notification)

    def _push_locked(self, notification: Notification) -> None:
        self._pending.add(notification, self._listeners)
