"""Work queues for controllers.

- ordered: keys are handed out in the order they were added;
- stingy: a key added many times before it is handled is handled once;
- many producers, many consumers: one key is never in two hands, and a key added while it is in
  somebody's hands is handed out once more;
- shutdown: nobody is left waiting, nothing that was accepted is lost without a word.
"""

from workqueue.base.errors import Interrupted, ShutDown
from workqueue.queues.debounce import Debounce
from workqueue.queues.dedup import Queue
from workqueue.queues.delaying import DelayingQueue
from workqueue.queues.fairness import by_namespace
from workqueue.queues.parallelizer import parallelize_until
from workqueue.queues.priority import PriorityQueue
from workqueue.queues.ratelimiters import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    RateLimiter,
    WithMaxWaitRateLimiter,
    default_controller_rate_limiter,
)
from workqueue.queues.ratelimiting import RateLimitingQueue

__all__ = [
    "BucketRateLimiter",
    "Debounce",
    "DelayingQueue",
    "Interrupted",
    "ItemExponentialFailureRateLimiter",
    "ItemFastSlowRateLimiter",
    "MaxOfRateLimiter",
    "PriorityQueue",
    "Queue",
    "RateLimiter",
    "RateLimitingQueue",
    "ShutDown",
    "WithMaxWaitRateLimiter",
    "by_namespace",
    "default_controller_rate_limiter",
    "parallelize_until",
]
