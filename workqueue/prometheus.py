"""Metrics for Prometheus: the only file that knows prometheus_client.

Names and meaning are client-go's (util/workqueue/metrics.go), labels and buckets
controller-runtime's (pkg/internal/metrics/workqueue.go), so that dashboards and alerts made for
Go controllers work. Everything is computed when it is scraped, from ``statistics()``; nothing is
registered anywhere: a :class:`PrometheusMetrics` is as many as you make.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from workqueue.base.client_metrics import ClientStatistics
from workqueue.base.errors import ConfigurationError
from workqueue.base.metrics import HistogramSnapshot, QueueStatistics
from workqueue.control import ControllerStatistics, LoopStatistics
from workqueue.control.events import EventStatistics
from workqueue.control.events.tally import Fate
from workqueue.informer import InformerStatistics, Kind
from workqueue.informer.lane import Difference

LABELS = ("name", "controller")

#: As many priorities of one queue are told apart; once there were more, all its keys are counted together, under this
#: label (controller-runtime pkg/internal/metrics/workqueue.go): nobody's metrics grow with what users choose.
PRIORITIES, TOO_MANY = 25, "exceeded_cardinality_limit"


class _Shown:
    """A queue that is shown."""

    def __init__(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        self.name = name
        self.statistics = statistics
        #: The priorities that were ever shown, each of which keeps its series; None once they were too many.
        self._priorities: set[int] | None = set()

    def depths(self, queue: QueueStatistics) -> Mapping[str, int]:
        """Its depth by the label ``priority``, which is empty for a queue without priorities."""
        if queue.priorities is None:
            return {"": queue.depth}
        if self._priorities is not None:
            self._priorities.update(priority for priority, _ in queue.priorities)
            if len(self._priorities) > PRIORITIES:
                self._priorities = None
        if self._priorities is None:
            return {TOO_MANY: queue.depth}
        depths = dict(queue.priorities)
        return {str(priority): depths.get(priority, 0) for priority in sorted(self._priorities or {0})}


class PrometheusMetrics(Collector):
    """What is known of queues and informers, as Prometheus families.

    A :class:`workqueue.base.metrics.MetricsProvider`.
    """

    def __init__(self) -> None:
        #: Held also while queues are read, so that what is remembered of a queue's priorities belongs to one scrape.
        self._lock = threading.Lock()
        #: Guarded by _lock. Open queues, each of another name.
        self._queues: list[_Shown] = []
        #: Guarded by _lock.
        self._informers: list[Callable[[], InformerStatistics]] = []
        #: Guarded by _lock.
        self._controllers: list[Callable[[], ControllerStatistics]] = []
        #: Guarded by _lock. One at most, in an operator.
        self._loops: list[Callable[[], LoopStatistics]] = []
        #: Guarded by _lock. Of each operator's recorders.
        self._events: list[Callable[[], EventStatistics]] = []
        #: Guarded by _lock. None until there are any.
        self._clients: Callable[[], ClientStatistics] | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def queue_opened(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """See :meth:`workqueue.base.metrics.MetricsProvider.queue_opened`.

        :raises ConfigurationError: if an open queue has that name: a page with one series twice is no page.
        """
        with self._lock:
            if any(shown.name == name for shown in self._queues):
                raise ConfigurationError(
                    f"there is an open queue {name!r} in these metrics already: name one differently"
                )
            self._queues.append(_Shown(name, statistics))

    def queue_closed(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """See :meth:`workqueue.base.metrics.MetricsProvider.queue_closed`."""
        with self._lock:
            for shown in self._queues:
                if (shown.name, shown.statistics) == (name, statistics):
                    self._queues.remove(shown)
                    break

    def informer_opened(self, statistics: Callable[[], InformerStatistics]) -> None:
        """Show an informer from now on."""
        with self._lock:
            self._informers.append(statistics)

    def informer_closed(self, statistics: Callable[[], InformerStatistics]) -> None:
        """Show it no more."""
        with self._lock:
            if statistics in self._informers:
                self._informers.remove(statistics)

    def controller_opened(self, statistics: Callable[[], ControllerStatistics]) -> None:
        """Show a controller from now on, with all its series."""
        with self._lock:
            self._controllers.append(statistics)

    def loop_opened(self, statistics: Callable[[], LoopStatistics]) -> None:
        """Show the loop that coroutines run on."""
        with self._lock:
            self._loops.append(statistics)

    def events_opened(self, statistics: Callable[[], EventStatistics]) -> None:
        """Show from now on what becomes of the events that an operator records."""
        with self._lock:
            self._events.append(statistics)

    def clients_opened(self, statistics: Callable[[], ClientStatistics]) -> None:
        """Show the requests to the API server from now on: of one operator, as series have no label for another."""
        with self._lock:
            self._clients = statistics

    def render(self) -> tuple[str, bytes]:
        """The page for a scrape: ours, and what the process itself has in prometheus_client's default registry.

        :return: content type and body.
        """
        return CONTENT_TYPE_LATEST, generate_latest(self._registry) + generate_latest(REGISTRY)

    def collect(self) -> Iterator[Metric]:
        """Compute the families; called by a registry at each scrape."""
        with self._lock:
            informers, controllers = list(self._informers), list(self._controllers)
            loops, events, clients = list(self._loops), list(self._events), self._clients
            counted = [(shown, shown.statistics()) for shown in self._queues]
            queues = [(shown.name, queue, shown.depths(queue)) for shown, queue in counted]
        yield from _queue_families(queues)
        yield from _controller_families([read() for read in controllers])
        yield from _loop_families([read() for read in loops])
        yield from _informer_families([read() for read in informers])
        if events:
            yield _event_family([read() for read in events])
        if clients is not None:
            yield from _client_families(clients())


def _queue_families(queues: Sequence[tuple[str, QueueStatistics, Mapping[str, int]]]) -> Iterator[Metric]:
    """The families of all queues: of each its name, its statistics, and its depth by priority."""
    depth = GaugeMetricFamily(
        "workqueue_depth",
        "Current depth of workqueue by workqueue and priority",
        labels=(*LABELS, "priority"),
    )
    adds = CounterMetricFamily("workqueue_adds", "Total number of adds handled by workqueue", labels=LABELS)
    retries = CounterMetricFamily("workqueue_retries", "Total number of retries handled by workqueue", labels=LABELS)
    waited = HistogramMetricFamily(
        "workqueue_queue_duration_seconds",
        "How long in seconds an item stays in workqueue before being requested",
        labels=LABELS,
    )
    worked = HistogramMetricFamily(
        "workqueue_work_duration_seconds",
        "How long in seconds processing an item from workqueue takes.",
        labels=LABELS,
    )
    unfinished = GaugeMetricFamily(
        "workqueue_unfinished_work_seconds",
        "How many seconds of work is in progress and hasn't been observed by work_duration. "
        "Large values indicate stuck threads.",
        labels=LABELS,
    )
    longest = GaugeMetricFamily(
        "workqueue_longest_running_processor_seconds",
        "How many seconds has the longest running processor for workqueue been running.",
        labels=LABELS,
    )
    oldest = GaugeMetricFamily(
        "workqueue_oldest_pending_seconds",
        "How long the oldest key that must be handled has been waiting.",
        labels=LABELS,
    )
    delayed = GaugeMetricFamily("workqueue_delayed", "Keys that wait for their time.", labels=LABELS)
    requests = CounterMetricFamily(
        "workqueue_add_requests", "Keys asked for, those included that were waiting already.", labels=LABELS
    )
    forgets = CounterMetricFamily("workqueue_forgets", "Keys whose failures were forgotten.", labels=LABELS)
    dropped = CounterMetricFamily(
        "workqueue_dropped",
        "Delayed keys dropped: pending at the shutdown, or asked for after it.",
        labels=(*LABELS, "reason"),
    )
    for name, queue, depths in queues:
        labels = (name, name)
        for priority, keys in depths.items():
            depth.add_metric((*labels, priority), keys)
        adds.add_metric(labels, queue.adds)
        retries.add_metric(labels, queue.retries)
        waited.add_metric(labels, _cumulative(queue.queue_duration), queue.queue_duration.sum)
        worked.add_metric(labels, _cumulative(queue.work_duration), queue.work_duration.sum)
        unfinished.add_metric(labels, queue.unfinished_work)
        longest.add_metric(labels, queue.longest_running)
        oldest.add_metric(labels, queue.oldest_pending)
        delayed.add_metric(labels, queue.delayed)
        requests.add_metric(labels, queue.add_requests)
        forgets.add_metric(labels, queue.forgets)
        dropped.add_metric((*labels, "shutdown"), queue.dropped - queue.refused)
        dropped.add_metric((*labels, "late"), queue.refused)
    yield from (depth, adds, retries, waited, worked, unfinished, longest)
    yield from (oldest, delayed, requests, forgets, dropped)


def _controller_families(controllers: Sequence[ControllerStatistics]) -> Iterator[Metric]:
    """The families of all controllers: names, labels and meaning are those of controller-runtime
    (pkg/internal/controller/metrics/metrics.go); what begins with workqueue is ours.
    """
    label = ("controller",)
    total = CounterMetricFamily(
        "controller_runtime_reconcile", "Total number of reconciliations per controller", labels=(*label, "result")
    )
    errors = CounterMetricFamily(
        "controller_runtime_reconcile_errors", "Total number of reconciliation errors per controller", labels=label
    )
    terminal = CounterMetricFamily(
        "controller_runtime_terminal_reconcile_errors",
        "Total number of terminal reconciliation errors per controller",
        labels=label,
    )
    panics = CounterMetricFamily(
        "controller_runtime_reconcile_panics", "Total number of reconciliation panics per controller", labels=label
    )
    timeouts = CounterMetricFamily(
        "controller_runtime_reconcile_timeouts", "Total number of reconciliation timeouts per controller", labels=label
    )
    times = HistogramMetricFamily(
        "controller_runtime_reconcile_time_seconds", "Length of time per reconciliation per controller", labels=label
    )
    most = GaugeMetricFamily(
        "controller_runtime_max_concurrent_reconciles",
        "Maximum number of concurrent reconciles per controller",
        labels=label,
    )
    active = GaugeMetricFamily(
        "controller_runtime_active_workers", "Number of currently used workers per controller", labels=label
    )
    parked = GaugeMetricFamily("workqueue_parked", "Keys that were given up, and wait for news.", labels=LABELS)
    given_up = CounterMetricFamily("workqueue_given_up", "Times a key was given up.", labels=LABELS)
    paused = GaugeMetricFamily("workqueue_paused", "1 while workers take no key, else 0.", labels=LABELS)
    stuck = GaugeMetricFamily("workqueue_stuck", "Runs that are there though their time is over.", labels=LABELS)
    replaced = CounterMetricFamily("workqueue_replaced_workers", "Workers replaced for such a run.", labels=LABELS)
    for each in controllers:
        name, both = (each.name,), (each.name, each.name)
        for result in ("success", "error", "requeue", "requeue_after"):
            total.add_metric((*name, result), getattr(each, result))
        errors.add_metric(name, each.error)
        terminal.add_metric(name, each.terminal)
        panics.add_metric(name, each.panic)
        timeouts.add_metric(name, each.timeout)
        times.add_metric(name, _cumulative(each.reconcile_time), each.reconcile_time.sum)
        most.add_metric(name, each.max_workers)
        active.add_metric(name, each.active)
        parked.add_metric(both, each.parked)
        given_up.add_metric(both, each.given_up)
        paused.add_metric(both, each.paused)
        stuck.add_metric(both, len(each.stuck))
        replaced.add_metric(both, each.replaced)
    yield from (total, errors, terminal, panics, timeouts, times, most, active)
    yield from (parked, given_up, paused, stuck, replaced)


def _loop_families(loops: Sequence[LoopStatistics]) -> Iterator[Metric]:
    """How well the loop turns that coroutines run on."""
    for loop in loops:
        yield GaugeMetricFamily(
            "workqueue_loop_lag_seconds", "How late the loop was, or is, while reconciles run on it.", value=loop.lag
        )
        yield CounterMetricFamily(
            "workqueue_loop_blocked", "Times the loop did not turn for half a second.", value=loop.blocked
        )


def _informer_families(informers: Sequence[InformerStatistics]) -> Iterator[Metric]:
    """The families of all informers."""
    label = ("name",)
    objects = GaugeMetricFamily("informer_objects", "Objects in the cache.", labels=label)
    synced = GaugeMetricFamily("informer_synced", "1 while the cache is live, else 0.", labels=label)
    lane = GaugeMetricFamily("informer_lane", "1 for the lane that runs.", labels=(*label, "lane"))
    events = CounterMetricFamily("informer_events", "Events taken in.", labels=label)
    stale = CounterMetricFamily(
        "informer_stale_events", "Events of an older state or a former object, ignored.", labels=label
    )
    pending = GaugeMetricFamily("informer_pending", "Changes that handlers have not been told yet.", labels=label)
    lists = CounterMetricFamily("informer_lists", "Lists that replaced the cache.", labels=label)
    watches = CounterMetricFamily("informer_watches", "Watches begun.", labels=label)
    interruptions = CounterMetricFamily(
        "informer_interruptions", "Watches and lists that ended otherwise than by their own end.", labels=label
    )
    ignored = CounterMetricFamily(
        "informer_ignored", "Events and objects that could not be read or stored.", labels=label
    )
    silence = GaugeMetricFamily(
        "informer_silence_seconds", "Since the last byte of the watch, bookmarks included.", labels=label
    )
    errors = CounterMetricFamily("informer_handler_errors", "Calls of handlers that raised.", labels=(*label, "kind"))
    slow = CounterMetricFamily("informer_handler_slow", "Calls of handlers over 50 ms.", labels=(*label, "kind"))
    checks = CounterMetricFamily("informer_consistency_checks", "Comparisons with the API server.", labels=label)
    differences = CounterMetricFamily(
        "informer_differences", "Objects that differed from the API server, and were mended.", labels=(*label, "kind")
    )
    memory = GaugeMetricFamily("informer_bytes", "What the cache needs memory for.", labels=(*label, "use"))
    plain = CounterMetricFamily("informer_packed_plain_bytes", "Of the bodies that were packed.", labels=label)
    kept = CounterMetricFamily("informer_packed_bytes", "What was made of them.", labels=label)
    dictionaries = CounterMetricFamily("informer_dictionaries", "Dictionaries trained and taken.", labels=label)
    failures = CounterMetricFamily(
        "informer_dictionary_failures", "Trainings of dictionaries that failed.", labels=label
    )
    age = GaugeMetricFamily(
        "informer_dictionary_age_objects", "Bodies that were packed with the present dictionary.", labels=label
    )
    values = GaugeMetricFamily("informer_index_values", "Values that an index knows.", labels=(*label, "index"))
    entries = GaugeMetricFamily(
        "informer_index_entries", "Objects that an index finds, by each value.", labels=(*label, "index")
    )
    for informer in informers:
        name = (informer.name,)
        packing = informer.cache.packing
        for use, needed in informer.cache.bytes.items():
            memory.add_metric((*name, use), needed)
        plain.add_metric(name, packing.plain_bytes)
        kept.add_metric(name, packing.kept_bytes)
        dictionaries.add_metric(name, packing.dictionaries)
        failures.add_metric(name, packing.failures)
        age.add_metric(name, packing.dictionary_age)
        for index, count in informer.cache.index_values.items():
            values.add_metric((*name, index), count)
            entries.add_metric((*name, index), informer.cache.index_entries[index])
        objects.add_metric(name, informer.cache.objects)
        synced.add_metric(name, informer.synced)
        events.add_metric(name, informer.events)
        stale.add_metric(name, informer.stale_events)
        pending.add_metric(name, informer.pending)
        for kind in get_args(Kind):
            handlers = [handler for handler in informer.handlers if handler.kind == kind]
            errors.add_metric((*name, kind), sum(handler.errors for handler in handlers))
            slow.add_metric((*name, kind), sum(handler.slow for handler in handlers))
        if informer.lane is not None:
            lane.add_metric((*name, informer.lane.lane), 1)
            lists.add_metric(name, informer.lane.lists)
            watches.add_metric(name, informer.lane.watches)
            interruptions.add_metric(name, informer.lane.interruptions)
            ignored.add_metric(name, informer.lane.ignored)
            if informer.lane.silence is not None:
                silence.add_metric(name, informer.lane.silence)
        if informer.consistency is not None:
            checks.add_metric(name, informer.consistency.checks)
            for difference in get_args(Difference):
                differences.add_metric((*name, difference), informer.consistency.differences.get(difference, 0))
    yield from (objects, synced, lane, events, stale, pending)
    yield from (memory, plain, kept, dictionaries, failures, age, values, entries)
    yield from (lists, watches, interruptions, ignored, silence, errors, slow, checks, differences)


def _event_family(operators: Sequence[EventStatistics]) -> Metric:
    """What has become of events. Those that are on their way are nowhere yet."""
    events = CounterMetricFamily("recorder_events", "Events recorded, by what became of them.", labels=("result",))
    for result in get_args(Fate):
        events.add_metric((result,), sum(getattr(operator, result) for operator in operators))
    events.add_metric(("dropped",), sum(sum(operator.dropped.values()) for operator in operators))
    return events


def _client_families(clients: ClientStatistics) -> Iterator[Metric]:
    """The families of requests; texts as in controller-runtime and component-base."""
    requests = CounterMetricFamily(
        "rest_client_requests",
        "Number of HTTP requests, partitioned by status code, method, and host.",
        labels=("code", "method", "host"),
    )
    for request, count in clients.requests.items():
        requests.add_metric(request, count)
    yield requests
    families = [("request", "Request latency in seconds. Broken down by verb, and host.", clients.durations)]
    if clients.waits:
        text = "Client side rate limiter latency in seconds. Broken down by verb, and host."
        families.append(("rate_limiter", text, clients.waits))
    for name, text, histograms in families:
        seconds = HistogramMetricFamily(f"rest_client_{name}_duration_seconds", text, labels=("verb", "host"))
        for labels, histogram in histograms.items():
            seconds.add_metric(labels, _cumulative(histogram), histogram.sum)
        yield seconds


def _cumulative(histogram: HistogramSnapshot) -> list[tuple[str, float]]:
    """Prometheus counts everything up to each bound, and everything."""
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        buckets.append((str(floatToGoString(bound)), total))  # type: ignore[no-untyped-call]
    return buckets
