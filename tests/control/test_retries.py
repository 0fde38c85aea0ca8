"""Failures are retried later and later, a limited number of times if there is a limit, and then reported once."""

import logging
from itertools import accumulate

import pytest

from tests.control.conftest import settle, until
from workqueue.base.keys import ObjectKey

KEY = ObjectKey("default", "bad")
OTHER = ObjectKey("default", "good")

#: 5 ms, 10 ms, 20 ms … 2.56 s.
DELAYS = [0.005 * 2**failures for failures in range(10)]


def fail(request):
    return RuntimeError("no luck") if request.key == KEY else None


def run_to_next(controller, clock, runs, delay):
    """To the instant the key is due at, by way of one just before it, at which nothing must happen."""
    queue = controller.queue
    count, due = len(runs), clock.now() + delay
    until(lambda: queue.statistics().delayed == 1)
    clock.step(delay * 0.999)
    assert (len(queue), queue.statistics().delayed, len(runs)) == (0, 1, count), "retried too early"
    clock.step(due - clock.now())
    runs.wait(count + 1)
    settle(controller)


def test_a_key_that_always_fails_runs_11_times_at_doubling_delays_and_is_given_up_with_one_report(
    make, runs, clock, caplog
):
    caplog.set_level(logging.DEBUG, "workqueue")
    runs.answer = fail
    controller = make(runs, max_retries=10)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    for number, delay in enumerate(DELAYS):
        if number == 5:
            controller.add(OTHER)
            until(lambda: controller.statistics().success == 1)
        run_to_next(controller, clock, runs, delay)
    clock.step(10_000)
    settle(controller)

    instants = [at for at, key in zip(runs.instants, runs.keys, strict=True) if key == KEY]
    assert instants == list(accumulate([0.0, *DELAYS]))
    assert [retry for retry, key in zip(runs.retries, runs.keys, strict=True) if key == KEY] == list(range(11))
    assert runs.of(OTHER) == 1
    statistics, queue = controller.statistics(), controller.queue.statistics()
    assert (statistics.error, statistics.given_up, statistics.success) == (11, 1, 1)
    assert (statistics.workers, statistics.active, statistics.restarts, statistics.terminal) == (1, 0, 0, 0)
    assert (queue.depth, queue.delayed, queue.processing, queue.retries) == (0, 0, 0, 10)
    assert controller.queue.num_requeues(KEY) == 0
    reports = [each for each in caplog.records if "given up" in each.getMessage()]
    assert [each.getMessage() for each in reports] == [
        "controller pods: default/bad given up after 11 runs: RuntimeError('no luck')"
    ]
    assert reports[0].levelno == logging.ERROR
    assert reports[0].exc_info, "the report must show where it failed"
    assert sum("will be retried" in each.getMessage() for each in caplog.records) == 10
    assert not [each for each in caplog.records if "good" in each.getMessage()]


def test_a_key_that_was_given_up_starts_from_nothing_when_it_is_added_again(make, runs, clock):
    runs.answer = fail
    controller = make(runs, max_retries=1)
    controller.start()
    for _ in range(2):
        controller.add(KEY)
        runs.wait(len(runs) + 1)
        run_to_next(controller, clock, runs, 0.005)
    assert runs.retries == [0, 1, 0, 1]
    assert controller.statistics().given_up == 2


def test_no_retries_at_all_if_there_must_be_none(make, runs, clock):
    runs.answer = fail
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    assert controller.queue.statistics().delayed == 0
    assert len(runs) == 1


def test_without_a_limit_a_key_is_retried_on_and_on_at_most_every_1000_s(make, runs, clock):
    runs.answer = fail
    controller = make(runs, max_retries=None)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    for failures in range(25):
        run_to_next(controller, clock, runs, min(0.005 * 2**failures, 1000.0))
    assert len(runs) == 26
    assert controller.statistics().given_up == 0
    assert controller.queue.num_requeues(KEY) == 26


def test_success_forgets_the_failures_before(make, runs, clock):
    outcomes = [RuntimeError(), RuntimeError(), None, RuntimeError(), None]
    runs.answer = lambda _: outcomes.pop(0)
    controller = make(runs, max_retries=2)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    run_to_next(controller, clock, runs, 0.005)
    run_to_next(controller, clock, runs, 0.010)
    assert controller.queue.num_requeues(KEY) == 0
    controller.add(KEY)
    runs.wait(4)
    run_to_next(controller, clock, runs, 0.005)
    assert runs.retries == [0, 1, 2, 0, 1]
    assert controller.statistics().given_up == 0


def test_a_change_while_a_retry_waits_is_handled_at_once_and_counts_on(make, runs, clock):
    runs.answer = fail
    controller = make(runs, max_retries=10)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    controller.add(KEY)
    runs.wait(2)
    assert runs.instants == [0.0, 0.0]
    assert runs.retries == [0, 1]


@pytest.mark.parametrize("error", [ValueError("%s %d"), ValueError("two\nlines"), ValueError("\ud800")])
def test_any_text_of_an_error_can_be_reported(make, runs, caplog, error):
    runs.answer = error
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: "given up" in caplog.text)
