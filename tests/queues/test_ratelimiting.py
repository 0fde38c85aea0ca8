"""A queue that asks a limiter how long.

Properties asserted by client-go's util/workqueue/rate_limiting_queue_test.go, and the edges of ours.
"""

import pytest

from workqueue.queues import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    MaxOfRateLimiter,
    PriorityQueue,
    RateLimitingQueue,
)


class Recorder:
    """A limiter that gives the delays it was made with and remembers what it was asked."""

    def __init__(self, *delays):
        self.delays = list(delays)
        self.calls = []

    def when(self, key):
        self.calls.append(("when", key))
        delay = self.delays.pop(0)
        if isinstance(delay, Exception):
            raise delay
        return delay

    def forget(self, key):
        self.calls.append(("forget", key))

    def num_requeues(self, key):
        self.calls.append(("num_requeues", key))
        return 7


def comes_after(queue, clock, key):
    """How many seconds until the key is handed out, to the eighth."""
    waited = 0.0
    while not len(queue):
        clock.step(0.125)
        waited += 0.125
        assert waited < 10_000
    assert queue.get(timeout=0) == key
    queue.done(key)
    return waited


@pytest.fixture
def queue(limiting_class, clock):
    return limiting_class(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))


def test_each_failure_of_a_key_doubles_its_delay(queue, clock):
    waited = []
    for _ in range(4):
        queue.add_rate_limited("one")
        waited.append(comes_after(queue, clock, "one"))
    assert waited == [1, 2, 4, 8]


def test_failures_are_counted_for_each_key(queue, clock):
    queue.add_rate_limited("one")
    comes_after(queue, clock, "one")
    queue.add_rate_limited("one")
    comes_after(queue, clock, "one")
    queue.add_rate_limited("two")
    assert comes_after(queue, clock, "two") == 1
    assert queue.num_requeues("one") == 2
    assert queue.num_requeues("two") == 1
    assert queue.num_requeues("three") == 0


def test_a_forgotten_key_starts_again_from_the_first_delay(queue, clock):
    for _ in range(3):
        queue.add_rate_limited("one")
        comes_after(queue, clock, "one")
    queue.forget("one")
    assert queue.num_requeues("one") == 0
    queue.add_rate_limited("one")
    assert comes_after(queue, clock, "one") == 1


def test_a_failure_is_counted_though_the_key_has_an_earlier_delay_already(queue, clock):
    queue.add_rate_limited("one")
    queue.add_rate_limited("one")
    assert queue.num_requeues("one") == 2
    assert queue.statistics().delayed == 1
    assert comes_after(queue, clock, "one") == 1


def test_forget_takes_no_delay_back(queue, clock):
    queue.add_rate_limited("one")
    queue.forget("one")
    assert comes_after(queue, clock, "one") == 1


def test_forget_is_not_done(queue):
    queue.add("one")
    queue.get(timeout=0)
    queue.forget("one")
    queue.add("one")
    assert queue.statistics().ready == 0
    queue.done("one")
    assert queue.statistics().ready == 1


def test_a_rate_limited_add_counts_as_one_retry_and_as_an_add_when_it_comes(queue, clock):
    queue.add_rate_limited("one")
    statistics = queue.statistics()
    assert (statistics.retries, statistics.adds) == (1, 0)
    comes_after(queue, clock, "one")
    statistics = queue.statistics()
    assert (statistics.retries, statistics.adds) == (1, 1)


def test_after_shutdown_nothing_is_queued_and_it_counts_as_dropped(queue, clock):
    queue.shut_down()
    queue.add_rate_limited("one")
    clock.step(10)
    assert len(queue) == 0
    statistics = queue.statistics()
    assert (statistics.retries, statistics.delayed, statistics.dropped, statistics.refused) == (0, 0, 1, 1)


def test_after_shutdown_the_limiter_counts_all_the_same(clock):
    queue = RateLimitingQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))
    queue.shut_down()
    queue.add_rate_limited("one")
    assert queue.num_requeues("one") == 1


def test_every_question_goes_to_the_limiter(limiting_class, clock):
    limiter = Recorder(3)
    queue = limiting_class(clock=clock, rate_limiter=limiter)
    queue.add_rate_limited("one")
    assert queue.num_requeues("one") == 7
    queue.forget("one")
    assert limiter.calls == [("when", "one"), ("num_requeues", "one"), ("forget", "one")]
    assert comes_after(queue, clock, "one") == 3


@pytest.mark.parametrize("backoff", ["plain", "steady"])
def test_the_delay_of_the_limiter_is_returned_for_who_tells_of_it(limiting_class, clock, backoff):
    options = {"backoff": backoff} if limiting_class is PriorityQueue else {}
    queue = limiting_class(clock=clock, rate_limiter=Recorder(0.5, 0.0), **options)
    assert queue.add_rate_limited("foo") == 0.5
    clock.step(0.5)
    queue.get(timeout=0)
    assert queue.add_rate_limited("foo") == 0.0


def test_a_limiter_without_delay_adds_at_once(limiting_class, clock):
    queue = limiting_class(clock=clock, rate_limiter=Recorder(0.0))
    queue.add_rate_limited("one")
    assert len(queue) == 1


@pytest.mark.parametrize("answer", [RuntimeError("broken limiter"), float("nan")], ids=["raises", "nan"])
def test_a_broken_limiter_is_an_error_of_the_caller_and_leaves_the_queue_as_it_was(limiting_class, clock, answer):
    queue = limiting_class(clock=clock, rate_limiter=Recorder(answer))
    queue.add("other")
    before = queue.statistics()
    with pytest.raises((RuntimeError, ValueError)):
        queue.add_rate_limited("one")
    assert queue.statistics() == before
    queue._check()


def test_two_queues_count_the_failures_of_a_key_apart(limiting_class, clock):
    first, second = (
        limiting_class(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000)) for _ in range(2)
    )
    first.add_rate_limited("one")
    assert second.num_requeues("one") == 0
    second.add_rate_limited("one")
    assert [comes_after(queue, clock, "one") for queue in (first, second)] == [1, 0]


def test_two_queues_may_share_a_bucket_as_a_part_of_their_limiters(limiting_class, clock):
    bucket = BucketRateLimiter(1, 1, clock=clock)
    first, second = (
        limiting_class(
            clock=clock, rate_limiter=MaxOfRateLimiter(ItemExponentialFailureRateLimiter(0.125, 1000), bucket)
        )
        for _ in range(2)
    )
    first.add_rate_limited("one")
    second.add_rate_limited("one")
    second.add_rate_limited("two")
    assert [comes_after(queue, clock, key) for queue, key in ((first, "one"), (second, "one"))] == [0.125, 0.875]
    assert comes_after(second, clock, "two") == 1, "the third token of one bucket"
    assert [queue.num_requeues("one") for queue in (first, second)] == [1, 1]


def test_the_default_limiter_is_that_of_controllers_on_the_clock_of_the_queue(clock):
    queue = RateLimitingQueue(clock=clock)
    for number in range(100):
        queue.add_rate_limited(number)
    clock.step(0.005)
    assert len(queue) == 100, "a burst of a hundred keys waits 5 ms each"
    # 5 ms brought a twentieth of a token, the next key waits for the rest of its own.
    queue.add_rate_limited("late")
    clock.step(0.09)
    assert len(queue) == 100
    clock.step(0.01)
    assert len(queue) == 101


def test_the_default_limiter_of_a_priority_queue_is_per_key_alone(clock):
    queue = PriorityQueue(clock=clock)
    for number in range(1_000):
        queue.add_rate_limited(number)
    clock.step(0.005)
    assert len(queue) == 1_000, "no bucket for all keys together"
    for _ in range(40):
        queue.add_rate_limited("one")
    queue.cancel("one")
    queue.add_rate_limited("one")
    clock.step(999)
    assert queue.statistics().delayed == 1
    clock.step(1)
    assert queue.statistics().delayed == 0
