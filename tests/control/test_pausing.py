"""A paused controller takes no key, keeps what comes, and is as ready to end as any other."""

import threading

import pytest

from tests.control.conftest import PATIENCE, alive, settle, until
from workqueue.base.keys import ObjectKey
from workqueue.queues import RateLimitingQueue

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


def test_no_key_is_taken_while_it_is_paused_and_all_that_came_are_after_it(make, runs):
    controller = make(runs, workers=4)
    controller.start()
    controller.pause()
    assert controller.is_paused
    assert controller.statistics().paused
    for number in range(20):
        controller.add(f"default/{number}")
    assert (len(runs), len(controller.queue), controller.statistics().workers) == (0, 20, 4)
    controller.resume()
    assert not controller.is_paused
    runs.wait(20)
    settle(controller)
    assert controller.statistics().success == 20


def test_a_run_under_way_goes_on_and_the_next_key_waits(make, runs, gate):
    runs.answer = gate
    controller = make(runs)
    controller.start()
    controller.add(A)
    controller.add(B)
    runs.wait(1)
    controller.pause()
    gate.set()
    until(lambda: controller.statistics().success == 1)
    until(lambda: controller.queue.statistics().processing == 0)
    assert (len(runs), len(controller.queue)) == (1, 1)
    controller.resume()
    runs.wait(2)


def test_it_may_be_paused_before_it_is_started_and_as_often_as_one_likes(make, runs):
    controller = make(runs, workers=2)
    controller.pause()
    controller.pause()
    controller.start()
    controller.add(A)
    until(lambda: len(alive()) == 2)
    assert len(runs) == 0
    for _ in range(50):
        controller.resume()
        controller.pause()
    controller.resume()
    controller.resume()
    runs.wait(1)
    settle(controller)
    controller.add(B)
    runs.wait(2)


def test_a_stop_of_a_paused_one_begins_no_key_and_does_not_wait(make, runs, clock):
    controller = make(runs, workers=3)
    controller.start()
    controller.pause()
    controller.add(A)
    assert controller.stop(20.0) is False, "the clock stands still: whoever waited would wait for ever"
    assert (len(runs), alive(), clock.now()) == (0, [], 0.0)


def test_a_stop_of_a_paused_one_waits_for_the_run_under_way(make, runs, gate):
    runs.answer = gate
    controller = make(runs)
    controller.start()
    controller.add(A)
    runs.wait(1)
    controller.pause()
    gate.set()
    assert controller.stop(PATIENCE) is True
    assert controller.statistics().success == 1


def test_a_stop_of_a_paused_one_that_has_nothing_to_do_is_drained(make, runs):
    controller = make(runs, workers=2)
    controller.start()
    controller.pause()
    assert controller.stop(PATIENCE) is True
    assert alive() == []


@pytest.mark.parametrize("resumed", [False, True])
def test_a_key_that_was_taken_just_before_the_pause_is_run_though_the_controller_stops(make, runs, clock, *, resumed):
    """The worker has the key, and stands before its run while pause and stop go by."""
    taken, go_on = threading.Event(), threading.Event()

    class Queue(RateLimitingQueue):
        def get(self, timeout=None, **options):
            key = super().get(timeout, **options)
            taken.set()
            assert go_on.wait(PATIENCE)
            return key

    controller = make(runs, queue=Queue(clock=clock))
    controller.start()
    controller.add(A)
    assert taken.wait(PATIENCE)
    controller.pause()
    stopped = []
    stopping = threading.Thread(target=lambda: stopped.append(controller.stop(PATIENCE)))
    stopping.start()
    until(lambda: controller.queue.shutting_down)
    if resumed:
        controller.resume()
    go_on.set()
    stopping.join(PATIENCE)
    assert (stopped, runs.keys) == ([True], [A])
