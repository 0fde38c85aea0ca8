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
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.base.clock import Clock, RealClock
from workqueue.base.keys import object_key
from workqueue.cache import Change, Entry, Indexer, IndexerStatistics, Reader
from workqueue.informer.notifications import Handler, HandlerFunc, HandlerStatistics, Kind, Notification


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """One informer at one instant."""

    name: str
    synced: bool
    #: Events taken in, those without effect included.
    events: int
    #: Events of an older state than the stored one, or of a former object under the name: ignored.
    stale_events: int
    #: Changes not told yet.
    pending: int
    cache: IndexerStatistics
    handlers: tuple[HandlerStatistics, ...]


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
        self._indexer = indexer
        self._lock = threading.Lock()
        #: Those who wait for the first sync sleep here.
        self._synced_changed = threading.Condition(self._lock)

        # All below are guarded by _lock.
        self._handlers: tuple[Handler, ...] = ()
        self._synced = False
        #: When the resource was first known to be served; None before.
        self._served_at: float | None = None
        self._stopped = False
        self._events = 0
        self._stale_events = 0
        #: What is to be told, in the order of the changes, and to whom: those who were there at the change.
        #: Appended to under _lock, taken from under _delivering.
        self._pending: deque[tuple[Notification, tuple[Handler, ...]]] = deque()

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
            for entry in self._indexer.entries():
                self._pending.append((Notification("add", entry.key, None, entry, initial=True), (handler,)))
        self.deliver()
        return handler

    @property
    def has_synced(self) -> bool:
        """True when everything that existed at the start is in the cache."""
        return self._synced

    def wait_for_sync(self, timeout: float) -> bool:
        """Sleep until the first sync.

        :param timeout: seconds, counted only while the resource is served.
        :return: False when it took longer, or the informer was stopped.
        """
        with self._synced_changed:
            while not self._synced and not self._stopped:
                until = None if self._served_at is None else self._served_at + timeout
                if until is not None and until <= self.clock.now():
                    return False
                self.clock.wait(self._synced_changed, until)
            return self._synced

    # For the lane that brings the events.

    def mark_served(self) -> None:
        """The resource exists in the cluster: waiting for its sync counts from the first call."""
        with self._synced_changed:
            if self._served_at is None:
                self._served_at = self.clock.now()
                self._synced_changed.notify_all()

    def mark_synced(self) -> None:
        """Everything that existed at the start has been applied."""
        with self._synced_changed:
            self._synced = True
            self._synced_changed.notify_all()

    def stop(self) -> None:
        """Wake those who wait for a sync that will not come."""
        with self._synced_changed:
            self._stopped = True
            self._synced_changed.notify_all()

    def renew(self) -> None:
        """Begin again in the same process, as if nothing had ever been seen; handlers stay."""
        with self._synced_changed:
            self._indexer.replace([])
            self._pending.clear()
            self._synced = self._stopped = False
            self._served_at = None

    def apply(self, body: Mapping[str, Any], *, initial: bool = False) -> None:
        """An object exists in this state.

        :param body: the object, any mapping of JSON.
        :param initial: it was there at the start.
        :raises InvalidObject: if it has no name or is no JSON; nothing changes.
        """
        entry = self._indexer.encode(body)
        with self._lock:
            self._events += 1
            stored = self._indexer.entry(entry.key)
            if stored is not None:
                if entry.is_older_than(stored):
                    self._stale_events += 1
                    return
                if entry.is_same_state(stored):
                    return
            self._tell_locked(self._indexer.put(entry), initial=initial)

    def remove(self, body: Mapping[str, Any]) -> None:
        """An object was deleted; what is stored under its key goes, unless that is another object by its uid.

        :param body: the final state. If it cannot be stored, handlers are given the last state that could.
        :raises InvalidObject: if it has no name; nothing changes.
        """
        final = self._final(body)
        with self._lock:
            self._events += 1
            stored = self._indexer.entry(final.key)
            if stored is None or not stored.is_same_object(final) or final.is_older_than(stored):
                self._stale_events += 1
                return
            self._indexer.remove(final.key)
            self._push_locked(Notification("delete", final.key, final if final.body else stored, None))

    def _final(self, body: Mapping[str, Any]) -> Entry:
        """The final state as an entry; one without a body if it cannot be stored: the object is gone all the same."""
        try:
            return self._indexer.encode(body)
        except Exception:
            key, metadata = object_key(body), body["metadata"]
            uid, version = str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
            return Entry(key=key, uid=uid, resource_version=version, labels={}, body=b"")

    def remove_missing(self, missing: Entry) -> None:
        """An object was found to be gone: a tombstone with its last known state.

        :param missing: the entry that was looked for; nothing happens if the cache holds another by now.
        """
        with self._lock:
            if self._indexer.entry(missing.key) is missing:
                self._tell_locked(self._indexer.remove(missing.key))

    def replace(self, bodies: Iterable[Mapping[str, Any]], *, initial: bool = False) -> None:
        """These objects exist and no others: swap the whole cache at once, then tell the differences.

        Deletions are told first, as tombstones: client-go's order for a relist.

        :raises InvalidObject: if one is no object; nothing changes.
        """
        with self._lock:
            self._events += 1
            for change in self._indexer.replace(bodies):
                if not (change.old and change.new and change.old.is_same_state(change.new)):
                    self._tell_locked(change, initial=initial)

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
                    self._push_locked(Notification("update", key, entry, entry, resync=True))
            self.deliver()

    def deliver(self) -> None:
        """Tell the handlers what has changed. When it returns, everything pushed before the call was told.

        Called by a handler it does nothing: what the handler changed is told after it, in order.
        """
        if self._deliverer == threading.get_ident():
            return
        with self._delivering:
            self._deliverer = threading.get_ident()
            try:
                while self._pending:
                    notification, handlers = self._pending.popleft()
                    for handler in handlers:
                        handler.tell(notification)
            finally:
                self._deliverer = None

    def statistics(self) -> InformerStatistics:
        """The informer at this instant."""
        with self._lock:
            return InformerStatistics(
                name=self.name,
                synced=self._synced,
                events=self._events,
                stale_events=self._stale_events,
                pending=len(self._pending),
                cache=self._indexer.statistics(),
                handlers=tuple(handler.statistics() for handler in self._handlers),
            )

    def _tell_locked(self, change: Change, *, initial: bool = False) -> None:
        """Turn a change of the store into notifications."""
        old, new = change
        if old is not None and (new is None or not old.is_same_object(new)):
            # Its deletion was not seen: what is known is the last state before it.
            self._push_locked(Notification("delete", old.key, old, None, final_state_known=False))
            old = None
        if new is not None:
            if old is None:
                self._push_locked(Notification("add", new.key, None, new, initial=initial))
            else:
                self._push_locked(Notification("update", new.key, old, new))

    def _push_locked(self, notification: Notification) -> None:
        if self._handlers:
            self._pending.append((notification, self._handlers))
