"""The controller: workers, results, retries."""

from workqueue.control.controller import Controller
from workqueue.control.initial import Readiness
from workqueue.control.result import ReconcileFunc, Request, Result, TerminalError
from workqueue.control.tally import ControllerStatistics

__all__ = ["Controller", "ControllerStatistics", "Readiness", "ReconcileFunc", "Request", "Result", "TerminalError"]
