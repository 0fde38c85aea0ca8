"""Kubernetes events: recorded in passing, made few, and sent by a thread of their own."""

from workqueue.control.events.outbox import Outbox
from workqueue.control.events.recorder import EventRecorder
from workqueue.control.events.sink import (
    EventExists,
    EventGone,
    EventRejected,
    EventSink,
    NamespaceTerminating,
    SinkUnavailable,
)
from workqueue.control.events.tally import EventStatistics

__all__ = [
    "EventExists",
    "EventGone",
    "EventRecorder",
    "EventRejected",
    "EventSink",
    "EventStatistics",
    "NamespaceTerminating",
    "Outbox",
    "SinkUnavailable",
]
