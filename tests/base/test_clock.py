"""Time: the machine's, and the one a test moves by hand."""

import math
import threading
import time

import pytest

from tests.queues.conftest import PATIENCE
from workqueue.base.clock import RealClock
from workqueue.testing import FakeClock


class Alarm:
    """Waits on a clock until an instant, as the parts of this package do: checking again after each wake-up."""

    def __init__(self, clock):
        self.clock = clock
        self.condition = threading.Condition()
        self.entered = threading.Event()
        self.woken = 0

    def wait(self, until):
        """Return the instant at which the wait was over."""
        with self.condition:
            self.entered.set()  # nobody can notify before the condition is free, so inside wait()
            while self.clock.now() < until:
                self.clock.wait(self.condition, until)
                self.woken += 1
            return self.clock.now()

    def wait_for_anybody(self, until=None):
        """Return once somebody notified."""
        with self.condition:
            self.entered.set()
            self.clock.wait(self.condition, until)
            self.woken += 1

    def ring(self):
        """Notify who waits; who is about to wait is waited for."""
        assert self.entered.wait(PATIENCE)
        with self.condition:
            self.condition.notify_all()


# The machine's.


def test_real_time_is_monotonic_time():
    before = time.monotonic()
    told = RealClock().now()
    assert before <= told <= time.monotonic()


def test_a_real_wait_ends_at_its_instant_and_not_before():
    clock = RealClock()
    until = clock.now() + 0.01
    assert Alarm(clock).wait(until) >= until


@pytest.mark.parametrize("ago", [0.0, 0.001, 1e9, math.inf])
def test_a_real_wait_for_the_past_returns_at_once(ago):
    alarm = Alarm(RealClock())
    alarm.wait_for_anybody(until=RealClock().now() - ago)
    assert alarm.woken == 1


@pytest.mark.parametrize("until", [None, math.inf, 1e300])
def test_a_real_wait_without_end_is_over_when_somebody_notifies(background, until):
    alarm = Alarm(RealClock())
    waiting = background(alarm.wait_for_anybody, until)
    alarm.ring()
    waiting.result(PATIENCE)
    assert alarm.woken == 1


def test_a_real_wait_holds_the_condition_again_when_it_returns():
    condition = threading.Condition(threading.Lock())
    with condition:
        RealClock().wait(condition, RealClock().now() + 0.001)
        assert condition._is_owned()


# The one that stands still.


def test_fake_time_stands_still_until_it_is_moved():
    clock = FakeClock(start=5.0)
    assert [clock.now(), clock.now()] == [5.0, 5.0]
    clock.step(2.5)
    clock.step(0)
    assert clock.now() == 7.5


def test_fake_time_does_not_go_back():
    clock = FakeClock()
    with pytest.raises(ValueError, match=r"time does not go back: step\(-0\.5\)"):
        clock.step(-0.5)
    assert clock.now() == FakeClock().now()


@pytest.mark.parametrize("ago", [0, 1, math.inf])
def test_a_fake_wait_for_the_past_returns_at_once_and_is_no_waiter(ago):
    alarm = Alarm(FakeClock())
    alarm.wait_for_anybody(until=alarm.clock.now() - ago)
    assert alarm.woken == 1
    assert alarm.clock.waiters() == 0


def test_a_step_wakes_those_whose_instant_is_reached_and_no_others(background):
    clock = FakeClock(start=0.0)
    alarms = {until: Alarm(clock) for until in (1.0, 2.0, 3.0)}
    waiting = {until: background(alarm.wait, until) for until, alarm in alarms.items()}
    clock.wait_for_waiters(3)
    clock.step(0.5)
    assert clock.waiters() == 3
    clock.step(1.5)
    assert [waiting[until].result(PATIENCE) for until in (1.0, 2.0)] == [2.0, 2.0]
    assert not waiting[3.0].done()
    assert alarms[3.0].woken == 0
    clock.step(1.0)
    assert waiting[3.0].result(PATIENCE) == 3.0
    assert clock.waiters() == 0


def test_a_step_wakes_all_who_wait_on_one_condition(background):
    alarm = Alarm(FakeClock(start=0.0))
    waiting = [background(alarm.wait, 1.0) for _ in range(5)]
    alarm.clock.wait_for_waiters(5)
    alarm.clock.step(1.0)
    assert [each.result(PATIENCE) for each in waiting] == [1.0] * 5


def test_who_waits_for_no_instant_sleeps_through_any_step_until_notified(background):
    clock = FakeClock()
    alarm = Alarm(clock)
    waiting = background(alarm.wait_for_anybody)
    clock.wait_for_waiters(1)
    clock.step(1e9)
    assert clock.waiters() == 1
    assert not waiting.done()
    alarm.ring()
    waiting.result(PATIENCE)
    assert clock.waiters() == 0


def test_waiters_that_do_not_come_end_the_test_with_a_count(background):
    clock = FakeClock()
    with pytest.raises(TimeoutError, match="0 threads wait on the clock, expected 1"):
        clock.wait_for_waiters(1, timeout=0.001)


def test_no_step_is_slept_through_however_threads_and_steps_meet(background, hectic):
    clock = FakeClock(start=0.0)

    def sleeper():
        alarm = Alarm(clock)
        return [alarm.wait(float(until)) >= until for until in range(1, 301)]

    sleepers = [background(sleeper) for _ in range(4)]
    for _ in range(300):
        clock.step(1.0)  # not waiting for anybody: some sleep, some are about to, some are late
    assert all(all(each.result(PATIENCE)) for each in sleepers)
    assert clock.now() == 300.0
    assert clock.waiters() == 0


def test_steps_of_many_threads_are_all_counted(background, hectic):
    clock = FakeClock(start=0.0)

    def stepper():
        for _ in range(500):
            clock.step(1.0)

    for each in [background(stepper) for _ in range(4)]:
        each.result(PATIENCE)
    assert clock.now() == 2000.0


def test_a_step_to_an_instant_ends_there_exactly_and_not_before_now():
    clock = FakeClock(0.1)
    clock.step_to(0.3)
    assert clock.now() == 0.3
    with pytest.raises(ValueError, match="time does not go back"):
        clock.step_to(0.2)
    assert clock.now() == 0.3
