"""How parts are measured, without knowing who reads the measurements.

Parts keep their own numbers and hand them out as frozen ``statistics()``; a provider is told
which queues exist and reads them when it is scraped. Nothing is pushed and no timer runs, so an
unmeasured queue pays nothing and a gauge is never stale.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

#: Upper bounds in seconds: controller-runtime's ExponentialBuckets(10e-9, 10, 12), pkg/internal/metrics/workqueue.go,
#: and from a millisecond on two steps between them, as decades alone leave a percentile wrong by up to ten times.
QUEUE_BUCKETS: tuple[float, ...] = (
    *(float(f"1e{power}") for power in range(-8, -3)),
    *(float(f"{step}e{power}") for power in range(-3, 3) for step in ("1", "2.5", "5")),
    1000.0,
)


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """Observations so far.

    ``counts[i]`` are those above ``bounds[i-1]`` and not above ``bounds[i]``; one more counts the rest.
    """

    bounds: tuple[float, ...] = QUEUE_BUCKETS
    counts: tuple[int, ...] = (0,) * (len(QUEUE_BUCKETS) + 1)
    sum: float = 0.0

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)


class Histogram:
    """Counts durations by size. Guarded by the lock of the part that owns it."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...] = QUEUE_BUCKETS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def snapshot(self) -> HistogramSnapshot:
        """The counts as they are now."""
        return HistogramSnapshot(bounds=self._bounds, counts=tuple(self._counts), sum=self._sum)


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """One queue at one instant.

    Times, ``add_requests`` and ``forgets`` are zero unless the queue is measured (it has a name and a provider).
    """

    #: The queue's name, "" if it has none.
    name: str = ""
    #: Keys that must be handled: the ready ones, and those added again while in somebody's hands.
    #: client-go's ``workqueue_depth``.
    depth: int = 0
    #: Keys ready to be handed out now: ``len(queue)``.
    ready: int = 0
    #: Keys in somebody's hands.
    processing: int = 0
    #: Keys that wait for their time.
    delayed: int = 0
    #: Accepted adds, de-duplicated: client-go's ``workqueue_adds_total``.
    adds: int = 0
    #: Accepted ``add_after`` and ``add_rate_limited`` calls: client-go's ``workqueue_retries_total``.
    retries: int = 0
    #: Delayed keys that a shutdown threw away, and those that came after it.
    dropped: int = 0
    #: Of the dropped: those that came after it.
    refused: int = 0
    #: True once ``shut_down`` or ``shut_down_with_drain`` was called.
    shutting_down: bool = False
    #: Of the depth: how many keys there are of each priority, the highest first; None for a queue without priorities.
    priorities: tuple[tuple[int, int], ...] | None = None
    #: Keys asked for, each as often as it was; ``adds`` are those of them that were not merged with one that waits.
    add_requests: int = 0
    #: Calls of ``forget``.
    forgets: int = 0
    #: Age, in seconds, of the oldest key that must be handled; one asked for while in somebody's hands is such a key.
    oldest_pending: float = 0.0
    #: From a key's add (or from the end of its delay) to its get.
    queue_duration: HistogramSnapshot = field(default_factory=HistogramSnapshot)
    #: From get to done.
    work_duration: HistogramSnapshot = field(default_factory=HistogramSnapshot)
    #: Sum of the ages, in seconds, of the keys in somebody's hands.
    unfinished_work: float = 0.0
    #: Age of the oldest of them.
    longest_running: float = 0.0


class MetricsProvider(Protocol):
    """Who wants to know of queues: implemented by :mod:`workqueue.prometheus`, or by a user."""

    def queue_opened(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """A measured queue exists from now on; ``statistics`` may be called from any thread.

        What it raises, such as that the name is taken, is raised to whoever makes the queue.
        """
        ...

    def queue_closed(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """It is shut down and empty: its series may go."""
        ...
