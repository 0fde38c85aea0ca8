"""Starting once, when the caches are there; stopping with what is queued, as far as the time allows."""

import logging
import threading
import time

import pytest

from tests.control.conftest import PATIENCE, alive, until
from workqueue.control.controller import JOIN_TIMEOUT
from workqueue.queues import RateLimitingQueue


@pytest.fixture
def stop_in_background():
    """``stop_in_background(controller, grace)`` gives a function that waits for the answer of stop."""
    threads = []

    def run(controller, grace):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(controller.stop(grace)))
        threads.append(thread)
        thread.start()

        def answer():
            thread.join(PATIENCE)
            assert not thread.is_alive(), "stop hangs"
            return answers[0]

        return answer

    yield run
    for thread in threads:
        thread.join(PATIENCE)


def test_a_second_start_is_an_error_and_adds_no_thread(make, runs):
    controller = make(runs, workers=2)
    controller.start()
    with pytest.raises(RuntimeError, match="controller 'pods' was started already"):
        controller.start()
    assert alive() == ["workqueue-pods-0", "workqueue-pods-1"]


def test_a_start_before_the_caches_are_synced_is_an_error_and_may_be_tried_again(make, runs):
    synced = threading.Event()
    controller = make(runs, synced=synced.is_set)
    controller.add("default/a")
    with pytest.raises(RuntimeError, match="controller 'pods' started before its caches were synced"):
        controller.start()
    assert alive() == []
    synced.set()
    controller.start()
    runs.wait(1)


def test_a_stop_before_the_start_returns_at_once_and_there_is_no_start_any_more(make, runs):
    controller = make(runs)
    assert controller.stop(PATIENCE)
    controller.start()
    controller.add("default/a")
    assert len(controller.queue) == 0, "a stopped controller takes nothing in"
    assert alive() == []


def test_a_stop_before_the_start_says_that_queued_keys_were_left(make, runs):
    controller = make(runs)
    controller.add("default/a")
    assert not controller.stop(PATIENCE)
    assert alive() == []


def test_a_stop_of_an_idle_controller_returns_at_once(make, runs):
    controller = make(runs, workers=4)
    controller.start()
    assert controller.stop(PATIENCE)
    assert alive() == []


def test_a_second_stop_is_harmless(make, runs):
    controller = make(runs)
    controller.start()
    assert controller.stop(PATIENCE)
    assert controller.stop(PATIENCE)


def test_a_stop_lets_everything_queued_be_handled_and_takes_nothing_new(make, runs, gate, stop_in_background):
    runs.answer = gate
    controller = make(runs, workers=2)
    controller.start()
    for number in range(100):
        controller.add(f"default/pod-{number}")
    runs.wait(2)
    controller.add("default/pod-0")
    answer = stop_in_background(controller, PATIENCE)
    until(lambda: controller.queue.shutting_down)
    controller.add("default/late")
    gate.set()
    assert answer()
    assert len(runs) == 101, "each once, and pod-0 again: it changed during its run"
    assert "late" not in {key.name for key in runs.keys}
    assert alive() == []
    assert controller.statistics().success == 101


def test_a_failure_during_the_drain_is_not_retried_and_does_not_hold_it(make, runs, gate, stop_in_background):
    runs.answer = lambda request: gate(request) or RuntimeError("late")
    controller = make(runs)
    controller.start()
    controller.add("default/a")
    runs.wait(1)
    answer = stop_in_background(controller, PATIENCE)
    until(lambda: controller.queue.shutting_down)
    gate.set()
    assert answer()
    assert len(runs) == 1
    assert controller.statistics().error == 1


def test_retries_that_wait_are_dropped_by_a_stop_and_reported(make, runs, caplog):
    runs.answer = RuntimeError()
    controller = make(runs)
    controller.start()
    controller.add("default/a")
    until(lambda: controller.queue.statistics().delayed == 1)
    assert controller.stop(PATIENCE)
    assert controller.queue.statistics().dropped == 1
    assert "1 delayed keys dropped: default/a" in caplog.text


def test_after_the_grace_a_running_key_is_finished_and_others_are_left_and_reported(
    make, runs, gate, caplog, stop_in_background
):
    clock = runs.clock
    caplog.set_level(logging.WARNING, "workqueue.queues")
    runs.answer = gate
    queue = RateLimitingQueue(name="pods", clock=clock)
    controller = make(runs, queue=queue)
    controller.start()
    for name in "abc":
        controller.add(f"default/{name}")
    runs.wait(1)
    answer = stop_in_background(controller, 10.0)
    until(lambda: clock.waiters() == 1)
    clock.step(9.9)
    assert "drain ended" not in caplog.text
    clock.step(0.1)
    until(lambda: "drain ended" in caplog.text)
    until(lambda: controller._stopped)
    gate.set()
    assert answer() is False
    until(lambda: alive() == [])
    assert [key.name for key in runs.keys] == ["a"]
    assert controller.statistics().success == 1
    assert "queue 'pods': drain ended with 2 keys queued (default/b, default/c) and 1 in processing (default/a)" in (
        caplog.text
    )


def test_a_stop_without_grace_leaves_what_is_queued(make, runs, gate):
    runs.answer = gate
    controller = make(runs)
    controller.start()
    for name in "abc":
        controller.add(f"default/{name}")
    runs.wait(1)
    assert controller.stop(0) is False
    gate.set()
    until(lambda: alive() == [])
    assert len(runs) == 1


def test_a_key_that_is_handed_out_at_the_moment_of_the_stop_is_not_run(make, runs, clock):
    """The worker stands between asking for a key and getting it while the stop goes by."""
    asking, go_on = threading.Event(), threading.Event()

    class Queue(RateLimitingQueue):
        def get(self, timeout=None):
            asking.set()
            assert go_on.wait(PATIENCE)
            return super().get(timeout)

    controller = make(runs, queue=Queue(clock=clock))
    controller.add("default/a")
    controller.start()
    assert asking.wait(PATIENCE)
    assert controller.stop(0) is False
    go_on.set()
    until(lambda: alive() == [])
    assert len(runs) == 0
    assert controller.queue.statistics().processing == 0


@pytest.mark.parametrize("workers", [1, 8])
def test_runs_that_hang_hold_a_stop_no_longer_than_grace_and_one_join(make, runs, gate, workers):
    runs.answer = gate
    controller = make(runs, workers=workers)
    controller.start()
    for number in range(workers):
        controller.add(f"default/{number}")
    runs.wait(workers)
    begun = time.monotonic()
    assert controller.stop(0) is False
    assert time.monotonic() - begun < JOIN_TIMEOUT + 1.5
    assert controller.statistics().workers == controller.statistics().active == workers
    gate.set()
    until(lambda: alive() == [])
    assert controller.statistics().active == 0


def test_a_hung_key_does_not_keep_other_workers_from_draining(make, runs, gate, clock, stop_in_background):
    runs.answer = lambda request: gate(request) if request.name == "hung" else None
    controller = make(runs, workers=2)
    controller.start()
    controller.add("default/hung")
    runs.wait(1)
    for number in range(50):
        controller.add(f"default/{number}")
    answer = stop_in_background(controller, 10.0)
    runs.wait(51)
    until(lambda: controller.statistics().success == 50)
    until(lambda: len(alive()) == 1, "the free worker has gone home")
    clock.wait_for_waiters(1)
    clock.step(10.0)
    assert answer() is False
