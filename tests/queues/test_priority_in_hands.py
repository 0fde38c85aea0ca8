"""Keys that are asked for while somebody works on them.

Properties asserted by controller-runtime's pkg/controller/priorityqueue/priorityqueue_test.go, and the edges of ours.
What client-go's trio does otherwise has its counterparts here: such a key counts as ready, and keeps the turn that it
was given then.
"""

import pytest

from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))


def hold(queue, key, **options):
    """Ask for a key and take it."""
    queue.add_with(key, **options)
    assert queue.get(timeout=0) == key


# Not in two hands.


def test_a_key_in_hands_is_passed_over_though_it_is_asked_for_again(queue):
    hold(queue, "foo")
    queue.add("foo")
    queue.add("bar")
    assert queue.get(timeout=0) == "bar"
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)
    assert (queue.statistics().depth, queue.statistics().adds) == (1, 3)


@pytest.mark.parametrize("priority", [None, 5, 10**20])
def test_no_priority_brings_a_key_in_hands_into_another(queue, clock, background, priority):
    hold(queue, "foo")
    other = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add_with("foo", priority=priority)
    assert clock.waiters() == 1, "nobody was woken"
    clock.step(10)
    assert not other.done()
    queue.done("foo")
    assert other.result(PATIENCE) == "foo"


def test_a_key_comes_as_soon_as_it_is_done(queue):
    hold(queue, "foo")
    queue.add("foo")
    queue.add("bar")
    assert queue.get(timeout=0) == "bar"
    queue.add("baz")
    queue.done("foo")
    assert queue.get(timeout=0) == "foo", "before what was added after it"
    assert (queue.statistics().depth, queue.statistics().adds) == (1, 4)


def test_many_adds_during_a_run_are_one_more_run(queue):
    hold(queue, "foo")
    for _ in range(3):
        queue.add("foo")
        queue.add_with("foo", priority=1)
        queue.add_after("foo", 5)
    queue.done("foo")
    assert handle_all(queue) == ["foo"]
    assert queue.statistics().adds == 2


# The length: client-go's does not count them.


def test_a_key_asked_for_again_in_hands_is_counted_in_the_length_and_in_the_depth(queue):
    hold(queue, "foo")
    assert (len(queue), queue.statistics().depth, queue.statistics().ready) == (0, 0, 0)
    queue.add("foo")
    assert (len(queue), queue.statistics().depth, queue.statistics().ready) == (1, 1, 0)
    queue.done("foo")
    assert (len(queue), queue.statistics().depth, queue.statistics().ready) == (1, 1, 1)
    assert queue.get(timeout=0) == "foo"
    assert (len(queue), queue.statistics().depth, queue.statistics().ready) == (0, 0, 0)


def test_a_delay_that_ends_during_the_run_makes_the_key_count_before_its_done(queue, clock):
    hold(queue, "foo")
    queue.add_after("foo", 5)
    assert len(queue) == 0
    clock.step(5)
    assert len(queue) == 1
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)
    queue.done("foo")
    assert handle_all(queue) == ["foo"]


# The turn: client-go gives one at the done.


def test_a_key_that_comes_back_keeps_the_turn_in_which_it_was_asked_for(queue):
    hold(queue, "a")
    queue.add("a")
    queue.add("b")
    queue.done("a")
    assert handle_all(queue) == ["a", "b"]


def test_a_key_that_comes_back_is_before_one_that_came_due_later_though_nobody_looked(queue, clock):
    hold(queue, "again")
    queue.add("again")
    queue.add_after("due", 5)
    clock.step(6)
    queue.done("again")
    assert handle_all(queue) == ["again", "due"]


def test_a_key_that_came_due_in_hands_keeps_that_turn(queue, clock):
    hold(queue, "held")
    queue.add_after("held", 5)
    queue.add_after("other", 5.5)
    clock.step(6)
    queue.done("held")
    assert handle_all(queue) == ["held", "other"]


def test_keys_that_come_back_are_in_the_order_of_their_turns_and_not_of_their_dones(queue):
    for key in "abc":
        hold(queue, key)
    queue.add("x")
    for key in "bca":
        queue.add(key)
    queue.add("y")
    for key in "acb":
        queue.done(key)
        queue._check()
    assert handle_all(queue) == ["x", "b", "c", "a", "y"]


def test_a_key_raised_in_hands_goes_to_the_end_of_its_new_priority_as_of_then(queue):
    hold(queue, "foo")
    queue.add("foo")
    queue.add_with("before", priority=1)
    queue.add_with("foo", priority=1)
    queue.add_with("after", priority=1)
    queue.done("foo")
    assert [queue.get_with_priority(timeout=0) for _ in range(3)] == [("before", 1), ("foo", 1), ("after", 1)]


def test_a_key_that_waited_and_was_asked_for_in_hands_keeps_its_turn_from_when_it_began_to_wait(queue):
    hold(queue, "foo")
    queue.add_after("foo", 60)
    queue.add("later")
    queue.add("foo")
    queue.done("foo")
    assert handle_all(queue) == ["foo", "later"]


# The priority of what is put back.


@pytest.mark.parametrize(
    "put_back",
    [
        lambda queue: queue.add_after("foo", 1),
        lambda queue: queue.add_rate_limited("foo"),
        lambda queue: queue.add_with("foo", after=1),
        lambda queue: queue.add_with("foo", rate_limited=True),
    ],
    ids=["add_after", "add_rate_limited", "after", "rate_limited"],
)
@pytest.mark.parametrize("priority", [7, 0, -100])
def test_a_key_put_back_with_a_delay_keeps_the_priority_it_was_handed_out_with(queue, clock, put_back, priority):
    # controller-runtime: 0, unless its controller gives one.
    hold(queue, "foo", priority=priority)
    put_back(queue)
    queue.done("foo")
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", priority)


def test_a_key_put_back_with_a_delay_of_nothing_keeps_its_priority(queue):
    hold(queue, "foo", priority=-7)
    queue.add_after("foo", 0)
    queue.done("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", -7)


def test_a_key_put_back_with_a_priority_has_that_one(queue, clock):
    hold(queue, "foo", priority=7)
    queue.add_with("foo", priority=3, after=1)
    queue.done("foo")
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", 3)


def test_a_plain_add_in_hands_has_priority_0_whatever_the_key_was_handed_out_with(queue):
    hold(queue, "foo", priority=7)
    queue.add("foo")
    queue.done("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", 0)


def test_a_key_asked_for_in_hands_and_then_put_back_has_the_higher_of_both_priorities(queue):
    hold(queue, "foo", priority=7)
    queue.add("foo")
    queue.add_rate_limited("foo")
    queue.done("foo")
    assert queue.get_with_priority(timeout=0) == ("foo", 7)


def test_a_key_put_back_after_its_done_has_priority_0(queue, clock):
    hold(queue, "foo", priority=7)
    queue.done("foo")
    queue.add_after("foo", 1)
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", 0)


def test_a_key_that_was_raised_is_put_back_with_the_raised_priority(queue, clock):
    queue.add_with("foo", priority=-100)
    queue.add("foo")
    assert queue.get(timeout=0) == "foo"
    queue.add_rate_limited("foo")
    queue.done("foo")
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", 0)


# Delays.


def test_a_delay_goes_on_while_the_key_is_in_hands(queue, clock):
    hold(queue, "foo")
    queue.add_after("foo", 5)
    clock.step(4)
    queue.done("foo")
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]


def test_a_delay_does_not_put_off_a_key_that_was_asked_for_in_hands(queue):
    hold(queue, "foo")
    queue.add("foo")
    queue.add_after("foo", 60)
    assert queue.statistics().delayed == 0
    queue.done("foo")
    assert handle_all(queue) == ["foo"]


# Shutdown.


def test_a_key_asked_for_in_hands_comes_after_the_shutdown_also_to_another_worker(queue, clock, background):
    hold(queue, "foo")
    queue.add_with("foo", priority=3)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    with pytest.raises(ShutDown):
        queue.get()
    queue.done("foo")
    assert not drain.done()
    assert queue.get_with_priority() == ("foo", 3)
    queue.add("foo")  # too late
    queue.done("foo")
    assert drain.result(PATIENCE) is True
    with pytest.raises(ShutDown):
        queue.get()


def test_keys_got_before_the_shutdown_and_asked_for_again_are_all_handed_out_in_order(queue):
    for key in "abc":
        hold(queue, key)
    for key in "cab":
        queue.add(key)
    queue.add_with("b", priority=1)
    queue.shut_down()
    queue._check()
    for key in "abc":
        queue.done(key)
        queue._check()
    assert handle_all(queue) == ["b", "c", "a"]
    assert queue.shut_down_with_drain(timeout=0) is True
