"""A queue that knows how long each key should wait before it is tried again.

Semantics: client-go util/workqueue/rate_limiting_queue.go. The limiter decides the delay, the
delaying queue keeps it. ``forget`` is the limiter's alone: a key still needs its ``done``.
"""

from workqueue.base.clock import Clock
from workqueue.base.metrics import MetricsProvider
from workqueue.queues.core import K
from workqueue.queues.delaying import DelayingQueue
from workqueue.queues.ratelimiters import RateLimiter, claim, default_controller_rate_limiter


class RateLimitingQueue(DelayingQueue[K]):
    """A :class:`DelayingQueue` with :meth:`add_rate_limited`, :meth:`forget` and :meth:`num_requeues`."""

    def __init__(
        self,
        *,
        name: str = "",
        clock: Clock | None = None,
        metrics: MetricsProvider | None = None,
        rate_limiter: RateLimiter[K] | None = None,
    ) -> None:
        """
        :param name, clock, metrics: as of :class:`Queue`.
        :param rate_limiter: who says how long to wait; :func:`default_controller_rate_limiter` by default.
        :raises ConfigurationError: if the limiter is used by another queue.
        """
        #: Has a lock of its own.
        self._rate_limiter: RateLimiter[K] = (
            rate_limiter if rate_limiter is not None else default_controller_rate_limiter(clock=clock)
        )
        super().__init__(name=name, clock=clock, metrics=metrics)

    def _open(self) -> None:
        claim(self._rate_limiter, self)  # first: the provider is told of no queue that cannot be made
        super()._open()

    def add_rate_limited(self, key: K) -> float:
        """Add the key after the delay its limiter gives; each call counts as one more failure of the key.

        :return: that delay in seconds, for who tells of it; the key comes earlier if it is asked for otherwise.
        """
        delay = self._rate_limiter.when(key)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key is through, for good or ill: its next failure starts from the first delay."""
        self._rate_limiter.forget(key)
        if self._measures is not None:
            with self._lock:
                self._measures.forgets += 1

    def num_requeues(self, key: K) -> int:
        """How often the limiter has put the key off since it was last forgotten."""
        return self._rate_limiter.num_requeues(key)
