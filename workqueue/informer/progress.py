"""How far an informer has come, and those who wait until it has come further.

``has_synced`` means that the cache is live *now*: everything that existed at the start is in it,
and nothing is known that keeps it from following. client-go's ``HasSynced`` stays true once it
was, whatever happens to the watch; users took that for the truth and worked on caches hours old.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from workqueue.base.clock import Clock
from workqueue.base.keys import ObjectKey
from workqueue.cache import Entry


class Progress:
    """The state of one informer's view, for any thread."""

    def __init__(self, clock: Clock) -> None:
        """:param clock: where time comes from."""
        self._clock = clock
        #: Whoever waits sleeps here.
        self._changed = threading.Condition()
        # All below are guarded by _changed, and those that are one word are read without it.
        #: Everything that existed at the start is in the cache.
        self._synced = False
        #: The handlers were told of all that.
        self._told = False
        #: Why the cache does not follow now, in a few words; "" while it does.
        self._stale = ""
        #: When the resource was first known to be served; None before.
        self._served_at: float | None = None
        self._stopped = False
        #: Why nothing comes any more, in a few words; of the latest stop.
        self._why_stopped = ""
        #: By namespace ("" is all of them): every change up to this resourceVersion is in the cache.
        self._positions: dict[str, int] = {}
        #: How many wait for each key.
        self._awaited: dict[ObjectKey, int] = {}
        #: Of these, those that were seen to go, and the resourceVersion of their end.
        self._gone: dict[ObjectKey, str] = {}

    @property
    def has_synced(self) -> bool:
        """True while everything that exists is in the cache, as far as anybody can know."""
        return self._synced and not self._stale

    @property
    def synced_once(self) -> bool:
        """True from the first sync on."""
        return self._synced

    @property
    def handlers_told(self) -> bool:
        """True once the handlers were told of everything that existed at the start.

        client-go: ``HasSynced`` of a handler's registration.
        """
        return self._told

    # For the lane.

    def mark_served(self) -> None:
        """The resource exists in the cluster: waiting for its sync counts from the first call."""
        with self._changed:
            if self._served_at is None:
                self._served_at = self._clock.now()
                self._changed.notify_all()

    def mark_not_served(self) -> None:
        """It is not served now, or nobody looks (Kopf is paused): the time does not count."""
        with self._changed:
            self._served_at = None

    def mark_synced(self) -> None:
        """Everything that exists has been applied, and the cache follows."""
        with self._changed:
            self._synced, self._stale = True, ""
            self._changed.notify_all()

    def mark_told(self) -> None:
        """The handlers have been told of everything that existed at the start."""
        with self._changed:
            self._told = True
            self._changed.notify_all()

    def mark_stale(self, why: str) -> None:
        """The cache does not follow any more.

        :param why: in a few words.
        """
        with self._changed:
            self._stale = why

    def stop(self, why: str = "the operator stops") -> None:
        """Wake those who wait for what will not come.

        :param why: in a few words.
        """
        with self._changed:
            self._stopped, self._why_stopped = True, why
            self._changed.notify_all()

    def renew(self) -> None:
        """Begin again, as if nothing had ever been seen."""
        with self._changed:
            self._synced = self._told = self._stopped = False
            self._stale = ""
            self._served_at = None
            self._positions.clear()

    def reached(self, version: str, *, namespace: str) -> None:
        """Every change up to this resourceVersion has been applied.

        :param version: of a list, an event or a bookmark of one watch, in which versions only grow.
        :param namespace: the one that the watch is of; "" for all.
        """
        number = _number(version)
        if number is not None:
            self._positions[namespace] = number
            self.wake()

    def forget_position(self, *, namespace: str) -> None:
        """The watch of a namespace has ended for good, or its versions begin anew."""
        self._positions.pop(namespace, None)

    def applied(self, key: ObjectKey, *, gone: str | None = None) -> None:
        """Something was stored or removed under a key.

        :param gone: the resourceVersion of its end, if it was removed.
        """
        if key in self._awaited:  # nearly never; one who begins to wait looks at the cache after he is in there
            with self._changed:
                if gone is not None and key in self._awaited:
                    self._gone[key] = gone
                self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait look again: many objects have changed."""
        if self._awaited:
            with self._changed:
                self._changed.notify_all()

    # For users.

    def wait_for_sync(self, timeout: float) -> bool:
        """Sleep until the cache is synced.

        :param timeout: seconds, counted only while the resource is served.
        :return: False when it took longer, or the informer was stopped.
        """
        with self._changed:
            while not self.has_synced and not self._stopped:
                until = None if self._served_at is None else self._served_at + timeout
                if until is not None and until <= self._clock.now():
                    return False
                self._clock.wait(self._changed, until)
            return self.has_synced

    def wait_until_told(self) -> bool:
        """Sleep until the handlers were told of everything that existed at the start.

        :return: False if the informer was stopped.
        """
        with self._changed:
            while not self._told and not self._stopped:
                self._clock.wait(self._changed, None)
            return self._told

    def wait_for(
        self, key: ObjectKey, *, version: str, read: Callable[[], Entry | None], timeout: float
    ) -> Entry | None:
        """Sleep until the cache shows a key as it was at a resourceVersion, or later.

        :param key: the object's.
        :param version: as an answer to a write gave it.
        :param read: reads the cache.
        :param timeout: seconds.
        :return: what the cache holds then; None if the object is gone again.
        :raises TimeoutError: if it does not come to that.
        """
        wanted = _number(version)

        def shows() -> bool:
            found = read()
            if found is not None and (
                found.resource_version == version or _is_at_least(found.resource_version, wanted)
            ):
                return True
            if wanted is not None:
                position = max(self._positions.get("", 0), self._positions.get(key.namespace, 0))
                return position >= wanted or _is_at_least(self._gone.get(key, ""), wanted)
            return self._gone.get(key) == version

        self._wait(key, shows, timeout=timeout, what=f"{key} at resourceVersion {version}")
        return read()

    def expect_gone(self, key: ObjectKey, *, uid: str, read: Callable[[], Entry | None], timeout: float) -> None:
        """Sleep until the cache does not hold one certain object any more.

        :param key: the object's.
        :param uid: its uid; a successor under its name is another object.
        :param read: reads the cache.
        :param timeout: seconds.
        :raises TimeoutError: if it does not come to that.
        """

        def is_gone() -> bool:
            found = read()
            return found is None or bool(found.uid and found.uid != uid)

        self._wait(key, is_gone, timeout=timeout, what=f"the end of {key} with uid {uid}")

    def _wait(self, key: ObjectKey, true: Callable[[], bool], *, timeout: float, what: str) -> None:
        if _runs_a_loop():
            raise RuntimeError(
                f"waiting for {what} blocks, and this thread runs an event loop: call it in a worker, "
                "or by asyncio.to_thread"
            )
        until = self._clock.now() + timeout
        with self._awaiting(key), self._changed:
            while not true():
                if self._stopped:
                    raise TimeoutError(f"waited for {what}: {self._why_stopped}")
                if until <= self._clock.now():
                    raise TimeoutError(f"waited {timeout:g} s for {what}: the cache has not come so far")
                self._clock.wait(self._changed, until)

    @contextlib.contextmanager
    def _awaiting(self, key: ObjectKey) -> Iterator[None]:
        with self._changed:
            self._awaited[key] = self._awaited.get(key, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._awaited[key] -= 1
                if not self._awaited[key]:
                    del self._awaited[key]
                    self._gone.pop(key, None)


def _is_at_least(version: str, wanted: int | None) -> bool:
    number = _number(version)
    return wanted is not None and number is not None and number >= wanted


def _number(version: str) -> int | None:
    """A resourceVersion as a number; None if it is opaque. Those of an API server fit into 64 bits."""
    return int(version) if len(version) < 20 and version.isdecimal() else None


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
