"""What a priority queue tells of itself: what waits is neither in its length nor in its depth until it is ready.

Properties asserted by controller-runtime's pkg/controller/priorityqueue/priorityqueue_test.go, and the edges of ours.
"""

import pytest

from workqueue.queues import PriorityQueue

from .conftest import handle_all


@pytest.fixture
def queue(clock, provider):
    return PriorityQueue(name="pods", clock=clock, metrics=provider)


def durations(histogram):
    """How often, and how long in all."""
    return histogram.count, histogram.sum


# Depth by priority.


def test_the_depth_is_told_by_priority_the_highest_first(queue):
    for key, priority in (("a", 0), ("b", -100), ("c", 5), ("d", -100)):
        queue.add_with(key, priority=priority)
    assert queue.statistics().priorities == ((5, 1), (0, 1), (-100, 2))
    queue.get(timeout=0)
    assert queue.statistics().priorities == ((0, 1), (-100, 2)), "a priority without keys is not told"


def test_a_raised_key_moves_to_its_new_priority(queue):
    queue.add("foo")
    queue.add("bar")
    queue.add_with("foo", priority=1)
    assert queue.statistics().priorities == ((1, 1), (0, 1))
    assert queue.statistics().adds == 2


def test_a_key_asked_for_in_hands_counts_under_the_priority_it_was_asked_for_with(queue):
    queue.add_with("foo", priority=5)
    queue.get(timeout=0)
    assert queue.statistics().priorities == ()
    queue.add_with("foo", priority=1)
    assert queue.statistics().priorities == ((1, 1),)
    queue.add_with("foo", priority=2)
    assert queue.statistics().priorities == ((2, 1),)
    queue.done("foo")
    assert queue.statistics().priorities == ((2, 1),)


def test_ready_keys_and_keys_in_hands_of_one_priority_count_together(queue):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    queue.add("bar")
    statistics = queue.statistics()
    assert statistics.priorities == ((0, 2),)
    assert (statistics.depth, statistics.ready, statistics.processing) == (2, 1, 1)


def test_the_depth_is_the_sum_over_the_priorities(queue, clock):
    for number in range(100):
        queue.add_with(number % 30, priority=number % 7, after=[None, 0, 1][number % 3])
        if number % 5 == 0:
            queue.get(timeout=0)
        statistics = queue.statistics()
        assert sum(count for _, count in statistics.priorities) == statistics.depth == len(queue)
        assert all(count > 0 for _, count in statistics.priorities)
        clock.step(0.125)


# When a key counts.


def test_waiting_keys_are_not_counted(queue):
    queue.add_after("foo", 60)
    queue.add("baz")
    queue.add_after("bar", 60)
    queue.add("bal")
    statistics = queue.statistics()
    assert (len(queue), statistics.depth, statistics.priorities, statistics.adds) == (2, 2, ((0, 2),), 2)
    assert (statistics.delayed, statistics.retries) == (2, 2)


def test_waiting_keys_are_counted_once_they_are_ready_again_and_again(queue, clock):
    for rounds in (1, 2):
        queue.add_after("foo", 0.5)
        queue.add("baz")
        queue.add_after("bar", 0.5)
        queue.add("bal")
        assert (len(queue), queue.statistics().depth) == (2, 2)
        clock.step(1)
        assert (len(queue), queue.statistics().depth, queue.statistics().priorities) == (4, 4, ((0, 4),))
        assert handle_all(queue) == ["baz", "bal", "foo", "bar"]
        assert (len(queue), queue.statistics().depth, queue.statistics().adds) == (0, 0, 4 * rounds)


def test_a_waiting_key_that_is_added_is_counted_once(queue):
    queue.add_after("foo", 3600)
    assert (len(queue), queue.statistics().adds) == (0, 0)
    queue.add("foo")
    assert (len(queue), queue.statistics().adds, queue.statistics().delayed) == (1, 1, 0)
    assert queue.get(timeout=0) == "foo"
    assert (len(queue), queue.statistics().depth, queue.statistics().adds) == (0, 0, 1)


def test_a_waiting_key_that_is_added_with_a_higher_priority_is_counted_once_and_under_that(queue):
    queue.add_with("foo", priority=0, after=3600)
    queue.add_with("foo", priority=1)
    assert (len(queue), queue.statistics().priorities) == (1, ((1, 1),))
    assert queue.get_with_priority(timeout=0) == ("foo", 1)
    assert (queue.statistics().priorities, queue.statistics().adds) == ((), 1)


def test_a_key_that_came_due_and_is_added_again_is_counted_once(queue, clock):
    queue.add_after("foo", 0.5)
    clock.step(0.5)
    assert (len(queue), queue.statistics().adds) == (1, 1)
    queue.add("foo")
    assert (len(queue), queue.statistics().adds) == (1, 1)
    assert handle_all(queue) == ["foo"]
    assert (len(queue), queue.statistics().depth) == (0, 0)


def test_what_was_asked_for_and_what_of_it_was_merged_are_told_apart(queue, clock):
    queue.add_with("a", "b", "a")
    queue.add("a")
    queue.add_with("a", priority=1)
    queue.add_after("c", 1)
    queue.add_after("c", 2)
    clock.step(1)
    statistics = queue.statistics()
    assert (statistics.add_requests, statistics.adds, statistics.retries) == (7, 3, 2)
    queue.forget("a")
    queue.forget("nobody")
    assert queue.statistics().forgets == 2


# Times.


def test_a_key_is_measured_from_when_it_became_ready(queue, clock):
    queue.add_after("foo", 5)
    clock.step(5)
    clock.step(3)
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (1, 3)


def test_a_waiting_key_that_is_added_is_measured_from_that_add(queue, clock):
    queue.add_after("foo", 60)
    clock.step(5)
    queue.add("foo")
    clock.step(2)
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (1, 2)


def test_a_raised_key_is_measured_from_its_first_add(queue, clock):
    queue.add("foo")
    clock.step(2)
    queue.add_with("foo", priority=1)
    clock.step(3)
    assert queue.statistics().oldest_pending == 5
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (1, 5)


def test_the_oldest_pending_key_may_be_one_in_hands(queue, clock):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    clock.step(2)
    queue.add("bar")
    clock.step(1)
    assert queue.statistics().oldest_pending == 3
    queue.done("foo")
    assert queue.statistics().oldest_pending == 3
    assert queue.get(timeout=0) == "foo"
    assert queue.statistics().oldest_pending == 1


def test_a_key_got_with_its_priority_is_measured_as_any(queue, clock):
    queue.add("foo")
    clock.step(1)
    queue.get_with_priority(timeout=0)
    clock.step(2)
    queue.done("foo")
    statistics = queue.statistics()
    assert (durations(statistics.queue_duration), durations(statistics.work_duration)) == ((1, 1), (1, 2))


# What waits.


def test_the_keys_that_wait_are_told_with_their_times_the_earliest_first(queue, clock):
    queue.add_after("late", 5)
    queue.add_after("early", 2)
    queue.add_with("second", priority=3, after=2)
    queue.add("now")
    assert queue.waiting() == {"early": 2, "second": 2, "late": 5}
    assert list(queue.waiting())[-1] == "late"
    clock.step(2)
    assert queue.waiting() == {"late": 3}
    queue.cancel("late")
    assert queue.waiting() == {}
    assert sorted(handle_all(queue)) == ["early", "now", "second"]
