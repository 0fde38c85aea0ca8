"""Starts that stop half way, stops from where nobody expects them, and what the log has of failures."""

import logging
import threading

import pytest

from tests.control.conftest import PATIENCE, alive, settle, until
from workqueue.base.keys import ObjectKey
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue


@pytest.fixture
def scarce(monkeypatch):
    """There are threads for two workers of this test, and none for the third."""
    start = threading.Thread.start

    def scarce_start(thread):
        if thread.name == "workqueue-pods-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce_start)


@pytest.fixture
def in_background():
    """``in_background(function)`` runs it in a thread that must have ended with the test."""
    threads = []

    def run(function):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(function()))
        threads.append(thread)
        thread.start()

        def answer():
            thread.join(PATIENCE)
            assert not thread.is_alive()
            return answers[0]

        return answer

    yield run
    for thread in threads:
        thread.join(PATIENCE)


# A start that fails.


def test_a_start_without_threads_for_all_workers_is_an_error_and_can_be_stopped(make, runs, scarce):
    controller = make(runs, workers=4)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        controller.start()
    statistics = controller.statistics()
    assert (statistics.started, statistics.workers) == (True, 2)
    assert alive() == ["workqueue-pods-0", "workqueue-pods-1"]
    assert controller.stop(PATIENCE)
    assert controller.statistics().workers == 0
    assert controller.statistics().started


def test_the_workers_that_could_be_started_drain_the_queue(make, runs, scarce):
    controller = make(runs, workers=4)
    for number in range(20):
        controller.add(f"default/{number}")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        controller.start()
    assert controller.stop(PATIENCE)
    assert len(runs) == 20
    assert controller.statistics().success == 20


def test_a_start_after_one_that_failed_starts_none_twice(make, runs, scarce):
    controller = make(runs, workers=4)
    for message in ("can't start new thread", "was started already"):
        with pytest.raises(RuntimeError, match=message):
            controller.start()
    assert alive() == ["workqueue-pods-0", "workqueue-pods-1"]


def test_a_start_that_has_no_thread_at_all_leaves_it_not_started(make, runs, monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    controller = make(runs, workers=2)
    controller.add("default/a")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            controller.start()
    assert (controller.statistics().started, controller.statistics().workers) == (False, 0)
    assert controller.stop(PATIENCE) is False, "it waits for nobody: there is no worker that could drain"
    assert len(runs) == 0


# A stop from within.


@pytest.mark.parametrize("workers", [1, 3])
def test_a_reconcile_function_may_stop_its_controller_and_waits_for_itself_no_longer_than_the_grace(
    make, runs, clock, workers
):
    answers = []
    runs.answer = lambda request: answers.append(controller.stop(5.0))
    controller = make(runs, workers=workers)
    controller.start()
    controller.add("default/a")
    until(lambda: controller.queue.shutting_down)
    until(lambda: clock.waiters() > 0)
    assert answers == []
    until(lambda: clock.step(1.0) or answers, "the end of the grace")
    assert answers == [False], "its own key was not done"
    until(lambda: alive() == [])
    assert controller.statistics().success == 1
    assert controller.queue.statistics().processing == 0


def test_a_reconcile_function_may_stop_its_controller_without_grace(make, runs):
    answers = []
    runs.answer = lambda request: answers.append(controller.stop(0))
    controller = make(runs)
    controller.add("default/a")
    controller.add("default/b")
    controller.start()
    until(lambda: alive() == [])
    assert answers == [False]
    assert len(runs) == 1
    assert controller.stop(PATIENCE) is False, "the other key was left"


# Failures in the log.


def failures(caplog):
    return [record for record in caplog.records if " failed " in record.getMessage()]


def test_the_first_failure_of_a_key_has_a_traceback_in_the_log_and_those_after_it_have_none(make, runs, clock, caplog):
    error = ValueError("never well")
    runs.answer = error
    controller = make(runs)
    controller.start()
    controller.add("default/a")
    for count in range(1, 4):
        until(lambda wanted=count: controller.queue.statistics().delayed == 1 and len(runs) == wanted)
        settle(controller)
        clock.wait_for_waiters(1)
        clock.step(1.0)
    records = failures(caplog)[:3]
    assert [record.getMessage() for record in records] == [
        f"controller pods: default/a failed (run {number}), will be retried in {delay} s: ValueError('never well')"
        for number, delay in ((1, "0.005"), (2, "0.01"), (3, "0.02"))
    ]
    assert [record.exc_info is not None and record.exc_info[1] is error for record in records] == [True, False, False]
    assert {record.levelno for record in records} == {logging.WARNING}
    assert caplog.text.count("Traceback (most recent call last)") == 1


def test_after_a_success_the_next_failure_is_a_first_one_again(make, runs, clock, caplog):
    answers = [ValueError("once"), None, ValueError("twice")]
    runs.answer = lambda request: answers.pop(0) if answers else None
    controller = make(runs)
    controller.start()
    controller.add("default/a")
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(1.0)
    runs.wait(2)
    settle(controller)
    controller.add("default/a")
    runs.wait(3)
    until(lambda: controller.statistics().error == 2)
    until(lambda: len(failures(caplog)) == 2)
    assert [record.exc_info[1].args for record in failures(caplog)] == [("once",), ("twice",)]
    assert "(run 1), will be retried in 0.005 s: ValueError('twice')" in caplog.text


def test_a_key_that_is_given_up_has_its_traceback_in_the_log(make, runs, caplog):
    runs.answer = ValueError("never well")
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add("default/a")
    until(lambda: controller.statistics().given_up == 1)
    settle(controller)
    [record] = [each for each in caplog.records if "given up" in each.getMessage()]
    assert record.getMessage() == "controller pods: default/a given up after 1 runs: ValueError('never well')"
    assert record.exc_info is not None


def test_a_failure_while_stopping_is_left_for_the_next_start_and_counted_as_dropped(
    make, runs, gate, caplog, in_background
):
    runs.answer = lambda request: gate(request) or ValueError("late")
    controller = make(runs)
    controller.start()
    controller.add("default/a")
    runs.wait(1)
    answer = in_background(lambda: controller.stop(PATIENCE))
    until(lambda: controller.queue.shutting_down)
    assert controller.queue.statistics().dropped == 0
    gate.set()
    assert answer() is True
    assert len(runs) == 1
    [record] = failures(caplog)
    assert record.getMessage() == (
        "controller pods: default/a failed (run 1), left for the next start: ValueError('late')"
    )
    assert controller.queue.statistics().dropped == 1


FORGED = ObjectKey("", "x\nERROR controller pods: everything is lost")


def test_a_name_with_a_line_end_makes_no_line_of_its_own(make, runs, clock, gate, caplog):
    """Names of RBAC's objects may have them."""
    caplog.set_level(logging.INFO, "workqueue.queues")

    class Limiter(ItemExponentialFailureRateLimiter):
        def when(self, key):
            raise RuntimeError("no delay today")

    runs.answer = gate
    controller = make(
        runs, queue=PriorityQueue(clock=clock, rate_limiter=Limiter(1, 1), fairness=lambda key: 1 / 0), timeout=10.0
    )
    controller.start()
    controller.add(FORGED)
    runs.wait(1)
    until(lambda: controller._runs._sleeps_until is not None)
    clock.step(10.0)
    until(lambda: "what was to be done about" in caplog.text)
    controller.queue.add_after(FORGED, 100.0)
    controller.queue.shut_down_with_drain(timeout=0)
    gate.set()
    settle(controller)
    told = [record.getMessage() for record in caplog.records if "everything is lost" in record.getMessage()]
    assert len(told) >= 4, "no tenant, the time limit, the shutdown, the drain"
    assert not [line for line in told if "\n" in line]
    assert {record.key for record in caplog.records if hasattr(record, "key")} <= {
        "x ERROR controller pods: everything is lost"
    }
