"""For tests of controllers, ours and yours: no shipped room imports this one."""

from workqueue.testing.clock import FakeClock
from workqueue.testing.schedules import (
    Exploration,
    NotDeterministic,
    ScheduledRun,
    ScheduleFailed,
    explore,
    explore_random,
    replay,
)

__all__ = [
    "Exploration",
    "FakeClock",
    "NotDeterministic",
    "ScheduleFailed",
    "ScheduledRun",
    "explore",
    "explore_random",
    "replay",
]
