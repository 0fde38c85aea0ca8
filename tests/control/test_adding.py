"""Keys that are asked for by hand: now or later, one at a time."""

import math

import pytest

from tests.control.conftest import settle, until
from workqueue.base.errors import ConfigurationError, InvalidKey
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, LOW_PRIORITY, Origin, origin
from workqueue.control import Result
from workqueue.queues import PriorityQueue

KEY = ObjectKey("default", "a")
RESYNC = Origin("resync", LOW_PRIORITY, news=False)


def test_a_key_that_is_asked_for_later_runs_then_and_once(make, runs, clock):
    controller = make(runs)
    controller.start()
    controller.add(KEY, after=5)
    controller.add("default/a", after=30.5)
    settle(controller)
    assert (len(runs), controller.queue.statistics().delayed) == (0, 1)
    clock.wait_for_waiters(1)
    clock.step(4.5)
    assert len(controller.queue) == 0
    clock.step(0.5)
    until(lambda: controller.statistics().success == 1)
    clock.step(100)
    settle(controller)
    assert runs.instants == [5.0]


@pytest.mark.parametrize("after", [0, -1, -0.5])
def test_a_delay_that_is_over_already_is_none(make, runs, after):
    controller = make(runs)
    controller.start()
    controller.add(KEY, after=after)
    until(lambda: controller.statistics().success == 1)
    assert runs.instants == [0.0]


def test_it_has_the_priority_of_what_the_handler_is_told(make, clock):
    queue = PriorityQueue(clock=clock)
    priorities = []
    controller = make(lambda request: priorities.append(request.priority), queue=queue)
    with origin(Origin("update", 7)):
        controller.add(KEY, after=5)
    clock.step(5)
    controller.run_next()
    assert priorities == [7]


def test_an_initial_key_that_is_asked_for_later_is_waited_for(make, runs, clock):
    controller = make(runs)
    with origin(INITIAL):
        controller.add(KEY, after=5)
    controller.initial_keys_queued()
    assert controller.readiness == "queued"
    clock.step(5)
    controller.run_next()
    assert controller.readiness == "processed"


def test_a_parked_key_is_brought_back_by_a_hand_and_not_by_a_resync(make, runs, clock):
    answers = [RuntimeError("no luck"), None]
    runs.answer = lambda _: answers.pop(0)
    controller = make(runs, max_retries=0)
    controller.add(KEY)
    controller.run_next()
    with origin(RESYNC):
        controller.add(KEY, after=5)
    assert controller.statistics().parked == 1
    assert controller.queue.statistics().delayed == 0
    controller.add(KEY, after=5)
    assert controller.statistics().parked == 0
    clock.step(5)
    assert controller.run_next() == KEY


def test_a_resync_leaves_a_key_to_its_retry_and_a_hand_does_not(make, runs, clock):
    runs.answer = lambda request: None if request.retry else RuntimeError("no luck")
    controller = make(runs, queue=PriorityQueue(clock=clock, backoff="steady"))
    controller.add(KEY)
    controller.run_next()
    with origin(RESYNC):
        controller.add(KEY, after=0)
    assert controller.run_next() is None
    controller.add(KEY, after=0.001)
    clock.step(0.001)
    assert controller.run_next() == KEY


def test_a_run_may_ask_for_its_own_key(make, runs, clock):
    def answer(request):
        if len(runs) == 1:
            controller.add(request.key, after=5)
        return Result.done()

    runs.answer = answer
    controller = make(runs)
    controller.add(KEY)
    controller.run_next()
    assert controller.run_next() is None
    clock.step(5)
    assert controller.run_next() == KEY


@pytest.mark.parametrize("after", [math.nan, math.inf, -math.inf, "5", True, 10**400, b"5"], ids=str)
def test_a_delay_that_is_no_time_is_refused_in_a_line(make, runs, after):
    controller = make(runs)
    with pytest.raises(ConfigurationError) as caught:
        controller.add(KEY, after=after)
    assert str(caught.value) == f"add(after={after!r}): expected seconds"
    assert controller.queue.statistics().adds == 0


@pytest.mark.parametrize(
    ("arguments", "given"),
    [(("default", "web"), "'default', 'web'"), ((KEY, 5), "ObjectKey(namespace='default', name='a'), 5")],
)
def test_a_key_that_is_not_one_argument_is_refused_in_a_line_that_tells_how(make, runs, arguments, given):
    controller = make(runs)
    with pytest.raises(InvalidKey) as caught:
        controller.add(*arguments)
    assert str(caught.value) == (
        f"add({given}): a key is one argument, as in add(('namespace', 'name')); a delay has its name, as in "
        "add(key, after=5)"
    )
