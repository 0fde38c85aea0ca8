"""What a measured queue remembers: how long keys wait, how long they are worked on, what was asked for.

Meaning: client-go util/workqueue/metrics.go; ours beside it are told apart in
:class:`workqueue.base.metrics.QueueStatistics`. A queue that nobody measures has none of this.
"""

import dataclasses
from collections.abc import Hashable

from workqueue.base.metrics import Histogram, QueueStatistics


class Measures:
    """Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("forgets", "queue_duration", "queued", "requests", "started", "work_duration")

    def __init__(self) -> None:
        #: When each key that must be handled became due. Keys come in as time goes, so the first is the oldest.
        self.queued: dict[Hashable, float] = {}
        #: When each key in processing was handed out.
        self.started: dict[Hashable, float] = {}
        #: Keys asked for, each as often as it was.
        self.requests = 0
        #: Calls of forget.
        self.forgets = 0
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
        """The statistics with what was measured."""
        ages = [now - started for started in self.started.values()]
        oldest = next(iter(self.queued.values()), now)
        return dataclasses.replace(
            statistics,
            add_requests=self.requests,
            forgets=self.forgets,
            queue_duration=self.queue_duration.snapshot(),
            work_duration=self.work_duration.snapshot(),
            oldest_pending=now - oldest,
            unfinished_work=sum(ages),
            longest_running=max(ages, default=0.0),
        )
