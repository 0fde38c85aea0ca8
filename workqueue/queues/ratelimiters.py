"""How long a key waits before it is tried again.

Each limiter answers three questions, in client-go's words: ``when`` counts one failure of a key and
says how long to wait, ``num_requeues`` says how many were counted, ``forget`` ends the counting. A
limiter only counts: it queues nothing, sleeps nowhere and never refuses.

The counts of a key stay until it is forgotten: who never forgets keeps every key for ever.

Semantics: client-go util/workqueue/default_rate_limiters.go, in seconds instead of nanoseconds.
Departure: a delay, rate or burst that means nothing (negative, not finite, not a number) is refused
when the limiter is made; client-go takes it and waits nonsense later.

Every limiter may be used by many threads; each guards its counts by a small lock of its own. Of two queues each needs
one of its own (:func:`claim`): the failures of a key in one are none in the other, and a forget in one would be one in
the other. What is meant to be shared, such as one bucket for all, can be a part of each of their limiters.
"""

import contextlib
import math
import threading
import weakref
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError

KeyT_contra = TypeVar("KeyT_contra", bound=Hashable, contravariant=True)

#: golang.org/x/time/rate InfDuration: the longest time.Duration (math.MaxInt64 nanoseconds), about
#: 292 years, in seconds.
_FOREVER = (2**63 - 1) / 1e9


class RateLimiter(Protocol[KeyT_contra]):
    """Says how long a key should wait. Called from any thread; it may look at a queue, and not add to it."""

    def when(self, key: KeyT_contra) -> float:
        """Count one more failure of the key and return how many seconds it should wait."""
        ...

    def forget(self, key: KeyT_contra) -> None:
        """Stop counting for the key, whether it was handled or given up; unknown keys are fine."""
        ...

    def num_requeues(self, key: KeyT_contra) -> int:
        """Return how many failures of the key were counted since it was last forgotten."""
        ...


class _ItemRateLimiter:
    """A limiter that counts the failures of each key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Written under _lock. Failures of each key since it was last forgotten; no zeros.
        self._failures: dict[Hashable, int] = {}

    def _count(self, key: Hashable) -> int:
        """Count one failure; return how many there were with it."""
        with self._lock:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            return failures

    def forget(self, key: Hashable) -> None:
        """See :meth:`RateLimiter.forget`."""
        # Looked at without the lock first: most keys have not failed, and all are forgotten after each success.
        if key in self._failures:
            with self._lock:
                self._failures.pop(key, None)

    def num_requeues(self, key: Hashable) -> int:
        """See :meth:`RateLimiter.num_requeues`."""
        return self._failures.get(key, 0)


class ItemExponentialFailureRateLimiter(_ItemRateLimiter):
    """Doubles the delay of a key with each of its failures: base, 2·base, 4·base … up to a limit.

    Source: ``ItemExponentialFailureRateLimiter``, client-go util/workqueue/default_rate_limiters.go.
    A base of zero stays zero, where client-go's overflows into nonsense after 1,024 failures.
    """

    def __init__(self, base_delay: float, max_delay: float) -> None:
        """:param base_delay: seconds to wait after the first failure.
        :param max_delay: seconds to wait at most, however many failures; it wins over a larger base.
        :raises ConfigurationError: if one of them is not a number, or negative or not finite.
        """
        super().__init__()
        self._base_delay = _number("base_delay", base_delay, "seconds")
        self._max_delay = _number("max_delay", max_delay, "seconds")

    def when(self, key: Hashable) -> float:
        """Count one more failure; return ``base_delay · 2 ** (failures before)`` seconds, or the limit."""
        try:
            delay = math.ldexp(self._base_delay, self._count(key) - 1)
        except OverflowError:
            return self._max_delay
        return min(delay, self._max_delay)


class ItemFastSlowRateLimiter(_ItemRateLimiter):
    """A short delay for the first failures of a key, a long one from then on.

    Source: ``ItemFastSlowRateLimiter``, client-go util/workqueue/default_rate_limiters.go.
    """

    def __init__(self, fast_delay: float, slow_delay: float, max_fast_attempts: int) -> None:
        """:param fast_delay: seconds to wait after each of the first failures.
        :param slow_delay: seconds to wait after all later ones.
        :param max_fast_attempts: how many failures are answered fast; 0 answers all slowly.
        :raises ConfigurationError: if one is not a number, the attempts not an int, or one negative or not finite.
        """
        super().__init__()
        self._fast_delay = _number("fast_delay", fast_delay, "seconds")
        self._slow_delay = _number("slow_delay", slow_delay, "seconds")
        self._max_fast_attempts = _count("max_fast_attempts", max_fast_attempts)

    def when(self, key: Hashable) -> float:
        """Count one more failure; return the delay, in seconds, of a failure with that number."""
        return self._fast_delay if self._count(key) <= self._max_fast_attempts else self._slow_delay


class BucketRateLimiter:
    """A token bucket over all keys together: at first a burst, then so many a second.

    Each ``when`` takes a token, even one that does not exist yet, and returns how long until it will.
    Tokens are never given back: while calls come faster than ``qps`` the delays grow without end, and
    ``forget`` changes nothing. So it knows no keys: ``num_requeues`` is always 0.

    Source: ``BucketRateLimiter``, client-go util/workqueue/default_rate_limiters.go, which takes its
    delay from ``Limiter.Reserve().Delay()`` of golang.org/x/time/rate. As there, a burst of 0, or a
    debt that no time will pay, is a delay of about 292 years (``math.MaxInt64`` nanoseconds).
    """

    def __init__(self, qps: float, burst: int, *, clock: Clock | None = None) -> None:
        """:param qps: tokens added a second; 0 adds none, so that the burst is all there ever is.
        :param burst: the most tokens the bucket holds, and how many it holds at first.
        :param clock: where time comes from; the machine's by default.
        :raises ConfigurationError: if the rate is not a number, the burst not an int, or one negative or not finite.
        """
        self._qps = _number("qps", qps, "tokens a second")
        self._burst = _count("burst", burst)
        self._clock: Clock = clock if clock is not None else RealClock()
        self._lock = threading.Lock()
        #: Guarded by _lock. What the bucket held at _last; below zero it is in debt.
        self._tokens = float(self._burst)
        #: Guarded by _lock. The instant of the last token taken.
        self._last = self._clock.now()

    def when(self, key: Hashable) -> float:  # noqa: ARG002
        """Take a token; return how many seconds until it exists, 0 if it exists already."""
        if not self._burst:
            return _FOREVER
        with self._lock:
            # Read under the lock: else two threads could take their tokens in the reverse order of their instants.
            now = self._clock.now()
            self._tokens = min(self._tokens + (now - self._last) * self._qps, self._burst) - 1
            self._last = now
            debt = -self._tokens
        if debt <= 0:
            return 0.0
        return min(debt / self._qps, _FOREVER) if self._qps else _FOREVER

    def forget(self, key: Hashable) -> None:
        """Change nothing: a token taken stays taken."""

    def num_requeues(self, key: Hashable) -> int:  # noqa: ARG002
        """Return 0: a bucket knows no keys."""
        return 0


class MaxOfRateLimiter(Generic[KeyT_contra]):
    """Asks several limiters and waits for the slowest.

    Each of them counts each call, those that lose included: beside a per-item limiter a bucket fills
    up while keys sit out their own delays, so that many may come due together.

    Source: ``MaxOfRateLimiter``, client-go util/workqueue/default_rate_limiters.go. Of no limiters at
    all the delay and the count are 0, as there.
    """

    def __init__(self, *limiters: RateLimiter[KeyT_contra]) -> None:
        """:param limiters: who is asked, in this order."""
        self._limiters = limiters

    def when(self, key: KeyT_contra) -> float:
        """Count one more failure with every limiter; return the longest delay in seconds."""
        return max([0.0, *(limiter.when(key) for limiter in self._limiters)])

    def forget(self, key: KeyT_contra) -> None:
        """Stop counting for the key with every limiter."""
        for limiter in self._limiters:
            limiter.forget(key)

    def num_requeues(self, key: KeyT_contra) -> int:
        """Return the largest count of the limiters."""
        return max([0, *(limiter.num_requeues(key) for limiter in self._limiters)])


class WithMaxWaitRateLimiter(Generic[KeyT_contra]):
    """Another limiter's delays, but never above a limit; counting is the other's.

    Source: ``WithMaxWaitRateLimiter``, client-go util/workqueue/default_rate_limiters.go.
    """

    def __init__(self, limiter: RateLimiter[KeyT_contra], max_delay: float) -> None:
        """:param limiter: whose delays are limited.
        :param max_delay: the limit in seconds.
        :raises ConfigurationError: if the limit is not a number, or negative or not finite.
        """
        self._limiter = limiter
        self._max_delay = _number("max_delay", max_delay, "seconds")

    def when(self, key: KeyT_contra) -> float:
        """Count one more failure with the limiter; return its delay or the limit, in seconds."""
        return min(self._limiter.when(key), self._max_delay)

    def forget(self, key: KeyT_contra) -> None:
        """See :meth:`RateLimiter.forget`."""
        self._limiter.forget(key)

    def num_requeues(self, key: KeyT_contra) -> int:
        """See :meth:`RateLimiter.num_requeues`."""
        return self._limiter.num_requeues(key)


def default_controller_rate_limiter(*, clock: Clock | None = None) -> MaxOfRateLimiter[Hashable]:
    """A new limiter with client-go's settings for controllers.

    Each key waits 5 ms after its first failure, doubling to 1000 s; and all keys together are retried
    10 times a second, after a first burst of 100.

    Source: ``DefaultControllerRateLimiter``, client-go util/workqueue/default_rate_limiters.go.

    :param clock: where the bucket's time comes from; the machine's by default.
    """
    return MaxOfRateLimiter(
        ItemExponentialFailureRateLimiter(0.005, 1000.0),
        BucketRateLimiter(10.0, 100, clock=clock),
    )


class _User(Protocol):
    """A queue, as far as a limiter has to do with one."""

    name: str

    @property
    def shutting_down(self) -> bool: ...


#: Under this name a limiter carries a weak reference to the queue that uses it.
_USER = "_kopf_workqueue_user"


def check_limiter(limiter: object) -> None:
    """:raises ConfigurationError: if it is no limiter."""
    verbs = ("when", "forget", "num_requeues")
    if isinstance(limiter, type) or not all(callable(getattr(limiter, verb, None)) for verb in verbs):
        raise ConfigurationError(f"rate_limiter={limiter!r}: expected one of workqueue.queues, or its like")


def claim(limiter: object, queue: _User) -> None:
    """Note that a queue uses the limiter, until it is shut down.

    Asked for in virtual-kubelet/virtual-kubelet#953 ("Split out rate limiter per workqueue"). A limiter that takes
    no attributes is let through.

    :raises ConfigurationError: if it is no limiter, or another queue uses it already.
    """
    check_limiter(limiter)
    claimed, reference = getattr(limiter, _USER, (0, None))
    # Of a copy of a limiter the note is the original's.
    user = reference() if reference is not None and claimed == id(limiter) else None
    if user is not None and user is not queue and not user.shutting_down:
        raise ConfigurationError(
            f"rate_limiter: queue {user.name!r} uses this {type(limiter).__name__} already; give queue {queue.name!r} "
            "one of its own, else the failures of one would count in the other"
        )
    with contextlib.suppress(AttributeError, TypeError):
        setattr(limiter, _USER, (id(limiter), weakref.ref(queue)))


def _number(name: str, value: float, unit: str) -> float:
    """A finite number that is not negative, as a float."""
    # A bool is an int to Python; where a delay is expected it is a mistake.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of {unit}, not {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond every float
        number = math.inf
    if not math.isfinite(number) or number < 0:
        raise ConfigurationError(f"{name} must be a finite number of {unit}, zero or more, not {value!r}")
    return number


def _count(name: str, value: int) -> int:
    """An int that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be an int, not {value!r}")
    if value < 0:
        raise ConfigurationError(f"{name} must be zero or more, not {value!r}")
    return value
