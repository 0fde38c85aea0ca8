"""What a controller has done so far, in numbers."""

import threading
from dataclasses import dataclass

from workqueue.base.metrics import Histogram, HistogramSnapshot
from workqueue.control.initial import Readiness
from workqueue.control.runs import StuckRun

#: What is left of the longest run with each run after it: a single outlier is forgotten after some dozens.
FORGETTING = 0.95

#: Upper bounds in seconds: controller-runtime's of controller_runtime_reconcile_time_seconds
#: (pkg/internal/controller/metrics/metrics.go).
RECONCILE_BUCKETS: tuple[float, ...] = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0),
    *(50.0, 60.0),
)


@dataclass(frozen=True, slots=True)
class ControllerStatistics:
    """One controller at one instant."""

    name: str
    #: True once the workers were started.
    started: bool
    #: How many workers there should be.
    max_workers: int
    #: How many there are, those aside that are stuck and whose place another has, or nobody wants.
    workers: int
    #: Runs under way, those of such workers aside.
    active: int
    #: True while workers take no key.
    paused: bool
    #: Runs that ended, by outcome.
    success: int
    requeue: int
    requeue_after: int
    error: int
    #: Of the errors: those that said not to retry.
    terminal: int
    #: Of the errors: those whose time was over.
    timeout: int
    #: Of the errors: those by something that is no ``Exception``, such as SystemExit: what is a panic in Go.
    panic: int
    #: Of the errors: those after which the key was given up, and parked.
    given_up: int
    #: Keys that are parked now.
    parked: int
    #: Keys that were no keys.
    invalid: int
    #: Times a worker's own loop failed and was restarted.
    restarts: int
    #: Times the place of a worker with a stuck run was given to another.
    replaced: int
    #: Runs that are there though their time is over.
    stuck: tuple[StuckRun, ...]
    #: Of the workers: those whose run is stuck, and whose place is wanted and no other's.
    lost: int
    #: How long runs took; one whose time was over, until then.
    reconcile_time: HistogramSnapshot
    #: How far it has come with what existed at the start.
    readiness: Readiness
    #: Keys that the initial list has queued and that have not been reconciled yet.
    initial_keys_left: int


COUNTS = (
    *("success", "requeue", "requeue_after", "error", "terminal", "timeout", "panic", "given_up"),
    *("invalid", "restarts"),
)


class Tally:
    """Counts, from any worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Both are guarded by _lock.
        #: By their names in ControllerStatistics.
        self._counts = dict.fromkeys(COUNTS, 0)
        self._times = Histogram(RECONCILE_BUCKETS)
        #: Seconds that the longest of the latest runs took: what is long ago counts less with each run. Written under
        #: _lock, read without it.
        self.longest = 0.0

    def count(self, name: str) -> None:
        """One more.

        :param name: as in :class:`ControllerStatistics`.
        """
        with self._lock:
            self._counts[name] += 1

    def run_took(self, seconds: float) -> None:
        """A run has ended, or its time was over."""
        with self._lock:
            self._times.observe(seconds)
            self.longest = max(self.longest * FORGETTING, seconds)

    def snapshot(self) -> tuple[dict[str, int], HistogramSnapshot]:
        """All counts at one instant, by their names in :class:`ControllerStatistics`; and the times."""
        with self._lock:
            return dict(self._counts), self._times.snapshot()
