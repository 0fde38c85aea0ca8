"""client-go's controller machinery for Kopf.

An informer keeps an indexed cache from Kopf's watch; handlers only add keys to a de-duplicating,
rate-limited queue; a bounded pool of workers drains it and looks the objects up in the cache.

Everything a Kopf operator needs is here; :mod:`workqueue.queues` and :mod:`workqueue.cache` can be
used without Kopf, which is why Kopf is imported only when something of it is asked for.
"""

from typing import TYPE_CHECKING

from workqueue.base.errors import ConfigurationError, WorkqueueError
from workqueue.base.keys import ObjectKey
from workqueue.cache import field, label
from workqueue.control import Request, Result, TerminalError
from workqueue.queues import ShutDown, default_controller_rate_limiter

if TYPE_CHECKING:
    from workqueue.plugin import Manager

__all__ = [
    "ConfigurationError",
    "Manager",
    "ObjectKey",
    "Request",
    "Result",
    "ShutDown",
    "TerminalError",
    "WorkqueueError",
    "default_controller_rate_limiter",
    "field",
    "label",
]


def __getattr__(name: str) -> object:
    if name == "Manager":
        from workqueue.plugin import Manager

        return Manager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
