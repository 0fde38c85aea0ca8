"""The plain queue: ordered, de-duplicated, one key in one pair of hands.

Semantics: client-go util/workqueue/queue.go. A key added many times before it is handled is handed
out once; a key added while somebody works on it comes back after ``done``, once; keys come in the
order added. Any number of producers and consumers may use one queue.

One lock and one condition, no thread of its own. A wake-up stands beside the change that causes
it and is sent only while somebody sleeps, which is most of what makes the queue quick.

Departures from client-go, each because client-go's way loses or doubles work:

- :meth:`Queue.shut_down_with_drain` returns True only when nothing is queued *and* nothing is in
  processing, all concurrent callers return, and ``timeout`` bounds it (client-go waits for the
  keys in processing only, and leaves a second caller hanging).
- :meth:`Queue.done` of a key that nobody holds changes nothing (client-go queues it twice).
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ShutDown
from workqueue.base.metrics import MetricsProvider, QueueStatistics
from workqueue.queues.times import QueueTimes

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger("workqueue.queues")


class Queue(Generic[K]):
    """A de-duplicating FIFO queue of hashable keys."""

    def __init__(self, *, name: str = "", clock: Clock | None = None, metrics: MetricsProvider | None = None) -> None:
        """
        :param name: for metrics and log lines; a queue without one is not measured.
        :param clock: where time comes from; the machine's by default.
        :param metrics: who is told that this queue exists and may read its statistics.
        """
        self.name = name
        self._clock: Clock = clock if clock is not None else RealClock()
        self._metrics = metrics if name else None
        self._lock = threading.Lock()
        #: The one condition: getters and drainers sleep on it.
        self._changed = threading.Condition(self._lock)

        # All below are guarded by _lock.
        #: Keys to hand out, in order. Each is in _dirty and not in _processing, and is here once.
        self._ready: deque[K] = deque()
        #: Keys that must be handled: those of _ready, and those added again while in processing.
        self._dirty: set[K] = set()
        #: Keys handed out and not done.
        self._processing: set[K] = set()
        #: Delays of keys that wait for their time, the earliest first: DelayingQueue's; always empty in a plain queue.
        self._heap: list[tuple[float, int, K]] = []
        #: Getters asleep on _changed.
        self._getters = 0
        #: The one getter that sleeps until the next delayed key is due, so that the others need not.
        self._leader: object | None = None
        #: Once True, adds are ignored; never False again.
        self._shutting_down = False
        #: Calls of the plain shut_down: each releases the drainers that wait at that moment, and no later one.
        self._releases = 0
        #: True once the provider was told that this queue is gone.
        self._closed = False
        self._adds = 0
        self._retries = 0
        self._dropped = 0
        self._times = QueueTimes() if self._metrics is not None else None

        if self._metrics is not None:
            self._metrics.queue_opened(name, self.statistics)

    def add(self, key: K) -> None:
        """Ask for the key to be handled.

        Ignored once the queue is shutting down. A key that waits already is not queued again; one in
        processing is handed out once more after its ``done``.
        """
        with self._lock:
            self._add_locked(key)

    def get(self, timeout: float | None = None) -> K:
        """Take the next key, which is then in processing until :meth:`done`.

        :param timeout: seconds to wait for one; None waits for ever, 0 does not wait.
        :raises ShutDown: when the queue is shut down and nothing is left to hand out.
        :raises TimeoutError: when there was no key in time.
        :raises ValueError: if the timeout is not a number.
        """
        with self._lock:
            until = None if timeout is None else self._deadline(timeout)
            try:
                while True:
                    due = self._promote_locked() if self._heap else None
                    if self._ready:
                        return self._take_locked()
                    if self._shutting_down:
                        raise ShutDown(f"queue {self.name!r} is shut down and empty")
                    if until is not None and until <= self._clock.now():
                        raise TimeoutError(f"no key in queue {self.name!r} within {timeout} s")
                    self._sleep_locked(until, due)
            finally:
                # A leader that leaves passes its duty on, whatever made it leave.
                if self._getters and self._leader is None and self._next_due_locked() is not None:
                    self._changed.notify()

    def done(self, key: K) -> None:
        """Say that the key got by :meth:`get` is handled; if it was added meanwhile it is queued again.

        A key that nobody holds changes nothing.
        """
        with self._lock:
            if key not in self._processing:
                return
            if self._heap:
                # First, so that a key that came due during the run, this one or another, keeps its turn.
                self._promote_locked()
            self._processing.remove(key)
            if self._times is not None:
                self._times.handled(key, self._clock.now())
            if key in self._dirty:
                self._ready.append(key)
                self._wake_locked()
            closed = self._shutting_down and self._close_locked()
        if closed:
            self._report_closed()

    @contextmanager
    def item(self, timeout: float | None = None) -> Iterator[K]:
        """``with queue.item() as key``: get, and done whatever the body raises.

        :param timeout: as of :meth:`get`.
        :raises ShutDown, TimeoutError: as :meth:`get`.
        """
        key = self.get(timeout)
        try:
            yield key
        finally:
            self.done(key)

    def __len__(self) -> int:
        """How many keys could be handed out now: not those in processing, not those that wait for their time."""
        with self._lock:
            self._promote_locked()
            return len(self._ready)

    def __bool__(self) -> bool:
        """A queue is a queue, also when it is empty."""
        return True

    @property
    def shutting_down(self) -> bool:
        """True once the queue was told to shut down: it accepts nothing any more."""
        return self._shutting_down

    def shut_down(self) -> None:
        """Accept no more keys; what is ready is still handed out, then getters see :class:`ShutDown`.

        Releases callers of :meth:`shut_down_with_drain`. A second call is harmless.
        """
        self._shut_down(release=True)

    def shut_down_with_drain(self, timeout: float | None = None) -> bool:
        """Accept no more keys and wait until all accepted ones are handled and done.

        :param timeout: seconds to wait at most; None waits until drained or until :meth:`shut_down` is called.
        :return: True when nothing is queued and nothing is in processing; else False, and what was left is logged.
        """
        until = None if timeout is None else self._deadline(timeout)
        releases = self._shut_down(release=False)
        with self._lock:
            while self._releases == releases and (self._dirty or self._processing):
                if until is not None and until <= self._clock.now():
                    break
                self._clock.wait(self._changed, until)
            queued, processing = list(self._ready), list(self._processing)
        if queued or processing:
            logger.warning(
                "queue %r: drain ended with %d keys queued (%s) and %d in processing (%s)",
                self.name, len(queued), brief(queued), len(processing), brief(processing),
            )  # fmt: skip
        return not queued and not processing

    def statistics(self) -> QueueStatistics:
        """The queue at this instant, consistent in itself."""
        with self._lock:
            self._promote_locked()
            statistics = QueueStatistics(
                name=self.name,
                depth=len(self._dirty),
                ready=len(self._ready),
                processing=len(self._processing),
                delayed=self._count_delayed_locked(),
                adds=self._adds,
                retries=self._retries,
                dropped=self._dropped,
                shutting_down=self._shutting_down,
            )
            return statistics if self._times is None else self._times.fill(statistics, self._clock.now())

    # The way keys wait for their time: a plain queue knows none; DelayingQueue fills these in. Hot paths call
    # them only where _heap holds something.

    def _promote_locked(self) -> float | None:
        """Queue the delayed keys whose time has come; return when the next one is due, None if none waits."""
        return None

    def _next_due_locked(self) -> float | None:
        """When the next delayed key is due, None if none waits."""
        return None

    def _count_delayed_locked(self) -> int:
        return 0

    def _drop_delayed_locked(self) -> list[K]:
        """Forget the keys that wait for their time and return them."""
        return []

    # Under the lock.

    def _add_locked(self, key: K, at: float | None = None) -> None:
        """Queue the key; ``at`` is the instant it became due, now by default."""
        if self._shutting_down or key in self._dirty:
            return
        self._dirty.add(key)
        self._adds += 1
        if self._times is not None:
            self._times.queued[key] = self._clock.now() if at is None else at
        if key not in self._processing:
            self._ready.append(key)
            self._wake_locked()

    def _take_locked(self) -> K:
        key = self._ready.popleft()
        self._dirty.remove(key)
        self._processing.add(key)
        if self._times is not None:
            self._times.taken(key, self._clock.now())
        return key

    def _sleep_locked(self, until: float | None, due: float | None) -> None:
        """Sleep until notified, until ``until``, or as the leader until the next delayed key is due."""
        lead = object() if due is not None and self._leader is None else None
        if lead is not None and due is not None:
            self._leader = lead
            until = due if until is None else min(until, due)
        self._getters += 1
        try:
            self._clock.wait(self._changed, until)
        except BaseException:
            # Interrupted, perhaps after a wake-up chose this getter: whoever else sleeps must look.
            self._changed.notify_all()
            raise
        finally:
            self._getters -= 1
            if lead is not None and self._leader is lead:
                self._leader = None

    def _wake_locked(self) -> None:
        """One key became ready. Drainers need no look: while they sleep no getter does, all were woken to go home."""
        if self._getters:
            self._changed.notify()

    def _deadline(self, timeout: float) -> float:
        if math.isnan(timeout):
            raise ValueError("the timeout is not a number")
        return self._clock.now() + timeout

    def _shut_down(self, *, release: bool) -> int:
        """Shut down, and release the drainers if asked to; return how many releases there were."""
        with self._lock:
            self._promote_locked()
            self._shutting_down = True
            if release:
                self._releases += 1
            releases = self._releases
            dropped = self._drop_delayed_locked()
            self._dropped += len(dropped)
            self._changed.notify_all()
            closed = self._close_locked()
        if dropped:
            logger.warning("queue %r: shut down; %d delayed keys dropped: %s", self.name, len(dropped), brief(dropped))
        if closed:
            self._report_closed()
        return releases

    def _close_locked(self) -> bool:
        """True the first time a queue that shuts down turns out to have nothing left."""
        if self._closed or self._dirty or self._processing:
            return False
        self._closed = True
        self._changed.notify_all()
        return True

    def _report_closed(self) -> None:
        """Outside the lock: the provider may be reading our statistics under a lock of its own."""
        if self._metrics is not None:
            self._metrics.queue_closed(self.name, self.statistics)

    def _check(self) -> None:
        """Assert every invariant; for tests, after each step."""
        with self._lock:
            ready = set(self._ready)
            assert len(ready) == len(self._ready), "a key is queued twice"
            assert ready <= self._dirty, "a queued key is not dirty"
            assert not ready & self._processing, "a queued key is in somebody's hands"
            assert self._dirty - ready <= self._processing, "a dirty key is neither queued nor in processing"
            assert self._getters >= 0, "fewer than no getters"
            if self._times is not None:
                assert set(self._times.queued) == self._dirty, "times of other keys than the dirty ones"
                assert set(self._times.started) == self._processing, "times of other keys than those in processing"
            self._check_delayed_locked()

    def _check_delayed_locked(self) -> None:
        """What :class:`DelayingQueue` adds to :meth:`_check`."""


def brief(keys: list[K], limit: int = 10) -> str:
    """A few keys for a log line."""
    shown = ", ".join(str(key) for key in keys[:limit])
    return shown + (f" and {len(keys) - limit} more" if len(keys) > limit else "") if keys else "none"
