"""Kopf's own errors mean in a reconcile function what they mean in a handler."""

# ruff: noqa: F401, F811  # fixtures are imported, and then named as arguments

import asyncio
import logging
import math

import kopf
import pytest

from tests.control.conftest import (
    clock,
    gate,
    loop,
    make,
    make_async,
    queue,
    runs,
    settle,
    step_until,
    until,
)
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import LOW_PRIORITY, Origin, origin
from workqueue.control import Verdict
from workqueue.plugin.kopf_errors import judge

KEY = ObjectKey("default", "a")
RESYNC = Origin("resync", LOW_PRIORITY, news=False)


@pytest.fixture
def build(make):
    return lambda reconcile, **options: make(reconcile, judge=judge, **options)


def raising(runs, *errors):
    """Raise one after another, and then return."""
    left = list(errors)
    runs.answer = lambda _: left.pop(0) if left else None


def ignored(delay):
    return Verdict(remark=f"its delay {delay} is no number of seconds and is ignored")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (kopf.PermanentError("no"), Verdict(is_terminal=True)),
        (kopf.HandlerTimeoutError("no"), Verdict(is_terminal=True)),
        (kopf.AdmissionError("no"), Verdict(is_terminal=True)),
        (kopf.TemporaryError("later"), Verdict(after=60)),
        (kopf.TemporaryError("later", delay=1.5), Verdict(after=1.5)),
        (kopf.TemporaryError("later", delay=0), Verdict(after=0.0)),
        (kopf.TemporaryError("later", delay=10**400), ignored("1" + 99 * "0" + "…")),
        (kopf.TemporaryError("later", delay=None), Verdict(after=0.0)),
        (kopf.TemporaryError("later", delay=-5), Verdict(after=0.0)),
        (kopf.TemporaryError("later", delay=math.nan), ignored("nan")),
        (kopf.TemporaryError("later", delay=math.inf), ignored("inf")),
        (kopf.TemporaryError("later", delay="5"), ignored("'5'")),
        (kopf.TemporaryError("later", delay=True), ignored("True")),
        (ValueError("else"), None),
        (asyncio.CancelledError(), None),
    ],
    ids=repr,
)
def test_what_an_error_says(error, verdict):
    assert judge(error) == verdict


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (kopf.TemporaryError("later", delay=7.5), 7.5),
        (kopf.TemporaryError("later", delay=3600), 3600),
        (kopf.TemporaryError("later"), 60),
    ],
    ids=repr,
)
def test_a_temporary_error_waits_exactly_as_long_as_it_says_and_counts_as_retry_and_as_error(
    build,
    runs,
    clock,
    error,
    delay,
):
    raising(runs, error)
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(delay - 0.125)
    settle(controller)
    assert len(runs) == 1
    clock.step(0.125)
    until(lambda: controller.statistics().success == 1)
    assert runs.instants == [0.0, delay]
    assert runs.retries == [0, 1]
    statistics = controller.statistics()
    assert (statistics.error, statistics.terminal, controller.queue.statistics().retries) == (1, 0, 1)


@pytest.mark.parametrize(
    ("group", "terminal", "instants"),
    [
        ([kopf.PermanentError("no"), OSError()], 1, [0.0]),
        ([OSError(), ExceptionGroup("within", [kopf.TemporaryError("later"), kopf.PermanentError("no")])], 1, [0.0]),
        ([kopf.TemporaryError("later", delay=9), kopf.TemporaryError("soon", delay=3)], 0, [0.0, 3.0]),
        ([kopf.TemporaryError("later", delay=9), OSError()], 0, [0.0, 0.005]),
    ],
    ids=["one permanent", "one within", "all temporary", "one else"],
)
def test_a_group_as_of_a_task_group_says_what_is_in_it(build, runs, clock, *, group, terminal, instants):
    raising(runs, ExceptionGroup("unhandled errors in a TaskGroup", group))
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().error == 1)
    settle(controller)
    if not terminal:
        clock.step(instants[-1])
        until(lambda: controller.statistics().success == 1)
    assert (runs.instants, controller.statistics().terminal) == (instants, terminal)


@pytest.mark.parametrize("delay", [None, 0, -1])
def test_without_a_delay_it_comes_again_at_once(build, runs, caplog, delay):
    raising(runs, kopf.TemporaryError("later", delay=delay))
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    assert (runs.instants, runs.retries) == ([0.0, 0.0], [0, 1])
    assert "failed (run 1), will be retried at once: later" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        kopf.TemporaryError("later", delay="soon"),
        ExceptionGroup("several", [kopf.TemporaryError("later", delay="soon"), kopf.TemporaryError("later", delay=5)]),
    ],
    ids=["alone", "in a group"],
)
def test_a_delay_that_is_no_time_leaves_it_to_the_limiter_and_is_told(build, runs, clock, caplog, error):
    raising(runs, error)
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(0.005)
    until(lambda: controller.statistics().success == 1)
    assert runs.instants == [0.0, 0.005]
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "will be retried in 0.005 s: " in record.getMessage()
    assert record.getMessage().endswith(" (its delay 'soon' is no number of seconds and is ignored)")


def test_its_retries_are_limited_as_others_are_and_then_the_key_is_parked(build, runs, clock):
    runs.answer = lambda _: kopf.TemporaryError("never well", delay=10)
    controller = build(runs, max_retries=2)
    controller.start()
    controller.add(KEY)
    step_until(clock, lambda: controller.statistics().given_up == 1, by=10)
    settle(controller)
    assert runs.retries == [0, 1, 2]
    [parked] = controller.parked()
    assert (parked.key, parked.runs, parked.error) == (KEY, 3, "never well")
    clock.step(1000)
    settle(controller)
    assert len(runs) == 3


def test_a_resync_does_not_cut_the_wait_and_a_change_does(build, runs, clock):
    raising(runs, kopf.TemporaryError("later", delay=100), kopf.TemporaryError("later", delay=100))
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(10)
    with origin(RESYNC):
        controller.add(KEY)
    settle(controller)
    assert len(runs) == 1
    clock.step(90)
    runs.wait(2)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(10)
    with origin(Origin("update")):
        controller.add(KEY)
    runs.wait(3)
    assert runs.instants == [0.0, 100.0, 110.0]


def test_a_success_forgets_what_temporary_errors_counted(build, runs, clock):
    raising(runs, *(kopf.TemporaryError("later", delay=1) for _ in range(2)))
    controller = build(runs, max_retries=2)
    controller.start()
    controller.add(KEY)
    step_until(clock, lambda: controller.statistics().success == 1, by=1)
    controller.add(KEY)
    runs.wait(4)
    assert runs.retries == [0, 1, 2, 0]


def test_a_permanent_error_is_terminal(build, runs, clock, caplog):
    raising(runs, kopf.PermanentError("it will never be"))
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().terminal == 1)
    settle(controller)
    clock.step(10_000)
    settle(controller)
    assert len(runs) == 1
    statistics = controller.statistics()
    assert (statistics.error, statistics.given_up, statistics.parked) == (1, 0, 0)
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "will not be retried: it will never be" in record.getMessage()
    assert record.exc_info is None


def test_what_says_itself_what_to_do_is_told_without_a_trace(build, runs, caplog):
    raising(runs, kopf.TemporaryError("not yet there", delay=5))
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "will be retried in 5 s: not yet there" in record.getMessage()
    assert record.exc_info is None


def test_while_the_operator_stops_no_retry_is_promised(build, runs, gate, caplog):
    runs.answer = lambda request: gate(request) or kopf.TemporaryError("not yet there", delay=5)
    controller = build(runs)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    controller.queue.shut_down()
    gate.set()
    until(lambda: " failed " in caplog.text)
    assert "failed (run 1), left for the next start: not yet there" in caplog.text


def test_a_coroutine_raises_them_as_well(make_async, clock):
    instants = []

    async def reconcile(request):
        instants.append(clock.now())
        if request.retry == 0:
            raise kopf.TemporaryError("later", delay=30)
        raise kopf.PermanentError("never")

    controller = make_async(reconcile, judge=judge)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(30)
    until(lambda: controller.statistics().terminal == 1)
    assert instants == [0.0, 30.0]
