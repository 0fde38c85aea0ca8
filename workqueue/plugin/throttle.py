"""At most so many requests a second, after a first burst: client-go's ``QPS`` and ``Burst``.

Semantics: ``Wait`` of the token bucket of golang.org/x/time/rate, which client-go's util/flowcontrol/throttle.go wraps.
A request that could not have its turn within its own time limit is refused at once and takes no token. That is why this
is not :class:`workqueue.queues.BucketRateLimiter`: that one hands out delays, and takes none back.
"""

import threading

from workqueue.base.clock import Clock
from workqueue.base.errors import WorkqueueError

#: client-go's ``DefaultBurst``, rest/config.go.
DEFAULT_BURST = 10


class Throttled(WorkqueueError, TimeoutError):
    """A request was not made: its turn would have come after its own time limit."""


class Throttle:
    """One bucket for all requests of both clients; from any thread, first come, first served."""

    def __init__(self, qps: float, burst: int, *, clock: Clock) -> None:
        """
        :param qps: requests a second, more than 0.
        :param burst: how many can be made at once after a time without any; at least 1.
        :param clock: where time comes from.
        """
        self._qps = qps
        self._burst = burst
        self._clock = clock
        #: Whoever waits for its turn sleeps here; notified when nobody shall wait any more.
        self._changed = threading.Condition()
        # All below are guarded by _changed.
        #: What the bucket held at _last; below zero are turns that were given out and have not come yet.
        self._tokens = float(burst)
        self._last = clock.now()
        self._closed = False

    def wait(self, *, limit: float | None) -> float:
        """Wait for one turn.

        :param limit: seconds that the caller has; None is without end.
        :return: seconds waited.
        :raises Throttled: at once, if it would take longer than that.
        """
        with self._changed:
            now = self._clock.now()
            tokens = min(self._burst, self._tokens + (now - self._last) * self._qps)
            delay = max(0.0, (1 - tokens) / self._qps)
            if limit is not None and delay > limit and not self._closed:
                raise Throttled(
                    f"the request would wait {delay:.3g} s for its turn, longer than its time limit of {limit:.3g} s: "
                    f"qps={self._qps:g} and burst={self._burst} are too few for what is asked"
                )
            self._tokens = tokens - 1
            self._last = now
            while not self._closed and self._clock.now() < now + delay:
                self._clock.wait(self._changed, now + delay)
            return self._clock.now() - now

    def close(self) -> None:
        """The operator has ended: nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
