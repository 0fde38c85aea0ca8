"""/metrics has client-go's names with controller-runtime's labels, and values that follow what the queue does."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.status.conftest import get
from workqueue.base.errors import ConfigurationError
from workqueue.cache import Indexer, packing
from workqueue.control.events import EventStatistics
from workqueue.informer import Informer
from workqueue.prometheus import PrometheusMetrics
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue
from workqueue.testing import FakeClock

#: Type and help, as client-go has them.
FAMILIES = {
    "workqueue_depth": "gauge",
    "workqueue_adds": "counter",
    "workqueue_retries": "counter",
    "workqueue_queue_duration_seconds": "histogram",
    "workqueue_work_duration_seconds": "histogram",
    "workqueue_unfinished_work_seconds": "gauge",
    "workqueue_longest_running_processor_seconds": "gauge",
}
#: What is ours beside them.
OURS = {
    "workqueue_oldest_pending_seconds": "gauge",
    "workqueue_delayed": "gauge",
    "workqueue_add_requests": "counter",
    "workqueue_forgets": "counter",
    "workqueue_dropped": "counter",
}
#: Of controllers, of which there is none here.
CONTROLLERS = {
    "workqueue_parked": "gauge",
    "workqueue_given_up": "counter",
    "workqueue_paused": "gauge",
    "workqueue_stuck": "gauge",
    "workqueue_replaced_workers": "counter",
}
LABELS = {"name": "pods", "controller": "pods"}
BOUNDS = [
    "1e-08",
    "1e-07",
    "1e-06",
    "1e-05",
    "0.0001",
    "0.001",
    "0.0025",
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1.0",
    "2.5",
    "5.0",
    "10.0",
    "25.0",
    "50.0",
    "100.0",
    "250.0",
    "500.0",
    "1000.0",
    "+Inf",
]


@pytest.fixture
def clock():
    return FakeClock(start=0.0)


@pytest.fixture
def metrics():
    return PrometheusMetrics()


@pytest.fixture
def queue(clock, metrics):
    limiter = ItemExponentialFailureRateLimiter(0.5, 1000)
    return RateLimitingQueue(name="pods", clock=clock, metrics=metrics, rate_limiter=limiter)


def families(metrics):
    _, body = metrics.render()
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def value(metrics, sample, **labels):
    """The value of the one sample with that name and these labels; None if there is none."""
    found = [
        each.value
        for family in families(metrics).values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    ]
    assert len(found) <= 1
    return found[0] if found else None


def values(metrics):
    names = {
        "depth": "workqueue_depth",
        "adds": "workqueue_adds_total",
        "retries": "workqueue_retries_total",
        "waited": "workqueue_queue_duration_seconds_sum",
        "worked": "workqueue_work_duration_seconds_sum",
        "gets": "workqueue_queue_duration_seconds_count",
        "dones": "workqueue_work_duration_seconds_count",
        "unfinished": "workqueue_unfinished_work_seconds",
        "longest": "workqueue_longest_running_processor_seconds",
    }
    return {short: value(metrics, name, name="pods") for short, name in names.items()}


def test_names_types_and_labels_are_those_that_dashboards_know(queue, metrics):
    found = families(metrics)
    types = {name: found[name].type for name in found if name.startswith("workqueue_")}
    assert types == FAMILIES | OURS | CONTROLLERS
    for name in FAMILIES | OURS:
        extra = {"workqueue_depth": {"priority"}, "workqueue_dropped": {"reason"}}.get(name, set())
        for sample in found[name].samples:
            assert set(sample.labels) - {"le"} == {*LABELS, *extra}
            assert LABELS.items() <= sample.labels.items()
        assert found[name].documentation


def test_counters_end_in_total(queue, metrics):
    assert value(metrics, "workqueue_adds_total") == 0
    assert value(metrics, "workqueue_retries_total") == 0


@pytest.mark.parametrize("name", ["workqueue_queue_duration_seconds", "workqueue_work_duration_seconds"])
def test_histograms_have_controller_runtimes_buckets_and_steps_between_them(queue, metrics, name):
    samples = families(metrics)[name].samples
    assert [each.labels["le"] for each in samples if each.name == f"{name}_bucket"] == BOUNDS


def test_values_follow_a_run(queue, metrics, clock):
    nothing = dict.fromkeys(values(metrics), 0)
    assert values(metrics) == nothing
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert values(metrics) == {**nothing, "depth": 2, "adds": 2}

    clock.step(0.5)
    assert queue.get(0) == "a"
    clock.step(2.0)
    assert queue.get(0) == "b"
    clock.step(4.0)
    so_far = {**nothing, "adds": 2, "gets": 2, "waited": 3.0}
    assert values(metrics) == {**so_far, "unfinished": 10.0, "longest": 6.0}

    queue.add("a")  # changed during its run: it waits, and counts, from now on
    so_far |= {"adds": 3, "depth": 1}
    assert values(metrics) == {**so_far, "unfinished": 10.0, "longest": 6.0}
    queue.done("a")
    so_far |= {"worked": 6.0, "dones": 1}
    assert values(metrics) == {**so_far, "unfinished": 4.0, "longest": 4.0}

    queue.add_rate_limited("b")
    queue.add_after("c", 100)
    so_far |= {"retries": 2}
    queue.done("b")
    so_far |= {"worked": 10.0, "dones": 2}
    assert values(metrics) == so_far
    clock.step(0.5)  # b is due
    so_far |= {"depth": 2, "adds": 4}
    assert values(metrics) == so_far


def test_controller_runtimes_buckets_are_all_there(queue, metrics):
    bounds = {
        each.labels["le"]
        for each in families(metrics)["workqueue_queue_duration_seconds"].samples
        if "le" in each.labels
    }
    assert {f"{float(f'1e{power}')}" for power in range(-8, 4)} <= bounds


def test_buckets_count_everything_up_to_their_bound(queue, metrics, clock):
    for delay in (0.0, 0.05, 0.5, 0.5, 5000.0):
        queue.add("a")
        clock.step(delay)
        queue.get(0)
        queue.done("a")
    bounds = [float(bound) for bound in BOUNDS]
    counts = [value(metrics, "workqueue_queue_duration_seconds_bucket", le=bound) for bound in BOUNDS]
    assert counts == [sum(delay <= bound for delay in (0.0, 0.05, 0.5, 0.5, 5000.0)) for bound in bounds]
    assert value(metrics, "workqueue_queue_duration_seconds_count") == 5
    assert value(metrics, "workqueue_queue_duration_seconds_sum") == 5001.05
    assert value(metrics, "workqueue_work_duration_seconds_bucket", le="1e-08") == 5


# What is ours.


def test_asked_for_and_accepted_are_told_apart(queue, metrics):
    for _ in range(3):
        queue.add("a")
    queue.add_after("b", 10)
    queue.add_after("b", 20)
    assert value(metrics, "workqueue_add_requests_total") == 5
    assert value(metrics, "workqueue_adds_total") == 1
    queue.get(0)
    queue.add("a")
    queue.add("a")
    queue.done("a")
    assert value(metrics, "workqueue_add_requests_total") == 7
    assert value(metrics, "workqueue_adds_total") == 2


@pytest.mark.parametrize("make", [RateLimitingQueue, PriorityQueue])
def test_a_delayed_key_is_asked_for_once_and_accepted_when_it_is_due(make, metrics, clock):
    queue = make(name="pods", clock=clock, metrics=metrics)
    queue.add_after("a", 10)
    assert value(metrics, "workqueue_delayed") == 1
    assert (value(metrics, "workqueue_add_requests_total"), value(metrics, "workqueue_adds_total")) == (1, 0)
    clock.step(10)
    assert value(metrics, "workqueue_delayed") == 0
    assert (value(metrics, "workqueue_add_requests_total"), value(metrics, "workqueue_adds_total")) == (1, 1)
    queue.add_after("b", 0)
    assert (value(metrics, "workqueue_add_requests_total"), value(metrics, "workqueue_adds_total")) == (2, 2)


@pytest.mark.parametrize("make", [RateLimitingQueue, PriorityQueue])
def test_the_age_of_the_oldest_ready_key_is_told(make, metrics, clock):
    queue = make(name="pods", clock=clock, metrics=metrics)
    assert value(metrics, "workqueue_oldest_pending_seconds") == 0
    queue.add_after("due", 1)
    clock.step(3)
    queue.add("a")
    clock.step(4)
    assert value(metrics, "workqueue_oldest_pending_seconds") == 6, "since it was due, though nobody looked"
    assert queue.get(0) == "due"
    assert value(metrics, "workqueue_oldest_pending_seconds") == 4
    queue.get(0)
    queue.add("a")  # while in somebody's hands
    clock.step(2)
    assert value(metrics, "workqueue_oldest_pending_seconds") == 2


@pytest.mark.parametrize("make", [RateLimitingQueue, PriorityQueue])
def test_forgets_are_counted(make, metrics, clock):
    queue = make(name="pods", clock=clock, metrics=metrics)
    queue.forget("a")
    queue.forget("a")
    assert value(metrics, "workqueue_forgets_total") == 2


@pytest.mark.parametrize("make", [RateLimitingQueue, PriorityQueue])
def test_dropped_keys_are_counted_by_their_reason(make, metrics, clock):
    queue = make(name="pods", clock=clock, metrics=metrics)
    queue.add("held")
    queue.get(0)  # so that its series stay
    queue.add_after("a", 10)
    queue.add_after("b", 10)
    queue.shut_down()
    queue.add_after("c", 10)
    assert value(metrics, "workqueue_dropped_total", reason="shutdown") == 2
    assert value(metrics, "workqueue_dropped_total", reason="late") == 1


def depths(metrics):
    """Depth by the label priority."""
    return {each.labels["priority"]: each.value for each in families(metrics)["workqueue_depth"].samples}


def test_depth_is_told_by_priority_and_a_series_that_was_there_stays(metrics, clock):
    queue = PriorityQueue(name="pods", clock=clock, metrics=metrics)
    assert depths(metrics) == {"0": 0}
    queue.add_with("a", "b", priority=-100)
    queue.add("c")
    assert depths(metrics) == {"-100": 2, "0": 1}
    queue.add_with("a", priority=7)
    assert depths(metrics) == {"-100": 1, "0": 1, "7": 1}
    queue.get(0)
    queue.add_with("a", priority=3)  # while in somebody's hands
    assert depths(metrics) == {"-100": 1, "0": 1, "3": 1, "7": 0}
    queue.add_with("d", priority=9, after=10)
    assert "9" not in depths(metrics), "it is not ready"


def test_more_than_25_priorities_are_counted_together_from_then_on(metrics, clock):
    queue = PriorityQueue(name="pods", clock=clock, metrics=metrics)
    other = PriorityQueue(name="jobs", clock=clock, metrics=metrics)
    other.add("a")
    for priority in range(25):
        queue.add_with(priority, priority=priority)
    assert len([each for each in families(metrics)["workqueue_depth"].samples if each.labels["name"] == "pods"]) == 25
    queue.add_with(25, priority=25)
    assert value(metrics, "workqueue_depth", name="pods") == 26
    assert value(metrics, "workqueue_depth", name="pods", priority="exceeded_cardinality_limit") == 26
    for _ in range(26):
        queue.done(queue.get(0))
    assert value(metrics, "workqueue_depth", name="pods", priority="exceeded_cardinality_limit") == 0, "for good"
    assert value(metrics, "workqueue_depth", name="jobs", priority="0") == 1, "another queue has its own limit"


def test_series_vanish_when_the_queue_is_closed_and_not_before(queue, metrics):
    queue.add("a")
    queue.get(0)
    queue.shut_down()
    assert value(metrics, "workqueue_unfinished_work_seconds", name="pods") is not None
    queue.done("a")
    assert not [sample for name in FAMILIES | OURS for sample in families(metrics)[name].samples]


def test_each_queue_has_series_of_its_own(queue, metrics, clock):
    jobs = RateLimitingQueue(name="jobs", clock=clock, metrics=metrics)
    jobs.add("a")
    assert value(metrics, "workqueue_depth", name="jobs", controller="jobs") == 1
    assert value(metrics, "workqueue_depth", name="pods", controller="pods") == 0
    jobs.get(0)
    jobs.done("a")
    jobs.shut_down()
    assert value(metrics, "workqueue_depth", name="jobs") is None
    assert value(metrics, "workqueue_depth", name="pods") == 0


def test_a_second_open_queue_of_one_name_is_refused(queue, metrics, clock):
    with pytest.raises(ConfigurationError, match="there is an open queue 'pods' in these metrics already"):
        RateLimitingQueue(name="pods", clock=clock, metrics=metrics)
    assert value(metrics, "workqueue_depth", name="pods") == 0
    queue.shut_down()
    RateLimitingQueue(name="pods", clock=clock, metrics=metrics)


def test_a_renewed_queue_takes_the_place_of_the_closed_one(queue, metrics, clock):
    queue.add("a")
    queue.get(0)
    queue.done("a")
    queue.shut_down()
    renewed = RateLimitingQueue(name="pods", clock=clock, metrics=metrics)
    assert value(metrics, "workqueue_adds_total", name="pods") == 0
    renewed.add("a")
    assert value(metrics, "workqueue_adds_total", name="pods") == 1


def test_a_queue_without_a_name_is_not_shown(metrics, clock):
    RateLimitingQueue(clock=clock, metrics=metrics)
    assert value(metrics, "workqueue_depth") is None


def test_a_name_with_odd_characters_is_escaped(metrics, clock):
    odd = 'a"b\\c\nd'
    RateLimitingQueue(name=odd, clock=clock, metrics=metrics)
    assert value(metrics, "workqueue_depth", name=odd) == 0


def test_two_providers_know_nothing_of_each_other(queue, metrics):
    assert value(PrometheusMetrics(), "workqueue_depth") is None


def test_closing_what_was_never_opened_changes_nothing(queue, metrics):
    metrics.queue_closed("pods", lambda: None)
    metrics.informer_closed(lambda: None)
    assert value(metrics, "workqueue_depth", name="pods") == 0


def test_informers_show_how_many_objects_they_hold_until_they_are_closed(metrics):
    indexer = Indexer()
    informer = Informer("pods", indexer=indexer)
    metrics.informer_opened(informer.statistics)
    assert value(metrics, "informer_objects", name="pods") == 0
    for name in "ab":
        indexer.add({"metadata": {"namespace": "default", "name": name}})
    assert value(metrics, "informer_objects", name="pods") == 2
    metrics.informer_closed(informer.statistics)
    assert value(metrics, "informer_objects", name="pods") is None


def test_events_are_shown_by_what_became_of_them_once_there_is_a_recorder(metrics):
    assert value(metrics, "recorder_events_total", result="sent") is None
    numbers = {"sent": 1, "patched": 2, "filtered": 3, "failed": 4}
    dropped = {"full": 5, "invalid": 6}
    metrics.events_opened(lambda: EventStatistics(recorded=21, pending=0, dropped=dropped, **numbers))
    shown = {result: value(metrics, "recorder_events_total", result=result) for result in (*numbers, "dropped")}
    assert shown == {**numbers, "dropped": 11}


def test_dictionaries_that_could_not_be_trained_are_counted(metrics, monkeypatch):
    def fail(samples):
        raise MemoryError

    monkeypatch.setattr(packing, "train", fail)
    monkeypatch.setattr(packing, "WORTH", 0)
    indexer = Indexer()
    informer = Informer("pods", indexer=indexer)
    metrics.informer_opened(informer.statistics)
    for number in range(packing.SAMPLES):
        assert value(metrics, "informer_dictionary_failures_total", name="pods") == 0
        indexer.add({"metadata": {"name": str(number)}})
    assert value(metrics, "informer_dictionary_failures_total", name="pods") == 1
    assert value(metrics, "informer_dictionaries_total", name="pods") == 0


def test_the_page_shows_the_process_too_and_is_served(serve, queue, metrics):
    answer = get(serve(pages={"/metrics": metrics.render}), "/metrics")
    assert answer.status == 200
    assert answer.content_type.startswith("text/plain; version=")
    found = [family.name for family in text_string_to_metric_families(answer.text)]
    assert len(found) == len(set(found)), "a family is there twice"
    assert {"workqueue_depth", "python_info"} <= set(found)
