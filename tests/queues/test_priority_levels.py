"""However often keys are raised, put off, taken back and asked for again: what counts no more does not pile up.

So what a step costs depends neither on what happened before nor, but for a heap's logarithm, on the number of keys.
"""

import os

import pytest

from workqueue.queues import Debounce, PriorityQueue

from .conftest import handle_all
from .footprint import extra

#: Of each thing that can pile up a queue lets so many entries be, and there are a few such things.
LITTLE = 300
MANY = 100_000
#: So often one thing is done again and again; the environment variable WORKQUEUE_TEST_KEYS has it done more often.
OFTEN = int(os.environ.get("WORKQUEUE_TEST_KEYS", "20000"))


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock)


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


def is_empty(queue):
    """True if a queue without keys keeps no more than a new one does, give or take a little."""
    queue._check()
    return extra(queue, than=PriorityQueue()) < LITTLE


def test_ever_higher_priorities_leave_no_levels_behind(queue):
    queue.add("other")
    for priority in range(1, OFTEN):
        queue.add_with(priority, priority=priority)
        assert queue.get(timeout=0) == priority
        queue.done(priority)
    assert handle_all(queue) == ["other"]
    assert is_empty(queue)
    assert len(queue._levels._levels) <= 1


def test_ever_lower_priorities_leave_no_levels_behind(queue):
    for priority in range(OFTEN, 0, -1):
        queue.add_with(priority, priority=priority)
        assert queue.get(timeout=0) == priority
        queue.done(priority)
    assert is_empty(queue)
    assert len(queue._levels._levels) <= 1


def test_priorities_that_come_and_go_below_another_leave_nothing_behind(queue):
    queue.add_with("high", priority=1)
    for number in range(OFTEN):
        queue.add_with("low", priority=-number)
        assert queue.cancel("low")
    assert is_empty(queue)
    assert handle_all(queue) == ["high"]


def test_as_many_priorities_as_keys_leave_no_levels_behind(queue):
    for priority in range(10_000):
        queue.add_with(priority, priority=priority * 7_919 % 10_000)
    assert extra(queue, than=PriorityQueue()) < 10_000 * 30
    assert [priority * 7_919 % 10_000 for priority in handle_all(queue)] == list(range(9_999, -1, -1))
    assert is_empty(queue)


def test_one_key_raised_on_and_on_leaves_nothing_behind(queue):
    queue.add_with("other", priority=-1)
    for priority in range(OFTEN):
        queue.add_with("rising", priority=priority)
    assert is_empty(queue)
    assert handle_all(queue) == ["rising", "other"]


def test_a_key_taken_back_and_asked_for_again_and_again_leaves_nothing_behind(queue):
    queue.add("other")
    for _ in range(OFTEN):
        queue.add("foo")
        assert queue.cancel("foo")
    assert is_empty(queue)
    queue.add("foo")
    assert handle_all(queue) == ["other", "foo"]


def test_a_hundred_thousand_keys_raised_leave_nothing_behind_where_they_were(queue):
    for key in range(MANY):
        queue.add(key)
    for key in range(MANY):
        queue.add_with(key, priority=1)
    assert extra(queue, than=PriorityQueue()) < 2 * MANY + LITTLE, "a rank and a place for each"
    assert handle_all(queue) == list(range(MANY))
    assert is_empty(queue)


@pytest.mark.parametrize("part", [2, 3, 10])
def test_keys_raised_from_the_end_are_not_kept_once_those_before_them_were_handled(queue, part):
    kept = 20_000 - 20_000 // part
    for key in range(20_000):
        queue.add(key)
    for key in range(kept, 20_000):
        queue.add_with(key, priority=1)
    assert handle_all(queue) == [*range(kept, 20_000), *range(kept)]
    assert is_empty(queue)


def test_a_hundred_thousand_keys_taken_back_leave_nothing_behind(queue):
    for key in range(MANY):
        queue.add_with(key, priority=key % 3)
    for key in range(MANY):
        assert queue.cancel(key)
    assert len(queue) == 0
    assert is_empty(queue)


def test_a_key_asked_for_in_hands_again_and_again_leaves_nothing_behind(queue):
    queue.add("foo")
    for _ in range(OFTEN):
        queue.get(timeout=0)
        queue.add("foo")
        queue.done("foo")
    assert handle_all(queue) == ["foo"]
    assert is_empty(queue)


@pytest.mark.parametrize("part", [2, 3, 10])
def test_keys_that_came_back_and_were_taken_back_leave_nothing_behind(queue, part):
    keys = range(20_000)
    queue.add_with(*keys)
    for key in keys:
        queue.get(timeout=0)
        queue.add(key)
    for key in keys:
        queue.done(key)
    taken = set(keys[len(keys) - len(keys) // part :])
    for key in taken:
        assert queue.cancel(key)
    assert handle_all(queue) == [key for key in keys if key not in taken]
    assert is_empty(queue)


def test_times_that_were_replaced_leave_nothing_behind(queue, clock):
    for number in range(OFTEN):
        queue.add_after("foo", OFTEN + 5 - number)
    assert is_empty(queue)
    clock.step(6)
    assert handle_all(queue) == ["foo"]


def test_waiting_keys_taken_back_and_put_off_again_leave_nothing_behind(queue, clock):
    queue.add_after("other", 1)
    for number in range(OFTEN):
        queue.add_after(number % 10, 5)
        assert queue.cancel(number % 10)
    assert is_empty(queue)
    clock.step(5)
    assert handle_all(queue) == ["other"]


def test_a_hundred_thousand_waiting_keys_made_ready_leave_nothing_behind(queue, clock):
    for key in range(MANY):
        queue.add_after(key, 1_000 + key % 100)
    for key in range(0, MANY, 2):
        queue.add(key)
    assert queue.statistics().delayed == MANY // 2
    clock.step(2_000)
    assert sorted(handle_all(queue)) == list(range(MANY))
    assert is_empty(queue)


def test_tenants_that_are_gone_leave_nothing_behind(clock):
    queue = PriorityQueue(clock=clock, fairness=lambda key: key // 2)
    for key in range(20_000):
        queue.add_with(key, priority=key % 2)
    for key in range(0, 20_000, 4):
        queue.cancel(key)
    for key in range(2, 20_000, 4):
        queue.add_with(key, priority=2)
    assert len(handle_all(queue)) == 15_000
    assert is_empty(queue)


def test_ages_and_bursts_and_backoffs_that_are_over_leave_nothing_behind(clock):
    queue = PriorityQueue(clock=clock, max_starvation=1, debounce=Debounce(1, 2), backoff="steady")
    for key in range(10_000):
        queue.add(key)
    for key in range(0, 10_000, 3):
        queue.cancel(key)
    clock.step(1)
    for key in handle_all(queue):
        queue.add_rate_limited(key)
    clock.step(1)
    for key in handle_all(queue):
        queue.forget(key)
    assert is_empty(queue)
