"""Backoff that events cannot inflate.

Asked for in kubernetes/kubernetes#112325 ("Improve behaviour when immediately adding work items to a
rate-limited workqueue") and #136853 (a ReplicaSet whose every event was a failed run: 18 of them in
seconds, and the next retry is due in 1000 s); the opposite, a backoff that events reset, is
java-operator-sdk#2046.

The exponent and the count of retries are two numbers. An event that comes while a failed key waits
makes it run at once; if that run fails as well, nothing new was learnt of how long to wait: it counts
as a retry, and the key waits as long as before. Only a run that came after its whole wait lets the
next one grow. And a key that waits already is not counted again by its limiter: it takes no further
token from a bucket (controller-runtime#1594: a key that is added faster than the bucket fills waits
longer each time).
"""

import math
import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

from workqueue.base.clock import Clock
from workqueue.queues.core import check_delay
from workqueue.queues.ratelimiters import RateLimiter

K = TypeVar("K", bound=Hashable)


class _Wait:
    """The latest wait of one key."""

    __slots__ = ("delay", "early", "extra", "ran", "until")

    def __init__(self) -> None:
        #: How long the key was told to wait, in seconds, and the instant that leads to.
        self.delay = 0.0
        self.until = 0.0
        #: True once the key was handed out after that.
        self.ran = False
        #: True if it was handed out before its wait was over: something else than a retry made it run.
        self.early = False
        #: Retries that the limiter was not told of.
        self.extra = 0

    def begin(self, delay: float, now: float) -> None:
        """The key waits from now on."""
        self.delay, self.until = delay, now + delay
        self.ran = self.early = False


class SteadyBackoff(Generic[K]):
    """A limiter around another one, which it asks for a longer wait only after a real retry."""

    def __init__(self, limiter: RateLimiter[K], *, clock: Clock) -> None:
        """:param limiter: says how long keys wait.
        :param clock: where time comes from.
        """
        self._limiter = limiter
        self._clock = clock
        #: Held while the limiter is asked; never taken by who has the queue's lock, as a limiter may look at the queue.
        self._asking = threading.Lock()
        self._lock = threading.Lock()
        #: Written under _lock. Of each key that was made to wait since it was last forgotten.
        self._waits: dict[K, _Wait] = {}

    def when(self, key: K, at_most: float = math.inf) -> float:
        """Count one more failure of the key and return how many seconds it should wait.

        :param at_most: seconds that it waits at most, whatever the limiter says.
        """
        with self._asking:
            with self._lock:
                wait = self._waits.get(key)
                now = self._clock.now()
                if wait is not None and not wait.ran:  # it waits already
                    wait.extra += 1
                    wait.until = min(wait.until, now + at_most)
                    return max(0.0, wait.until - now)
                if wait is not None and wait.early:
                    wait.extra += 1
                    delay = min(wait.delay, at_most)
                    wait.begin(delay, now)
                    return delay
            delay = self._limiter.when(key)
            check_delay(key, delay)
            delay = min(delay, at_most)
            with self._lock:
                # Looked for again: it may have been forgotten meanwhile.
                wait = self._waits.get(key)
                if wait is None:
                    wait = self._waits[key] = _Wait()
                wait.begin(delay, self._clock.now())
            return delay

    def forget(self, key: K) -> None:
        """See :meth:`RateLimiter.forget`."""
        # Looked at without the lock first: most keys never wait, and all are forgotten after each success.
        if key in self._waits:
            with self._lock:
                self._waits.pop(key, None)
        self._limiter.forget(key)

    def num_requeues(self, key: K) -> int:
        """How often the key was put off since it was last forgotten, also where that did not lengthen its wait."""
        wait = self._waits.get(key)
        return self._limiter.num_requeues(key) + (0 if wait is None else wait.extra)

    def ran(self, key: K) -> None:
        """The key was handed out."""
        if key in self._waits:
            with self._lock:
                wait = self._waits.get(key)
                if wait is not None and not wait.ran:
                    wait.ran, wait.early = True, self._clock.now() < wait.until

    def holds(self, key: K, *, in_hands: bool) -> bool:
        """True if the key has failed, and either still waits or is being tried again: nothing is gained by asking.

        :param in_hands: somebody works on it now.
        """
        wait = self._waits.get(key)
        return wait is not None and (in_hands or (not wait.ran and self._clock.now() < wait.until))
