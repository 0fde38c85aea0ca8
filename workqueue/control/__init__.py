"""The controller: workers, results, retries."""

from workqueue.control.controller import Controller, ControllerStatistics
from workqueue.control.result import ReconcileFunc, Request, Result, TerminalError

__all__ = ["Controller", "ControllerStatistics", "ReconcileFunc", "Request", "Result", "TerminalError"]
