"""Runs without workers: the test's thread takes a key, and what becomes of it is what a worker would make of it."""

import threading

import pytest

from tests.control.conftest import PATIENCE
from workqueue.queues import PriorityQueue, RateLimitingQueue


def test_one_key_runs_in_the_thread_of_the_call(make, runs):
    controller = make(runs)
    controller.add("default/a")
    controller.add("default/b")
    assert controller.run_next() == ("default", "a")
    assert runs.keys == [("default", "a")]
    assert runs.threads == [threading.current_thread()]
    assert controller.run_next() == ("default", "b")
    assert controller.run_next() is None
    statistics = controller.queue.statistics()
    assert (controller.statistics().success, statistics.depth, statistics.processing) == (2, 0, 0)


def test_a_failure_is_settled_as_a_worker_does(make, runs, clock):
    runs.answer = OSError("no luck")
    controller = make(runs, max_retries=1)
    controller.add("default/a")
    controller.run_next()
    assert controller.run_next() is None, "its retry is not due"
    clock.step(0.005)
    controller.run_next()
    assert runs.retries == [0, 1]
    assert [parked.key for parked in controller.parked()] == [("default", "a")]


def test_no_key_is_taken_while_it_is_paused_or_after_its_end(make, runs):
    controller = make(runs)
    controller.add("default/a")
    controller.pause()
    assert controller.run_next() is None
    controller.resume()
    assert controller.run_next() == ("default", "a")
    controller.stop(0)
    assert controller.run_next() is None


def test_a_run_whose_time_is_over_fails_when_somebody_looks(make, clock):
    controller = make(
        lambda request: clock.step(11) or controller.expire_runs() or controller.expire_runs(), timeout=10
    )
    controller.add("default/a")
    controller.run_next()
    statistics = controller.statistics()
    assert (statistics.timeout, statistics.error, statistics.success) == (1, 1, 0)
    assert controller.queue.statistics().delayed == 1


@pytest.mark.parametrize("queue_class", [PriorityQueue, RateLimitingQueue])
def test_what_a_limiter_raises_is_raised_and_the_key_is_in_nobodys_hands(make, runs, clock, queue_class):
    class Broken:
        def when(self, key):
            raise TimeoutError("no limit to be had")

        def forget(self, key):
            pass

        def num_requeues(self, key):
            return 0

    runs.answer = OSError("no luck")
    controller = make(runs, queue=queue_class(clock=clock, rate_limiter=Broken()))
    controller.add("default/a")
    with pytest.raises(TimeoutError, match="no limit to be had"):
        controller.run_next()
    assert controller.queue.statistics().processing == 0


def test_beside_workers_it_is_one_more_of_them(make, runs, gate):
    controller = make(lambda request: (runs(request), gate(request))[0] if request.name == "a" else runs(request))
    controller.add("default/a")
    controller.start()
    runs.wait(1)
    controller.add("default/b")
    assert controller.run_next() == ("default", "b")
    gate.set()
    assert gate.wait(PATIENCE)
