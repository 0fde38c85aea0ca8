"""What a user may choose of a controller's queue."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypedDict

from workqueue.base.keys import ObjectKey
from workqueue.control.result import ReconcileFunc
from workqueue.queues import Debounce, RateLimiter

#: Seconds after which a key of low priority has its turn whatever else there is.
MAX_STARVATION = 60.0


class QueueOptions(TypedDict, total=False):
    """How a controller's queue behaves: keywords of whatever makes a controller."""

    #: How long a failed key waits; 5 ms doubled with each failure, to 1000 s, by default. One that is given is used by
    #: every run of the operator in this process, and what it counted goes on; no other controller may use it.
    rate_limiter: RateLimiter[ObjectKey]
    #: Seconds after which a key has its turn whatever its priority; 60 by default, None is never.
    max_starvation: float | None
    #: Whose a key is: inside one priority, tenants take turns. :func:`workqueue.queues.by_namespace`, or a function of
    #: yours; by default keys come in the order of their adds.
    fairness: Callable[[ObjectKey], Hashable]
    #: How long the changes of one object are gathered into one run; not at all by default.
    debounce: Debounce


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a controller is made of, so that a test can make another one like it."""

    reconcile: ReconcileFunc
    max_retries: int | None
    timeout: float | None
    queue: QueueOptions
