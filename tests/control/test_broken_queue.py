"""A queue or limiter that raises costs a second, not a worker and not a key."""

import logging

import pytest

from tests.control.conftest import settle, until
from workqueue.base.keys import ObjectKey
from workqueue.control import Result, TerminalError
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue

KEY = ObjectKey("default", "a")


class Broken(ItemExponentialFailureRateLimiter):
    """A limiter that raises at the first call of some of its methods."""

    def __init__(self, error, *methods):
        super().__init__(0.005, 1000)
        self.error = error
        self.methods = list(methods)

    def _maybe(self, method):
        if method in self.methods:
            self.methods.remove(method)
            raise self.error

    def when(self, key):
        self._maybe("when")
        return super().when(key)

    def forget(self, key):
        self._maybe("forget")
        super().forget(key)


def controller_with(make, runs, clock, limiter, **options):
    return make(runs, queue=RateLimitingQueue(clock=clock, rate_limiter=limiter), **options)


@pytest.mark.parametrize(
    "case",
    [
        ("when", RuntimeError("failed run")),
        ("when", Result.requeue()),
        ("forget", None),
        ("forget", Result.requeue(after=5)),
    ],
    ids=["when after an error", "when after a requeue", "forget", "forget before a delay"],
)
@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), SystemExit(3), MemoryError()], ids=lambda e: type(e).__name__
)
def test_a_limiter_that_raises_is_reported_and_the_key_comes_again_after_a_second(make, runs, caplog, case, error):
    clock = runs.clock
    method, answer = case
    answers = [answer]
    runs.answer = lambda _: answers.pop(0) if answers else None
    controller = controller_with(make, runs, clock, Broken(error, method))
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    assert len(runs) == 1
    assert controller.statistics().workers == 1
    assert f"controller pods: a worker failed on default/a and goes on in 1 s: {error!r}" in caplog.text

    clock.wait_for_waiters(1)
    clock.step(0.999)
    assert (len(controller.queue), len(runs)) == (0, 1)
    clock.step(0.001)
    runs.wait(2)
    settle(controller)
    assert runs.keys == [KEY] * 2
    assert controller.statistics().success == 1
    assert controller.statistics().restarts == 1
    assert controller.queue.num_requeues(KEY) == 0


def test_a_queue_that_raises_instead_of_handing_out_is_asked_again_after_a_second(make, runs, clock, caplog):
    class Queue(RateLimitingQueue):
        broken = 2

        def get(self, timeout=None, **options):
            if self.broken:
                self.broken -= 1
                raise OSError("no queue today")
            return super().get(timeout, **options)

    controller = make(runs, queue=Queue(clock=clock))
    controller.add(KEY)
    controller.start()
    for restarts in (1, 2):
        until(lambda count=restarts: controller.statistics().restarts == count)
        clock.wait_for_waiters(1)
        assert len(runs) == 0
        clock.step(1.0)
    runs.wait(1)
    settle(controller)
    assert runs.keys == [KEY]
    assert caplog.text.count("a worker failed on None and goes on in 1 s: OSError('no queue today')") == 2


def test_one_worker_that_pauses_does_not_hold_the_others(make, runs, clock, gate):
    controller = controller_with(make, runs, clock, Broken(RuntimeError("broken"), "forget"), workers=2)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    for number in range(10):
        controller.add(f"default/other-{number}")
    runs.wait(11)
    assert clock.now() == 0.0
    assert len(set(runs.threads[1:])) == 1


def test_a_limiter_that_always_raises_costs_each_second_one_run(make, runs, clock):
    limiter = Broken(RuntimeError("broken"), *["forget"] * 5)
    controller = controller_with(make, runs, clock, limiter)
    controller.start()
    controller.add(KEY)
    for number in range(5):
        runs.wait(number + 1)
        until(lambda count=number + 1: controller.statistics().restarts == count)
        until(lambda: controller.queue.statistics().delayed == 1)
        clock.wait_for_waiters(1)
        clock.step(1.0)
    until(lambda: controller.statistics().success == 1)
    assert runs.instants == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_stop_ends_the_pause_of_a_worker(make, runs, clock):
    controller = controller_with(make, runs, clock, Broken(RuntimeError("broken"), "forget"))
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    clock.wait_for_waiters(1)
    controller.stop(0)
    until(lambda: controller.statistics().workers == 0)
    assert clock.now() == 0.0


@pytest.fixture(params=["a handler", "a filter"])
def mute(request):
    """Whatever is to be said raises."""

    def raises(record):
        raise SystemExit("out of paper") if request.param == "a handler" else RuntimeError("a filter of somebody's")

    logger, handler = logging.getLogger("workqueue.control"), logging.NullHandler()
    handler.handle = raises
    if request.param == "a handler":
        logger.addHandler(handler)
    else:
        logger.addFilter(raises)
    yield
    logger.removeHandler(handler)
    logger.removeFilter(raises)


def test_a_log_that_raises_ends_no_worker_and_changes_nothing_of_what_is_done(make, runs, clock, mute):
    runs.answer = lambda request: RuntimeError() if request.key == KEY else TerminalError()
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    controller.add("default/hopeless")
    until(lambda: controller.statistics().error == 2)
    settle(controller)
    statistics = controller.statistics()
    assert (statistics.restarts, statistics.terminal, statistics.workers) == (0, 1, 1)
    clock.step(0.004)
    assert len(runs) == 2
    clock.step(0.001)
    runs.wait(3)
    settle(controller)
    assert runs.of(KEY) == 2


def test_a_log_that_raises_does_not_keep_a_failed_worker_from_its_pause(make, runs, clock, mute):
    controller = controller_with(make, runs, clock, Broken(RuntimeError("broken"), "forget"))
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    clock.wait_for_waiters(1)
    clock.step(1.0)
    until(lambda: controller.statistics().success == 1)
    assert controller.statistics().workers == 1


def test_a_key_whose_limiter_raises_keeps_its_priority(make, runs, clock):
    priorities = []
    runs.answer = lambda request: priorities.append(request.priority) or (len(runs) == 1 and OSError()) or None
    limiter = Broken(RuntimeError("broken"), "when")
    controller = make(runs, queue=PriorityQueue(clock=clock, rate_limiter=limiter))
    controller.queue.add_with(KEY, priority=-100)
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.wait_for_waiters(1)
    clock.step(1)
    runs.wait(2)
    settle(controller)
    assert priorities == [-100, -100]
