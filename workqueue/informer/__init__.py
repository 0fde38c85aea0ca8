"""The informer: a cache kept by events, the handlers that hear of each change, and who brings the events."""

from workqueue.informer.backoff import Backoff
from workqueue.informer.informer import Informer, InformerStatistics
from workqueue.informer.notifications import Handler, HandlerFunc, HandlerStatistics, Kind, Notification
from workqueue.informer.progress import Progress
from workqueue.informer.reflector import LISTED, Heard, Reflector, ReflectorStatistics
from workqueue.informer.resyncer import Resyncer
from workqueue.informer.source import Interrupted, Silent, Source, Stream
from workqueue.informer.wire import Refused

__all__ = [
    "LISTED",
    "Backoff",
    "Handler",
    "HandlerFunc",
    "HandlerStatistics",
    "Heard",
    "Informer",
    "InformerStatistics",
    "Interrupted",
    "Kind",
    "Notification",
    "Progress",
    "Reflector",
    "ReflectorStatistics",
    "Refused",
    "Resyncer",
    "Silent",
    "Source",
    "Stream",
]
