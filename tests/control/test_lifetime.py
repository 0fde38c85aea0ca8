"""What a run sees of its end: its own time, and the stop of its controller."""

import threading

import pytest

from tests.control.conftest import PATIENCE, Gate, until
from workqueue.control import Ending, Lifetime


@pytest.fixture
def ending(clock):
    return Ending(clock)


def test_without_a_limit_there_is_no_end_until_a_stop_sets_one(ending, clock):
    lifetime = Lifetime(ending)
    assert (lifetime.deadline, lifetime.is_over) == (None, False)
    clock.step(5.0)
    assert ending.begin(20.0) == 25.0
    assert (lifetime.deadline, lifetime.is_over) == (25.0, True)


def test_the_earlier_end_counts(ending, clock):
    short, long = Lifetime(ending, until=10.0), Lifetime(ending, until=60.0)
    ending.begin(20.0)
    assert (short.deadline, long.deadline) == (10.0, 20.0)
    assert ending.begin(50.0) == 20.0, "a second stop gives no more time"
    assert ending.begin(5.0) == 5.0
    assert (short.deadline, long.deadline) == (5.0, 5.0)


def test_its_time_is_over_at_the_very_instant(ending, clock):
    lifetime = Lifetime(ending, until=10.0)
    clock.step(9.999)
    assert not lifetime.is_over
    clock.step(10.0 - clock.now())
    assert lifetime.is_over


@pytest.mark.parametrize(("seconds", "over"), [(5.0, False), (10.0, True), (1000.0, True)])
def test_a_wait_sleeps_as_long_as_asked_for_or_to_the_end_of_the_time(ending, clock, seconds, over):
    lifetime, answers = Lifetime(ending, until=10.0), []
    thread = threading.Thread(target=lambda: answers.append(lifetime.wait(seconds)))
    thread.start()
    clock.wait_for_waiters(1)
    clock.step(4.9)
    assert answers == []
    clock.step(0.1)
    if over:
        assert thread.is_alive()
        clock.step(5.0)
    thread.join(PATIENCE)
    assert answers == [over]


def test_a_stop_ends_all_waits_at_once(ending, clock):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(Lifetime(ending).wait(60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    clock.wait_for_waiters(3)
    ending.begin(20.0)
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [True] * 3
    assert Lifetime(ending).wait(60) is True, "nor does a later one sleep"
    assert clock.now() == 0.0


def test_a_request_learns_of_a_stop_and_ends_by_itself(make, runs, clock):
    seen = []
    runs.answer = lambda request: seen.append((request.wait(1000), request.stopping, request.deadline))
    controller = make(runs, timeout=100.0)
    controller.start()
    controller.add("default/a")
    runs.wait(1)
    clock.wait_for_waiters(2)
    assert controller.stop(20.0) is True
    assert seen == [(True, True, 20.0)]


def test_a_stop_while_a_run_is_stuck_does_not_wait_for_it_and_names_it(make, runs, gate, clock):
    runs.answer = lambda request: gate(request) if request.name == "hung" else None
    controller = make(runs, workers=2, timeout=10.0)
    controller.start()
    controller.add("default/hung")
    runs.wait(1)
    until(lambda: controller._runs._sleeps_until is not None)
    until(lambda: clock.step(1.0) or controller.statistics().stuck)
    controller.add("default/other")
    now = clock.now()
    assert controller.stop(20.0) is False
    assert (clock.now(), controller.statistics().success) == (now, 1), "what was queued was handled"
    [left] = controller.left()
    assert left.startswith("default/hung (")


def test_a_run_that_becomes_stuck_during_a_stop_ends_the_wait_for_it(make, runs, gate, clock):
    runs.answer = gate
    controller = make(runs, timeout=10.0, max_replacements=0)
    controller.start()
    controller.add("default/hung")
    controller.add("default/queued")
    runs.wait(1)
    answers = []
    stop = threading.Thread(target=lambda: answers.append(controller.stop(1000.0)))
    stop.start()
    until(lambda: controller.queue.shutting_down)
    until(lambda: controller._runs._sleeps_until is not None)
    clock.step(10.0)
    until(lambda: controller.statistics().timeout == 1)
    until(lambda: controller._runs._sleeps_until is not None)
    clock.step(1.0)
    stop.join(PATIENCE)
    assert answers == [False]
    assert clock.now() == 11.0


def test_a_worker_that_was_stuck_and_is_not_any_more_drains_as_any_other(make, runs, gate, clock):
    end = Gate()
    runs.answer = lambda request: {"hung": gate, "last": end}.get(request.name, lambda _: None)(request)
    controller = make(runs, timeout=10.0, max_replacements=0)
    controller.start()
    controller.add("default/hung")
    runs.wait(1)
    until(lambda: controller._runs._sleeps_until is not None)
    until(lambda: clock.step(1.0) or controller.statistics().lost == 1)
    gate.set()
    until(lambda: controller.statistics().lost == 0)
    controller.add("default/last")
    runs.wait(2)
    controller.add("default/queued")
    answers = []
    stop = threading.Thread(target=lambda: answers.append(controller.stop(1000.0)))
    stop.start()
    until(lambda: controller.queue.shutting_down)
    end.set()
    stop.join(PATIENCE)
    assert answers == [True]
    assert runs.keys[-1].name == "queued"
