"""For tests of controllers, ours and yours: no shipped room imports this one.

Each name is imported from its file when it is asked for: pytest loads this package in every run for its
fixtures, and a run that uses none pays next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workqueue.testing.clock import FakeClock
    from workqueue.testing.feed import FakeInformer
    from workqueue.testing.harness import Harness
    from workqueue.testing.recording import FakeRecorder
    from workqueue.testing.report import NotIdle, Report, Run
    from workqueue.testing.requests import make_request
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
    "FakeInformer",
    "FakeRecorder",
    "Harness",
    "NotDeterministic",
    "NotIdle",
    "Report",
    "Run",
    "ScheduleFailed",
    "ScheduledRun",
    "explore",
    "explore_random",
    "make_request",
    "replay",
]

_FILES = {
    "clock": ("FakeClock",),
    "feed": ("FakeInformer",),
    "harness": ("Harness",),
    "recording": ("FakeRecorder",),
    "report": ("NotIdle", "Report", "Run"),
    "requests": ("make_request",),
    "schedules": (
        *("Exploration", "NotDeterministic", "ScheduleFailed", "ScheduledRun"),
        *("explore", "explore_random", "replay"),
    ),
}


def __getattr__(name: str) -> object:
    for file, names in _FILES.items():
        if name in names:
            return getattr(importlib.import_module(f"workqueue.testing.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
