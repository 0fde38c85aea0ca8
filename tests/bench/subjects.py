"""The queues that are measured in this process, each behind the same few functions.

What a function does for each key is written out in each class: one more call for each key, to make them
alike, would be a tenth of what is measured.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from workqueue.base.errors import ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.queues import DelayingQueue, PriorityQueue, Queue, RateLimitingQueue

#: The keyword arguments with which the workers of :class:`workqueue.control.Controller` want their queue.
AS_CONTROLLERS_DO: dict[str, Any] = {"max_starvation": 60.0, "backoff": "steady"}


class Tally:
    """Consumers say of each key that it is done; who waits hears of the last one of each round."""

    def __init__(self, last: int) -> None:
        self.last = last
        #: The number of a key that is done, from 1 on. One call into C: threads need no lock for it.
        self.number = itertools.count(1).__next__
        self.finished = threading.Semaphore(0)


class Subject(Protocol):
    """A queue that is measured."""

    def fill(self, keys: Sequence[ObjectKey]) -> None:
        """Add all keys."""

    def drain(self, number: int) -> None:
        """Get so many keys and say of each that it is done."""

    def consume(self, tally: Tally) -> None:
        """Do the same until :meth:`close`, and tell the tally."""

    def close(self, consumers: int) -> None:
        """Send so many consumers home."""


class Ours:
    """One of our queues whose keys are not forgotten: Queue and DelayingQueue."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def fill(self, keys: Sequence[ObjectKey]) -> None:
        add = self.queue.add
        for key in keys:
            add(key)

    def drain(self, number: int) -> None:
        get, done = self.queue.get, self.queue.done
        for _ in range(number):
            done(get())

    def consume(self, tally: Tally) -> None:
        get, done = self.queue.get, self.queue.done
        number, last, finished = tally.number, tally.last, tally.finished
        try:
            while True:
                done(get())
                if not number() % last:
                    finished.release()
        except ShutDown:
            return

    def close(self, consumers: int) -> None:
        self.queue.shut_down()


class Forgetting(Ours):
    """One of our queues whose keys are forgotten, as controllers do after each success."""

    def drain(self, number: int) -> None:
        get, forget, done = self.queue.get, self.queue.forget, self.queue.done
        for _ in range(number):
            key = get()
            forget(key)
            done(key)

    def consume(self, tally: Tally) -> None:
        get, forget, done = self.queue.get, self.queue.forget, self.queue.done
        number, last, finished = tally.number, tally.last, tally.finished
        try:
            while True:
                key = get()
                forget(key)
                done(key)
                if not number() % last:
                    finished.release()
        except ShutDown:
            return

    def fill_mixed(self, keys: Sequence[ObjectKey], priorities: Sequence[int]) -> None:
        add = self.queue.add_with
        for key, priority in zip(keys, priorities, strict=True):
            add(key, priority=priority)


class Standard:
    """The standard library's queue.Queue, which neither de-duplicates nor knows who holds a key."""

    def __init__(self) -> None:
        self.queue: queue.Queue[ObjectKey | None] = queue.Queue()

    def fill(self, keys: Sequence[ObjectKey]) -> None:
        put = self.queue.put
        for key in keys:
            put(key)

    def drain(self, number: int) -> None:
        get, task_done = self.queue.get, self.queue.task_done
        for _ in range(number):
            get()
            task_done()

    def consume(self, tally: Tally) -> None:
        get, task_done = self.queue.get, self.queue.task_done
        number, last, finished = tally.number, tally.last, tally.finished
        while get() is not None:
            task_done()
            if not number() % last:
                finished.release()

    def close(self, consumers: int) -> None:
        for _ in range(consumers):
            self.queue.put(None)


class StandardPriority:
    """The standard library's queue.PriorityQueue: entries of priority, order of arrival and key."""

    def __init__(self) -> None:
        self.queue: queue.PriorityQueue[tuple[float, int, ObjectKey | None]] = queue.PriorityQueue()

    def fill(self, keys: Sequence[ObjectKey]) -> None:
        put, arrivals = self.queue.put, itertools.count()
        for key in keys:
            put((0, next(arrivals), key))

    def fill_mixed(self, keys: Sequence[ObjectKey], priorities: Sequence[int]) -> None:
        put, arrivals = self.queue.put, itertools.count()
        for key, priority in zip(keys, priorities, strict=True):
            put((-priority, next(arrivals), key))

    def drain(self, number: int) -> None:
        get, task_done = self.queue.get, self.queue.task_done
        for _ in range(number):
            get()
            task_done()

    def consume(self, tally: Tally) -> None:
        get, task_done = self.queue.get, self.queue.task_done
        number, last, finished = tally.number, tally.last, tally.finished
        while get()[2] is not None:
            task_done()
            if not number() % last:
                finished.release()

    def close(self, consumers: int) -> None:
        for number in range(consumers):
            self.queue.put((float("inf"), number, None))


class Simple:
    """The standard library's queue.SimpleQueue: all in C, and it knows nothing of keys that are done."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[ObjectKey | None] = queue.SimpleQueue()

    def fill(self, keys: Sequence[ObjectKey]) -> None:
        put = self.queue.put
        for key in keys:
            put(key)

    def drain(self, number: int) -> None:
        get = self.queue.get
        for _ in range(number):
            get()

    def consume(self, tally: Tally) -> None:
        get = self.queue.get
        number, last, finished = tally.number, tally.last, tally.finished
        while get() is not None:
            if not number() % last:
                finished.release()

    def close(self, consumers: int) -> None:
        for _ in range(consumers):
            self.queue.put(None)


#: By their names on the command line; the arguments are those that a measured queue of ours wants.
SUBJECTS: dict[str, Callable[..., Subject]] = {
    "queue.Queue": Standard,
    "queue.PriorityQueue": StandardPriority,
    "queue.SimpleQueue": Simple,
    "Queue": lambda **named: Ours(Queue[ObjectKey](**named)),
    "DelayingQueue": lambda **named: Ours(DelayingQueue[ObjectKey](**named)),
    "RateLimitingQueue": lambda **named: Forgetting(RateLimitingQueue[ObjectKey](**named)),
    "PriorityQueue": lambda **named: Forgetting(PriorityQueue[ObjectKey](**named)),
    "PriorityQueue as controllers": lambda **named: Forgetting(PriorityQueue[ObjectKey](**AS_CONTROLLERS_DO, **named)),
}


def make(name: str, *, measured: bool = False) -> Any:
    """A new queue of that name; a measured one has a name and tells prometheus_client."""
    if not measured:
        return SUBJECTS[name]()
    # Only here: a queue that nobody measures is measured in a process without prometheus_client.
    from workqueue.prometheus import PrometheusMetrics

    return SUBJECTS[name](name="bench", metrics=PrometheusMetrics())
