"""What is said of a controller when the operator stops."""

# ruff: noqa: F401, F811  # fixtures are imported, and then named as arguments

import pytest

from tests.control.conftest import clock, gate, make, queue, runs, settle, step_until, until
from workqueue.control import Result
from workqueue.plugin.stopping import how_it_went, left_to_do


@pytest.fixture
def working(make, runs, gate):
    """Three keys, one of which is in the hands of the only worker."""
    runs.answer = gate
    controller = make(runs, timeout=10.0, max_replacements=0)
    for name in "abc":
        controller.add(f"default/{name}")
    controller.start()
    runs.wait(1)
    return controller


def hang(controller, clock):
    step_until(clock, lambda: controller.statistics().stuck, "the run is stuck")


def said(controller, grace=20.0):
    """What is said after a stop that nobody waits for."""
    return how_it_went(controller, drained=controller.stop(0), started=controller.statistics().started, grace=grace)


def test_what_is_queued_and_in_processing_is_waited_for(working):
    assert left_to_do(working) == "2 keys queued, 1 in processing"


def test_a_paused_controller_is_waited_for_only_while_it_has_a_key_in_hands(working, gate):
    working.pause()
    assert left_to_do(working) == "2 keys queued, 1 in processing"
    gate.set()
    until(lambda: not working.queue.statistics().processing)
    assert left_to_do(working) == ""


def test_there_is_nothing_to_wait_for_without_keys_or_without_workers(make, runs, queue):
    controller = make(runs)
    controller.add("default/a")
    assert left_to_do(controller) == "", "it was not started"
    runs.answer = Result.requeue(after=30)
    controller.start()
    until(lambda: queue.statistics().delayed == 1)
    settle(controller)
    assert left_to_do(controller) == "", "delayed keys are dropped"


def test_nobody_waits_for_a_run_that_is_stuck_and_that_is_said(make, runs, gate, clock):
    runs.answer = gate
    controller = make(runs, timeout=10.0, workers=2)
    controller.start()
    controller.add("default/a")
    runs.wait(1)
    hang(controller, clock)
    assert left_to_do(controller) == ""
    controller.add("default/b")
    runs.wait(2)
    assert left_to_do(controller) == "0 keys queued, 1 in processing"
    step_until(clock, lambda: len(controller.statistics().stuck) == 2, "both runs are stuck")
    assert said(controller) == "not drained: 2 runs are stuck"


def test_a_single_stuck_run_is_told(make, runs, gate, clock):
    runs.answer = gate
    controller = make(runs, timeout=10.0)
    controller.start()
    controller.add("default/a")
    runs.wait(1)
    hang(controller, clock)
    assert said(controller) == "not drained: 1 run is stuck"


def test_where_more_than_stuck_runs_is_left_the_time_was_too_short(working):
    assert said(working) == "not drained within 20 s"


def test_a_controller_that_drained_or_never_began_says_so(make, runs):
    controller = make(runs)
    assert how_it_went(controller, drained=True, started=True, grace=5) == "drained"
    assert how_it_went(controller, drained=False, started=False, grace=5) == "never started"
