"""Debounce: a burst of plain adds is one run after a quiet period, and a burst without end a run now and then."""

import logging
import math

import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.queues import Debounce, ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown

from .conftest import PATIENCE, handle_all

QUIET, MAX_WAIT = 2, 5


@pytest.fixture
def queue(clock):
    limiter = ItemExponentialFailureRateLimiter(1, 1000)
    return PriorityQueue(clock=clock, rate_limiter=limiter, debounce=Debounce(QUIET, MAX_WAIT))


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


def comes_after(queue, clock):
    """How many seconds until a key is ready, to the eighth; it is handled."""
    waited = 0.0
    while not handle_all(queue):
        clock.step(0.125)
        waited += 0.125
        assert waited < 1_000
    return waited


# The quiet period.


def test_a_key_comes_after_the_quiet_period_and_not_before(queue, clock):
    queue.add("foo")
    assert (len(queue), queue.statistics().delayed) == (0, 1)
    clock.step(QUIET - 0.125)
    assert handle_all(queue) == []
    clock.step(0.125)
    assert handle_all(queue) == ["foo"]


def test_each_add_begins_the_quiet_period_anew_and_the_burst_is_one_run(queue, clock):
    for _ in range(3):
        queue.add("foo")
        clock.step(QUIET - 1)
        assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]
    assert (queue.statistics().adds, queue.statistics().retries) == (1, 0)
    clock.step(100)
    assert handle_all(queue) == []


def test_an_add_with_a_priority_is_gathered_too_and_the_highest_one_counts(queue, clock):
    for priority in (-5, 3, 1):
        queue.add_with("foo", priority=priority)
        clock.step(1)
        assert handle_all(queue) == []
    clock.step(1)
    assert queue.get_with_priority(timeout=0) == ("foo", 3)


def test_keys_have_bursts_of_their_own(queue, clock):
    queue.add("foo")
    clock.step(1)
    queue.add("bar")
    clock.step(1)
    assert handle_all(queue) == ["foo"]
    clock.step(1)
    assert handle_all(queue) == ["bar"]


def test_a_sleeping_worker_wakes_at_the_end_of_the_burst(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add("foo")
    clock.wait_for_timed_waiters(1)
    clock.step(1)
    queue.add("foo")
    clock.step(1)  # the worker wakes for the first add, in vain
    clock.wait_for_timed_waiters(1)
    assert not got.done()
    clock.step(1)
    assert got.result(PATIENCE) == "foo"


# The longest wait.


def test_a_burst_without_end_is_a_run_after_each_longest_wait(queue, clock):
    runs = []
    for tick in range(4 * 16):
        queue.add("foo")
        clock.step(0.25)
        if handle_all(queue):
            runs.append((tick + 1) * 0.25)
    assert runs == [5, 10, 15], "the next burst begins with the next add"


def test_a_burst_begins_anew_after_the_key_was_handled(queue, clock):
    queue.add("foo")
    clock.step(QUIET)
    assert handle_all(queue) == ["foo"]
    queue.add("foo")
    clock.step(1)
    queue.add("foo")
    assert comes_after(queue, clock) == QUIET


def test_a_quiet_period_as_long_as_the_longest_wait_is_a_wait_from_the_first_add(clock):
    queue = PriorityQueue(clock=clock, debounce=Debounce(3, 3))
    queue.add("foo")
    clock.step(2)
    queue.add("foo")
    clock.step(1)
    assert handle_all(queue) == ["foo"]


# Who says when knows when.


@pytest.mark.parametrize("delay", [0, -1, -math.inf])
def test_an_explicit_now_is_not_gathered(queue, delay):
    queue.add_after("foo", delay)
    assert handle_all(queue) == ["foo"]


def test_an_explicit_now_ends_a_burst(queue, clock):
    queue.add("foo")
    queue.add_with("foo", after=0)
    assert handle_all(queue) == ["foo"]
    clock.step(10)
    assert handle_all(queue) == []


def test_an_explicit_delay_is_as_long_as_was_asked_for(queue, clock):
    queue.add_after("foo", 60)
    assert comes_after(queue, clock) == 60


def test_an_explicit_delay_beats_the_quiet_period_and_is_not_put_off_by_further_adds(queue, clock):
    queue.add("foo")
    queue.add_after("foo", 1)
    clock.step(0.5)
    queue.add("foo")
    clock.step(0.5)
    assert handle_all(queue) == ["foo"]


def test_a_quiet_period_beats_a_longer_delay_which_stays_the_latest_instant(queue, clock):
    queue.add_after("foo", 4)
    queue.add("foo")
    for _ in range(7):
        clock.step(0.5)
        queue.add("foo")
        assert handle_all(queue) == []
    clock.step(0.5)
    assert handle_all(queue) == ["foo"]


def test_a_delay_shorter_than_the_quiet_period_is_not_put_off_by_an_add(queue, clock):
    queue.add_after("foo", 1)
    queue.add("foo")
    assert comes_after(queue, clock) == 1


def test_a_longer_delay_does_not_put_a_burst_off(queue, clock):
    queue.add("foo")
    queue.add_after("foo", 60)
    assert comes_after(queue, clock) == QUIET


def test_a_failure_is_not_gathered_and_an_add_cuts_its_wait_to_the_quiet_period(queue, clock):
    for _ in range(4):
        queue.add_rate_limited("foo")
        clock.step(8)
        handle_all(queue)
    queue.add_rate_limited("foo")  # 16 s
    clock.step(1)
    queue.add("foo")
    assert comes_after(queue, clock) == QUIET


def test_a_wait_of_a_failure_ends_no_later_however_many_adds_come(queue, clock):
    for _ in range(2):
        queue.add_rate_limited("foo")
        clock.step(4)
        handle_all(queue)
    queue.add_rate_limited("foo")  # 4 s
    for _ in range(8):
        queue.add("foo")
        assert handle_all(queue) == []
        clock.step(0.5)
    assert handle_all(queue) == ["foo"]


# In hands.


def test_a_burst_during_a_run_is_one_more_run_after_its_quiet_period(queue, clock):
    queue.add_after("foo", 0)
    assert queue.get(timeout=0) == "foo"
    queue.add("foo")
    clock.step(1)
    queue.add("foo")
    queue.done("foo")
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == []
    clock.step(1)
    assert handle_all(queue) == ["foo"]


def test_a_burst_that_ends_during_a_run_is_ready_at_its_done(queue, clock):
    queue.add_after("foo", 0)
    assert queue.get(timeout=0) == "foo"
    queue.add("foo")
    clock.step(QUIET)
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)
    queue.add("foo")  # it is asked for already
    assert queue.statistics().delayed == 0
    queue.done("foo")
    assert handle_all(queue) == ["foo"]
    clock.step(100)
    assert handle_all(queue) == []


def test_an_add_of_a_ready_key_is_merged_at_once(queue, clock):
    queue.add("foo")
    clock.step(QUIET)
    assert len(queue) == 1
    queue.add_with("foo", priority=3)
    assert queue.statistics().delayed == 0
    assert queue.get_with_priority(timeout=0) == ("foo", 3)


# Measures.


def test_a_burst_counts_once_it_is_ready_and_each_of_its_adds_as_asked_for(clock, provider):
    queue = PriorityQueue(name="pods", clock=clock, metrics=provider, debounce=Debounce(QUIET, MAX_WAIT))
    for _ in range(3):
        queue.add("foo")
    statistics = queue.statistics()
    assert (statistics.add_requests, statistics.adds, statistics.depth, statistics.delayed) == (3, 0, 0, 1)
    clock.step(QUIET + 1)
    queue.get(timeout=0)
    statistics = queue.statistics()
    assert (statistics.add_requests, statistics.adds, statistics.retries) == (3, 1, 0)
    assert (statistics.queue_duration.count, statistics.queue_duration.sum) == (1, 1)
    queue._check()


# Taking back, and the end.


def test_a_burst_is_taken_back_and_the_next_one_begins_anew(queue, clock):
    queue.add("foo")
    clock.step(MAX_WAIT - QUIET - 1)
    queue.add("foo")
    assert queue.cancel("foo") is True
    queue.add("foo")
    for _ in range(3):
        clock.step(1)
        queue.add("foo")
        assert handle_all(queue) == []
    assert comes_after(queue, clock) == QUIET


def test_a_burst_that_has_ended_at_the_shutdown_is_handed_out(queue, clock):
    queue.add("foo")
    clock.step(QUIET)
    queue.shut_down()
    assert queue.get() == "foo"
    with pytest.raises(ShutDown):
        queue.get()


def test_a_burst_that_goes_on_at_the_shutdown_is_dropped_counted_and_reported(queue, clock, caplog):
    queue.add("default/foo")
    with caplog.at_level(logging.INFO, logger="workqueue.queues"):
        assert queue.shut_down_with_drain() is True
    assert "1 delayed keys dropped: default/foo" in caplog.text
    assert queue.statistics().dropped == 1


# Wrong numbers.


@pytest.mark.parametrize(
    ("quiet", "max_wait"),
    [(0, 5), (-1, 5), (6, 5), (1, math.inf), (math.nan, 5), (1, math.nan), ("1", 5), (1, None), (True, 5), (1, True)],
)
def test_numbers_that_mean_nothing_are_refused(quiet, max_wait):
    with pytest.raises(ConfigurationError, match=r"^Debounce\(.*\): expected seconds, 0 < quiet <= max_wait$"):
        Debounce(quiet, max_wait)


@pytest.mark.parametrize("debounce", [(1, 5), 1.5, True, {"quiet": 1}], ids=repr)
def test_what_is_no_debounce_is_refused_by_name(debounce):
    with pytest.raises(ConfigurationError, match=r"^debounce=.*: expected Debounce\(quiet, max_wait\), or None$"):
        PriorityQueue(debounce=debounce)
