"""In which order keys of several priorities come.

Properties asserted by controller-runtime's pkg/controller/priorityqueue/priorityqueue_test.go, and the edges of ours.
Delays are whole or binary fractions of a second, so that instants are exact.
"""

import pytest

from workqueue.queues import PriorityQueue

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock)


# Between priorities.


def test_a_key_is_handed_out_with_priority_0_if_none_was_given(queue):
    queue.add("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", 0)


def test_the_highest_priority_comes_first(queue):
    for priority in (0, -100, 5, -1, 1):
        queue.add_with(priority, priority=priority)
    assert handle_all(queue) == [5, 1, 0, -1, -100]


@pytest.mark.parametrize("after", [None, 0, -1, 1])
def test_five_priorities_of_a_thousand_keys_each_come_one_priority_after_the_other_each_in_order(queue, clock, after):
    priorities = (10, 5, 0, -5, -10)
    for number in range(1_000):
        for priority in priorities:
            queue.add_with((priority, number), priority=priority, after=after)
    clock.step(1)
    assert handle_all(queue) == [(priority, number) for priority in priorities for number in range(1_000)]
    statistics = queue.statistics()
    assert (statistics.depth, statistics.adds) == (0, 5_000)
    assert statistics.retries == (0 if after is None else 5_000), "an explicit delay is one, however short"


def test_a_key_of_high_priority_that_becomes_ready_comes_before_those_of_low_priority_that_were_there(queue, clock):
    queue.add_with("low", priority=-100)
    queue.add_with("high", priority=0, after=1)
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("high", 0)
    assert queue.statistics().priorities == ((-100, 1),)


def test_a_higher_priority_comes_first_also_in_the_middle_of_a_lower_one(queue):
    for number in range(3):
        queue.add(number)
    assert queue.get(timeout=0) == 0
    queue.add_with("urgent", priority=1)
    assert queue.get(timeout=0) == "urgent"
    assert queue.get(timeout=0) == 1
    queue.add_with("bulk", priority=-1)
    queue.add_with("also urgent", priority=1)
    assert handle_all(queue) == ["also urgent", 2, "bulk"]


def test_any_int_is_a_priority(queue):
    priorities = [10**30, 2**60, 2**60 - 1, 2, 1, 0, -1, -(2**59), -(2**60), -(10**30)]
    for priority in sorted(priorities, key=lambda priority: (priority % 7, priority)):
        queue.add_with(f"first of {priority}", f"second of {priority}", priority=priority)
    got = [queue.get_with_priority(timeout=0) for _ in range(2 * len(priorities))]
    assert got == [(f"{which} of {priority}", priority) for priority in priorities for which in ("first", "second")]
    queue._check()


# Inside one priority.


def test_keys_of_one_priority_come_in_the_order_they_were_added(queue):
    keys = [object() for _ in range(20)]  # not comparable: only the order may count
    queue.add_with(*keys, priority=3)
    assert handle_all(queue) == keys


def test_a_key_that_is_asked_for_again_keeps_its_turn(queue):
    queue.add_with("a", "b", priority=1)
    queue.add_with("a", priority=1)
    queue.add("a")
    queue.add_with("a", priority=-1)
    assert handle_all(queue) == ["a", "b"]


def test_a_raised_key_goes_ahead_of_the_lower_ones(queue):
    for key in ("foo", "bar", "baz"):
        queue.add(key)
    queue.add_with("baz", priority=1)
    assert queue.get_with_priority(timeout=0) == ("baz", 1)
    assert len(queue) == 2
    assert handle_all(queue) == ["foo", "bar"]


def test_a_raised_key_goes_behind_those_that_have_its_new_priority(queue):
    queue.add_with("foo", priority=0)
    queue.add_with("bar", priority=1)
    queue.add_with("foo", priority=1)
    assert [queue.get_with_priority(timeout=0) for _ in range(2)] == [("bar", 1), ("foo", 1)]


def test_keys_whose_time_comes_are_in_the_order_of_becoming_ready_and_not_of_adding(queue, clock):
    queue.add_after("delayed first", 2)
    clock.step(1)
    queue.add("added")
    clock.step(1)
    queue.add("added later")
    assert handle_all(queue) == ["added", "delayed first", "added later"]


def test_keys_due_at_one_instant_come_by_priority_and_then_by_the_order_of_adding(queue, clock):
    for key, priority in (("a", 0), ("b", 1), ("c", 0), ("d", 1)):
        queue.add_with(key, priority=priority, after=1)
    clock.step(1)
    assert handle_all(queue) == ["b", "d", "a", "c"]


def test_a_waiting_key_made_ready_by_an_add_keeps_its_turn_from_then(queue):
    queue.add("first")
    queue.add_after("waiting", 60)
    queue.add("later")
    queue.add("waiting")
    assert handle_all(queue) == ["first", "waiting", "later"], "it jumps ahead of what was added since"


def test_a_waiting_key_made_ready_with_a_higher_priority_goes_to_the_end_of_that_one(queue):
    queue.add_after("waiting", 60)
    queue.add_with("other", priority=1)
    queue.add_with("waiting", priority=1)
    assert handle_all(queue) == ["other", "waiting"]


def test_several_waiting_keys_made_ready_keep_the_order_of_their_turns(queue):
    for key in "abc":
        queue.add_after(key, 60)
    queue.add("x")
    for key in "cab":
        queue.add(key)
    queue.add("y")
    assert handle_all(queue) == ["a", "b", "c", "x", "y"]


# Priorities come and go.


def test_a_priority_that_was_used_up_can_be_used_again_whatever_came_in_between(queue):
    for _ in range(3):
        for priority in (1, 0, 2, -1):
            queue.add_with(("a", priority), priority=priority)
            queue._check()
        assert queue.get(timeout=0) == ("a", 2)
        queue.done(("a", 2))
        queue.add_with(("b", 2), priority=2)
        queue._check()
        assert handle_all(queue) == [("b", 2), ("a", 1), ("a", 0), ("a", -1)]
        queue._check()


def test_a_raised_key_can_be_raised_on_and_on(queue):
    queue.add("other")
    for priority in range(1, 50):
        queue.add_with("rising", priority=priority)
        queue._check()
    assert queue.get_with_priority(timeout=0) == ("rising", 49)
    queue.done("rising")
    queue.add("rising")
    assert handle_all(queue) == ["other", "rising"]
    queue._check()


# get_with_priority.


def test_get_with_priority_waits_as_get_does(queue, clock, background):
    got = background(queue.get_with_priority)
    clock.wait_for_waiters(1)
    queue.add_with("a", priority=7)
    assert got.result(PATIENCE) == ("a", 7)
    late = background(queue.get_with_priority, timeout=5)
    clock.wait_for_waiters(1)
    clock.step(5)
    assert isinstance(late.exception(PATIENCE), TimeoutError)
    with pytest.raises(ValueError, match="the timeout is not a number"):
        queue.get_with_priority(timeout=float("nan"))


def test_both_gets_take_from_one_order(queue):
    for priority in (1, 2, 3, 4):
        queue.add_with(priority, priority=priority)
    assert [queue.get(timeout=0), queue.get_with_priority(), queue.get(), queue.get_with_priority()] == [
        4,
        (3, 3),
        2,
        (1, 1),
    ]
    assert queue.statistics().processing == 4
