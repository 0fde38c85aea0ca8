"""Ageing: a priority decides who goes first, and never who goes at all."""

import math

import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown
from workqueue.testing import FakeClock

from .conftest import PATIENCE, handle_all

LIMIT = 60


@pytest.fixture
def queue(clock):
    limiter = ItemExponentialFailureRateLimiter(1, 1000)
    return PriorityQueue(clock=clock, rate_limiter=limiter, max_starvation=LIMIT)


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


def test_a_key_that_was_ready_for_the_limit_is_the_next_one(queue, clock):
    queue.add_with("low", priority=-100)
    clock.step(LIMIT)
    queue.add_with("high", priority=100)
    assert queue.get_with_priority(timeout=0) == ("low", -100)
    assert queue.get_with_priority(timeout=0) == ("high", 100)


def test_a_moment_before_the_limit_nothing_changes(queue, clock):
    queue.add_with("low", priority=-100)
    clock.step(LIMIT - 0.125)
    queue.add_with("high", priority=100)
    assert handle_all(queue) == ["high", "low"]


def test_the_oldest_of_several_starving_keys_goes_first_whatever_their_priorities(queue, clock):
    for key, priority in (("first", -100), ("second", 5), ("third", -5)):
        queue.add_with(key, priority=priority)
        clock.step(1)
    clock.step(LIMIT)
    queue.add_with("urgent", "also urgent", "urgent too", priority=1000)
    assert handle_all(queue) == ["first", "urgent", "second", "also urgent", "third", "urgent too"]


def test_starving_keys_of_one_instant_go_in_the_order_of_adding(queue, clock):
    keys, urgent = [object() for _ in range(10)], [object() for _ in range(10)]
    for number, key in enumerate(keys):
        queue.add_with(key, priority=-(number % 3))
    clock.step(LIMIT)
    queue.add_with(*urgent, priority=1)
    got = handle_all(queue)
    assert (got[::2], got[1::2]) == (keys, urgent)


def test_an_urgent_key_waits_for_one_of_a_starving_backlog_at_most(queue, clock):
    backlog = range(10_000)
    queue.add_with(*backlog, priority=-100)
    clock.step(LIMIT)
    for number in range(3_000):
        queue.add_with(("urgent", number), priority=0)
        assert ("urgent", number) in (queue.get(timeout=0), queue.get(timeout=0))
    assert handle_all(queue) == list(backlog)[3_000:]


def test_the_turn_of_a_starving_key_is_not_lost_while_none_starves(queue, clock):
    queue.add_with("a", priority=-100)
    clock.step(LIMIT)
    assert queue.get(timeout=0) == "a"  # it starved, so that the next one goes by priority
    queue.add_with("b", priority=-100)
    assert queue.get(timeout=0) == "b"
    queue.add_with("c", priority=-100)
    clock.step(LIMIT)
    queue.add("urgent")
    assert queue.get(timeout=0) == "c"


def test_a_raised_priority_does_not_make_a_key_younger(queue, clock):
    queue.add_with("low", priority=-100)
    clock.step(LIMIT - 1)
    queue.add_with("low", priority=-50)
    clock.step(1)
    queue.add("urgent")
    assert handle_all(queue) == ["low", "urgent"]


def test_a_key_asked_for_again_does_not_become_younger(queue, clock):
    queue.add_with("low", priority=-100)
    for _ in range(LIMIT):
        clock.step(1)
        queue.add_with("low", priority=-100)
    queue.add("urgent")
    assert handle_all(queue) == ["low", "urgent"]


def test_the_age_of_a_key_begins_anew_once_it_was_handed_out(queue, clock):
    queue.add_with("low", priority=-100)
    clock.step(LIMIT - 1)
    assert handle_all(queue) == ["low"]
    queue.add_with("low", priority=-100)
    clock.step(1)
    queue.add("urgent")
    assert handle_all(queue) == ["urgent", "low"]


def test_a_waiting_key_ages_from_when_it_is_due(queue, clock):
    queue.add_with("low", priority=-100, after=10)
    clock.step(LIMIT)
    queue.add("urgent")
    assert handle_all(queue) == ["urgent", "low"], "it was ready for 50 s only"


def test_a_key_that_came_due_ages_from_then_though_nobody_looked(queue, clock):
    queue.add_with("low", priority=-100, after=10)
    clock.step(10 + LIMIT)  # one long run, say: nobody asked the queue for anything
    queue.add("urgent")
    assert handle_all(queue) == ["low", "urgent"]


def test_keys_that_came_due_while_nobody_looked_go_oldest_first(queue, clock):
    queue.add_with("second", priority=-1, after=2)
    queue.add_with("first", priority=-2, after=1)
    queue.add_with("third", priority=-3, after=3)
    clock.step(3 + LIMIT)
    queue.add_with("urgent", "also urgent", "urgent too", priority=5)
    assert handle_all(queue)[::2] == ["first", "second", "third"]


def test_ages_are_in_order_also_where_time_goes_on_while_the_queue_works():
    class TickingClock(FakeClock):
        """Later each time that somebody looks, as the machine's is."""

        def now(self):
            self._now += 2**-10
            return self._now

    queue = PriorityQueue(clock=TickingClock(), max_starvation=0.05)
    for number in range(500):
        queue.add_after(number, number % 7 * 2**-9 + 2**-11)
        queue.add(-number)
        queue._check()
        if number % 3:
            queue.done(queue.get(timeout=0))
            queue._check()


def test_a_key_asked_for_in_hands_ages_from_its_done(queue, clock):
    # Before that nobody could have been given it.
    queue.add_with("low", priority=-100)
    assert queue.get(timeout=0) == "low"
    queue.add_with("low", priority=-100)
    clock.step(2 * LIMIT)
    queue.done("low")
    queue.add("urgent")
    assert queue.get(timeout=0) == "urgent"
    clock.step(LIMIT)
    queue.add_with("more urgent", priority=1)
    assert queue.get(timeout=0) == "low"


def test_ages_hold_for_each_way_to_get(queue, clock):
    for key in ("a", "b", "c"):
        queue.add_with(key, priority=-100)
    clock.step(LIMIT)
    queue.add_with("urgent", "also urgent", priority=3)
    assert [queue.get(), queue.get()] == ["a", "urgent"]
    assert [queue.get_with_priority(), queue.get_with_priority()] == [("b", -100), ("also urgent", 3)]
    with queue.item(timeout=0) as key:
        assert key == "c"


@pytest.mark.parametrize("key", [None, 0, "", ()], ids=repr)
def test_falsy_keys_starve_no_longer_than_others(queue, clock, key):
    queue.add_with(key, priority=-100)
    clock.step(LIMIT)
    queue.add("urgent")
    assert handle_all(queue) == [key, "urgent"]


def test_under_a_load_that_never_ends_every_second_key_is_one_of_those_that_starve(queue, clock):
    for number in range(10):
        queue.add_with(("low", number), priority=-100)
    waited = {}
    for second in range(2 * LIMIT):
        queue.add(("load", second, 0))
        queue.add(("load", second, 1))  # twice as much as can be done
        key = queue.get(timeout=0)
        if key[0] == "low":
            waited[key] = second
        clock.step(1)
        queue.done(key)
    assert waited == {("low", number): LIMIT + 2 * number for number in range(10)}


def test_without_a_limit_a_key_may_starve(clock):
    queue = PriorityQueue(clock=clock)
    queue.add_with("low", priority=-100)
    clock.step(1e9)
    queue.add("urgent")
    assert handle_all(queue) == ["urgent", "low"]


def test_a_limit_without_end_is_no_limit(clock):
    queue = PriorityQueue(clock=clock, max_starvation=math.inf)
    queue.add_with("low", priority=-100)
    clock.step(1e9)
    queue.add("urgent")
    assert handle_all(queue) == ["urgent", "low"]


# Taking back, and the end.


def test_a_starving_key_is_taken_back_and_the_next_oldest_goes(queue, clock):
    for key in ("a", "b"):
        queue.add_with(key, priority=-100)
    clock.step(LIMIT)
    queue.add("urgent")
    assert queue.cancel("a")
    assert handle_all(queue) == ["b", "urgent"]


def test_a_key_taken_back_and_asked_for_again_begins_a_new_age(queue, clock):
    queue.add_with("low", priority=-100)
    clock.step(LIMIT)
    queue.cancel("low")
    queue.add_with("low", priority=-100)
    queue.add("urgent")
    assert handle_all(queue) == ["urgent", "low"]


def test_a_starving_key_goes_first_after_a_shutdown_too(queue, clock):
    queue.add_with("low", priority=-100)
    queue.add("a")
    clock.step(LIMIT)
    queue.add("urgent")
    queue.shut_down()
    assert [queue.get(), queue.get(), queue.get()] == ["low", "a", "urgent"]
    with pytest.raises(ShutDown):
        queue.get()


def test_a_worker_that_sleeps_needs_no_timer_for_ages(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    assert clock.timed_waiters() == 0
    queue.add_with("low", priority=-100)
    assert got.result(PATIENCE) == "low"


def test_with_fairness_a_starving_key_goes_before_its_tenants_turn(clock):
    queue = PriorityQueue(clock=clock, max_starvation=LIMIT, fairness=lambda key: key[0])
    queue.add("a1")
    queue.add("a2")
    clock.step(1)
    queue.add_with("b1", "b2", "a3", priority=1)
    clock.step(LIMIT - 1)
    assert handle_all(queue) == ["a1", "b1", "a2", "a3", "b2"]
    queue._check()


# Wrong limits.


@pytest.mark.parametrize("limit", [0, -1, math.nan, "60", True, False, [60], 1j], ids=repr)
def test_a_limit_that_means_nothing_is_refused_by_name(limit):
    with pytest.raises(ConfigurationError, match=r"^max_starvation=.*: expected seconds, more than 0, or None$"):
        PriorityQueue(max_starvation=limit)
