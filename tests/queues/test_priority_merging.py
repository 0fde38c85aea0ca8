"""One entry for each key: the higher priority, the earlier time, and an add now beats a delay.

Properties asserted by controller-runtime's pkg/controller/priorityqueue/priorityqueue_test.go, and the edges of ours.
"""

import math

import pytest

from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))


# The priority.


def test_a_key_that_is_asked_for_twice_is_one_entry(queue):
    queue.add_with("foo", "foo")
    queue.add("foo")
    assert len(queue) == 1
    assert queue.statistics().adds == 1
    assert handle_all(queue) == ["foo"]


def test_the_higher_priority_is_kept(queue):
    queue.add_with("foo", priority=1)
    queue.add_with("foo", priority=2)
    assert queue.get_with_priority(timeout=0) == ("foo", 2)
    assert len(queue) == 0
    assert queue.statistics().adds == 1


def test_a_priority_is_never_lowered(queue):
    queue.add_with("foo", priority=2)
    queue.add_with("foo", priority=1)
    queue.add("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", 2)


def test_a_plain_add_raises_to_0(queue):
    queue.add_with("foo", priority=-100)
    queue.add("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", 0)


def test_the_higher_priority_is_kept_while_a_key_waits_and_it_goes_on_waiting(queue, clock):
    queue.add_with("foo", priority=1, after=5)
    queue.add_with("foo", priority=3, after=9)
    queue.add_with("foo", priority=2, after=7)
    clock.step(4)
    assert len(queue) == 0
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", 3)


def test_a_ready_key_is_raised_by_an_add_with_a_delay_and_stays_ready(queue):
    queue.add("bar")
    queue.add("foo")
    queue.add_with("foo", priority=1, after=60)
    assert queue.get_with_priority(timeout=0) == ("foo", 1)


def test_a_priority_is_forgotten_with_the_key(queue):
    queue.add_with("foo", priority=5)
    assert handle_all(queue) == ["foo"]
    queue.add_with("foo", priority=-1)
    assert queue.get_with_priority(timeout=0) == ("foo", -1)


# The time.


@pytest.mark.parametrize("delays", [(60, 10), (10, 60), (60, 10, 30)], ids=repr)
def test_the_earliest_of_several_times_is_kept(queue, clock, delays):
    for delay in delays:
        queue.add_after("foo", delay)
    assert queue.statistics().delayed == 1
    clock.step(9)
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]
    clock.step(1_000)
    assert handle_all(queue) == []


def test_a_ready_key_stays_ready_whatever_the_delay(queue):
    queue.add_with("foo", after=0)
    queue.add_with("foo", after=3600)
    queue.add_rate_limited("foo")
    assert queue.statistics().delayed == 0
    assert queue.get_with_priority(timeout=0) == ("foo", 0)
    assert len(queue) == 0
    assert queue.statistics().adds == 1


@pytest.mark.parametrize("now", [PriorityQueue.add, PriorityQueue.add_with], ids=["add", "add_with"])
def test_an_add_now_beats_a_delay_and_the_key_comes_once(queue, clock, now):
    queue.add_after("foo", 5)
    now(queue, "foo")
    assert queue.statistics().delayed == 0
    assert handle_all(queue) == ["foo"]
    clock.step(5)
    assert handle_all(queue) == []


@pytest.mark.parametrize("delay", [0, -1, -math.inf])
def test_a_delay_of_nothing_beats_a_longer_one(queue, clock, delay):
    queue.add_after("foo", 5)
    queue.add_after("foo", delay)
    assert handle_all(queue) == ["foo"]
    clock.step(5)
    assert handle_all(queue) == []


def test_an_add_now_wakes_the_worker_that_sleeps_until_the_key_is_due(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add_after("foo", 60)
    clock.wait_for_timed_waiters(1)
    queue.add("foo")
    assert got.result(PATIENCE) == "foo"
    assert queue.statistics().adds == 1


def test_an_earlier_time_wakes_the_worker_earlier(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add_after("foo", 60)
    clock.wait_for_timed_waiters(1)
    queue.add_after("foo", 10)
    clock.step(10)
    assert got.result(PATIENCE) == "foo"


# Rate limits.


@pytest.mark.parametrize(("after", "waited"), [(0.5, 0.5), (1, 1), (60, 1), (0, 0), (-1, 0), (None, 1)])
def test_of_the_limiters_delay_and_a_given_one_the_shorter_counts(queue, clock, after, waited):
    queue.add_with("foo", after=after, rate_limited=True)
    assert queue.num_requeues("foo") == 1, "a failure is counted in any case"
    steps = 0
    while not len(queue):
        clock.step(0.5)
        steps += 1
    assert steps * 0.5 == waited
    assert queue.statistics().retries == 1


def test_keys_that_are_rate_limited_in_one_call_do_not_affect_each_other(queue, clock):
    for _ in range(7):
        queue.add_rate_limited("bar")
        queue.cancel("bar")
    queue.add_with("foo", "bar", rate_limited=True)
    clock.step(1)
    assert handle_all(queue) == ["foo"]
    clock.step(126)
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["bar"]
    assert (queue.num_requeues("foo"), queue.num_requeues("bar")) == (1, 8)


def test_a_failure_is_counted_also_of_a_key_that_is_ready_already(queue):
    queue.add("foo")
    queue.add_rate_limited("foo")
    assert queue.num_requeues("foo") == 1
    assert handle_all(queue) == ["foo"]


def test_after_shutdown_the_limiter_is_not_asked(queue):
    queue.shut_down()
    queue.add_rate_limited("foo")
    queue.add_with("foo", after=1, rate_limited=True)
    assert queue.num_requeues("foo") == 0
    assert (queue.statistics().dropped, queue.statistics().refused) == (2, 2)


def test_a_limiter_may_look_at_the_queue(clock):
    class Curious(ItemExponentialFailureRateLimiter):
        def when(self, key):
            return super().when(key) * (1 + len(queue) + queue.statistics().processing + queue.num_requeues(key))

    queue = PriorityQueue(clock=clock, rate_limiter=Curious(1, 1000))
    queue.add("other")
    queue.add_rate_limited("foo")
    clock.step(2)
    assert handle_all(queue) == ["other"], "counted already: 1 s, times 1 + 1 + 0 + 1"
    clock.step(1)
    assert handle_all(queue) == ["foo"]


# Many keys at once.


def test_no_keys_are_no_change(queue):
    before = queue.statistics()
    queue.add_with(priority=5, after=1, rate_limited=True)
    assert queue.statistics() == before


def test_many_keys_are_asked_for_by_one_call_each_as_by_itself(queue, clock):
    queue.add_with("b", priority=1)
    queue.add_with("a", "b", "c", priority=1)
    assert handle_all(queue) == ["b", "a", "c"]
    queue.add_with("a", "b", after=1)
    assert queue.statistics().delayed == 2
    clock.step(1)
    assert handle_all(queue) == ["a", "b"]


def test_a_getter_that_waits_is_given_the_first_in_turn_of_keys_that_are_asked_for_together(queue, clock, background):
    queue.add_after("old", 60)
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add_with("new", "old")
    assert got.result(PATIENCE) == "old"


def test_where_the_limiter_raises_the_keys_before_are_asked_for_and_the_others_are_not(clock):
    class Picky(ItemExponentialFailureRateLimiter):
        def when(self, key):
            if key == "c":
                raise LookupError(key)
            return super().when(key)

    queue = PriorityQueue(clock=clock, rate_limiter=Picky(1, 1000))
    with pytest.raises(LookupError):
        queue.add_with("a", "b", "c", "d", rate_limited=True)
    assert queue.statistics().delayed == 2
    clock.step(1)
    assert handle_all(queue) == ["a", "b"]
