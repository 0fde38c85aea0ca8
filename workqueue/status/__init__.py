"""What the outside may know of a running operator: probes and pages over HTTP."""

from workqueue.status.health import Check, Report, report
from workqueue.status.server import Page, StatusServer, parse_address

__all__ = ["Check", "Page", "Report", "StatusServer", "parse_address", "report"]
