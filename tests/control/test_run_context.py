"""Whatever is logged during a run says which run it was; and a run has a context of its own."""

import asyncio
import logging
import threading
import uuid
from contextvars import ContextVar, copy_context

import pytest

from tests.control.conftest import settle, step_until, until
from workqueue.base.keys import ObjectKey
from workqueue.control import Result, RunFields, TerminalError, current_run

KEY = ObjectKey("default", "a")
FIELDS = ("controller", "key", "reconcile_id", "attempt")
foreign = logging.getLogger("somebody.else")
place = ContextVar("place", default="nowhere")


class Records(logging.Handler):
    """A handler as Kopf's, with the filter that the operator gives it."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.addFilter(RunFields())

    def emit(self, record):
        self.records.append(record)

    def fields(self, text):
        """Of the one record with a text."""
        [record] = [each for each in self.records if text in each.getMessage()]
        return tuple(getattr(record, name, None) for name in FIELDS)


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG)
    handler = Records()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def run_once(controller):
    if not controller.statistics().started:
        controller.start()
    controller.add(KEY)
    settle(controller)
    until(lambda: controller.statistics().reconcile_time.count)


# Records.


def test_each_record_of_a_run_carries_which_run_it_is(build, records):
    ids = []

    def reconcile(request):
        ids.append(request.id)
        foreign.info("by a stranger")
        request.logger.info("by the request's own")

    run_once(build(reconcile))
    assert ids == [str(uuid.UUID(ids[0]))]
    expected = ("pods", "default/a", ids[0], 1)
    assert records.fields("by a stranger") == expected
    assert records.fields("by the request's own") == expected


def test_outside_of_runs_records_carry_nothing(build, records):
    run_once(build(lambda request: None))
    foreign.info("afterwards")
    assert records.fields("afterwards") == (None,) * 4
    assert current_run() is None


def test_the_run_can_be_asked_for(build):
    seen = []
    run_once(build(lambda request: seen.append((current_run().key, current_run().reconcile_id == request.id))))
    assert seen == [(KEY, True)]


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("broken"), "failed (run 1), will be retried"), (TerminalError("broken"), "will not be retried")],
)
def test_the_line_that_tells_of_the_outcome_carries_it_too(build, records, error, line):
    ids = []

    def reconcile(request):
        ids.append(request.id)
        raise error

    run_once(build(reconcile))
    until(lambda: any(line in each.getMessage() for each in records.records))
    assert records.fields(line) == ("pods", "default/a", ids[0], 1)


def test_each_attempt_has_its_number_and_an_id_of_its_own(build, records, clock):
    ids = []

    def reconcile(request):
        ids.append(request.id)
        foreign.info("attempt of retry %d", request.retry)
        if request.retry == 1:
            raise ValueError("broken")
        return Result.requeue() if request.retry == 0 else None

    controller = build(reconcile)
    run_once(controller)
    step_until(clock, lambda: controller.statistics().success == 1)
    for number in range(3):
        assert records.fields(f"attempt of retry {number}") == ("pods", "default/a", ids[number], number + 1)
    assert len(set(ids)) == 3


def test_lines_of_a_time_limit_carry_it(make_async, records, clock):
    ids = []
    swallowed = asyncio.Event()

    async def reconcile(request):
        ids.append(request.id)
        if request.retry == 0:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await swallowed.wait()

    controller = make_async(reconcile, timeout=1.0)
    controller.start()
    controller.add(KEY)
    until(lambda: ids)
    step_until(clock, lambda: controller.statistics().stuck)
    until(lambda: controller.statistics().replaced == 1)
    expected = ("pods", "default/a", ids[0], 1)
    until(lambda: any("is stuck" in each.getMessage() for each in records.records))
    assert records.fields("not over within 1 s") == expected
    assert records.fields("is stuck for") == expected
    controller._loop().loop.call_soon_threadsafe(swallowed.set)
    until(lambda: any("what it answered is not looked at" in each.getMessage() for each in records.records))
    assert records.fields("what it answered is not looked at") == expected


def test_what_a_record_says_itself_stands(build, records):
    def reconcile(request):
        foreign.info("with its own", extra={"key": "mine"})
        request.logger.info("with another", extra={"key": "yours", "more": 1})

    run_once(build(reconcile))
    assert records.fields("with its own")[1] == "mine"
    assert records.fields("with another")[1] == "yours"
    assert records.fields("with another")[0] == "pods"


def test_the_requests_logger_writes_worker_and_key_also_from_the_loop(build, records):
    run_once(build(lambda request: request.logger.info("hello %s", "there")))
    [line] = [each.getMessage() for each in records.records if "hello" in each.getMessage()]
    assert line == "[pods-0] default/a: hello there"


@pytest.mark.parametrize("key", [ObjectKey("default", "50%s"), ObjectKey("default", "a%d")])
def test_a_name_is_no_format(build, records, key):
    def reconcile(request):
        request.logger.info("%s of %d", "one", 2)
        request.logger.info("100%")

    controller = build(reconcile)
    controller.start()
    controller.add(key)
    settle(controller)
    told = [each.getMessage() for each in records.records if str(key) in each.getMessage()]
    assert told == [f"[pods-0] {key}: one of 2", f"[pods-0] {key}: 100%"]


def test_a_record_says_where_it_was_made(build, records):
    run_once(build(lambda request: request.logger.warning("from here")))
    [record] = [each for each in records.records if "from here" in each.getMessage()]
    assert record.filename == "test_run_context.py"


def test_a_name_with_line_ends_makes_no_lines_of_its_own(build, records):
    def reconcile(request):
        request.logger.info("hello")
        raise ValueError("one\ntwo")

    controller = build(reconcile, max_retries=0)
    controller.start()
    controller.add(ObjectKey("default", "role\nERROR forged"))
    until(lambda: controller.statistics().given_up == 1)
    settle(controller)
    told = [each.getMessage() for each in records.records if "forged" in each.getMessage()]
    assert len(told) == 2
    assert not any("\n" in line for line in told)
    assert told[1].startswith("controller pods: default/role ERROR forged given up after 1 runs: ")


def test_two_runs_at_once_are_told_apart(build, records):
    together = threading.Barrier(2)
    ids = {}

    def reconcile(request):
        if not together.broken and threading.current_thread().name.startswith("workqueue"):
            together.wait(10)
        ids[request.name] = request.id
        foreign.info("of %s", request.name)

    controller = build(reconcile, workers=2)
    controller.add("a")
    controller.add("b")
    controller.start()
    until(lambda: controller.statistics().success == 2)
    for name in "ab":
        assert records.fields(f"of {name}") == ("pods", name, ids[name], 1)


# Contexts.


def test_what_is_set_where_the_controller_is_started_reaches_each_run(build):
    seen = []
    controller = build(lambda request: seen.append(place.get()))

    def start():
        place.set("at the start")
        controller.start()

    copy_context().run(start)
    run_once(controller)
    assert seen == ["at the start"]
    assert place.get() == "nowhere"


def test_a_worker_that_comes_later_has_the_same_context(build, runs):
    seen = []
    together = threading.Barrier(3)

    def reconcile(request):
        seen.append(place.get())
        if threading.current_thread().name.startswith("workqueue"):
            together.wait(10)

    controller = build(reconcile, workers=1)

    def start():
        place.set("at the start")
        controller.start()

    copy_context().run(start)
    controller.resize(3)
    for name in "abc":
        controller.add(name)
    until(lambda: controller.statistics().success == 3)
    assert seen == ["at the start"] * 3


def test_what_a_run_sets_is_not_seen_by_the_next(build):
    seen = []

    def reconcile(request):
        seen.append(place.get())
        place.set(request.name)

    controller = build(reconcile)
    controller.add("a")
    controller.add("b")
    controller.start()
    until(lambda: controller.statistics().success == 2)
    assert seen == ["nowhere", "nowhere"]


def test_a_task_that_a_coroutine_begins_belongs_to_its_run(make_async, records):
    ids = []

    async def child():
        foreign.info("in a task of its own")

    async def reconcile(request):
        ids.append(request.id)
        await asyncio.create_task(child())

    run_once(make_async(reconcile))
    assert records.fields("in a task of its own") == ("pods", "default/a", ids[0], 1)
