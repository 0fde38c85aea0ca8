"""/metrics has controller-runtime's names, labels, buckets and meaning for controllers, from the start on."""

# ruff: noqa: F401, F811  # fixtures are imported, and then named as arguments

import asyncio

import kopf
import pytest
from prometheus_client.parser import text_string_to_metric_families

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
from workqueue import Manager
from workqueue.base.keys import ObjectKey
from workqueue.control import Result, TerminalError
from workqueue.plugin.runtime import Runtime
from workqueue.prometheus import PrometheusMetrics

KEY = ObjectKey("default", "a")
#: Type and help, as controller-runtime has them.
FAMILIES = {
    "controller_runtime_reconcile": ("counter", "Total number of reconciliations per controller"),
    "controller_runtime_reconcile_errors": ("counter", "Total number of reconciliation errors per controller"),
    "controller_runtime_terminal_reconcile_errors": (
        "counter",
        "Total number of terminal reconciliation errors per controller",
    ),
    "controller_runtime_reconcile_panics": ("counter", "Total number of reconciliation panics per controller"),
    "controller_runtime_reconcile_timeouts": ("counter", "Total number of reconciliation timeouts per controller"),
    "controller_runtime_reconcile_time_seconds": ("histogram", "Length of time per reconciliation per controller"),
    "controller_runtime_max_concurrent_reconciles": (
        "gauge",
        "Maximum number of concurrent reconciles per controller",
    ),
    "controller_runtime_active_workers": ("gauge", "Number of currently used workers per controller"),
}
OURS = {
    "workqueue_parked": "gauge",
    "workqueue_given_up": "counter",
    "workqueue_paused": "gauge",
    "workqueue_stuck": "gauge",
    "workqueue_replaced_workers": "counter",
}
#: Milliseconds.
BOUNDS = [
    *(5, 10, 25, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 1250, 1500, 1750),
    *(2000, 2500, 3000, 3500, 4000, 4500, 5000, 6000, 7000, 8000, 9000, 10_000, 15_000, 20_000, 25_000, 30_000),
    *(40_000, 50_000, 60_000),
]
RESULTS = ("success", "error", "requeue", "requeue_after")
#: The counters that are 0 where nothing is said.
COUNTERS = ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics", "reconcile_timeouts")


class Page:
    """A scrape."""

    def __init__(self, metrics):
        _, body = metrics.render()
        self.families = {family.name: family for family in text_string_to_metric_families(body.decode())}

    def samples(self, family):
        return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in self.families[family].samples}

    def value(self, name, /, **labels):
        [found] = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        return found

    def counts(self):
        """What is not 0 of the counters, and how many times were observed."""
        found = {
            result: self.value("controller_runtime_reconcile_total", controller="pods", result=result)
            for result in RESULTS
        }
        found |= {name: self.value(f"controller_runtime_{name}_total", controller="pods") for name in COUNTERS}
        found["times"] = self.value("controller_runtime_reconcile_time_seconds_count", controller="pods")
        found["given_up"] = self.value("workqueue_given_up_total", name="pods", controller="pods")
        return {name: value for name, value in found.items() if value}


@pytest.fixture
def metrics():
    return PrometheusMetrics()


@pytest.fixture
def build(make, metrics):
    """``build(reconcile, **options)`` is a controller that is shown."""

    def made(reconcile, **options):
        controller = make(reconcile, **options)
        metrics.controller_opened(controller.statistics)
        return controller

    return made


# What is there.


def test_names_types_and_help_are_controller_runtimes(build, runs, metrics):
    build(runs)
    page = Page(metrics)
    found = {name: each for name, each in page.families.items() if name.startswith("controller_runtime_")}
    assert {name: (each.type, each.documentation) for name, each in found.items()} == FAMILIES
    assert {name: page.families[name].type for name in OURS} == OURS


def test_every_series_is_there_with_0_before_anything_has_started(build, runs, metrics):
    build(runs, workers=3)
    page = Page(metrics)
    assert page.samples("controller_runtime_reconcile") == {
        ("controller_runtime_reconcile_total", ("controller", "pods"), ("result", result)): 0 for result in RESULTS
    }
    for name in COUNTERS:
        assert page.samples(f"controller_runtime_{name}") == {
            (f"controller_runtime_{name}_total", ("controller", "pods")): 0
        }
    assert page.value("controller_runtime_max_concurrent_reconciles", controller="pods") == 3
    assert page.value("controller_runtime_active_workers", controller="pods") == 0
    times = page.samples("controller_runtime_reconcile_time_seconds")
    assert set(times.values()) == {0}
    for name, kind in OURS.items():
        suffix = "_total" if kind == "counter" else ""
        assert page.samples(name) == {(f"{name}{suffix}", ("controller", "pods"), ("name", "pods")): 0}


def test_the_buckets_are_controller_runtimes(build, runs, metrics):
    build(runs)
    bounds = [
        sample.labels["le"]
        for sample in Page(metrics).families["controller_runtime_reconcile_time_seconds"].samples
        if sample.name.endswith("_bucket")
    ]
    assert [float(each) for each in bounds] == [*(each / 1000 for each in BOUNDS), float("inf")]


def test_each_controller_of_an_operator_is_shown_before_it_runs_and_waits_for_its_caches(monkeypatch):
    registry = kopf.OperatorRegistry()
    manager = Manager(registry=registry)
    pods = manager.informer("pods")
    first = pods.controller(lambda request: None, workers=2)
    second = manager.controller("jobs", lambda request: None, workers=5)
    page = Page(Runtime.of(registry).metrics)
    for controller, workers in ((first, 2), (second, 5)):
        name = controller.name
        assert page.value("controller_runtime_max_concurrent_reconciles", controller=name) == workers
        for result in RESULTS:
            assert page.value("controller_runtime_reconcile_total", controller=name, result=result) == 0
        assert page.value("workqueue_parked", name=name, controller=name) == 0
    assert page.value("workqueue_loop_lag_seconds") == 0
    assert page.value("workqueue_loop_blocked_total") == 0


def test_a_controller_that_could_not_be_made_is_not_shown():
    registry = kopf.OperatorRegistry()
    with pytest.raises(ValueError, match="workers=0"):
        Manager(registry=registry).controller("pods", lambda request: None, workers=0)
    assert Page(Runtime.of(registry).metrics).samples("controller_runtime_active_workers") == {}


# What it means.


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (None, {"success": 1}),
        (Result.requeue(), {"requeue": 1}),
        (Result.requeue(after=30), {"requeue_after": 1}),
        (ValueError(), {"error": 1, "reconcile_errors": 1}),
        (TerminalError(), {"error": 1, "reconcile_errors": 1, "terminal_reconcile_errors": 1}),
        (SystemExit(), {"error": 1, "reconcile_errors": 1, "reconcile_panics": 1}),
    ],
    ids=["success", "requeue", "requeue after", "error", "terminal", "panic"],
)
def test_a_call_is_counted_by_its_outcome_and_its_time_observed_whatever_that_is(build, metrics, clock, answer, counts):
    def reconcile(request):
        clock.step(2.0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    controller = build(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().reconcile_time.count)
    settle(controller)
    page = Page(metrics)
    assert page.counts() == {**counts, "times": 1}
    assert page.value("controller_runtime_reconcile_time_seconds_sum", controller="pods") == 2.0
    bucket = "controller_runtime_reconcile_time_seconds_bucket"
    assert page.value(bucket, controller="pods", le="1.75") == 0
    assert page.value(bucket, controller="pods", le="2.0") == 1


def test_a_key_that_is_given_up_is_an_error_and_then_parked_until_it_runs_again(
    build,
    runs,
    metrics,
):
    answers = [ValueError(), None]
    runs.answer = lambda _: answers.pop(0)
    controller = build(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    page = Page(metrics)
    assert page.counts() == {"error": 1, "reconcile_errors": 1, "given_up": 1, "times": 1}
    assert page.value("workqueue_parked", name="pods", controller="pods") == 1
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    page = Page(metrics)
    assert page.value("workqueue_parked", name="pods", controller="pods") == 0
    assert page.counts()["given_up"] == 1


def test_active_workers_are_those_that_run_something_now(build, runs, gate, metrics):
    runs.answer = gate
    controller = build(runs, workers=3)
    controller.start()
    for name in "ab":
        controller.add(name)
    runs.wait(2)
    page = Page(metrics)
    assert page.value("controller_runtime_active_workers", controller="pods") == 2
    assert page.value("controller_runtime_max_concurrent_reconciles", controller="pods") == 3
    assert page.counts() == {}, "a call counts once it is over"
    controller.resize(4)
    assert Page(metrics).value("controller_runtime_max_concurrent_reconciles", controller="pods") == 4
    gate.set()
    settle(controller)
    assert Page(metrics).value("controller_runtime_active_workers", controller="pods") == 0


def test_a_pause_is_shown_while_it_lasts(build, runs, metrics):
    controller = build(runs)
    controller.pause()
    assert Page(metrics).value("workqueue_paused", name="pods", controller="pods") == 1
    controller.resume()
    assert Page(metrics).value("workqueue_paused", name="pods", controller="pods") == 0


def test_a_thread_whose_time_is_over_is_a_timeout_then_stuck_and_its_worker_replaced(
    build,
    runs,
    gate,
    clock,
    metrics,
):
    runs.answer = gate
    controller = build(runs, timeout=4.0, max_retries=0)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    step_until(clock, lambda: controller.statistics().replaced)
    page = Page(metrics)
    assert page.counts() == {"error": 1, "reconcile_errors": 1, "reconcile_timeouts": 1, "given_up": 1, "times": 1}
    assert page.value("controller_runtime_reconcile_time_seconds_sum", controller="pods") == 4.0
    assert page.value("workqueue_stuck", name="pods", controller="pods") == 1
    assert page.value("workqueue_replaced_workers_total", name="pods", controller="pods") == 1
    gate.set()
    until(lambda: not controller.statistics().stuck)
    page = Page(metrics)
    assert page.value("workqueue_stuck", name="pods", controller="pods") == 0
    assert page.value("workqueue_replaced_workers_total", name="pods", controller="pods") == 1
    assert page.counts()["times"] == 1, "what came after its time is not counted"


def test_the_loop_is_shown_with_its_lag_and_how_often_it_was_blocked(
    make_async,
    loop,
    gate,
    clock,
    metrics,
):
    async def reconcile(request):
        gate.wait(30)
        await asyncio.sleep(0)

    metrics.loop_opened(loop.watched.statistics)
    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().active)
    step_until(clock, lambda: loop.watched.statistics().blocked)
    page = Page(metrics)
    assert page.value("workqueue_loop_blocked_total") == 1
    assert page.value("workqueue_loop_lag_seconds") >= 0.5
    gate.set()
    until(lambda: controller.statistics().success == 1)
    until(lambda: Page(metrics).value("workqueue_loop_lag_seconds") == 0)
