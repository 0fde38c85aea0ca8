"""How long keys wait and how long they are worked on: what a measured queue remembers.

Meaning: client-go util/workqueue/metrics.go. A queue that nobody measures has none of this.
"""

import dataclasses
from collections.abc import Hashable

from workqueue.base.metrics import Histogram, QueueStatistics


class QueueTimes:
    """Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("queue_duration", "queued", "started", "work_duration")

    def __init__(self) -> None:
        #: When each key that must be handled became due.
        self.queued: dict[Hashable, float] = {}
        #: When each key in processing was handed out.
        self.started: dict[Hashable, float] = {}
        self.queue_duration = Histogram()
        self.work_duration = Histogram()

    def taken(self, key: Hashable, now: float) -> None:
        """The key is handed out."""
        self.queue_duration.observe(now - self.queued.pop(key))
        self.started[key] = now

    def handled(self, key: Hashable, now: float) -> None:
        """The key is done."""
        self.work_duration.observe(now - self.started.pop(key))

    def fill(self, statistics: QueueStatistics, now: float) -> QueueStatistics:
        """The statistics with their times."""
        ages = [now - started for started in self.started.values()]
        return dataclasses.replace(
            statistics,
            queue_duration=self.queue_duration.snapshot(),
            work_duration=self.work_duration.snapshot(),
            unfinished_work=sum(ages),
            longest_running=max(ages, default=0.0),
        )
