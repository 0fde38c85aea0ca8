"""What those who read client-go's work queue say of it, point by point, on the two queues that controllers use.

Each promise is told by one test here; its edges are in the other files.
"""

import threading
from collections import Counter

import pytest

from workqueue.prometheus import PrometheusMetrics
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
)

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(limiting_class, clock):
    return limiting_class(clock=clock)


def test_b1_ordered(queue):
    """Handed out in the order added."""
    keys = [f"key-{number * 7_919 % 1_000}" for number in range(1_000)]
    for key in keys:
        queue.add(key)
    assert handle_all(queue) == keys


def test_b2_deduplicated(queue):
    """Added many times before it is handled: handled once."""
    for _ in range(100):
        for key in "abc":
            queue.add(key)
    assert len(queue) == 3
    assert handle_all(queue) == ["a", "b", "c"]


def test_b3_concurrent(limiting_class, background, hectic):
    """Many producers, many consumers; one key never in two hands."""
    queue = limiting_class()
    lock, held, handled = threading.Lock(), Counter(), set()

    def produce(number):
        for step in range(100):
            queue.add((number + step) % 60)

    def consume():
        while True:
            try:
                with queue.item() as key:
                    with lock:
                        held[key] += 1
                        assert held[key] == 1
                    with lock:
                        held[key] -= 1
                        handled.add(key)
            except ShutDown:
                return

    consumers = [background(consume) for _ in range(8)]
    for producer in [background(produce, number) for number in range(20)]:
        producer.result(PATIENCE)
    assert queue.shut_down_with_drain(PATIENCE) is True
    for consumer in consumers:
        consumer.result(PATIENCE)
    assert handled == set(range(60))


def test_b4_marked(queue):
    """An item may be added again while it is processed, and comes back after done."""
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.add("a")
    queue.add("a")
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)
    assert (queue.statistics().depth, queue.statistics().processing) == (1, 1), "dirty and processing"
    queue.done("a")
    assert handle_all(queue) == ["a"]
    assert (queue.statistics().depth, queue.statistics().processing) == (0, 0)


def test_b5_notified(limiting_class, clock, background, provider):
    """shut_down wakes everybody; nothing new is accepted; metrics stop."""
    queue = limiting_class(name="pods", clock=clock, metrics=provider)
    getters = [background(queue.get) for _ in range(5)]
    clock.wait_for_waiters(5)
    queue.shut_down()
    assert [type(getter.exception(PATIENCE)) for getter in getters] == [ShutDown] * 5
    ((name, told),) = provider.closed
    assert (name, told.shutting_down) == ("pods", True)
    queue.add("a")
    assert queue.statistics() == told
    assert queue.shutting_down


def test_b6_delayed(queue, clock):
    """add_after."""
    queue.add_after("late", 5)
    queue.add_after("early", 1)
    assert len(queue) == 0
    clock.step(1)
    assert handle_all(queue) == ["early"]
    clock.step(3.5)
    assert handle_all(queue) == []
    clock.step(0.5)
    assert handle_all(queue) == ["late"]


@pytest.mark.parametrize(
    ("make", "delays", "requeues"),
    [
        (lambda clock: ItemExponentialFailureRateLimiter(1, 4), [1, 2, 4, 4], 4),
        (lambda clock: ItemFastSlowRateLimiter(1, 8, 2), [1, 1, 8, 8], 4),
        (lambda clock: BucketRateLimiter(1, 1, clock=clock), [0, 1, 1, 1], 0),
        (lambda clock: WithMaxWaitRateLimiter(ItemExponentialFailureRateLimiter(1, 64), 3), [1, 2, 3, 3], 4),
        (
            lambda clock: MaxOfRateLimiter(ItemExponentialFailureRateLimiter(1, 64), ItemFastSlowRateLimiter(3, 3, 9)),
            [3, 3, 4, 8],
            4,
        ),
    ],
    ids=["exponential", "fast-slow", "bucket", "max-wait", "max-of"],
)
def test_b7_rate_limited(limiting_class, clock, make, delays, requeues):
    """Several algorithms; re-queues of one item are counted and limited."""
    queue = limiting_class(clock=clock, rate_limiter=make(clock))
    waited = []
    for _ in range(4):
        queue.add_rate_limited("a")
        waited.append(0)
        while not handle_all(queue):
            clock.step(1)
            waited[-1] += 1
    assert waited == delays
    assert (queue.num_requeues("a"), queue.num_requeues("b")) == (requeues, 0)
    queue.forget("a")
    assert queue.num_requeues("a") == 0


def test_b8_measured(limiting_class, clock):
    """Prometheus metrics, by the names that dashboards know."""
    metrics = PrometheusMetrics()
    queue = limiting_class(name="pods", clock=clock, metrics=metrics)
    queue.add("a")
    queue.add("b")
    queue.add("a")
    queue.add_after("c", 60)
    clock.step(2)
    queue.get(timeout=0)
    clock.step(3)
    samples = [sample for family in metrics.collect() for sample in family.samples]

    def value(name):
        (found,) = (sample.value for sample in samples if sample.name == name)
        return found

    assert value("workqueue_depth") == 1
    assert value("workqueue_adds_total") == 2
    assert value("workqueue_retries_total") == 1
    assert value("workqueue_queue_duration_seconds_sum") == 2
    assert value("workqueue_work_duration_seconds_count") == 0
    assert value("workqueue_unfinished_work_seconds") == 3
    assert value("workqueue_longest_running_processor_seconds") == 3


@pytest.mark.parametrize(
    ("interface", "verbs"),
    [
        (Queue, "add get done __len__ shut_down shut_down_with_drain shutting_down"),
        (DelayingQueue, "add_after"),
        (RateLimitingQueue, "add_rate_limited forget num_requeues"),
    ],
)
def test_b9_three_interfaces(limiting_class, interface, verbs):
    """FIFO, delaying, rate limiting: each has the verbs of the one before, and the controllers' queues have all."""
    for verb in verbs.split():
        assert hasattr(interface, verb)
        assert hasattr(limiting_class, verb)
    assert issubclass(RateLimitingQueue, interface)
    queue = interface()
    for key in "ab":
        queue.add(key)
    with queue.item() as key:
        assert key == "a"
    if interface is not Queue:
        queue.add_after("c", 0)
    assert handle_all(queue)[:1] == ["b"]
    assert queue.shut_down_with_drain() is True
