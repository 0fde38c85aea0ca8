"""What a controller makes of priorities, and that no resync cuts the backoff of a key that fails."""

import pytest

from tests.control.conftest import settle, until
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import LOW_PRIORITY, Origin, origin
from workqueue.control import Result
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue

INITIAL = Origin("initial list", LOW_PRIORITY)
RESYNC = Origin("resync", LOW_PRIORITY, news=False)
KEY = ObjectKey("default", "a")


@pytest.fixture
def queue(clock):
    limiter = ItemExponentialFailureRateLimiter(1, 1000)
    return PriorityQueue(clock=clock, rate_limiter=limiter, backoff="steady", max_starvation=60)


@pytest.fixture
def priorities(runs):
    """The priority of each run's request, in their order."""
    seen = []
    answer = runs.answer

    def remember(request):
        seen.append((request.name, request.priority))
        return answer(request) if callable(answer) else runs.then

    runs.then = None
    runs.answer = remember
    return seen


def test_changes_come_before_the_initial_list_which_comes_in_its_order(make, runs, priorities):
    controller = make(runs)
    with origin(INITIAL):
        for name in "xyz":
            controller.add(("default", name))
    controller.add("default/a")
    with origin(Origin("update")):
        controller.add("default/y")
    controller.start()
    runs.wait(4)
    settle(controller)
    assert priorities == [("a", 0), ("y", 0), ("x", -100), ("z", -100)]


@pytest.mark.parametrize("answer", [RuntimeError("failed"), Result.requeue(), Result.requeue(after=1)], ids=str)
def test_a_key_that_comes_again_keeps_its_priority(make, runs, clock, priorities, answer):
    runs.then = answer
    controller = make(runs)
    with origin(INITIAL):
        controller.add(KEY)
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(1)
    runs.wait(2)
    until(lambda: controller.queue.statistics().delayed == 1)
    assert priorities == [("a", -100)] * 2


def test_a_change_during_a_run_brings_the_key_back_with_the_priority_of_changes(make, runs, gate, priorities):
    runs.then = None
    controller = make(lambda request: (runs(request), gate(request))[0])
    with origin(INITIAL):
        controller.add(KEY)
    controller.start()
    runs.wait(1)
    controller.add(KEY)
    gate.set()
    runs.wait(2)
    assert priorities == [("a", -100), ("a", 0)]


def test_the_request_of_a_queue_without_priorities_has_priority_0(make, runs, clock, priorities):
    controller = make(runs, queue=RateLimitingQueue(clock=clock))
    with origin(INITIAL):
        controller.add(KEY)
    controller.start()
    runs.wait(1)
    settle(controller)
    assert priorities == [("a", 0)]


def failing_once(controller, runs, clock):
    """Let the key fail, so that it waits a second."""
    runs.then = RuntimeError("failed")
    controller.add(KEY)
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    assert len(runs) == 1


def test_a_resync_does_not_cut_a_pending_backoff(make, runs, clock, priorities):
    controller = make(runs)
    failing_once(controller, runs, clock)
    with origin(RESYNC):
        controller.add(KEY)
    settle(controller)
    assert (len(runs), controller.queue.statistics().delayed) == (1, 1)
    clock.step(1)
    runs.wait(2)
    assert runs.retries == [0, 1]


def test_a_change_cuts_it_and_what_it_fails_at_does_not_lengthen_the_next(make, runs, clock, priorities):
    controller = make(runs)
    failing_once(controller, runs, clock)
    for number in range(2, 20):  # within one second, so that none of them is a retry
        controller.add(KEY)
        runs.wait(number)
        until(lambda: controller.queue.statistics().delayed == 1)
        clock.step(0.01)
    assert runs.retries == list(range(19)), "each of them counts"
    clock.step(0.98)
    assert len(runs) == 19
    clock.step(0.01)
    runs.wait(20)
    until(lambda: controller.queue.statistics().delayed == 1)
    assert runs.instants[-1] - runs.instants[-2] == pytest.approx(1), "as long as after the first failure"
    clock.step(1.99)
    assert len(runs) == 20
    clock.step(0.01)
    runs.wait(21)
    assert runs.instants[-1] - runs.instants[-2] == pytest.approx(2), "that one was a retry, so the next wait is longer"


def test_a_resync_during_the_run_of_a_key_that_fails_does_not_cut_its_backoff(make, runs, clock, gate, priorities):
    runs.then = RuntimeError("failed")
    held = []

    def reconcile(request):
        held.append(request)
        if len(held) == 2:
            gate(request)
        return runs(request)

    controller = make(reconcile)
    controller.add(KEY)
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(1)
    until(lambda: len(held) == 2)
    with origin(RESYNC):
        controller.add(KEY)
    gate.set()
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    assert len(runs) == 2
    clock.step(2)
    runs.wait(3)


def test_a_resync_of_a_healthy_key_runs_it(make, runs, priorities):
    controller = make(runs)
    controller.start()
    with origin(RESYNC):
        controller.add(KEY)
    runs.wait(1)
    settle(controller)
    assert priorities == [("a", -100)]


@pytest.mark.parametrize(("priority", "expected"), [(None, -100), (7, 7), (0, 0), (-200, -200)])
@pytest.mark.parametrize("after", [None, 5.0])
def test_a_requeue_has_the_priority_that_it_asks_for_or_keeps_the_one_it_had(
    make, runs, clock, *, after, priority, expected
):
    priorities = []

    def answer(request):
        priorities.append(request.priority)
        return Result.requeue(after=after, priority=priority) if len(priorities) == 1 else None

    runs.answer = answer
    controller = make(runs, queue=PriorityQueue(clock=clock))
    controller.queue.add_with(KEY, priority=-100)
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(5.0)
    runs.wait(2)
    settle(controller)
    assert priorities == [-100, expected]


@pytest.mark.parametrize("after", [None, 5.0])
def test_a_queue_without_priorities_takes_a_requeue_that_asks_for_one(make, runs, clock, after):
    runs.answer = lambda _: Result.requeue(after=after, priority=7) if len(runs) == 1 else None
    controller = make(runs, queue=RateLimitingQueue(clock=clock))
    controller.add("default/a")
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(5.0)
    runs.wait(2)
    settle(controller)
    assert controller.statistics().restarts == 0
