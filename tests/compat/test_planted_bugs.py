"""The comparison finds what it is for: each queue with one bug planted in it differs, in a script that is short."""

from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.compat import ours
from tests.compat.comparison import Difference
from tests.compat.generation import scripts
from tests.compat.referee import Referee
from tests.compat.scripts import Script
from tests.compat.test_same_scripts import ENOUGH, both
from workqueue.queues import (
    BucketRateLimiter,
    DelayingQueue,
    ItemExponentialFailureRateLimiter,
    PriorityQueue,
    Queue,
    RateLimitingQueue,
    ShutDown,
)

pytestmark = pytest.mark.compat


class LastInFirstOut(Queue):
    class _Stack(deque):
        popleft = deque.pop

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ready = self._Stack()


class LosesWhatIsAddedDuringARun(Queue):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.in_hands = set()

    def get(self, timeout: float | None = None) -> str:
        key = super().get(timeout)
        self.in_hands.add(key)
        return key

    def done(self, key: str) -> None:
        self.in_hands.discard(key)
        super().done(key)

    def add(self, key: str) -> None:
        if key not in self.in_hands:
            super().add(key)


class LosesWhatIsReadyAtShutdown(Queue):
    def get(self, timeout: float | None = None) -> str:
        if self.shutting_down:
            raise ShutDown
        return super().get(timeout)


class WakesNobody(Queue):
    def _wake_locked(self) -> None:
        pass


class DrainsTooEarly(Queue):
    def _is_idle_locked(self) -> bool:
        return not self._ready


class TheFirstDelayStands(DelayingQueue):
    def add_after(self, key: str, delay: float) -> None:
        if delay <= 0 or key not in self._delays.pending:
            super().add_after(key, delay)


class AnAddTakesTheDelayBack(DelayingQueue):
    def add(self, key: str) -> None:
        if key in self._delays.pending:
            self._delays.discard(key)
        super().add(key)


class TheLeaderSleepsTooLong(DelayingQueue):
    def _relieve_leader_locked(self) -> None:
        pass


class ByTheOrderOfArrival(DelayingQueue):
    def _promote_locked(self) -> float | None:
        for due, _, key in sorted(self._delays.due(self._clock.now()), key=lambda entry: entry[1]):
            self._add_locked(key, due)
        return self._next_due_locked()


class ForgetsNothing(RateLimitingQueue):
    def forget(self, key: str) -> None:
        pass


class DoneForgets(RateLimitingQueue):
    def done(self, key: str) -> None:
        super().done(key)
        self.forget(key)


class CountsOnlyWhatDoesNotWait(RateLimitingQueue):
    def add_rate_limited(self, key: str) -> float:
        return super().add_rate_limited(key) if key not in self._delays.pending else 0.0


class AnAddReplacesTheOneBefore(PriorityQueue):
    def add_with(self, *keys: str, **options: Any) -> None:
        for key in keys:
            self.cancel(key)
        super().add_with(*keys, **options)


class AHigherPriorityComesTooLate(PriorityQueue):
    def _raise_locked(self, *arguments: Any) -> None:
        pass


class AWaitingKeyMadeReadyLosesItsTurn(PriorityQueue):
    def _enter_now_locked(self, key: str, priority: int, *, at: float) -> None:
        if key in self._delays.pending:
            self._delays.discard(key)
        super()._enter_now_locked(key, priority, at=at)


class AnAddDoesNotEndTheWait(PriorityQueue):
    def _enter_now_locked(self, key: str, priority: int, *, at: float) -> None:
        if key not in self._delays.pending:
            super()._enter_now_locked(key, priority, at=at)


class TheLongerDelayWins(PriorityQueue):
    def __init__(self, *, rate_limiter: Any, **options: Any) -> None:
        super().__init__(rate_limiter=rate_limiter, **options)
        self.limiter = rate_limiter

    def add_with(self, *keys: str, **options: Any) -> None:
        if self.limiter is not None and options.get("rate_limited") and options.get("after") is not None:
            for key in keys:
                delay = max(options["after"], self.limiter.when(key))
                super().add_with(key, priority=options.get("priority"), after=delay)
        else:
            super().add_with(*keys, **options)


class AKeyComesIntoTwoHands(PriorityQueue):
    def add(self, key: str) -> None:
        self.done(key)
        super().add(key)


class OneFailureTooMany:
    def __init__(self, limiter: Any) -> None:
        self.limiter = limiter
        self.forget, self.num_requeues = limiter.forget, limiter.num_requeues

    def when(self, key: str) -> float:
        if isinstance(self.limiter, ItemExponentialFailureRateLimiter) and not self.num_requeues(key):
            self.limiter.when(key)
        return self.limiter.when(key)


class ForgetsAllKeys:
    def __init__(self, limiter: Any) -> None:
        self.when, self.num_requeues = limiter.when, limiter.num_requeues
        self.forget = lambda key: [limiter.forget(each) for each in "abcd"] and None


class TheBucketTakesATokenBack:
    def __init__(self, limiter: Any) -> None:
        self.when, self.num_requeues, self.limiter = limiter.when, limiter.num_requeues, limiter

    def forget(self, key: str) -> None:
        self.limiter.forget(key)
        if isinstance(self.limiter, BucketRateLimiter):
            self.limiter._tokens += 1


BUGS: dict[str, tuple[ours.Make, ...]] = {
    "plain": (
        LastInFirstOut,
        LosesWhatIsAddedDuringARun,
        LosesWhatIsReadyAtShutdown,
        WakesNobody,
        DrainsTooEarly,
    ),
    "delaying": (TheFirstDelayStands, AnAddTakesTheDelayBack, TheLeaderSleepsTooLong, ByTheOrderOfArrival),
    "ratelimiting": (ForgetsNothing, DoneForgets, CountsOnlyWhatDoesNotWait),
    "priority": (
        AnAddReplacesTheOneBefore,
        AHigherPriorityComesTooLate,
        AWaitingKeyMadeReadyLosesItsTurn,
        AnAddDoesNotEndTheWait,
        TheLongerDelayWins,
        AKeyComesIntoTwoHands,
    ),
    "limiter": (OneFailureTooMany, ForgetsAllKeys, TheBucketTakesATokenBack),
}


@pytest.mark.parametrize(("queue", "bug"), [(queue, bug) for queue, bugs in BUGS.items() for bug in bugs])
def test_a_planted_bug_is_found_by_a_short_script(queue: str, bug: ours.Make, referee: Referee) -> None:
    @settings(
        max_examples=ENOUGH[queue],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(scripts(queue))
    def check(script: Script) -> None:
        both(script, referee, bug)

    with pytest.raises(Difference) as caught:
        check()
    print(caught.value)
    assert len(caught.value.script.operations) <= 8
