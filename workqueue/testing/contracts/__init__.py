"""Contracts: suites of tests that every queue, limiter and store must pass, yours included.

Each is a class for pytest. Derive from it, name yours ``Test…``, say how the thing is made, and pytest
runs the whole suite against it::

    class TestMyQueue(QueueContract):
        def make_queue(self, clock):
            return MyQueue(clock=clock)

A test that a thing must not pass is overridden, which is then there to be read.
"""

import pytest

# Before they are imported: so a failure of theirs is told with its values, as in a file of tests.
pytest.register_assert_rewrite(
    "workqueue.testing.contracts.limiters", "workqueue.testing.contracts.queues", "workqueue.testing.contracts.stores"
)

from workqueue.testing.contracts.limiters import RateLimiterContract  # noqa: E402
from workqueue.testing.contracts.queues import (  # noqa: E402
    AnyDelayingQueue,
    AnyQueue,
    AnyRateLimitingQueue,
    DelayingQueueContract,
    QueueContract,
    RateLimitingQueueContract,
)
from workqueue.testing.contracts.stores import AnyStore, IndexerContract, StoreContract  # noqa: E402

__all__ = [
    "AnyDelayingQueue",
    "AnyQueue",
    "AnyRateLimitingQueue",
    "AnyStore",
    "DelayingQueueContract",
    "IndexerContract",
    "QueueContract",
    "RateLimiterContract",
    "RateLimitingQueueContract",
    "StoreContract",
]
