"""Keys that come after a while.

Properties asserted by client-go's util/workqueue/delaying_queue_test.go, and the edges of ours.
Delays are whole or binary fractions of a second, so that instants are exact.
"""

import gc
import logging
import math
import weakref
from queue import SimpleQueue

import pytest

from workqueue.queues import ShutDown

from .conftest import PATIENCE, WatchedClock


def take_all(queue):
    """Get everything that is ready, and mark it done."""
    keys = []
    while len(queue):
        keys.append(queue.get(timeout=0))
        queue.done(keys[-1])
    return keys


@pytest.fixture
def queue(delaying_class, clock):
    return delaying_class(clock=clock)


@pytest.fixture
def trio_queue(delaying_trio_class, clock):
    return delaying_trio_class(clock=clock)


# When.


@pytest.mark.parametrize("far", [1, 1000, 1e9])
def test_keys_due_within_a_moment_come_in_the_order_of_their_times(queue, clock, far):
    moments = [number * 37 % 64 for number in range(64)]
    queue.add_after("before", 0.5)
    for first in moments[:32]:
        queue.add_after(first, far + first / 1024)
    clock.step(0.5)
    assert take_all(queue) == ["before"]
    for later in moments[32:]:
        queue.add_after(later, far - 0.5 + later / 1024)
        queue._check()
    clock.step(far - 0.5)
    assert take_all(queue) == [0]
    for moment in range(1, 64):
        queue.add_after("between", 1 / 2048)
        clock.step(1 / 1024)
        assert take_all(queue) == ["between", moment]


@pytest.mark.parametrize("delay", [0, -1, 0.0, -math.inf])
def test_no_delay_is_now_and_counts_as_a_retry(queue, delay):
    queue.add_after("foo", delay)
    assert len(queue) == 1
    assert queue.statistics().retries == 1
    assert queue.statistics().delayed == 0


def test_a_delay_that_is_no_number_is_an_error_and_changes_nothing(queue):
    before = queue.statistics()
    with pytest.raises(ValueError, match="not a number"):
        queue.add_after("foo", math.nan)
    assert queue.statistics() == before


def test_an_infinite_delay_never_ends(queue, clock):
    queue.add_after("foo", math.inf)
    clock.step(1e12)
    assert len(queue) == 0
    assert queue.statistics().delayed == 1


def test_a_worker_can_sleep_through_a_delay_longer_than_the_machine_can_time(delaying_class, background):
    queue = delaying_class()
    queue.add_after("in 292 years", 9223372036.854775807)
    got = background(queue.get)
    queue.add("now")
    assert got.result(PATIENCE) == "now"


def test_every_accepted_delay_counts_as_a_retry(queue, clock):
    queue.add_after("foo", 1)
    queue.add_after("foo", 2)
    queue.add_after("bar", 1)
    assert queue.statistics().retries == 3
    assert queue.statistics().adds == 0
    clock.step(2)
    assert queue.statistics().adds == 2


def test_a_delay_that_was_replaced_does_not_end_a_later_one(queue, clock):
    queue.add_after("foo", 5)
    queue.add_after("foo", 3)
    queue.add_after("other", 4)
    clock.step(3)
    assert take_all(queue) == ["foo"]
    queue.add_after("foo", 10)
    clock.step(9)
    assert take_all(queue) == ["other"], "the first delay is still at work"
    clock.step(1)
    assert take_all(queue) == ["foo"]


# Beside plain adds.


def test_a_plain_add_does_not_take_a_delay_back(trio_queue, clock):
    queue = trio_queue
    queue.add_after("foo", 5)
    queue.add("foo")
    assert take_all(queue) == ["foo"]
    clock.step(5)
    assert take_all(queue) == ["foo"]


def test_a_delay_that_ends_while_the_key_is_in_processing_brings_it_back_after_done(queue, clock):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add_after("foo", 5)
    clock.step(5)
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)
    assert queue.statistics().depth == 1
    queue.done("foo")
    assert take_all(queue) == ["foo"]


def test_a_delay_that_ends_while_the_key_is_in_processing_is_counted_in_the_length_after_its_done(trio_queue, clock):
    queue = trio_queue
    queue.add("foo")
    queue.get(timeout=0)
    queue.add_after("foo", 5)
    clock.step(5)
    assert len(queue) == 0
    queue.done("foo")
    assert len(queue) == 1


def test_a_key_that_is_due_is_before_one_added_later_though_nobody_looked(queue, clock):
    queue.add_after("due", 5)
    clock.step(6)
    queue.add("added")
    assert take_all(queue) == ["due", "added"]


def test_a_key_that_is_due_is_before_one_that_comes_back_later_though_nobody_looked(trio_queue, clock):
    queue = trio_queue
    queue.add("again")
    queue.get(timeout=0)
    queue.add("again")
    queue.add_after("due", 5)
    clock.step(6)
    queue.done("again")
    assert take_all(queue) == ["due", "again"]


def test_a_key_that_is_due_in_processing_comes_behind_those_ready_before_its_done(trio_queue, clock):
    queue = trio_queue
    queue.add("held")
    queue.get(timeout=0)
    queue.add_after("held", 5)
    queue.add_after("other", 5.5)
    clock.step(6)
    queue.done("held")
    assert take_all(queue) == ["other", "held"]


# Sleeping workers.


def test_a_sleeping_worker_wakes_when_the_key_is_due_and_not_before(queue, clock, background):
    queue.add_after("foo", 5)
    got = background(queue.get)
    clock.wait_for_waiters(1)
    clock.step(4.5)
    assert clock.waiters() == 1
    clock.step(0.5)
    assert got.result(PATIENCE) == "foo"


def test_a_worker_asleep_before_the_delay_began_wakes_when_the_key_is_due(queue, clock, background):
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add_after("foo", 5)
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert got.result(PATIENCE) == "foo"


def test_a_sleeping_worker_learns_of_an_earlier_key(queue, clock, background):
    queue.add_after("late", 50)
    got = background(queue.get)
    clock.wait_for_timed_waiters(1)
    queue.add_after("early", 5)
    clock.step(5)
    assert got.result(PATIENCE) == "early"


def test_any_sleeping_worker_may_learn_of_an_earlier_key(queue, clock, background):
    got = SimpleQueue()
    for _ in range(2):
        background(lambda: got.put(queue.get()))
    clock.wait_for_waiters(2)
    queue.add_after("late", 50)
    clock.wait_for_timed_waiters(1)
    clock.wait_for_waiters(2)
    # The one that wakes now is not the one that holds the timer: it must set an earlier one.
    queue.add_after("early", 5)
    clock.wait_for_timed_waiters(2)
    clock.step(5)
    assert got.get(timeout=PATIENCE) == "early"
    clock.step(45)
    assert got.get(timeout=PATIENCE) == "late"


def test_of_many_idle_workers_one_sets_a_timer(queue, clock, background):
    queue.add_after("foo", 5)
    for _ in range(10):
        background(queue.get)
    clock.wait_for_waiters(10)
    assert clock.timed_waiters() == 1
    clock.step(4)
    assert clock.waiters() == 10
    queue.shut_down()


def test_several_keys_due_at_once_wake_as_many_workers(queue, clock, background):
    got = SimpleQueue()
    for key in range(4):
        queue.add_after(key, 5)
    for _ in range(6):
        background(lambda: got.put(queue.get()))
    clock.wait_for_waiters(6)
    clock.step(5)
    assert sorted(got.get(timeout=PATIENCE) for _ in range(4)) == [0, 1, 2, 3]
    assert clock.waiters() == 2
    queue.add_after(4, 5)
    queue.add_after(5, 6)
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert got.get(timeout=PATIENCE) == 4
    clock.wait_for_timed_waiters(1)
    clock.step(1)
    assert got.get(timeout=PATIENCE) == 5


def test_a_worker_that_gives_up_leaves_the_timer_to_another(queue, clock, background):
    queue.add_after("foo", 5)
    impatient = background(queue.get, timeout=2)
    clock.wait_for_timed_waiters(1)
    patient = background(queue.get)
    clock.wait_for_waiters(2)
    clock.step(2)
    assert isinstance(impatient.exception(PATIENCE), TimeoutError)
    clock.wait_for_timed_waiters(1)
    clock.step(3)
    assert patient.result(PATIENCE) == "foo"


def test_a_worker_interrupted_while_it_holds_the_timer_leaves_it_to_another(delaying_class, background):
    class InterruptingClock(WatchedClock):
        """Interrupts the first thread that wakes from a sleep with a time, as Ctrl-C does."""

        interrupted = False

        def wait(self, condition, until):
            super().wait(condition, until)
            if until is not None and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt

    clock = InterruptingClock()
    queue = delaying_class(clock=clock)
    queue.add_after("foo", 5)
    first = background(queue.get)
    clock.wait_for_timed_waiters(1)
    second = background(queue.get)
    clock.wait_for_waiters(2)
    with queue._changed:
        queue._changed.notify()  # the first
    assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert second.result(PATIENCE) == "foo"
    queue._check()


def test_a_worker_that_takes_another_key_leaves_the_timer_to_another(queue, clock, background):
    got = SimpleQueue()
    queue.add_after("delayed", 5)
    for _ in range(3):
        background(lambda: got.put(queue.get()))
    clock.wait_for_waiters(3)
    for key in ("a", "b"):
        queue.add(key)
    assert {got.get(timeout=PATIENCE), got.get(timeout=PATIENCE)} == {"a", "b"}
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert got.get(timeout=PATIENCE) == "delayed"


def test_a_look_at_the_length_wakes_the_worker_of_a_due_key(queue, clock, background):
    queue.add_after("foo", 5)
    got = background(queue.get)
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert len(queue) in (0, 1)
    assert got.result(PATIENCE) == "foo"


def test_get_gives_up_before_a_key_that_is_due_later_than_its_timeout(queue, clock, background):
    queue.add_after("foo", 5)
    got = background(queue.get, timeout=4)
    clock.wait_for_waiters(1)
    clock.step(4)
    assert isinstance(got.exception(PATIENCE), TimeoutError)
    clock.step(1)
    assert take_all(queue) == ["foo"]


# Shutdown.


def test_delayed_keys_are_dropped_at_shutdown_counted_and_reported_once(delaying_class, clock, caplog):
    queue = delaying_class(name="pods", clock=clock)
    for number in range(12):
        queue.add_after(f"default/pod-{number:02}", 50 - number)
    with caplog.at_level(logging.DEBUG, logger="workqueue.queues"):
        queue.shut_down()
        queue.shut_down()
        queue.shut_down_with_drain()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "pods" in record.getMessage()
    assert "12 delayed keys" in record.getMessage()
    assert "default/pod-11" in record.getMessage(), "the first to come due is named first"
    assert queue.statistics().dropped == 12
    assert queue.statistics().delayed == 0
    clock.step(100)
    with pytest.raises(ShutDown):
        queue.get()


def test_keys_that_are_due_at_shutdown_are_not_dropped(queue, clock, caplog):
    queue.add_after("foo", 5)
    clock.step(5)
    queue.shut_down()
    assert queue.get() == "foo"
    assert queue.statistics().dropped == 0
    assert not caplog.records


def test_delays_after_shutdown_are_dropped_counted_as_such_and_no_retries(queue, clock):
    queue.shut_down()
    queue.add_after("foo", 5)
    queue.add_after("foo", 0)
    clock.step(5)
    assert len(queue) == 0
    statistics = queue.statistics()
    assert (statistics.retries, statistics.delayed, statistics.adds, statistics.dropped) == (0, 0, 0, 2)


def test_a_shutdown_wakes_the_worker_that_holds_the_timer(queue, clock, background):
    queue.add_after("foo", 5)
    got = [background(queue.get) for _ in range(3)]
    clock.wait_for_waiters(3)
    queue.shut_down()
    assert [type(future.exception(PATIENCE)) for future in got] == [ShutDown] * 3


# Memory.


@pytest.mark.parametrize("step", [1, -1], ids=["later", "earlier"])
def test_delays_that_were_replaced_do_not_pile_up(queue, step):
    queue.add_after("other", 1)
    for number in range(5_000):
        queue.add_after("foo", 6_000 + step * number)
        queue._check()
    assert queue._delays.size() < 200


def test_a_key_whose_delay_was_replaced_is_not_kept_alive_once_it_was_handled(queue, clock):
    class Key:
        pass

    key = Key()
    alive = weakref.ref(key)
    queue.add_after(key, 50)
    queue.add_after(key, 5)
    clock.step(5)
    del key
    queue.done(queue.get(timeout=0))
    gc.collect()
    assert alive() is None


def test_ever_earlier_delays_of_the_first_key_do_not_pile_up(queue):
    for number in range(5_000):
        queue.add_after("foo", 6_000 - number)
    queue._check()
    assert queue._delays.size() < 200


def test_replaced_delays_do_not_outlive_the_keys_that_came(queue, clock):
    for number in range(1_000):
        queue.add_after(number, 5_000)
        queue.add_after(number, 1)
    queue.add_after("far", 4_000)
    clock.step(2)
    assert len(take_all(queue)) == 1_000
    queue._check()
    assert queue._delays.size() < 200


def test_the_times_of_delays_are_as_many_as_the_delays(queue, clock):
    for number in range(1_000):
        queue.add_after(number, number % 7)
        queue.add_after(number, number % 5)
        queue._check()
    for _ in range(7):
        clock.step(1)
        take_all(queue)
        queue._check()
    assert queue._delays.size() == 0
    assert not queue._delays.pending
