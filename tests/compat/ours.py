"""Our side: the queues of this package under a script."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import workqueue.queues
from tests.compat.bubble import Bubble
from tests.compat.scripts import Answer, Delivery, Operation, Script, Tie
from workqueue.queues import (
    BucketRateLimiter,
    DelayingQueue,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    Queue,
    RateLimitingQueue,
    ShutDown,
    WithMaxWaitRateLimiter,
    default_controller_rate_limiter,
)

#: Seconds by which a key comes earlier than another that is due at the same instant: far less than any delay differs.
NUDGE = 2.0**-26

#: Makes a queue, or a limiter where there is only that; gets what its constructor takes.
Make = Callable[..., Any]


def _queues() -> dict[str, Make]:
    return {
        "plain": Queue,
        "delaying": DelayingQueue,
        "ratelimiting": RateLimitingQueue,
        "priority": workqueue.queues.PriorityQueue,
    }


def limiter(spec: Any, *, clock: Bubble, seconds: Callable[[float], float]) -> Any:
    """The limiter that an array names, None for None."""
    if spec is None:
        return None
    name, *arguments = spec
    if name in ("max_of", "max_wait"):
        inner = [limiter(each, clock=clock, seconds=seconds) for each in arguments if isinstance(each, list)]
        if name == "max_of":
            return MaxOfRateLimiter(*inner)
        return WithMaxWaitRateLimiter(*inner, seconds(arguments[1]))
    if name == "exponential":
        return ItemExponentialFailureRateLimiter(*map(seconds, arguments))
    if name == "fast_slow":
        return ItemFastSlowRateLimiter(seconds(arguments[0]), seconds(arguments[1]), arguments[2])
    if name == "bucket":
        return BucketRateLimiter(*arguments, clock=clock)
    if name == "default_item":  # client-go's NewTypedItemExponentialFailureRateLimiter(1 ms, 1000 s)
        return ItemExponentialFailureRateLimiter(0.001, 1000.0)
    assert name == "default_controller", name
    return default_controller_rate_limiter(clock=clock)


class Ours:
    """One queue, or one limiter alone, to which the operations of a script are applied.

    make: another class for a queue, or a function of a limiter that gives another: for planted bugs. ties: the order
    that client-go gave to keys that were due at one instant: it leaves that open, so ours is asked for the same.
    priorities: tell the priority of each get, also of those that do not ask for it.
    """

    def __init__(
        self, script: Script, *, make: Make | None = None, ties: Iterable[Tie] = (), priorities: bool = False
    ) -> None:
        self._script = script
        self._bubble = Bubble()
        self._ties = tuple(ties)
        self._priorities = priorities and script.queue == "priority"
        self._limiter = limiter(script.limiter, clock=self._bubble, seconds=script.seconds)
        if script.queue == "limiter":
            self.queue = None
            if make is not None:
                self._limiter = make(self._limiter)
            return
        if self._ties and self._limiter is not None:
            self._limiter = _Nudged(self._limiter, self._nudge)
        made_of = {} if script.queue in ("plain", "delaying") else {"rate_limiter": self._limiter}
        self.queue = (make or _queues()[script.queue])(clock=self._bubble, **made_of)

    def apply(self, operation: Operation) -> Answer:
        """Do it, and tell what came of it."""
        with _quietly():
            with _undisturbed():
                result = getattr(self, f"_do_{operation.name}", self._do)(operation)
            self._bubble.settle()
        got, drained = [], 0
        for outcome, at in self._bubble.ended():
            if isinstance(outcome, ShutDown):
                got.append(Delivery(None, None, round(at * 1e9)))
            elif isinstance(outcome, Exception):
                raise outcome
            elif isinstance(outcome, bool):
                drained += 1
            else:
                got.append(Delivery(*outcome, round(at * 1e9)))
        # Who asks for the length moves the due keys in; after a step nobody asks, so that the next operation has to.
        asked = self.queue is not None and operation.name != "step"
        return Answer(result, len(self.queue) if asked else None, tuple(got), drained)

    def end(self) -> int:
        """Shut the queue down; return how many calls never come back."""
        if self.queue is None:
            return 0
        with _quietly():
            self.queue.shut_down()
            self._bubble.settle()
        return self._bubble.pending()

    def _do(self, operation: Operation) -> Any:
        """What is named and called alike on both sides, by the queue or, where it is alone, the limiter."""
        target = self._limiter if self.queue is None else self.queue
        return getattr(target, operation.name)(*operation.keys)

    def _do_add_rate_limited(self, operation: Operation) -> None:
        """It tells its caller the delay beside, which client-go keeps to itself; when the key comes is compared."""
        self.queue.add_rate_limited(*operation.keys)

    def _do_add_after(self, operation: Operation) -> None:
        assert operation.units is not None
        delay = self._script.seconds(operation.units)
        self.queue.add_after(operation.key, delay - self._nudge(operation.key, delay))

    def _do_add_with(self, operation: Operation) -> None:
        options = dict(operation.options)
        after = options.pop("after", None)
        # Go has no None for a duration: to controller-runtime 0 is unset, which matters only beside a limiter's delay.
        if after == 0 and options.get("rate_limited"):
            after = None
        self.queue.add_with(*operation.keys, after=None if after is None else self._script.seconds(after), **options)

    def _do_get(self, operation: Operation) -> None:
        self._bubble.call(self.queue.get_with_priority if self._priorities else lambda: (self.queue.get(), None))

    def _do_get_with_priority(self, operation: Operation) -> None:
        self._bubble.call(self.queue.get_with_priority)

    def _do_shut_down_with_drain(self, operation: Operation) -> None:
        self._bubble.call(self.queue.shut_down_with_drain)

    def _do_len(self, operation: Operation) -> int:
        return len(self.queue)

    def _do_shutting_down(self, operation: Operation) -> bool:
        return self.queue.shutting_down

    def _do_when(self, operation: Operation) -> int:
        return round(self._limiter.when(operation.key) * 1e9)

    def _do_step(self, operation: Operation) -> None:
        assert operation.units is not None
        self._bubble.sleep(self._script.seconds(operation.units))

    def _nudge(self, key: str, delay: float) -> float:
        """By how much the key has to come earlier to stand where client-go had it among those due with it."""
        if not self._ties or delay <= 0:
            return 0.0
        due = (self._bubble.elapsed() + delay) * 1e9
        for tie in self._ties:
            if abs(tie.at - due) < 10 and key in tie.keys:
                return NUDGE * (len(tie.keys) - tie.keys.index(key) - 1)
        return 0.0


class _Nudged:
    """A limiter whose delays are nudged where client-go broke a tie."""

    def __init__(self, inner: Any, nudge: Callable[[str, float], float]) -> None:
        self._inner = inner
        self._nudge = nudge
        self.forget, self.num_requeues = inner.forget, inner.num_requeues

    def when(self, key: str) -> float:
        delay = self._inner.when(key)
        return delay - self._nudge(key, delay)


def run(script: Script, *, make: Make | None = None, ties: Iterable[Tie] = ()) -> list[Answer]:
    """What each operation of the script does to our queue."""
    ours = Ours(script, make=make, ties=ties)
    answers = [ours.apply(each) for each in script.operations]
    ours.end()
    return answers


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings of drains and shutdowns that left keys: here that is nearly all of them."""
    logger = logging.getLogger("workqueue.queues")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


@contextmanager
def _undisturbed() -> Iterator[None]:
    """An operation is over before anybody runs whom it woke, as on the other side."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
