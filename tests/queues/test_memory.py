"""A key that was handled leaves nothing behind: many different keys, and at the end the queue is as it was.

Asked for in kubernetes/client-go#701 ("Memory/Timer leak in the work queue"), kubernetes/kubernetes#138743 and #110696.
The environment variable WORKQUEUE_TEST_KEYS says how many keys each test uses: 1000000, say. Without it there are as
many as it takes to see one key in ten that leaves anything.
"""

import gc
import os
import sys

import pytest

from workqueue.queues import Debounce, PriorityQueue, Queue, ShutDown, default_controller_rate_limiter

from .conftest import PATIENCE
from .footprint import extra

KEYS = int(os.environ.get("WORKQUEUE_TEST_KEYS", "6000"))
#: So many keys are in the queue at once.
AT_ONCE = 500
#: Entries that a queue may keep of what is gone, and blocks of memory that the machinery around may.
LITTLE, BLOCKS = 300, 500


def everything(key):
    """A tenant for each hundred keys."""
    return key // 100


OPTIONS = {
    "plain": {},
    "everything": {
        "max_starvation": 1,
        "fairness": everything,
        "backoff": "steady",
        "debounce": Debounce(1, 2),
    },
}


@pytest.fixture(params=["unmeasured", "measured"])
def names(request, provider):
    return {} if request.param == "unmeasured" else {"name": "pods", "metrics": provider}


@pytest.fixture
def leaves_nothing(clock):
    """``leaves_nothing(make, cycle)``: calls cycle(queue, keys) with ever new keys, then looks at what is left."""

    def run(make, cycle):
        queue = make()
        cycle(queue, range(AT_ONCE))  # whatever is made once is made
        gc.collect()
        before = sys.getallocatedblocks()
        for first in range(AT_ONCE, AT_ONCE + KEYS, AT_ONCE):
            cycle(queue, range(first, first + AT_ONCE))
        gc.collect()
        blocks = sys.getallocatedblocks() - before
        queue._check()
        statistics = queue.statistics()
        assert (statistics.depth, statistics.processing, statistics.delayed) == (0, 0, 0)
        assert extra(queue, than=make()) < LITTLE
        assert blocks < BLOCKS
        queue.shut_down()
        with pytest.raises(ShutDown):
            queue.get()

    return run


def handle(queue, keys):
    for _ in keys:
        key = queue.get(timeout=0)
        queue.done(key)


def test_keys_that_were_added_and_handled_leave_nothing_behind(queue_class, clock, names, leaves_nothing):
    def cycle(queue, keys):
        for key in keys:
            queue.add(key)
        for _ in keys:
            key = queue.get()
            queue.add(key)  # and once more
            queue.done(key)
        handle(queue, keys)

    leaves_nothing(lambda: queue_class(clock=clock, **names), cycle)


def test_keys_that_were_delayed_and_handled_leave_nothing_behind(delaying_class, clock, names, leaves_nothing):
    def cycle(queue, keys):
        for key in keys:
            queue.add_after(key, 50 + key % 7)
            queue.add_after(key, 1 + key % 11)
        clock.step(11)
        handle(queue, keys)

    leaves_nothing(lambda: delaying_class(clock=clock, **names), cycle)


def test_keys_that_failed_and_were_forgotten_leave_nothing_behind(limiting_class, clock, names, leaves_nothing):
    def cycle(queue, keys):
        for key in keys:
            queue.add_rate_limited(key)
        clock.step(100)
        for _ in keys:
            key = queue.get()
            queue.forget(key)
            queue.done(key)

    def make():
        return limiting_class(clock=clock, rate_limiter=default_controller_rate_limiter(clock=clock), **names)

    leaves_nothing(make, cycle)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_keys_that_went_every_way_through_a_priority_queue_leave_nothing_behind(clock, names, leaves_nothing, options):
    def cycle(queue, keys):
        for key in keys:
            queue.add_with(key, priority=key % 5 - 2)
        for key in keys[::3]:
            queue.add_with(key, priority=key)
        for key in keys[::7]:
            queue.cancel(key)
        for key in keys[::5]:
            queue.add_with(key, after=50)
        clock.step(60)
        for _ in range(len(keys) // 2):
            key = queue.get()
            queue.add_rate_limited(key)
            if key % 2:
                queue.add(key)
                queue.cancel(key)
            queue.done(key)
        clock.step(60)
        while len(queue):
            key = queue.get(timeout=0)
            queue.forget(key)
            queue.done(key)
        for key in keys:
            queue.forget(key)

    leaves_nothing(lambda: PriorityQueue(clock=clock, **names, **options), cycle)


@pytest.mark.parametrize("make", [Queue, PriorityQueue])
def test_a_queue_that_was_long_gives_its_memory_back_before_somebody_waits_for_more(make, names, background):
    queue = make(**names)
    for key in range(20_000):
        queue.add(key)
    long = tables(queue)
    for _ in range(20_000):
        queue.done(queue.get())
    waiting = background(queue.get)
    while not queue._getters:
        pass
    assert long > 500_000
    assert tables(queue) < 20_000
    queue.add("next")
    assert waiting.result(PATIENCE) == "next"
    queue._check()


def tables(queue):
    """Bytes of a queue's dictionaries, without what is in them."""
    seen, todo, size = set(), [queue], 0
    while todo:
        each = todo.pop()
        if id(each) not in seen and (type(each) is dict or type(each).__module__.startswith("workqueue.queues")):
            seen.add(id(each))
            size += sys.getsizeof(each) if type(each) is dict else 0
            todo += gc.get_referents(each)
    return size
