"""A span for each run where OpenTelemetry is installed; and no run that fails because of one."""

import asyncio
import logging
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.control.conftest import PATIENCE, settle, step_until, until
from workqueue.base.keys import ObjectKey
from workqueue.control import Result, TerminalError, tracing

KEY = ObjectKey("default", "a")
NAME = "reconcile pods"


class FakeTrace:
    """The API with a provider of the test's: OpenTelemetry's own can be set once in a process."""

    def __init__(self, provider):
        self.provider = provider

    def get_tracer(self, name):
        return self.provider.get_tracer(name)

    def __getattr__(self, name):
        return getattr(trace, name)


@pytest.fixture
def provider(monkeypatch):
    made = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(tracing, "trace", FakeTrace(made))
    yield made
    made.shutdown()


@pytest.fixture
def exporter(provider):
    """What has ended is in it."""
    made = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    return made


def run_once(controller, key=KEY):
    if not controller.statistics().started:
        controller.start()
    controller.add(key)
    settle(controller)


def spans(exporter, count=1):
    until(lambda: len(exporter.get_finished_spans()) >= count)
    found = exporter.get_finished_spans()
    assert len(found) == count
    return found


def answering(answer):
    def reconcile(request):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return reconcile


def test_a_run_is_a_span_that_says_which_run_it_is(build, exporter):
    ids = []
    run_once(build(lambda request: ids.append(request.id)))
    [span] = spans(exporter)
    assert span.name == NAME
    assert span.parent is None
    assert span.instrumentation_scope.name == "workqueue"
    assert dict(span.attributes) == {
        "workqueue.controller": "pods",
        "workqueue.key": "default/a",
        "workqueue.reconcile_id": ids[0],
        "workqueue.attempt": 1,
        "workqueue.outcome": "success",
        "k8s.namespace.name": "default",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()


def test_a_key_of_the_cluster_scope_has_no_namespace(build, exporter):
    run_once(build(answering(None)), "node")
    [span] = spans(exporter)
    assert "k8s.namespace.name" not in span.attributes
    assert span.attributes["workqueue.key"] == "node"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(None, "success"), (Result.requeue(), "requeue"), (Result.requeue(after=30), "requeue_after")],
)
def test_a_span_says_what_came_of_the_run(build, exporter, answer, outcome):
    run_once(build(answering(answer)))
    [span] = spans(exporter)
    assert span.attributes["workqueue.outcome"] == outcome
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    "error", [ValueError("broken"), TerminalError("broken"), SystemExit("broken")], ids=lambda each: type(each).__name__
)
def test_an_error_is_its_status_and_recorded_whatever_it_is(build, exporter, error):
    run_once(build(answering(error)))
    [span] = spans(exporter)
    assert span.attributes["workqueue.outcome"] == "error"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == repr(error)
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"].endswith(type(error).__name__)
    assert event.attributes["exception.message"] == "broken"
    assert "in reconcile" in event.attributes["exception.stacktrace"]


def test_an_answer_that_is_none_is_an_error_of_the_span_too(build, exporter):
    run_once(build(answering("a text")))
    [span] = spans(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["workqueue.outcome"] == "error"


def test_each_attempt_is_a_span_of_its_own(build, exporter, clock):
    controller = build(lambda request: Result.requeue() if request.retry == 0 else None)
    run_once(controller)
    step_until(clock, lambda: controller.statistics().success == 1)
    first, second = spans(exporter, 2)
    assert (first.attributes["workqueue.attempt"], second.attributes["workqueue.attempt"]) == (1, 2)
    assert first.context.trace_id != second.context.trace_id


def test_spans_inside_of_a_run_are_its_children(build, exporter, provider):
    def reconcile(request):
        with provider.get_tracer("mine").start_as_current_span("inside"):
            """Something that takes time."""

    run_once(build(reconcile))
    inside, run = spans(exporter, 2)
    assert (inside.name, run.name) == ("inside", NAME)
    assert inside.parent.span_id == run.context.span_id
    assert inside.context.trace_id == run.context.trace_id


def test_a_span_that_a_run_leaves_open_is_not_the_parent_of_the_next_run(build, exporter, provider):
    def reconcile(request):
        tracing.context.attach(trace.set_span_in_context(provider.get_tracer("mine").start_span("left open")))

    controller = build(reconcile)
    run_once(controller, "a")
    run_once(controller, "b")
    assert [span.parent for span in spans(exporter, 2)] == [None, None]
    assert not trace.get_current_span().is_recording()


def test_the_line_that_tells_of_the_outcome_belongs_to_the_span(build, exporter):
    class Traces(logging.Handler):
        def emit(self, record):
            traces.append(trace.get_current_span().get_span_context().trace_id)

    traces, handler = [], Traces()
    logging.getLogger("workqueue.control").addHandler(handler)
    try:
        run_once(build(answering(ValueError())))
        until(lambda: traces)
    finally:
        logging.getLogger("workqueue.control").removeHandler(handler)
    [span] = spans(exporter)
    assert traces == [span.context.trace_id]


def test_a_run_whose_time_was_over_is_an_error_though_it_answered(make_async, exporter, clock):
    begun = []

    async def reconcile(request):
        begun.append(request.id)
        if request.retry == 0:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    controller = make_async(reconcile, timeout=1.0)
    controller.start()
    controller.add(KEY)
    until(lambda: begun)
    step_until(clock, lambda: exporter.get_finished_spans())
    span = exporter.get_finished_spans()[0]
    assert span.attributes["workqueue.outcome"] == "error"
    assert span.status.status_code is StatusCode.ERROR
    assert "not over within 1 s" in span.status.description


# What is broken.


class Broken(SpanProcessor):
    def __init__(self, *names):
        self.names = names

    def on_start(self, span, parent_context=None):
        if "on_start" in self.names:
            raise RuntimeError("on_start is broken")

    def on_end(self, span):
        if "on_end" in self.names:
            raise SystemExit("on_end is broken")


class BrokenSpan(trace.NonRecordingSpan):
    def set_attribute(self, key, value):
        raise RuntimeError("set_attribute is broken")

    def set_status(self, status, description=None):
        raise RuntimeError("set_status is broken")


class BrokenTracers:
    """A provider, and a tracer, that raises where it is told to."""

    def __init__(self, where):
        self.where = where

    def get_tracer(self, name):
        if self.where == "get_tracer":
            raise RuntimeError("get_tracer is broken")
        return self

    def start_span(self, name, **_):
        if self.where == "start_span":
            raise RuntimeError("start_span is broken")
        return BrokenSpan(trace.INVALID_SPAN_CONTEXT)


@pytest.fixture(
    params=[
        BrokenTracers("get_tracer"),
        BrokenTracers("start_span"),
        BrokenTracers("span"),
        Broken("on_start"),
        Broken("on_end"),
    ],
    ids=["get_tracer", "start_span", "span", "on_start", "on_end"],
)
def broken(request, provider, monkeypatch):
    """Each of these is what the program has set up."""
    if isinstance(request.param, SpanProcessor):
        provider.add_span_processor(request.param)
    else:
        monkeypatch.setattr(tracing, "trace", FakeTrace(request.param))


@pytest.mark.parametrize(
    ("answer", "outcome"), [(None, "success"), (Result.requeue(after=30), "requeue_after"), (ValueError(), "error")]
)
def test_what_is_wrong_with_spans_changes_nothing_about_the_runs_and_is_said_once(
    build, broken, caplog, answer, outcome
):
    controller = build(answering(answer))
    for name in ("a", "b", "c"):
        run_once(controller, name)
    until(lambda: getattr(controller.statistics(), outcome) == 3)
    statistics = controller.statistics()
    assert statistics.success + statistics.requeue_after + statistics.error == 3
    assert (statistics.restarts, statistics.panic) == (0, 0)
    settle(controller)
    assert len([each for each in caplog.records if "runs go on without" in each.getMessage()]) == 1


def test_an_error_that_cannot_be_told_is_an_error_of_the_run_and_the_span_ends(build, exporter):
    class Untold(Exception):
        def __repr__(self):
            raise RuntimeError("no words")

        __str__ = __repr__

    controller = build(answering(Untold()))
    run_once(controller)
    [span] = spans(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert controller.statistics().error == 1


# Without it.


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
import workqueue.control.tracing as tracing
from workqueue.control import Controller
from workqueue.queues import PriorityQueue
assert tracing.trace is None
controller = Controller("pods", lambda request: print("ran", request.key), queue=PriorityQueue())
controller.add("default/a")
controller.start()
assert controller.stop(30)
assert controller.statistics().success == 1
"""


def test_without_the_package_runs_are_as_ever():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ran default/a", "")


def test_with_the_api_alone_a_run_costs_a_span_that_is_nothing(make, runs):
    run_once(make(runs))
    until(lambda: len(runs) == 1)
    assert not trace.get_current_span().is_recording()
