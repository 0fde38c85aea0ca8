"""A loop that does not turn is noticed while coroutines are on it, told once, and nothing runs otherwise."""

import asyncio
import logging
import threading

import pytest

from tests.control.conftest import PATIENCE, step_until, until
from workqueue.control.looplag import LIMIT, PERIOD, LoopStatistics


def nobody():
    """Told that the loop was closed."""


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def watchers():
    return [each for each in threading.enumerate() if each.name == "workqueue-loop"]


@pytest.fixture
def blocked(loop):
    """``blocked(event)`` keeps the loop in a task until the event is set; returns once it does."""

    def block(event):
        inside = threading.Event()

        async def blocker():
            inside.set()
            event.wait(PATIENCE)

        loop.loop.call_soon_threadsafe(lambda: loop.loop.create_task(blocker(), name="pods default/a"))
        assert inside.wait(PATIENCE)

    return block


def test_nothing_runs_before_the_first_run_nor_between_two(loop, clock):
    watched = loop.watched
    assert watchers() == []
    watched.run_began(nobody)
    [watcher] = watchers()
    watched.run_ended(nobody)
    until(lambda: clock.waiters() == 1)
    asked = []
    loop.loop.call_soon_threadsafe(lambda: setattr(watched, "_sign", lambda: asked.append(1)))
    assert loop.turns()
    step_until(clock, lambda: [until for _, until in clock._waiting] == [None], "it sleeps without an end")
    for _ in range(10):
        clock.step(PERIOD)
    assert loop.turns()
    assert asked == []
    assert watchers() == [watcher]


def test_a_loop_that_turns_has_no_lag_and_nothing_is_said(loop, clock, caplog):
    loop.watched.run_began(nobody)
    signs = []
    before = loop.watched._sign

    def sign():
        before()
        signs.append(clock.now())

    loop.watched._sign = sign
    for number in range(5):
        step_until(clock, lambda expected=number + 1: len(signs) >= expected, by=PERIOD)
        assert loop.turns()
        until(lambda: loop.watched._asked is None)
    statistics = loop.watched.statistics()
    assert statistics.blocked == 0
    assert warnings(caplog) == []
    loop.watched.run_ended(nobody)


def test_a_blocked_loop_is_told_once_with_the_task_and_its_place_and_its_lag_grows(loop, clock, caplog, gate, blocked):
    loop.watched.run_began(nobody)
    blocked(gate)
    step_until(clock, lambda: loop.watched.statistics().blocked, by=LIMIT / 2)
    until(lambda: warnings(caplog))
    lag = loop.watched.statistics().lag
    assert lag >= LIMIT
    for number in range(20):
        clock.step(LIMIT)
        until(lambda: [at for _, at in clock._waiting] == [clock.now() + LIMIT], "the watch has looked again")
        assert loop.watched.statistics().lag == pytest.approx(lag + (number + 1) * LIMIT)
    [line] = warnings(caplog)
    assert "the loop has not turned for 0.5 s" in line
    assert "it is busy with pods default/a" in line
    assert " wait < " in line
    assert " blocker < " in line
    assert loop.watched.statistics().blocked == 1

    gate.set()
    until(lambda: loop.watched._asked is None)
    assert loop.watched.statistics().lag == pytest.approx(lag + 20 * LIMIT), "as late as the last sign was"
    step_until(clock, lambda: loop.watched.statistics().lag < LIMIT, "the next one is not late", by=PERIOD)
    assert len(warnings(caplog)) == 1
    loop.watched.run_ended(nobody)


def test_the_next_time_is_told_again(loop, clock, caplog, blocked):
    loop.watched.run_began(nobody)
    for times in (1, 2):
        event = threading.Event()
        blocked(event)
        step_until(clock, lambda: loop.watched.statistics().blocked == times, by=LIMIT)  # noqa: B023
        event.set()
        assert loop.turns()
        until(lambda: loop.watched._asked is None)
    until(lambda: len(warnings(caplog)) == 2)
    loop.watched.run_ended(nobody)


def test_a_log_that_raises_does_not_end_the_watch(loop, clock, blocked):
    def raises(entry):
        raise RuntimeError("a filter of somebody's")

    loop.watched.run_began(nobody)
    logger = logging.getLogger("workqueue.control")
    logger.addFilter(raises)
    try:
        for times in (1, 2):
            event = threading.Event()
            blocked(event)
            step_until(clock, lambda: loop.watched.statistics().blocked == times, by=LIMIT)  # noqa: B023
            event.set()
            assert loop.turns()
            until(lambda: loop.watched._asked is None)
    finally:
        logger.removeFilter(raises)
    loop.watched.run_ended(nobody)


def test_a_loop_that_was_late_is_not_shown_to_be_for_ever_once_nothing_is_on_it(loop, clock, gate, blocked):
    loop.watched.run_began(nobody)
    blocked(gate)
    step_until(clock, lambda: loop.watched.statistics().blocked, by=LIMIT)
    gate.set()
    assert loop.turns()
    until(lambda: loop.watched._asked is None)
    assert loop.watched.statistics().lag >= LIMIT
    loop.watched.run_ended(nobody)
    assert loop.watched.statistics() == LoopStatistics(lag=0.0, blocked=1)
    loop.watched.run_began(nobody)
    assert loop.watched.statistics().lag == 0.0
    loop.watched.run_ended(nobody)


def test_a_callback_that_blocks_is_told_though_there_is_no_task(loop, clock, caplog, gate):
    loop.watched.run_began(nobody)
    loop.loop.call_soon_threadsafe(gate.wait, PATIENCE)
    step_until(clock, lambda: warnings(caplog), by=LIMIT)
    [line] = warnings(caplog)
    assert "no task is to be seen" in line
    assert " wait < " in line
    gate.set()
    loop.watched.run_ended(nobody)


def test_as_long_as_one_of_several_runs_is_there_the_loop_is_looked_after(loop, clock, gate, blocked):
    def somebody():
        """Another one."""

    loop.watched.run_began(nobody)
    loop.watched.run_began(somebody)
    loop.watched.run_ended(nobody)
    blocked(gate)
    step_until(clock, lambda: loop.watched.statistics().blocked, by=LIMIT)
    gate.set()
    loop.watched.run_ended(somebody)


def test_whoever_is_on_a_loop_that_is_closed_is_told_so(loop, clock):
    told = []

    def first():
        told.append("first")

    def second():
        told.append("second")

    for lost in (first, second, nobody):
        loop.watched.run_began(lost)
    loop.watched.run_ended(second)
    loop.stop()
    step_until(clock, lambda: told)
    until(lambda: not watchers())
    assert told == ["first"]


def test_after_its_close_nothing_is_looked_after_and_no_lag_grows(loop, clock, gate, blocked, caplog):
    loop.watched.run_began(nobody)
    blocked(gate)
    step_until(clock, lambda: loop.watched.statistics().blocked, by=LIMIT)
    loop.watched.close()
    assert watchers() == []
    before = loop.watched.statistics()
    clock.step(100)
    assert loop.watched.statistics() == before
    loop.watched.run_ended(nobody)
    loop.watched.run_began(nobody)
    assert watchers() == []
    loop.watched.run_ended(nobody)
    loop.watched.close()
    gate.set()


def test_without_a_thread_to_be_had_no_run_begins_and_the_next_one_tries_again(loop, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            loop.watched.run_began(nobody)
    assert watchers() == []
    loop.watched.run_began(nobody)
    assert len(watchers()) == 1
    loop.watched.run_ended(nobody)


def test_a_controller_looks_after_the_loop_while_its_coroutines_run_and_not_after(make_async, clock, loop):
    released = asyncio.Event()

    async def reconcile(request):
        await released.wait()

    controller = make_async(reconcile)
    controller.start()
    assert watchers() == []
    controller.add("a")
    until(watchers)
    until(lambda: len(loop.watched._runs) == 1)
    loop.loop.call_soon_threadsafe(released.set)
    until(lambda: controller.statistics().success == 1)
    until(lambda: loop.watched._runs == set())


def test_controllers_of_threads_have_nothing_to_do_with_it(make_async, loop, runs):
    controller = make_async(runs)
    controller.start()
    controller.add("a")
    until(lambda: controller.statistics().success == 1)
    assert watchers() == []
