"""The controller: workers, results, retries."""

from workqueue.control.context import RunFields, current_run
from workqueue.control.controller import Controller
from workqueue.control.initial import Readiness
from workqueue.control.lifetime import Ending, Lifetime
from workqueue.control.looplag import LoopStatistics, WatchedLoop
from workqueue.control.outcomes import Verdict
from workqueue.control.parking import ParkedKey
from workqueue.control.result import ReconcileFunc, Request, Result, TerminalError, TimeLimitExceeded, WrongAnswer
from workqueue.control.runs import StuckRun
from workqueue.control.tally import ControllerStatistics

__all__ = [
    "Controller",
    "ControllerStatistics",
    "Ending",
    "Lifetime",
    "LoopStatistics",
    "ParkedKey",
    "Readiness",
    "ReconcileFunc",
    "Request",
    "Result",
    "RunFields",
    "StuckRun",
    "TerminalError",
    "TimeLimitExceeded",
    "Verdict",
    "WatchedLoop",
    "WrongAnswer",
    "current_run",
]
