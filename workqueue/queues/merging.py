"""One entry for each key, ready or waiting: what a queue does that merges.

Semantics: controller-runtime pkg/controller/priorityqueue/priorityqueue.go. A key that is asked for
again keeps the higher of its priorities and the earlier of its times; one that is ready stays ready.
A key gets a turn when it is first asked for, another when its priority rises or its time comes, and
keeps the one it has when an add makes it ready before its time, or while it is in somebody's hands.

Everything here is called under the queue's lock; :mod:`workqueue.queues.priority` has the verbs.
"""

import math

from workqueue.base.clock import Clock
from workqueue.base.metrics import MetricsProvider, QueueStatistics
from workqueue.queues.ageing import Ageing
from workqueue.queues.backoff import SteadyBackoff
from workqueue.queues.core import K, QueueCore, give_back
from workqueue.queues.debounce import Bursts
from workqueue.queues.delays import Delays
from workqueue.queues.levels import Levels, priority_of, rank_of


class MergingCore(QueueCore[K]):
    """The keys of a queue that merges, and the rules by which it does. Not to be made by itself."""

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        metrics: MetricsProvider | None,
        levels: Levels[K],
        ageing: Ageing[K] | None,
        bursts: Bursts[K] | None,
        backoff: SteadyBackoff[K] | None,
    ) -> None:
        """
        :param name, clock, metrics: as of :class:`Queue`.
        :param levels: orders the ready keys.
        :param ageing, bursts, backoff: who has to be told of keys that come and go; None for nobody.
        """
        super().__init__(name=name, clock=clock, metrics=metrics)
        # All are guarded by _lock. A key is in at most one of _ready, _held and _delays.
        #: The keys that can be handed out, with their ranks.
        self._levels = levels
        self._ready: dict[K, int] = levels.ranks
        #: Ranks of keys that are asked for and in somebody's hands: all are in _processing, too.
        self._held: dict[K, int] = {}
        #: Keys in somebody's hands, with the rank they were handed out with.
        self._processing: dict[K, int] = {}
        #: Keys that wait for their time: (instant due, rank, key).
        self._delays: Delays[K, tuple[float, int, K]] = Delays()
        self._delayed = self._delays.pending
        #: The latest turn that was given to a key.
        self._turns = 0
        self._ageing = ageing
        self._bursts = bursts
        #: Has a lock of its own.
        self._backoff = backoff
        #: True if somebody has to be told when they do. The clock is read before anything is changed: it may raise.
        self._timed = self._measures is not None or ageing is not None
        #: True if nobody has to be told of keys that come and go.
        self._plain = all(watcher is None for watcher in (self._measures, ageing, bursts, backoff))

    def _is_backing_off_locked(self, key: K) -> bool:
        return self._backoff is not None and self._backoff.holds(key, in_hands=key in self._processing)

    def _ask_locked(self, key: K, priority: int | None, delay: float | None) -> None:
        """See :meth:`add_with`; a delay of None is a plain add."""
        if self._shutting_down:
            if delay is not None:
                self._dropped += 1
                self._refused += 1
            return
        if self._delayed:
            self._promote_locked()
        # Looked up though it may not be needed: a key that cannot be compared with one in hands is refused at once.
        in_hands = self._processing.get(key, 0)
        if priority is None:
            priority = 0 if delay is None else priority_of(in_hands)
        rank = self._ready.get(key) or self._held.get(key)  # no rank is 0: turns begin with 1
        if rank is not None:
            self._raise_locked(key, rank, priority)
        elif delay is None and self._bursts is None:
            self._enter_now_locked(key, priority, at=self._clock.now() if self._timed else 0.0)
        else:
            now, pending = self._clock.now(), self._delays.pending.get(key)
            before = math.inf if pending is None else pending[0]
            if self._bursts is None:
                due = now + (delay or 0.0)
            elif delay is None:
                due = before = self._bursts.added(key, now, before)
            else:
                due = now + delay
                self._bursts.asked(key, due)
            if due <= now:
                self._enter_now_locked(key, priority, at=now)
            else:
                self._wait_locked(key, priority, min(due, before))
        if delay is not None:
            self._retries += 1
        if self._measures is not None:
            self._measures.requests += 1

    def _raise_locked(self, key: K, rank: int, priority: int) -> None:
        """A key that can be, or will be, handed out is asked for again."""
        if priority > priority_of(rank):
            self._turns += 1
            rank = rank_of(priority, self._turns)
            if key in self._held:
                self._held[key] = rank
            else:
                self._levels.remove(key)
                self._levels.push(key, rank, priority)

    def _wait_locked(self, key: K, priority: int, due: float) -> None:
        """A key that is not ready waits until then, whatever it waited for before."""
        pending = self._delays.pending.get(key)
        if pending is not None and priority <= priority_of(pending[1]):
            rank = pending[1]
            if due == pending[0]:
                return
        else:
            self._turns += 1
            rank = rank_of(priority, self._turns)
        if self._delays.put(key, (due, rank, key)):
            self._relieve_leader_locked()

    def _enter_now_locked(self, key: K, priority: int, *, at: float) -> None:
        """A key that is not ready becomes so; if it waited it keeps its turn from then, unless its priority rises."""
        pending = self._delays.pending.get(key)
        if pending is not None:
            self._delays.discard(key)
            if self._bursts is not None:
                self._bursts.over(key)
            if priority <= priority_of(pending[1]):
                self._enter_locked(key, priority_of(pending[1]), rank=pending[1], at=at)
                return
        self._enter_locked(key, priority, at=at)

    def _enter_locked(self, key: K, priority: int, *, rank: int | None = None, at: float) -> None:
        """The key is ready since ``at``, in a turn of its own or in the former one that ``rank`` has."""
        in_hands = key in self._processing
        self._adds += 1
        if self._measures is not None:
            self._measures.queued[key] = at
        late = rank is not None
        if rank is None:
            self._turns += 1
            rank = rank_of(priority, self._turns)
        if in_hands:
            self._held[key] = rank
            return
        if late:
            self._levels.push_late(key, rank)
        else:
            self._levels.push(key, rank, priority)
        self._became_ready_locked(key, at)

    def _became_ready_locked(self, key: K, at: float) -> None:
        """It can be handed out, since then."""
        if self._ageing is not None:
            self._ageing.ready(key, at)
        if self._getters:
            self._wake_locked()

    def _take_locked(self) -> K:
        """Hand out the next key; there is one."""
        ageing, now = self._ageing, self._clock.now() if self._timed else 0.0
        if ageing is not None and ageing.has_turn(now):
            key = ageing.oldest()
            rank = self._levels.remove(key)
        else:
            key = self._levels.pop()
            rank = self._ready.pop(key)
        if ageing is not None:
            ageing.gone(key)
        self._processing[key] = rank
        if self._backoff is not None:
            self._backoff.ran(key)
        if self._measures is not None:
            self._measures.taken(key, now)
        return key

    def _promote_locked(self) -> float | None:
        for due, rank, key in self._delays.due(self._clock.now()):
            if self._bursts is not None:
                self._bursts.over(key)
            self._enter_locked(key, priority_of(rank), at=due)
        return self._next_due_locked()

    def _next_due_locked(self) -> float | None:
        entry = self._delays.first()
        return None if entry is None else entry[0]

    def _drop_delayed_locked(self) -> list[K]:
        if self._bursts is not None:
            self._bursts.clear()
        return self._delays.clear()

    def _give_back_locked(self) -> None:
        super()._give_back_locked()
        give_back(self._levels.ranks)

    def _is_idle_locked(self) -> bool:
        return not self._ready and not self._processing

    def _left_locked(self) -> tuple[list[K], list[K]]:
        return list(self._ready), list(self._processing)

    def _statistics_locked(self) -> QueueStatistics:
        priorities = self._levels.counts()
        for priority in map(priority_of, self._held.values()):
            priorities[priority] = priorities.get(priority, 0) + 1
        return QueueStatistics(
            name=self.name,
            depth=len(self._ready) + len(self._held),
            ready=len(self._ready),
            processing=len(self._processing),
            delayed=len(self._delays.pending),
            adds=self._adds,
            retries=self._retries,
            dropped=self._dropped,
            refused=self._refused,
            shutting_down=self._shutting_down,
            priorities=tuple(sorted(priorities.items(), reverse=True)),
        )

    def _check_locked(self) -> None:
        ready, held, waiting = set(self._ready), set(self._held), set(self._delays.pending)
        assert held <= set(self._processing), "a key is held back that nobody holds"
        assert not ready & set(self._processing), "a key can be handed out that is in somebody's hands"
        assert not ready & waiting, "a key is ready and waits"
        assert not held & waiting, "a key is asked for now and waits"
        self._levels.check()
        self._delays.check()
        if self._ageing is not None:
            self._ageing.check(ready)
        if self._bursts is not None:
            self._bursts.check(waiting)
        assert not (self._shutting_down and waiting), "a delay outlived the shutdown"
        if self._measures is not None:
            assert set(self._measures.queued) == ready | held, "times of other keys than those that must be handled"
            assert set(self._measures.started) == set(self._processing), "times of other keys than those in hands"
