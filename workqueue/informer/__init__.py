"""The informer: a cache kept by events, and the handlers that hear of each change."""

from workqueue.informer.informer import Informer, InformerStatistics
from workqueue.informer.notifications import Handler, HandlerFunc, HandlerStatistics, Kind, Notification
from workqueue.informer.resyncer import Resyncer

__all__ = [
    "Handler",
    "HandlerFunc",
    "HandlerStatistics",
    "Informer",
    "InformerStatistics",
    "Kind",
    "Notification",
    "Resyncer",
]
