"""A queue whose keys can be added after a while.

Semantics: client-go util/workqueue/delaying_queue.go, without its goroutine, channel and
heartbeat: a getter sleeps until the next key is due, and whoever touches the queue first moves the
due keys in, in the order of their times.

As in client-go a key has one pending delay, the earliest asked for, and a plain ``add`` does not
take it back: the key comes now and again when its time is reached.
"""

from workqueue.base.clock import Clock
from workqueue.base.metrics import MetricsProvider
from workqueue.queues.core import K, check_delay
from workqueue.queues.dedup import Queue
from workqueue.queues.delays import Delays


class DelayingQueue(Queue[K]):
    """A :class:`Queue` with :meth:`add_after`."""

    def __init__(self, *, name: str = "", clock: Clock | None = None, metrics: MetricsProvider | None = None) -> None:
        """:param name, clock, metrics: as of :class:`Queue`."""
        # Both are guarded by _lock.
        #: Keys that wait for their time: (instant due, order of arrival, key).
        self._delays: Delays[K, tuple[float, int, K]] = Delays()
        self._arrivals = 0
        super().__init__(name=name, clock=clock, metrics=metrics)

    def _open(self) -> None:
        self._delayed = self._delays.pending
        super()._open()

    def add_after(self, key: K, delay: float) -> None:
        """Add the key once the delay is over; if it has a delay already, the earlier instant stands.

        Dropped, and counted as such, once the queue is shutting down; a delay still pending then is dropped, too.

        :param delay: seconds; zero or less adds at once, and counts as a retry all the same.
        :raises ValueError: if it is not a number.
        :raises TypeError: if the key is not hashable.
        """
        check_delay(key, delay)
        with self._lock:
            if self._shutting_down:
                self._dropped += 1
                self._refused += 1
                return
            if self._delayed:
                self._promote_locked()
            if delay <= 0:
                self._add_locked(key)
                self._retries += 1
                return
            due = self._clock.now() + delay
            pending = self._delays.pending.get(key)
            self._retries += 1
            if self._measures is not None:
                self._measures.requests += 1
            if pending is not None and pending[0] <= due:
                return
            self._arrivals += 1
            if self._delays.put(key, (due, self._arrivals, key)):
                self._relieve_leader_locked()

    def _promote_locked(self) -> float | None:
        for due, _, key in self._delays.due(self._clock.now()):
            self._add_locked(key, due)
        return self._next_due_locked()

    def _next_due_locked(self) -> float | None:
        entry = self._delays.first()
        return None if entry is None else entry[0]

    def _count_delayed_locked(self) -> int:
        return len(self._delays.pending)

    def _drop_delayed_locked(self) -> list[K]:
        return self._delays.clear()

    def _check_locked(self) -> None:
        super()._check_locked()
        self._delays.check()
        assert not (self._shutting_down and self._delays.pending), "a delay outlived the shutdown"
