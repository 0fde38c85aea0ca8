"""Whoever waits for a key can be called away: it takes none, and none that was meant for another is lost with it."""

import threading

import pytest

from tests.control.conftest import until
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import Interrupted
from workqueue.queues import PriorityQueue, ShutDown
from workqueue.testing import ScheduleFailed, explore, explore_random


class Wanted:
    """What a getter asks; counts how often."""

    def __init__(self):
        self.elsewhere = False
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.elsewhere


def test_a_getter_that_is_wanted_elsewhere_takes_no_key_though_there_is_one(queue_class, clock):
    queue = queue_class(name="jobs", clock=clock)
    queue.add("a")
    with pytest.raises(Interrupted, match="whoever waited for queue 'jobs' is wanted elsewhere"):
        queue.get(unless=lambda: True)
    assert len(queue) == 1
    assert queue.get(unless=lambda: False) == "a"
    queue.done("a")
    queue._check()


def test_a_getter_that_sleeps_is_called_away_by_a_wake(queue_class, clock, background):
    queue, wanted = queue_class(clock=clock), Wanted()
    getter = background(queue.get, unless=wanted)
    clock.wait_for_waiters(1)
    wanted.elsewhere = True
    assert not getter.done()
    queue.wake()
    assert isinstance(getter.exception(PATIENCE), Interrupted)
    queue._check()


def test_a_wake_changes_nothing_for_those_who_are_not_wanted_elsewhere(queue_class, clock, background):
    queue, wanted = queue_class(clock=clock), Wanted()
    asking, plain = background(queue.get, unless=wanted), background(queue.get)
    clock.wait_for_waiters(2)
    queue.wake()
    until(lambda: wanted.asked >= 2)
    clock.wait_for_waiters(2)
    assert not asking.done()
    assert not plain.done()
    queue.add("a")
    queue.add("b")
    assert {asking.result(PATIENCE), plain.result(PATIENCE)} == {"a", "b"}
    queue._check()


def test_being_wanted_elsewhere_comes_before_a_shutdown_and_before_the_end_of_patience(queue_class, clock):
    queue = queue_class(clock=clock)
    with pytest.raises(Interrupted):
        queue.get(timeout=0, unless=lambda: True)
    with pytest.raises(TimeoutError):
        queue.get(timeout=0, unless=lambda: False)
    queue.shut_down()
    with pytest.raises(Interrupted):
        queue.get(unless=lambda: True)
    with pytest.raises(ShutDown):
        queue.get(unless=lambda: False)


def test_the_priority_is_asked_for_in_the_same_way(clock):
    queue = PriorityQueue(clock=clock)
    queue.add_with("a", priority=7)
    with pytest.raises(Interrupted):
        queue.get_with_priority(unless=lambda: True)
    assert queue.get_with_priority(unless=lambda: False) == ("a", 7)


def test_a_key_that_woke_the_one_who_is_wanted_elsewhere_goes_to_the_other_who_sleeps(queue_class, clock, background):
    queue, wanted = queue_class(clock=clock), Wanted()
    first = background(queue.get, unless=wanted)
    clock.wait_for_waiters(1)
    second = background(queue.get)
    clock.wait_for_waiters(2)
    wanted.elsewhere = True
    queue.add("a")  # wakes the one that slept first
    assert isinstance(first.exception(PATIENCE), Interrupted)
    assert second.result(PATIENCE) == "a"
    queue._check()


def test_a_question_that_raises_takes_no_wake_up_with_it(queue_class, clock, background):
    queue, angry = queue_class(clock=clock), []

    def unless():
        if angry:
            raise OSError("do not ask me")
        return False

    first = background(queue.get, unless=unless)
    clock.wait_for_waiters(1)
    second = background(queue.get)
    clock.wait_for_waiters(2)
    angry.append(True)
    queue.add("a")
    assert isinstance(first.exception(PATIENCE), OSError)
    assert second.result(PATIENCE) == "a"
    queue._check()


def test_a_leader_that_is_called_away_leaves_the_wait_for_the_next_time_to_another(delaying_class, clock, background):
    queue, wanted = delaying_class(clock=clock), Wanted()
    queue.add_after("a", 5)
    leader = background(queue.get, unless=wanted)
    clock.wait_for_timed_waiters(1)
    other = background(queue.get)
    clock.wait_for_waiters(2)
    assert clock.timed_waiters() == 1
    wanted.elsewhere = True
    queue.wake()
    assert isinstance(leader.exception(PATIENCE), Interrupted)
    clock.wait_for_timed_waiters(1)
    clock.step(5)
    assert other.result(PATIENCE) == "a"
    queue._check()


def test_a_drain_ends_when_it_is_told_that_nobody_drains(queue_class, clock, background, caplog):
    queue, vain = queue_class(name="jobs", clock=clock), Wanted()
    queue.add("a")
    drain = background(queue.shut_down_with_drain, timeout=20, unless=vain)
    clock.wait_for_waiters(1)
    queue.wake()
    until(lambda: vain.asked >= 2)
    assert not drain.done()
    vain.elsewhere = True
    queue.wake()
    assert drain.result(PATIENCE) is False
    assert "queue 'jobs': drain ended with 1 keys queued (a) and 0 in processing (none)" in caplog.text


def test_a_drain_that_is_in_vain_from_the_start_does_not_wait_and_one_that_is_through_is_true(queue_class, clock):
    queue = queue_class(clock=clock)
    queue.add("a")
    assert queue.shut_down_with_drain(unless=lambda: True) is False
    queue.done(queue.get())
    assert queue.shut_down_with_drain(unless=lambda: True) is True


# Every order.


def called_away(queue_class, *, delay, sabotage=None):
    """Two getters, a key, and one who calls the first getter away: whatever the order, somebody has the key."""

    def scenario(run):
        queue = queue_class(clock=run.clock)
        if sabotage is not None:
            sabotage(queue)
        wanted, got = Wanted(), []

        def first():
            try:
                got.append((queue.get(unless=wanted), run.clock.now()))
            except Interrupted:
                away.add(True)
                return
            queue.done(got[-1][0])

        def second():
            got.append((queue.get(), run.clock.now()))
            queue.done(got[-1][0])

        def call():
            wanted.elsewhere = True
            queue.wake()

        run.thread(first)
        run.thread(second)
        if delay is None:
            run.thread(lambda: (queue.add("a"), queue.add("b")), name="adds")
        else:
            run.thread(lambda: (queue.add_after("a", delay), queue.add_after("b", delay)), name="adds")
        run.thread(call)

        @run.afterwards
        def check():
            assert got, "a key was there, and nobody has got it"
            assert {at for _, at in got} == {1000.0 + (delay or 0.0)}
            assert len(queue) == 2 - len(got)
            queue._check()

    away = set()
    return scenario, away


def test_no_key_is_lost_by_calling_a_getter_away_in_any_order(queue_class):
    scenario, away = called_away(queue_class, delay=None)
    report = explore(scenario, preemptions=1)
    assert report.schedules > 100
    assert away


def test_no_key_is_late_by_calling_a_getter_away_in_any_order(delaying_class):
    scenario, away = called_away(delaying_class, delay=5)
    report = explore(scenario, preemptions=1)
    assert report.schedules > 100
    assert away


@pytest.mark.schedules
def test_no_key_is_lost_or_late_in_more_orders(delaying_class):
    for delay in (None, 5):
        scenario, away = called_away(delaying_class, delay=delay)
        print(f"\n{delaying_class.__name__}, called away: {explore(scenario, preemptions=2, grain='fine')}")
        assert away


def test_a_wake_up_that_is_not_passed_on_would_be_found(queue_class):
    def sabotage(queue):
        plain = queue._await_locked

        def await_locked(timeout, unless=None):
            wake, queue._wake_locked = queue._wake_locked, lambda: None
            try:
                plain(timeout, unless)
            finally:
                queue._wake_locked = wake

        queue._await_locked = await_locked

    scenario, _ = called_away(queue_class, delay=None, sabotage=sabotage)
    with pytest.raises(ScheduleFailed, match="deadlock"):
        explore(scenario, preemptions=1)


@pytest.mark.schedules
def test_many_who_come_and_go_in_random_orders(delaying_class):
    def scenario(run):
        queue = delaying_class(clock=run.clock)
        wanted = [Wanted() for _ in range(3)]
        left = {"a", "b", "c", "d"}

        def work(unless):
            while True:
                try:
                    key = queue.get(unless=unless)
                except Interrupted:
                    unless.elsewhere = False
                    continue
                except ShutDown:
                    return
                left.discard(key)
                queue.done(key)

        def call():
            for each in wanted:
                each.elsewhere = True
                queue.wake()

        def add():
            queue.add("a")
            queue.add_after("b", 1)
            queue.add_after("c", 1)
            queue.add("d")

        for each in wanted:
            run.thread(work, args=[each], name="worker")
        run.thread(add)
        run.thread(call)

        @run.thread
        def end():
            threading.Event().wait(10)
            assert not left, "two workers were there all the time"
            queue.shut_down()

        run.afterwards(queue._check)

    print(f"\n{delaying_class.__name__}, come and go: {explore_random(scenario, seed=1, runs=2000)}")
