"""The controllers' queue: the highest priority first, and one entry for each key, ready or waiting.

Semantics: controller-runtime pkg/controller/priorityqueue/priorityqueue.go. A key that is asked for
again keeps the higher of its priorities and the earlier of its times; inside one priority keys come
in the order in which they were first asked for, or their times came; a key in somebody's hands may be
asked for again, is ready at once, and is handed out after its ``done``. Where a :class:`DelayingQueue`
keeps a pending delay beside an add, here an add now beats it: this queue is no drop-in for that one.

Departures from controller-runtime:

- It drains: what is ready when the queue is shut down is still handed out, and
  :meth:`PriorityQueue.shut_down_with_drain` waits for it (controller-runtime loses it).
- A second ``shut_down`` is harmless (controller-runtime panics).
- A key that its holder puts back with a delay keeps the priority it was handed out with, if none is
  given (controller-runtime: 0). Its controllers do that by hand.
- :meth:`PriorityQueue.cancel`.

Ageing, backoff that events cannot inflate, fairness and debounce are a keyword each, and a file each.
"""

import math
from collections.abc import Callable, Hashable
from typing import Literal

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError
from workqueue.base.metrics import MetricsProvider
from workqueue.queues.ageing import Ageing
from workqueue.queues.backoff import SteadyBackoff
from workqueue.queues.core import K, check_delay
from workqueue.queues.debounce import Bursts, Debounce
from workqueue.queues.fairness import FairLevel, Tenants
from workqueue.queues.levels import Levels, priority_of
from workqueue.queues.merging import MergingCore
from workqueue.queues.ratelimiters import ItemExponentialFailureRateLimiter, RateLimiter, claim

#: controller-runtime's default limiter: 5 ms, doubled with each failure, to 1000 s; no bucket for all keys.
BASE_DELAY, MAX_DELAY = 0.005, 1000.0


class PriorityQueue(MergingCore[K]):
    """A de-duplicating queue of hashable keys with priorities, delays and rate limits."""

    def __init__(
        self,
        *,
        name: str = "",
        clock: Clock | None = None,
        metrics: MetricsProvider | None = None,
        rate_limiter: RateLimiter[K] | None = None,
        max_starvation: float | None = None,
        backoff: Literal["plain", "steady"] = "plain",
        fairness: Callable[[K], Hashable] | None = None,
        debounce: Debounce | None = None,
    ) -> None:
        """
        :param name, clock, metrics: as of :class:`Queue`.
        :param rate_limiter: who says how long to wait; 5 ms, doubled with each failure of a key, to 1000 s by default.
        :param max_starvation: seconds after which a ready key is handed out whatever its priority, see
            :mod:`workqueue.queues.ageing`; None is never.
        :param backoff: "steady" for one that events cannot inflate, see :mod:`workqueue.queues.backoff`.
        :param fairness: whose a key is: tenants take turns inside a priority, see :mod:`workqueue.queues.fairness`;
            None is plain FIFO.
        :param debounce: how long plain adds are gathered, see :mod:`workqueue.queues.debounce`; None is not at all.
        :raises ConfigurationError: if one of them cannot be, or the limiter is used by another queue.
        """
        limiter = rate_limiter if rate_limiter is not None else _default_limiter()
        if backoff not in ("plain", "steady"):
            raise ConfigurationError(f"backoff={backoff!r}: expected 'plain' or 'steady'")
        if fairness is not None and not callable(fairness):
            raise ConfigurationError(f"fairness={fairness!r}: expected a function from a key to its tenant, or None")
        if debounce is not None and not isinstance(debounce, Debounce):
            raise ConfigurationError(f"debounce={debounce!r}: expected Debounce(quiet, max_wait), or None")
        clock = clock if clock is not None else RealClock()
        steady = SteadyBackoff(limiter, clock=clock) if backoff == "steady" else None
        tenants = None if fairness is None else Tenants(fairness)
        super().__init__(
            name=name,
            clock=clock,
            metrics=metrics,
            levels=Levels() if tenants is None else Levels(lambda: FairLevel(tenants)),
            ageing=None if max_starvation is None else Ageing(max_starvation),
            bursts=None if debounce is None else Bursts(debounce),
            backoff=steady,
        )
        #: Has a lock of its own.
        self._limiter: RateLimiter[K] = limiter if steady is None else steady
        claim(limiter, self)  # at last: a queue that could not be made has no limiter
        self._open()

    # Asking for keys.

    def add(self, key: K) -> None:
        """Ask for the key to be handled, with priority 0 or the one it has, if that is higher. See :meth:`add_with`.

        :raises TypeError: if the key is not hashable.
        """
        if not self._acquire(False):
            self._contend()
        try:
            if (
                self._delayed
                or self._shutting_down
                or not self._plain
                or key in self._ready
                or (self._processing and key in self._processing)
            ):
                self._ask_locked(key, None, None)
            else:  # the common case, in line
                self._turns = turn = self._turns + 1
                self._levels.push(key, turn, 0)
                self._adds += 1
                if self._getters:
                    self._wake_locked()
        finally:
            self._release()

    def add_after(self, key: K, delay: float) -> None:
        """Ask for the key after a delay. See :meth:`add_with`.

        :param delay: seconds; zero or less is now, and counts as a retry all the same.
        :raises ValueError: if it is not a number.
        :raises TypeError: if the key is not hashable.
        """
        check_delay(key, delay)
        with self._lock:
            self._ask_locked(key, None, delay)

    def add_rate_limited(self, key: K) -> float:
        """Ask for the key after the delay its limiter gives, which counts one more failure of it. See :meth:`add_with`.

        :return: that delay in seconds, for who tells of it; the key comes earlier if it is asked for otherwise.
        :raises TypeError: if the key is not hashable.
        """
        delay = self._limit(key)
        with self._lock:
            self._ask_locked(key, None, delay)
        return delay

    def add_with(
        self,
        *keys: K,
        priority: int | None = None,
        after: float | None = None,
        rate_limited: bool = False,
        respect_backoff: bool = False,
    ) -> None:
        """Ask for keys to be handled. Ignored once the queue is shutting down; with a delay they then count as dropped.

        A key that is asked for already keeps the higher priority and the earlier time; one that is ready stays
        ready. A higher priority puts it at the end of the keys of that priority.

        :param keys: any number of them.
        :param priority: the greater, the sooner; by default 0, or for a key that its holder puts back with a delay
            the one it was handed out with.
        :param after: seconds; zero or less is now.
        :param rate_limited: wait as long as the limiter says, or ``after`` seconds if that is less.
        :param respect_backoff: leave a key alone that has failed and waits or is being tried again; with
            ``backoff="steady"`` only. For those who have nothing new to say of it, such as a resync.
        :raises ValueError: if ``after`` is not a number, or if it is rate limited and to respect the backoff.
        :raises TypeError: if a key is not hashable, or the priority no int.
        """
        if after is not None:
            check_delay(keys[0] if len(keys) == 1 else keys, after)
        if priority is not None and not isinstance(priority, int):
            raise TypeError(f"priority={priority!r}: expected an int, or None")
        if rate_limited and respect_backoff:
            raise ValueError("rate_limited is for a key that failed, respect_backoff for one of which nothing is new")
        asked: list[tuple[K, float | None]] = []
        try:
            for key in keys:
                delay = self._limit(key, after) if rate_limited else after
                asked.append((key, delay))
        finally:
            # All at once: a getter that waits is given the first of them in rank. Where a limiter raises, those before.
            with self._lock:
                for key, delay in asked:
                    if not respect_backoff or not self._is_backing_off_locked(key):
                        self._ask_locked(key, priority, delay)
                    elif self._measures is not None and not self._shutting_down:
                        self._measures.requests += 1

    def cancel(self, key: K) -> bool:
        """Take back what was asked for, ready or waiting. A run under way goes on; failures stay counted.

        client-go has no such thing: kubernetes/client-go#131 ("AddAfter should be able to cancel previous enqueues").

        :return: True if there was anything to take back.
        """
        closed = False
        with self._lock:
            if self._delayed:
                self._promote_locked()
            if key in self._ready:
                self._levels.remove(key)
                if self._ageing is not None:
                    self._ageing.gone(key)
            elif self._held.pop(key, None) is None:
                if key not in self._delays.pending:
                    return False
                self._delays.discard(key)
                if self._bursts is not None:
                    self._bursts.over(key)
            if self._measures is not None:
                self._measures.queued.pop(key, None)
            if self._backoff is not None:
                self._backoff.ran(key)
            if self._shutting_down:
                closed = self._close_locked()
        if closed:
            self._report_closed()
        return True

    # Handing them out.

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
            if not self._plain:
                return self._take_locked()
            # The common case, in line.
            try:
                key = self._levels.top.pop(self._ready)
            except IndexError:
                key = self._levels.pop()
            self._processing[key] = self._ready.pop(key)
            return key
        finally:
            self._release()

    def get_with_priority(
        self, timeout: float | None = None, *, unless: Callable[[], bool] | None = None
    ) -> tuple[K, int]:
        """:meth:`get`, with the priority that the key was handed out for."""
        if not self._acquire(False):
            self._contend()
        try:
            if self._delayed or timeout is not None or not self._ready or unless is not None:
                self._await_locked(timeout, unless)
            key = self._take_locked()
            return key, priority_of(self._processing[key])
        finally:
            self._release()

    def done(self, key: K) -> None:
        """Say that the key got by :meth:`get` is handled; if it was asked for meanwhile it can be handed out again.

        A key that nobody holds changes nothing.
        """
        closed = False
        if not self._acquire(False):
            self._contend()
        try:
            if self._delayed:
                # First, so that a key that came due during the run counts from then.
                self._promote_locked()
            now = self._clock.now() if self._timed else 0.0
            if self._processing.pop(key, None) is None:
                return
            if self._held and (rank := self._held.pop(key, None)) is not None:
                self._levels.push_late(key, rank)
                self._became_ready_locked(key, now)
            if self._measures is not None:
                self._measures.handled(key, now)
            if self._shutting_down:
                closed = self._close_locked()
        finally:
            self._release()
        if closed:
            self._report_closed()

    def forget(self, key: K) -> None:
        """The key is through, for good or ill: its next failure starts from the first delay. It needs its done, too."""
        self._limiter.forget(key)
        if self._measures is not None:
            with self._lock:
                self._measures.forgets += 1

    def waiting(self) -> dict[K, float]:
        """The keys that wait for their time, and in how many seconds it comes; the earliest first."""
        with self._lock:
            now = self._clock.now()
            self._promote_locked()
            return {entry[-1]: entry[0] - now for entry in sorted(self._delays.pending.values(), key=lambda e: e[:2])}

    def num_requeues(self, key: K) -> int:
        """How often the key was put off since it was last forgotten."""
        return self._limiter.num_requeues(key)

    def __len__(self) -> int:
        """How many keys are ready, those asked for while in somebody's hands included (as in controller-runtime)."""
        with self._lock:
            if self._delayed:
                self._promote_locked()
            return len(self._ready) + len(self._held)

    def _limit(self, key: K, at_most: float | None = None) -> float:
        """How long the limiter lets the key wait. Outside the lock: one of a user's may look at the queue."""
        if self._shutting_down:
            return 0.0  # the key will be refused: any delay will do
        if at_most is None:
            at_most = math.inf
        if self._backoff is not None:
            return self._backoff.when(key, at_most)
        delay = self._limiter.when(key)
        check_delay(key, delay)
        return min(delay, at_most)


def _default_limiter() -> RateLimiter[Hashable]:
    return ItemExponentialFailureRateLimiter(BASE_DELAY, MAX_DELAY)
