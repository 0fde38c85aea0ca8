"""Starting once, when the caches are there; stopping with what is queued, as far as the time allows."""

import logging
import threading
import time

import pytest

from tests.control.conftest import PATIENCE, Gate, alive, until
from workqueue.control import TerminalError
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
    caplog.set_level(logging.INFO, "workqueue.queues")
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
    until(lambda: controller._pool.is_closed)
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
        def get(self, timeout=None, **options):
            asking.set()
            assert go_on.wait(PATIENCE)
            return super().get(timeout, **options)

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


# No key is begun that, going by the longest run so far, would not be finished within the grace.


class Gates(dict):
    """A gate for some keys, by name; runs of the others go on."""

    def __call__(self, request):
        if request.name in self:
            self[request.name](request)


@pytest.fixture
def gates():
    made = Gates(first=Gate(), second=Gate())
    yield made
    for gate in made.values():
        gate.set()


@pytest.mark.parametrize(
    ("seconds", "grace", "runs_in_all"),
    [
        (4.0, 10.0, 2),  # after 8 s another would take until 12
        (5.0, 10.0, 2),  # after 5 s another takes until 10: just in time
        (5.1, 10.0, 1),
        (3.0, 10.0, 3),
        (20.0, 10.0, 1),
        (1.0, 10.0, 6),
    ],
)
def test_keys_that_would_not_be_finished_in_time_are_left_and_counted(
    make, *, runs, gates, clock, caplog, stop_in_background, seconds, grace, runs_in_all
):
    """The clock moves by the runs alone: whoever waited for the end of the grace would wait for ever."""
    runs.answer = lambda request: gates(request) or clock.step(seconds)
    controller = make(runs, queue=RateLimitingQueue(name="pods", clock=clock))
    controller.start()
    for name in ("first", "b", "c", "d", "e", "f"):
        controller.add(f"default/{name}")
    runs.wait(1)
    answer = stop_in_background(controller, grace)
    until(lambda: controller.queue.shutting_down)
    gates["first"].set()
    assert answer() is (runs_in_all == 6)
    assert len(runs) == controller.statistics().success == runs_in_all
    assert clock.now() == pytest.approx(seconds * runs_in_all)
    statistics = controller.queue.statistics()
    assert (statistics.ready, statistics.processing) == (6 - runs_in_all, 0)
    assert alive() == []
    left = [f"default/{name}" for name in "bcdef"][runs_in_all - 1 :]
    told = f"queue 'pods': drain ended with {len(left)} keys queued ({', '.join(left)}) and 0 in processing (none)"
    assert (told in caplog.text) is bool(left)


@pytest.mark.parametrize("outcome", [None, TerminalError("no")], ids=["done", "failed"])
def test_a_long_run_before_the_stop_counts_whatever_came_of_it_and_shorter_ones_do_not_hide_it(
    make, *, runs, gates, clock, stop_in_background, outcome
):
    def answer(request):
        gates(request)
        clock.step({"long": 30.0, "short": 1.0}.get(request.name, 0.0))
        return outcome if request.name == "long" else None

    runs.answer = answer
    controller = make(runs)
    controller.start()
    for name in ("long", "short", "first", "b", "c"):
        controller.add(f"default/{name}")
    runs.wait(3)
    stopped = stop_in_background(controller, 10.0)
    until(lambda: controller.queue.shutting_down)
    gates["first"].set()
    assert stopped() is False
    assert [key.name for key in runs.keys] == ["long", "short", "first"]
    assert controller.queue.statistics().ready == 2
    assert alive() == []


def test_a_long_run_before_the_stop_leaves_nothing_behind_if_nothing_is_queued(make, runs, clock):
    runs.answer = lambda request: clock.step(30.0)
    controller = make(runs, workers=2)
    controller.start()
    controller.add("default/long")
    until(lambda: controller.statistics().success == 1)
    assert controller.stop(10.0) is True
    assert alive() == []


def test_without_any_run_before_it_a_stop_drains_to_the_end_of_the_grace(make, runs, gates, clock, stop_in_background):
    runs.answer = gates
    controller = make(runs)
    controller.start()
    for name in ("first", "b", "second", "c", "d"):
        controller.add(f"default/{name}")
    runs.wait(1)
    stopped = stop_in_background(controller, 10.0)
    until(lambda: controller.queue.shutting_down)
    gates["first"].set()
    runs.wait(3)
    gates["second"].set()
    assert stopped() is True
    assert [key.name for key in runs.keys] == ["first", "b", "second", "c", "d"]
    assert clock.now() == 0.0


def test_the_drain_waits_for_the_last_worker_that_works_and_no_longer(
    make, *, runs, gates, clock, caplog, stop_in_background
):
    """One goes home because it is too late for another key; the other still has one in hand."""

    def answer(request):
        gates(request)
        if request.name == "first":
            clock.step(6.0)

    runs.answer = answer
    controller = make(runs, workers=2, queue=RateLimitingQueue(name="pods", clock=clock))
    controller.start()
    for name in ("first", "second", "b", "c"):
        controller.add(f"default/{name}")
    runs.wait(2)
    stopped = stop_in_background(controller, 10.0)
    until(lambda: controller.queue.shutting_down)
    gates["first"].set()
    until(lambda: len(alive()) == 1, "the free worker has gone home")
    assert not controller._pool.is_closed, "the drain goes on"
    gates["second"].set()
    assert stopped() is False
    assert clock.now() == 6.0, "nobody waited for the end of the grace"
    assert (controller.statistics().success, controller.queue.statistics().ready) == (2, 2)
    assert "drain ended with 2 keys queued (default/b, default/c) and 0 in processing (none)" in caplog.text
    assert alive() == []


def test_a_run_that_hangs_holds_the_drain_to_the_end_of_the_grace_though_the_others_went_home(
    make, *, runs, gates, clock, stop_in_background
):
    runs.answer = lambda request: gates(request) or clock.step(6.0)
    controller = make(runs, workers=2)
    controller.start()
    for name in ("first", "second", "b"):
        controller.add(f"default/{name}")
    runs.wait(2)
    stopped = stop_in_background(controller, 10.0)
    until(lambda: controller.queue.shutting_down)
    gates["first"].set()
    until(lambda: len(alive()) == 1, "the free worker has gone home")
    clock.wait_for_waiters(1)
    assert not controller._pool.is_closed
    clock.step(4.0)
    assert stopped() is False
    statistics = controller.queue.statistics()
    assert (statistics.ready, statistics.processing) == (1, 1)
    assert controller.statistics().active == 1


def test_the_rule_is_for_stops_only(make, runs, clock):
    """However long runs take, keys are begun as long as nobody stops."""
    runs.answer = lambda request: clock.step(1000.0)
    controller = make(runs)
    controller.start()
    for name in "abc":
        controller.add(f"default/{name}")
    runs.wait(3)
