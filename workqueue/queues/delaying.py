"""A queue whose keys can be added after a while.

Semantics: client-go util/workqueue/delaying_queue.go, without its goroutine, channel and
heartbeat: a getter sleeps until the next key is due, and whoever touches the queue first moves the
due keys in, in the order of their times. One getter at a time does the timed sleep (the leader),
so a hundred idle workers cost one timer and not a hundred.

As in client-go a key has one pending delay, the earliest asked for, and a plain ``add`` does not
take it back: the key comes now and again when its time is reached.
"""

import math
from heapq import heapify, heappop, heappush

from workqueue.base.clock import Clock
from workqueue.base.metrics import MetricsProvider
from workqueue.queues.dedup import K, Queue


class DelayingQueue(Queue[K]):
    """A :class:`Queue` with :meth:`add_after`."""

    def __init__(self, *, name: str = "", clock: Clock | None = None, metrics: MetricsProvider | None = None) -> None:
        """:param name, clock, metrics: as of :class:`Queue`."""
        # Both are guarded by _lock, and must exist before a provider may read statistics.
        #: The pending delay of each key: (instant due, order of arrival, key). The heap holds all of them, and
        #: entries that an earlier one replaced: those are not in here.
        self._delayed: dict[K, tuple[float, int, K]] = {}
        self._arrivals = 0
        super().__init__(name=name, clock=clock, metrics=metrics)

    def add(self, key: K) -> None:
        """See :meth:`Queue.add`. Keys that are due already keep their place before this one."""
        with self._lock:
            if self._heap:
                self._promote_locked()
            self._add_locked(key)

    def add_after(self, key: K, delay: float) -> None:
        """Add the key once the delay is over; if it has a delay already, the earlier instant stands.

        Dropped, and counted as such, once the queue is shutting down; a delay still pending then is dropped, too.

        :param delay: seconds; zero or less adds at once, and counts as a retry all the same.
        :raises ValueError: if it is not a number.
        """
        if math.isnan(delay):
            raise ValueError(f"the delay of {key!r} is not a number")
        with self._lock:
            if self._shutting_down:
                self._dropped += 1
                return
            self._promote_locked()
            self._retries += 1
            if delay <= 0:
                self._add_locked(key)
                return
            due = self._clock.now() + delay
            pending = self._delayed.get(key)
            if pending is not None and pending[0] <= due:
                return
            self._arrivals += 1
            entry = (due, self._arrivals, key)
            self._delayed[key] = entry
            heappush(self._heap, entry)
            if self._heap[0] is entry:
                # The leader, if there is one, sleeps too long: let another look and take its place.
                self._leader = None
                self._wake_locked()
            self._trim_locked()

    def _promote_locked(self) -> float | None:
        if not self._heap:
            return None
        now = self._clock.now()
        due = self._next_due_locked()
        if due is None or due > now:
            return due
        while due is not None and due <= now:
            key = heappop(self._heap)[2]
            del self._delayed[key]
            self._add_locked(key, due)
            due = self._next_due_locked()
        self._trim_locked()
        return due

    def _trim_locked(self) -> None:
        """Rebuild a heap that is mostly replaced delays: rare enough to cost next to nothing for each delay."""
        if len(self._heap) > 2 * len(self._delayed) + 64:
            self._heap = list(self._delayed.values())
            heapify(self._heap)

    def _next_due_locked(self) -> float | None:
        heap = self._heap
        while heap:
            entry = heap[0]
            if self._delayed.get(entry[2]) is entry:
                return entry[0]
            heappop(heap)
        return None

    def _count_delayed_locked(self) -> int:
        return len(self._delayed)

    def _drop_delayed_locked(self) -> list[K]:
        dropped = [key for _, _, key in sorted(self._delayed.values())]
        self._delayed.clear()
        self._heap.clear()
        return dropped

    def _check_delayed_locked(self) -> None:
        entries = set(map(id, self._heap))
        assert all(id(entry) in entries for entry in self._delayed.values()), "a delayed key is not on the heap"
        assert all(entry[2] == key for key, entry in self._delayed.items()), "a delay under a wrong key"
        assert all(self._heap[(i - 1) // 2] <= self._heap[i] for i in range(1, len(self._heap))), (
            "the heap is out of order"
        )
        assert len(self._heap) <= 2 * len(self._delayed) + 64, "replaced delays pile up"
        assert not (self._shutting_down and self._delayed), "a delay outlived the shutdown"
