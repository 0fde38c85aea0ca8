"""What every rate limiter must do, to be run against yours.

Properties asserted by client-go's util/workqueue/default_rate_limiters_test.go of all limiters there, and that
threads may share one.
"""

import threading
from collections.abc import Hashable

from workqueue.base.clock import Clock
from workqueue.queues import RateLimiter
from workqueue.testing.clock import FakeClock

#: Seconds of real time after which a thread is given up.
PATIENCE = 30.0


class RateLimiterContract:
    """Every limiter: derive from it, name the class Test…, and say how one is made."""

    #: Whether it counts for each key; False for one that has one budget for all, such as a bucket.
    counts_keys = True

    def make_limiter(self, clock: Clock) -> RateLimiter[Hashable]:
        """A new limiter.

        :param clock: its clock, if it has one.
        """
        raise NotImplementedError

    def test_a_delay_is_a_number_and_not_negative(self) -> None:
        limiter = self.make_limiter(FakeClock())
        delays = [limiter.when(key) for _ in range(200) for key in ("a", "b")]
        assert all(delay >= 0 for delay in delays)

    def test_a_key_that_is_unknown_can_be_forgotten_and_was_put_off_never(self) -> None:
        limiter = self.make_limiter(FakeClock())
        limiter.forget("unknown")
        assert limiter.num_requeues("unknown") == 0

    def test_a_key_that_was_forgotten_was_put_off_never(self) -> None:
        limiter = self.make_limiter(FakeClock())
        for _ in range(3):
            limiter.when("a")
        limiter.forget("a")
        assert limiter.num_requeues("a") == 0

    def test_each_key_is_counted_for_itself(self) -> None:
        if not self.counts_keys:
            return
        limiter = self.make_limiter(FakeClock())
        first = [limiter.when("a") for _ in range(3)]
        assert (limiter.num_requeues("a"), limiter.num_requeues("b")) == (3, 0)
        assert [limiter.when("b") for _ in range(3)] == first
        limiter.forget("a")
        assert [limiter.when("a") for _ in range(3)] == first
        assert limiter.num_requeues("b") == 3

    def test_no_failure_is_lost_between_threads(self) -> None:
        limiter = self.make_limiter(FakeClock())
        start = threading.Barrier(4)

        def fail() -> None:
            start.wait(PATIENCE)
            for _ in range(500):
                limiter.when("a")

        threads = [threading.Thread(target=fail, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert limiter.num_requeues("a") == (2000 if self.counts_keys else 0)
