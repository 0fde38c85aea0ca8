"""Shutting down and waiting for what is under way.

Properties asserted by client-go's util/workqueue/queue_test.go, and the departures of ours: a drain is
over when nothing is queued and nothing in processing, for everybody who waits for it, or after its timeout.
"""

import logging
import threading

import pytest

from workqueue.queues import ShutDown
from workqueue.testing import FakeClock

from .conftest import PATIENCE


def is_over(future):
    """What the drain returned."""
    return future.result(PATIENCE)


@pytest.fixture
def queue(queue_class, clock):
    return queue_class(name="pods", clock=clock)


def test_a_drain_returns_only_after_the_last_done(queue, clock, background):
    for key in ("foo", "bar"):
        queue.add(key)
        queue.get(timeout=0)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    assert queue.shutting_down
    with pytest.raises(ShutDown):
        queue.get()
    queue.done("foo")
    assert clock.waiters() == 1
    assert not drain.done()
    queue.done("bar")
    assert is_over(drain) is True


def test_a_plain_shutdown_does_not_wait_for_keys_in_processing(queue):
    for key in ("foo", "bar"):
        queue.add(key)
        queue.get(timeout=0)
    queue.shut_down()
    assert queue.statistics().processing == 2


def test_a_plain_shutdown_releases_a_waiting_drain_which_returns_false(queue, clock, background):
    for key in ("foo", "bar"):
        queue.add(key)
        queue.get(timeout=0)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.shut_down()
    assert is_over(drain) is False
    assert queue.statistics().processing == 2


def test_a_key_added_again_before_the_drain_is_delivered_again_during_it(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    with pytest.raises(ShutDown):
        queue.get()
    queue.done("foo")
    # client-go's drain may return here, with the key still queued.
    assert queue.get() == "foo"
    assert not drain.done()
    queue.done("foo")
    assert is_over(drain) is True
    with pytest.raises(ShutDown):
        queue.get()


# Departures.


def test_a_drain_waits_for_queued_keys_though_nobody_works_on_any(queue, clock, background):
    queue.add("foo")
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    assert not drain.done()
    with queue.item() as key:
        assert key == "foo"
    assert is_over(drain) is True


def test_a_drain_wakes_for_a_key_that_comes_back_and_still_waits(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.done("foo")
    clock.wait_for_waiters(1)
    assert not drain.done()
    queue.done(queue.get())
    assert is_over(drain) is True


def test_a_drain_of_an_empty_queue_returns_at_once(queue):
    assert queue.shut_down_with_drain() is True
    assert queue.shut_down_with_drain() is True
    assert queue.shut_down_with_drain(timeout=0) is True


def test_all_drains_that_wait_return(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    drains = [background(queue.shut_down_with_drain) for _ in range(5)]
    clock.wait_for_waiters(5)
    queue.done("foo")
    assert [is_over(drain) for drain in drains] == [True] * 5


def test_a_plain_shutdown_releases_all_drains_that_wait(queue, clock, background):
    queue.add("foo")
    drains = [background(queue.shut_down_with_drain) for _ in range(5)]
    clock.wait_for_waiters(5)
    queue.shut_down()
    assert [is_over(drain) for drain in drains] == [False] * 5


def test_a_drain_that_was_released_stays_released_though_another_begins(queue_class, background):
    class SlowClock(FakeClock):
        """The first thread that wakes gets the lock last, as may happen to any."""

        gates = [threading.Event()]

        def wait(self, condition, until):
            super().wait(condition, until)
            if self.gates:
                gate = self.gates.pop()
                condition.release()
                assert gate.wait(PATIENCE)
                condition.acquire()

    clock = SlowClock()
    (gate,) = clock.gates
    queue = queue_class(clock=clock)
    queue.add("foo")
    released = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.shut_down()
    while clock.waiters():
        pass
    another = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    gate.set()
    assert is_over(released) is False
    queue.done(queue.get())
    assert is_over(another) is True


def test_a_drain_gives_up_after_its_timeout_and_says_what_was_left(queue, clock, background, caplog):
    for key in ("default/held", "default/queued"):
        queue.add(key)
    queue.get(timeout=0)
    with caplog.at_level(logging.INFO, logger="workqueue.queues"):
        drain = background(queue.shut_down_with_drain, timeout=30)
        clock.wait_for_waiters(1)
        clock.step(29.5)
        assert not drain.done()
        clock.step(0.5)
        assert is_over(drain) is False
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in ("'pods'", "1 keys queued (default/queued)", "1 in processing (default/held)"):
        assert part in record.getMessage()


def test_a_drain_with_timeout_zero_does_not_wait(queue):
    queue.add("foo")
    assert queue.shut_down_with_drain(timeout=0) is False
    assert queue.shutting_down
    assert queue.get() == "foo"
    assert queue.shut_down_with_drain(timeout=0) is False
    queue.done("foo")
    assert queue.shut_down_with_drain(timeout=0) is True


def test_of_two_drains_the_impatient_gives_up_and_the_other_waits(queue, clock, background):
    queue.add("foo")
    impatient = background(queue.shut_down_with_drain, timeout=1)
    patient = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(2)
    clock.step(1)
    assert is_over(impatient) is False
    assert not patient.done()
    queue.done(queue.get())
    assert is_over(patient) is True


def test_a_drain_may_follow_a_plain_shutdown(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    queue.shut_down()
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.done("foo")
    assert is_over(drain) is True


def test_adds_during_a_drain_are_ignored(queue, clock, background):
    queue.add("foo")
    queue.get(timeout=0)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    queue.add("foo")
    queue.add("bar")
    queue.done("foo")
    assert is_over(drain) is True
    assert len(queue) == 0


def test_a_drain_wakes_sleeping_workers(queue, clock, background):
    workers = [background(queue.get) for _ in range(3)]
    clock.wait_for_waiters(3)
    assert queue.shut_down_with_drain() is True
    assert [type(worker.exception(PATIENCE)) for worker in workers] == [ShutDown] * 3


def test_a_drain_does_not_wait_for_delayed_keys_but_for_those_that_are_due(delaying_class, clock, background):
    queue = delaying_class(clock=clock)
    queue.add_after("due", 1)
    queue.add_after("far", 100)
    clock.step(1)
    drain = background(queue.shut_down_with_drain)
    clock.wait_for_waiters(1)
    assert queue.statistics().dropped == 1
    queue.done(queue.get())
    assert is_over(drain) is True


def test_no_key_is_lost_when_workers_and_a_drain_wait_on_one_queue(queue_class, background):
    # The drainer must not swallow a wake-up that was meant for a worker; on the real clock.
    for _ in range(50):
        queue = queue_class()
        handled = []

        def work(queue=queue, handled=handled):
            while True:
                try:
                    with queue.item() as key:
                        handled.append(key)
                except ShutDown:
                    return

        workers = [background(work) for _ in range(2)]
        for key in range(20):
            queue.add(key)
        assert queue.shut_down_with_drain(PATIENCE) is True
        for worker in workers:
            worker.result(PATIENCE)
        assert sorted(handled) == list(range(20))
