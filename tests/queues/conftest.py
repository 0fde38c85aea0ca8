"""Threads whose results are never lost, and the queues that share a contract."""

import sys
import threading
from concurrent.futures import Future

import pytest

from workqueue.queues import DelayingQueue, PriorityQueue, Queue, RateLimitingQueue, ShutDown
from workqueue.testing import FakeClock

#: Seconds of real time after which a test is given up: far more than any needs, on any machine.
PATIENCE = 30.0


class WatchedClock(FakeClock):
    """A FakeClock that also tells how many threads sleep until an instant, and not only until they are woken."""

    def timed_waiters(self):
        with self._lock:
            return self._count_timed_locked()

    def wait_for_timed_waiters(self, count):
        """Block until exactly that many threads sleep until an instant."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._count_timed_locked() == count, PATIENCE)

    def _count_timed_locked(self):
        return sum(until is not None for _, until in self._waiting)


def handle_all(queue):
    """Get and mark done, one after the other, whatever can be handed out now; return the keys in that order."""
    keys = []
    while True:
        try:
            keys.append(queue.get(timeout=0))
        except (TimeoutError, ShutDown):
            return keys
        queue.done(keys[-1])


@pytest.fixture
def clock():
    return WatchedClock()


@pytest.fixture(params=[Queue, DelayingQueue, RateLimitingQueue, PriorityQueue])
def queue_class(request):
    """Every class that keeps the promises of the plain queue."""
    return request.param


@pytest.fixture(params=[DelayingQueue, RateLimitingQueue, PriorityQueue])
def delaying_class(request):
    """Every class that keeps the promises of the delaying queue."""
    return request.param


@pytest.fixture(params=[RateLimitingQueue, PriorityQueue])
def limiting_class(request):
    """Every class that keeps the promises of the rate limiting queue."""
    return request.param


# What client-go's trio promises and controller-runtime's queue does otherwise: PriorityQueue's counterpart of each test
# on one of these is in a file named test_priority_….


@pytest.fixture(params=[Queue, DelayingQueue, RateLimitingQueue])
def trio_class(request):
    """Each of client-go's three."""
    return request.param


@pytest.fixture(params=[DelayingQueue, RateLimitingQueue])
def delaying_trio_class(request):
    """Those of the three that delay."""
    return request.param


@pytest.fixture
def background():
    """``background(fn, *args)`` runs it on a thread and returns a Future; all must have ended with the test."""
    threads = []

    def run(fn, *args, **kwargs):
        future = Future()

        def target():
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        # A daemon: a hung thread fails this test, and must not hang the rest of the run.
        thread = threading.Thread(target=target, name=f"background-{len(threads)}", daemon=True)
        threads.append(thread)
        thread.start()
        return future

    yield run
    for thread in threads:
        thread.join(PATIENCE)
    assert not [thread.name for thread in threads if thread.is_alive()], "threads hang"


@pytest.fixture
def hectic():
    """Threads are switched as often as the interpreter can, so that rare orders become common."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Provider:
    """A metrics provider that remembers what it was told."""

    def __init__(self):
        self.opened = []
        self.closed = []
        self.statistics = {}

    def queue_opened(self, name, statistics):
        self.opened.append(name)
        self.statistics[name] = statistics

    def queue_closed(self, name, statistics):
        self.closed.append((name, statistics()))


@pytest.fixture
def provider():
    return Provider()
