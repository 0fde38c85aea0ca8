"""Either kind of queue alike: priorities where there are any."""

from collections.abc import Callable

from workqueue.base.keys import ObjectKey
from workqueue.queues import PriorityQueue, RateLimitingQueue

#: What a controller drains.
Queue = PriorityQueue[ObjectKey] | RateLimitingQueue[ObjectKey]


def take(queue: Queue, *, timeout: float | None, unless: Callable[[], bool]) -> tuple[ObjectKey, int]:
    """The next key, and its priority; raises as the queue's ``get`` does.

    :param timeout: seconds; None waits for ever.
    :param unless: asked before a key is handed out.
    """
    if isinstance(queue, PriorityQueue):
        return queue.get_with_priority(timeout, unless=unless)
    return queue.get(timeout, unless=unless), 0


def add(queue: Queue, key: ObjectKey, *, priority: int, respect_backoff: bool, after: float | None = None) -> None:
    """A key is ready.

    :param respect_backoff: unless it failed, and waits for its retry.
    :param after: so many seconds from now; None is now.
    """
    if isinstance(queue, PriorityQueue) and (priority or respect_backoff or after is not None):
        queue.add_with(key, priority=priority, after=after, respect_backoff=respect_backoff)
    elif after is not None:
        queue.add_after(key, after)
    else:
        queue.add(key)


def add_after(queue: Queue, key: ObjectKey, seconds: float, *, priority: int | None) -> None:
    """A key is ready after some time.

    :param priority: None leaves it to the queue.
    """
    if priority is not None and isinstance(queue, PriorityQueue):
        queue.add_with(key, priority=priority, after=seconds)
    else:
        queue.add_after(key, seconds)


def add_rate_limited(queue: Queue, key: ObjectKey, *, priority: int | None) -> None:
    """A key is ready when the limiter says so.

    :param priority: None leaves it to the queue.
    """
    if priority is not None and isinstance(queue, PriorityQueue):
        queue.add_with(key, priority=priority, rate_limited=True)
    else:
        queue.add_rate_limited(key)
