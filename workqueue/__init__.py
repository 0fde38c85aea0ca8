"""client-go's controller machinery for Kopf.

An informer keeps an indexed cache from Kopf's watch; handlers only add keys to a de-duplicating,
rate-limited queue; a bounded pool of workers drains it and looks the objects up in the cache.

Everything a Kopf operator needs is here. Each name is imported from its room when it is asked for:
so :mod:`workqueue.queues` can be used where there is nothing but the standard library, and
:mod:`workqueue.cache` where there is no Kopf.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workqueue.base.errors import ConfigurationError, WorkqueueError
    from workqueue.base.keys import ObjectKey
    from workqueue.cache import field, label
    from workqueue.control import Request, Result, TerminalError
    from workqueue.plugin import Manager
    from workqueue.queues import ShutDown, default_controller_rate_limiter

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

_ROOMS = {
    "workqueue.base.errors": ("ConfigurationError", "WorkqueueError"),
    "workqueue.base.keys": ("ObjectKey",),
    "workqueue.cache": ("field", "label"),
    "workqueue.control": ("Request", "Result", "TerminalError"),
    "workqueue.plugin": ("Manager",),
    "workqueue.queues": ("ShutDown", "default_controller_rate_limiter"),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(room), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
