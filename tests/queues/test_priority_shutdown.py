"""The end of a priority queue, where controller-runtime's loses what is ready and panics at a second shutdown."""

import random
import threading

import pytest

from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))


def test_what_is_ready_at_the_shutdown_is_handed_out_in_order(queue):
    for priority in (0, 2, -100, 1):
        queue.add_with(priority, priority=priority)
    queue.shut_down()
    assert [queue.get_with_priority() for _ in range(4)] == [(priority, priority) for priority in (2, 1, 0, -100)]
    with pytest.raises(ShutDown):
        queue.get_with_priority()


def test_a_drain_waits_for_every_priority_and_for_what_was_asked_for_in_hands(queue, clock, background):
    queue.add_with("held", priority=5)
    queue.get(timeout=0)
    queue.add_with("held", priority=-5)
    queue.add_with("low", priority=-100)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.done("held")
    for key in ("held", "low"):
        assert queue.get() == key
        assert not drain.done()
        queue.done(key)
    assert drain.result(PATIENCE) is True


def test_every_verb_that_asks_is_ignored_after_the_shutdown(queue, clock):
    queue.add("held")
    queue.get(timeout=0)
    queue.shut_down()
    for key in ("new", "held"):
        queue.add(key)
        queue.add_with(key, priority=5)
        queue.add_after(key, 1)
        queue.add_rate_limited(key)
    clock.step(10)
    queue._check()
    queue.done("held")
    assert handle_all(queue) == []
    statistics = queue.statistics()
    assert (statistics.adds, statistics.retries) == (1, 0)
    assert (statistics.dropped, statistics.refused) == (4, 4), "of each key the two with a delay"


def test_a_getter_that_waits_is_woken_by_the_shutdown(queue, clock, background):
    got = background(queue.get_with_priority)
    clock.wait_for_waiters(1)
    assert not got.done()
    queue.shut_down()
    assert isinstance(got.exception(PATIENCE), ShutDown)


def test_a_get_after_the_shutdown_does_not_wait_for_a_key_that_came_too_late(queue):
    # controller-runtime#3239
    queue.add("baz")
    queue.shut_down()
    queue.add_after("foo", 1)
    assert queue.get() == "baz"
    for _ in range(2):
        with pytest.raises(ShutDown):
            queue.get()


def test_drain_after_drain_is_harmless(queue):
    queue.add("foo")
    assert queue.shut_down_with_drain(timeout=0) is False
    queue.shut_down()
    queue.shut_down()
    assert handle_all(queue) == ["foo"]
    assert queue.shut_down_with_drain() is True


# Many threads.


def test_twenty_rounds_of_a_thousand_mixed_keys_are_taken_by_a_hundred_getters(background):
    # controller-runtime's "returns many items": adds of 1,000 keys with delays and priorities, 100 getters of ten each.
    seed = random.randrange(2**32)
    print("seed", seed)
    luck = random.Random(seed)
    queue = PriorityQueue()
    rounds, getters = 20, 100
    begin, end = threading.Barrier(getters + 1), threading.Barrier(getters + 1)
    taken = [[] for _ in range(getters)]

    def take(number):
        for _ in range(rounds):
            begin.wait(PATIENCE)
            for _ in range(10):
                key = queue.get(timeout=PATIENCE)
                taken[number].append(key)
                queue.done(key)
            end.wait(PATIENCE)

    futures = [background(take, number) for number in range(getters)]
    for _ in range(rounds):
        for key in range(1_000):
            number = luck.randrange(100)
            if number < 10:
                queue.add_after(key, number / 1000)
            else:
                queue.add_with(key, priority=number)
        begin.wait(PATIENCE)
        end.wait(PATIENCE)
        assert sorted(key for keys in taken for key in keys) == list(range(1_000))
        for keys in taken:
            keys.clear()
        queue._check()
    for future in futures:
        future.result(PATIENCE)
    assert (len(queue), queue.statistics().processing) == (0, 0)
