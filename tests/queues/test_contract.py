"""Every queue and limiter of ours keeps the contract that is shipped for others."""

from workqueue.queues import (
    BucketRateLimiter,
    DelayingQueue,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    PriorityQueue,
    Queue,
    RateLimitingQueue,
    WithMaxWaitRateLimiter,
)
from workqueue.testing.contracts import (
    DelayingQueueContract,
    QueueContract,
    RateLimiterContract,
    RateLimitingQueueContract,
)


class Checked:
    """Each also says of itself what is always true."""

    def check(self, queue):
        queue._check()


class TestQueue(Checked, QueueContract):
    def make_queue(self, clock):
        return Queue(clock=clock)


class TestDelayingQueue(Checked, DelayingQueueContract):
    def make_queue(self, clock):
        return DelayingQueue(clock=clock)


class TestRateLimitingQueue(Checked, RateLimitingQueueContract):
    def make_queue(self, clock):
        return RateLimitingQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(0.005, 1000))


class TestPriorityQueue(Checked, RateLimitingQueueContract):
    def make_queue(self, clock):
        return PriorityQueue(clock=clock)


class TestPriorityQueueOfAController(Checked, RateLimitingQueueContract):
    def make_queue(self, clock):
        return PriorityQueue(clock=clock, backoff="steady", max_starvation=60, fairness=lambda key: 0)


class TestExponential(RateLimiterContract):
    def make_limiter(self, clock):
        return ItemExponentialFailureRateLimiter(0.005, 1000)


class TestFastSlow(RateLimiterContract):
    def make_limiter(self, clock):
        return ItemFastSlowRateLimiter(0.005, 10, 2)


class TestBucket(RateLimiterContract):
    counts_keys = False

    def make_limiter(self, clock):
        return BucketRateLimiter(10, 100, clock=clock)


class TestMaxOf(RateLimiterContract):
    def make_limiter(self, clock):
        return MaxOfRateLimiter(ItemExponentialFailureRateLimiter(1, 1000), BucketRateLimiter(10, 100, clock=clock))


class TestWithMaxWait(RateLimiterContract):
    def make_limiter(self, clock):
        return WithMaxWaitRateLimiter(ItemExponentialFailureRateLimiter(1, 1000), 3)
