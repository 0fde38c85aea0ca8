"""Nothing that a reconcile function raises ends a worker or holds its key; some say that a retry is of no use."""

import asyncio
import logging

import pytest

from tests.control.conftest import settle, until
from workqueue.base.errors import ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.control import TerminalError

KEY = ObjectKey("default", "bad")

EVIL = [
    SystemExit(1),
    KeyboardInterrupt(),
    MemoryError(),
    GeneratorExit(),
    StopIteration(),
    asyncio.CancelledError(),
    ShutDown("not yours"),
    TimeoutError(),
    BaseException("the root of all"),
    BaseExceptionGroup("several", [KeyboardInterrupt(), SystemExit()]),
]


def recurse(request):
    return recurse(request)


@pytest.mark.parametrize("answer", [*EVIL, recurse], ids=lambda each: getattr(each, "__name__", type(each).__name__))
def test_whatever_is_raised_the_worker_lives_and_the_key_is_retried(make, runs, clock, answer):
    runs.answer = lambda request: (answer(request) if callable(answer) else answer) if request.key == KEY else None
    controller = make(runs, max_retries=10)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    assert (controller.statistics().error, controller.statistics().restarts) == (1, 0)
    assert controller.queue.num_requeues(KEY) == 1
    clock.step(0.005)
    runs.wait(2)
    controller.add("other")
    runs.wait(3)
    settle(controller)
    assert controller.statistics().success == 1
    assert len(set(runs.threads)) == 1
    assert controller.statistics().workers == 1


class Hopeless(TerminalError):
    """A user's own."""


def wrapped():
    try:
        try:
            raise TerminalError("bad spec")
        except TerminalError as error:
            raise RuntimeError("deploying failed") from error
    except RuntimeError as error:
        return error


def wrapping():
    try:
        try:
            raise OSError("disk full")
        except OSError as error:
            raise TerminalError("no use") from error
    except TerminalError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        *[TerminalError("bad spec"), TerminalError(), Hopeless("own class"), wrapping(), wrapped()],
        ExceptionGroup("of a task group", [OSError(), ExceptionGroup("within", [wrapped()])]),
    ],
    ids=["plain", "empty", "subclass", "wrapping another", "wrapped by another", "in a group"],
)
def test_a_terminal_error_is_reported_once_counted_forgotten_and_not_retried(make, runs, clock, caplog, error):
    caplog.set_level(logging.DEBUG, "workqueue")
    outcomes = [RuntimeError("first"), error]
    runs.answer = lambda _: outcomes.pop(0)
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(0.005)
    runs.wait(2)
    settle(controller)
    clock.step(10_000)
    assert len(runs) == 2
    assert controller.queue.statistics().delayed == 0
    assert controller.queue.num_requeues(KEY) == 0
    statistics = controller.statistics()
    assert (statistics.error, statistics.terminal, statistics.given_up) == (2, 1, 0)
    assert sum("will not be retried" in each.getMessage() for each in caplog.records) == 1


def test_an_error_that_merely_happened_while_a_terminal_one_was_handled_is_retried(make, runs):
    def answer(request):
        try:
            raise TerminalError("handled")
        except TerminalError:
            raise RuntimeError("another matter")  # noqa: B904  # the point

    runs.answer = answer
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    assert controller.statistics().terminal == 0


def test_a_chain_of_causes_that_bites_its_tail_ends_nobody(make, runs):
    first, second = RuntimeError(1), RuntimeError(2)
    first.__cause__, second.__cause__ = second, first
    runs.answer = first
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    first.__cause__ = second.__cause__ = None


def test_of_what_is_returned_by_mistake_nothing_is_told_but_its_type(make, runs, caplog):
    runs.answer = lambda _: {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().parked == 1)
    [parked] = controller.parked()
    assert "a value of the type dict" in parked.error
    assert "a value of the type dict" in caplog.text
    assert "aHVudGVyMg" not in parked.error + caplog.text


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (True, ", such as Result.requeue()"),
        (False, ", such as Result.requeue()"),
        (0, ", such as Result.requeue(after=…)"),
        (5, ", such as Result.requeue(after=…)"),
        (30.5, ", such as Result.requeue(after=…)"),
        ("done", ""),
        ({"requeue": True}, ""),
        ((None,), ""),
    ],
    ids=repr,
)
def test_a_wrong_return_is_one_line_that_names_the_function_and_says_what_is_expected(make, caplog, wrong, meant):
    def answer(request):
        return wrong

    controller = make(answer)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    assert controller.statistics().error == 1
    [record] = [each for each in caplog.records if " failed " in each.getMessage()]
    code = answer.__code__
    assert record.getMessage().endswith(
        f": {code.co_qualname} ({__file__}:{code.co_firstlineno}) returned a value of the type {type(wrong).__name__}, "
        f"expected None or a Result{meant}"
    )
    assert record.exc_info is None
