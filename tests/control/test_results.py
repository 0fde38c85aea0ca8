"""What becomes of a key after each kind of answer: the table of controller-runtime."""

import logging
import math

import pytest

from tests.control.conftest import settle, until
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.control import Result
from workqueue.queues import RateLimitingQueue

KEY = ObjectKey("default", "a")


class Recorder(RateLimitingQueue):
    """A queue that remembers what a controller did with a key."""

    def __init__(self, clock):
        super().__init__(clock=clock)
        self.calls = []

    def add_rate_limited(self, key):
        self.calls.append(("add_rate_limited", key))
        return 1.0

    def forget(self, key):
        self.calls.append(("forget", key))

    def add_after(self, key, delay):
        self.calls.append(("add_after", key, delay))

    def done(self, key):
        self.calls.append(("done", key))
        super().done(key)


@pytest.mark.parametrize(
    ("answer", "outcome", "calls"),
    [
        (None, "success", [("forget", KEY)]),
        (Result.done(), "success", [("forget", KEY)]),
        (Result.requeue(), "requeue", [("add_rate_limited", KEY)]),
        (Result.requeue(after=30), "requeue_after", [("forget", KEY), ("add_after", KEY, 30)]),
        (Result.requeue(after=0.25), "requeue_after", [("forget", KEY), ("add_after", KEY, 0.25)]),
        (RuntimeError(), "error", [("add_rate_limited", KEY)]),
    ],
    ids=["none", "done", "requeue", "after 30", "after 0.25", "error"],
)
def test_each_answer_has_its_one_outcome_and_then_the_key_is_done(make, runs, answer, outcome, calls):
    queue = Recorder(runs.clock)
    runs.answer = answer
    controller = make(runs, queue=queue)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    settle(controller)
    assert queue.calls == [*calls, ("done", KEY)]
    statistics = controller.statistics()
    counts = {name: getattr(statistics, name) for name in ("success", "requeue", "requeue_after", "error")}
    assert counts == {**dict.fromkeys(counts, 0), outcome: 1}


def test_a_requeue_is_delayed_as_a_failure_is_and_counts_as_one(make, runs, clock, caplog):
    caplog.set_level(logging.DEBUG, "workqueue")
    runs.answer = lambda request: Result.requeue() if request.retry < 2 else None
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    for delay in (0.005, 0.01):
        until(lambda: controller.queue.statistics().delayed == 1)
        settle(controller)
        clock.step(delay)
    until(lambda: controller.statistics().success == 1)
    assert runs.retries == [0, 1, 2]
    assert runs.instants == [0.0, 0.005, 0.015]
    assert controller.queue.num_requeues(KEY) == 0
    assert not [each for each in caplog.records if each.name == "workqueue.control"], "a requeue is nothing to report"


def test_requeues_are_not_given_up_by_the_limit_of_retries(make, runs, clock):
    runs.answer = Result.requeue()
    controller = make(runs, max_retries=1)
    controller.start()
    controller.add(KEY)
    for number in range(5):
        runs.wait(number + 1)
        until(lambda: controller.queue.statistics().delayed == 1)
        settle(controller)
        clock.step(1000)
    runs.wait(6)
    assert controller.statistics().given_up == 0


def test_requeue_after_forgets_the_failures_and_comes_at_its_time(make, runs, clock):
    outcomes = [RuntimeError(), Result.requeue(after=30), None]
    runs.answer = lambda _: outcomes.pop(0)
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(0.5)
    runs.wait(2)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    assert controller.queue.num_requeues(KEY) == 0
    clock.step(29.5)
    assert (len(controller.queue), len(runs)) == (0, 2)
    clock.step(0.5)
    until(lambda: controller.statistics().success == 1)
    assert runs.instants == [0.0, 0.5, 30.5]
    assert runs.retries == [0, 1, 0]


@pytest.mark.parametrize("after", [0, 0.0, -1, -0.001, math.nan, math.inf, -math.inf])
def test_a_delay_that_means_nothing_is_refused_where_it_is_said(after):
    with pytest.raises(ValueError, match=r"Result\.requeue\(after=.*\): expected seconds, more than 0"):
        Result.requeue(after=after)


def test_a_refused_delay_inside_a_run_is_a_failure_of_that_run(make, runs):
    runs.answer = lambda _: Result.requeue(after=-1)
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    assert controller.statistics().error == 1


def test_results_are_values():
    assert Result.done() == Result()
    assert Result.requeue() != Result.done()
    assert Result.requeue(after=30) == Result.requeue(after=30.0) == Result.requeue(30)
    with pytest.raises(AttributeError):
        Result.done().after = 5


@pytest.mark.parametrize("arguments", [("bogus",), ("requeue_after", 0.0), ("requeue_after", float("nan"))])
def test_a_result_that_means_nothing_cannot_be_made(arguments):
    with pytest.raises(ValueError, match=r"Result"):
        Result(*arguments)


@pytest.mark.parametrize(
    ("arguments", "said"), [((), "'success'"), (("success",), "'success'"), (("requeue",), "'requeue'")]
)
def test_a_delay_that_would_be_ignored_is_refused_and_told_how_to_say_it(arguments, said):
    with pytest.raises(ConfigurationError) as caught:
        Result(*arguments, after=30)
    assert str(caught.value) == f"Result({said}, after=30): the delay would be ignored; use Result.requeue(after=30)"
