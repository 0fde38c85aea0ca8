"""Taking back what was asked for: kubernetes/client-go#131 asks for it, client-go has no such thing."""

import pytest

from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock, provider):
    limiter = ItemExponentialFailureRateLimiter(1, 1000)
    return PriorityQueue(name="pods", clock=clock, metrics=provider, rate_limiter=limiter)


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


def test_a_ready_key_is_taken_back(queue):
    for key in "abc":
        queue.add(key)
    assert queue.cancel("b") is True
    assert (len(queue), queue.statistics().depth) == (2, 2)
    assert handle_all(queue) == ["a", "c"]


def test_a_waiting_key_is_taken_back(queue, clock):
    queue.add_after("foo", 5)
    assert queue.cancel("foo") is True
    assert queue.statistics().delayed == 0
    clock.step(5)
    assert handle_all(queue) == []


def test_a_key_that_is_due_and_that_nobody_looked_at_is_taken_back(queue, clock):
    queue.add_after("foo", 5)
    clock.step(6)
    assert queue.cancel("foo") is True
    assert handle_all(queue) == []


def test_a_run_that_was_asked_for_during_another_is_taken_back_and_the_other_goes_on(queue):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    assert queue.cancel("foo") is True
    statistics = queue.statistics()
    assert (len(queue), statistics.depth, statistics.processing) == (0, 0, 1)
    queue.done("foo")
    assert handle_all(queue) == []


def test_a_delay_that_began_during_a_run_is_taken_back(queue, clock):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add_rate_limited("foo")
    assert queue.cancel("foo") is True
    queue.done("foo")
    clock.step(1)
    assert handle_all(queue) == []


def test_a_run_under_way_alone_is_nothing_to_take_back(queue):
    queue.add("foo")
    queue.get(timeout=0)
    assert queue.cancel("foo") is False
    assert queue.statistics().processing == 1


def test_a_key_that_nobody_asked_for_is_nothing_to_take_back(queue):
    before = queue.statistics()
    assert queue.cancel("foo") is False
    assert queue.statistics() == before


def test_what_was_taken_back_is_taken_back_once(queue):
    queue.add("foo")
    assert [queue.cancel("foo"), queue.cancel("foo")] == [True, False]


def test_a_key_taken_back_can_be_asked_for_again_and_has_neither_its_turn_nor_its_priority(queue):
    queue.add_with("foo", priority=5)
    queue.add("bar")
    queue.cancel("foo")
    queue.add("foo")
    assert [queue.get_with_priority(timeout=0) for _ in range(2)] == [("bar", 0), ("foo", 0)]


def test_a_key_taken_back_can_be_delayed_again_for_longer(queue, clock):
    queue.add_after("foo", 5)
    queue.cancel("foo")
    queue.add_after("foo", 50)
    clock.step(49)
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]


def test_failures_stay_counted(queue, clock):
    queue.add_rate_limited("foo")
    queue.cancel("foo")
    assert queue.num_requeues("foo") == 1
    queue.add_rate_limited("foo")
    clock.step(1)
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]


def test_the_key_of_highest_priority_is_taken_back_and_the_next_ones_come_in_order(queue):
    queue.add_with("high", priority=2)
    queue.add_with("low", priority=1)
    queue.add("lowest")
    queue.cancel("high")
    queue.cancel("low")
    queue._check()
    queue.add_with("middle", priority=1)
    assert handle_all(queue) == ["middle", "lowest"]


def test_any_order_of_taking_back_leaves_the_others_in_order(queue):
    for taken in range(6):
        for key in range(6):
            queue.add_with(key, priority=key % 2)
        queue.get(timeout=0)
        queue.add(1)
        queue.done(1)
        queue.cancel(taken)
        queue._check()
        assert handle_all(queue) == [key for key in (3, 5, 0, 2, 4, 1) if key != taken]


# Sleeping workers.


def test_a_worker_that_sleeps_until_the_key_is_due_sleeps_on_until_the_next_one(queue, clock, background):
    queue.add_after("taken back", 5)
    queue.add_after("next", 8)
    got = background(queue.get)
    clock.wait_for_timed_waiters(1)
    queue.cancel("taken back")
    clock.step(5)
    clock.wait_for_timed_waiters(1)
    assert not got.done()
    clock.step(3)
    assert got.result(PATIENCE) == "next"


def test_a_key_taken_back_while_a_worker_wakes_for_it_leaves_that_worker_asleep(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    with queue._lock:  # so that the worker cannot have run in between
        queue._ask_locked("foo", None, None)
        assert queue._woken == 1
        queue._levels.remove("foo")
        queue._measures.queued.pop("foo")
    clock.wait_for_waiters(1)
    queue.add("bar")
    assert got.result(PATIENCE) == "bar"


# Measures.


def test_the_time_of_what_was_taken_back_is_not_measured(queue, clock):
    queue.add("foo")
    clock.step(5)
    queue.add("bar")
    queue.cancel("foo")
    assert queue.statistics().oldest_pending == 0
    clock.step(1)
    handle_all(queue)
    assert (queue.statistics().queue_duration.count, queue.statistics().queue_duration.sum) == (1, 1)


def test_the_accepted_add_stays_counted(queue):
    queue.add("foo")
    queue.cancel("foo")
    assert (queue.statistics().adds, queue.statistics().add_requests, queue.statistics().dropped) == (1, 1, 0)


# The end.


def test_taking_back_the_last_key_ends_a_drain_and_closes_the_queue(queue, clock, background, provider):
    queue.add("foo")
    queue.add("bar")
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    assert queue.cancel("foo") is True
    assert not provider.closed
    assert not drain.done()
    assert queue.cancel("bar") is True
    assert drain.result(PATIENCE) is True
    assert [name for name, _ in provider.closed] == ["pods"]
    with pytest.raises(ShutDown):
        queue.get()


def test_taking_back_what_was_asked_for_during_a_run_leaves_the_drain_to_wait_for_the_run(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    assert queue.cancel("foo") is True
    assert not drain.done()
    queue.done("foo")
    assert drain.result(PATIENCE) is True


def test_nothing_is_left_to_take_back_of_a_key_dropped_at_shutdown(queue):
    queue.add_after("foo", 5)
    queue.shut_down()
    assert queue.cancel("foo") is False
