"""The plain queue: ordered, de-duplicated, one key in one pair of hands.

Semantics: client-go util/workqueue/queue.go. A key added many times before it is handled is handed
out once; a key added while somebody works on it comes back after ``done``, once; keys come in the
order added. Any number of producers and consumers may use one queue.

client-go keeps two sets, ``dirty`` and ``processing``; here one dictionary says for each key what
is with it, so that each step of a key's way costs one look-up and not two or three.
"""

from collections import deque
from collections.abc import Callable

from workqueue.base.clock import Clock
from workqueue.base.metrics import MetricsProvider, QueueStatistics
from workqueue.queues.core import K, QueueCore, give_back

#: What is with a key. client-go: dirty; processing; both.
_QUEUED, _IN_HANDS, _AGAIN = 1, 2, 3


class Queue(QueueCore[K]):
    """A de-duplicating FIFO queue of hashable keys."""

    def __init__(self, *, name: str = "", clock: Clock | None = None, metrics: MetricsProvider | None = None) -> None:
        """
        :param name: for metrics and log lines; a queue without one is not measured.
        :param clock: where time comes from; the machine's by default.
        :param metrics: who is told that this queue exists and may read its statistics.
        """
        super().__init__(name=name, clock=clock, metrics=metrics)
        # All are guarded by _lock.
        #: Keys to hand out, in order; each once. Exactly those that _states says are queued.
        self._ready: deque[K] = deque()
        #: Every key that is queued or in somebody's hands. In hands are all of them but those in _ready.
        self._states: dict[K, int] = {}
        #: How many of them are in hands and were added again.
        self._again = 0
        self._open()

    def add(self, key: K) -> None:
        """Ask for the key to be handled.

        Ignored once the queue is shutting down. A key that waits already is not queued again; one in
        processing is handed out once more after its ``done``.

        :raises TypeError: if the key is not hashable.
        """
        if not self._acquire(False):
            self._contend()
        try:
            if self._delayed:
                # First: keys that are due already keep their place before this one.
                self._promote_locked()
            if self._measures is not None or self._shutting_down or key in self._states:
                self._add_locked(key)
            else:  # the common case, in line
                self._states[key] = _QUEUED
                self._ready.append(key)
                self._adds += 1
                if self._getters:
                    self._wake_locked()
        finally:
            self._release()

    def get(self, timeout: float | None = None, *, unless: Callable[[], bool] | None = None) -> K:
        """Take the next key, which is then in processing until :meth:`done`.

        :param timeout: seconds to wait for one; None waits for ever, 0 does not wait.
        :param unless: take none if this is true; see :meth:`QueueCore.get`.
        :raises ShutDown: when the queue is shut down and nothing is left to hand out.
        :raises Interrupted: when ``unless`` is true.
        :raises TimeoutError: when there was no key in time.
        :raises ValueError: if the timeout is not a number.
        """
        if not self._acquire(False):
            self._contend()
        try:
            if self._delayed or timeout is not None or not self._ready or unless is not None:
                self._await_locked(timeout, unless)
            measures = self._measures
            now = 0.0 if measures is None else self._clock.now()  # a clock may raise: first, as all may that can
            key = self._ready.popleft()
            self._states[key] = _IN_HANDS
            if measures is not None:
                measures.taken(key, now)
            return key
        finally:
            self._release()

    def done(self, key: K) -> None:
        """Say that the key got by :meth:`get` is handled; if it was added meanwhile it is queued again.

        A key that nobody holds changes nothing (client-go queues it a second time).
        """
        closed = False
        if not self._acquire(False):
            self._contend()
        try:
            if self._delayed:
                # First, so that a key that came due during the run, this one or another, keeps its turn.
                self._promote_locked()
            measures = self._measures
            now = 0.0 if measures is None else self._clock.now()
            states = self._states
            state = states.pop(key, None)
            if state is _AGAIN:
                self._again -= 1
                states[key] = _QUEUED
                self._ready.append(key)
                self._wake_locked()
            elif state is not _IN_HANDS:  # nobody holds it
                if state is _QUEUED:
                    states[key] = _QUEUED
                return
            if measures is not None:
                measures.handled(key, now)
            if self._shutting_down:
                closed = self._close_locked()
        finally:
            self._release()
        if closed:
            self._report_closed()

    def __len__(self) -> int:
        """How many keys could be handed out now: not those in processing, not those that wait for their time."""
        with self._lock:
            if self._delayed:
                self._promote_locked()
            return len(self._ready)

    # Under the lock.

    def _add_locked(self, key: K, at: float | None = None) -> None:
        """Queue the key; ``at`` is the instant it became due after a delay, None for one that is asked for now."""
        if self._shutting_down:
            return
        if self._measures is not None and at is None:
            at = self._clock.now()
            self._measures.requests += 1
        states = self._states
        state = states.get(key)
        if state is None:
            states[key] = _QUEUED
            self._ready.append(key)
            if self._getters:
                self._wake_locked()
        elif state is _IN_HANDS:
            states[key] = _AGAIN
            self._again += 1
        else:
            return
        self._adds += 1
        if self._measures is not None and at is not None:
            self._measures.queued[key] = at

    def _give_back_locked(self) -> None:
        super()._give_back_locked()
        give_back(self._states)

    def _is_idle_locked(self) -> bool:
        return not self._states

    def _left_locked(self) -> tuple[list[K], list[K]]:
        return list(self._ready), [key for key, state in self._states.items() if state is not _QUEUED]

    def _count_delayed_locked(self) -> int:
        """How many keys wait for their time: DelayingQueue's."""
        return 0

    def _statistics_locked(self) -> QueueStatistics:
        ready = len(self._ready)
        return QueueStatistics(
            name=self.name,
            depth=ready + self._again,
            ready=ready,
            processing=len(self._states) - ready,
            delayed=self._count_delayed_locked(),
            adds=self._adds,
            retries=self._retries,
            dropped=self._dropped,
            refused=self._refused,
            shutting_down=self._shutting_down,
        )

    def _check_locked(self) -> None:
        ready = set(self._ready)
        queued = {key for key, state in self._states.items() if state is _QUEUED}
        again = {key for key, state in self._states.items() if state is _AGAIN}
        assert len(ready) == len(self._ready), "a key is queued twice"
        assert ready == queued, "a key is queued that is not marked so, or the other way round"
        assert len(again) == self._again, "a wrong count of the keys added again"
        if self._measures is not None:
            assert set(self._measures.queued) == queued | again, "times of other keys than the dirty ones"
            assert set(self._measures.started) == set(self._states) - queued, "times of other keys than those in hands"
