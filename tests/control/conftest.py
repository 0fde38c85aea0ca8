"""Controllers on a clock that stands still, and a record of what their reconcile functions were called with."""

import asyncio
import gc
import threading
import time

import pytest

from tests.base.conftest import hectic
from tests.control.event_sinks import Sink
from workqueue.control import Controller, WatchedLoop
from workqueue.control.events import EventRecorder, Outbox
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue
from workqueue.testing import FakeClock

__all__ = ["hectic"]

#: Seconds of real time after which a test is given up: far more than any needs, on any machine.
PATIENCE = 30.0


def until(condition, what=""):
    """Wait until a condition that another thread makes true is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what or condition}"
        time.sleep(0.001)


class Runs:
    """A reconcile function that remembers its calls and does what it is told."""

    def __init__(self, clock, answer=None):
        #: Called with the request after the call was remembered; an exception is raised, else it is returned.
        self.answer = answer
        self.clock = clock
        self.changed = threading.Condition()
        self.keys = []
        self.retries = []
        self.instants = []
        self.threads = []

    def __call__(self, request):
        with self.changed:
            self.keys.append(request.key)
            self.retries.append(request.retry)
            self.instants.append(self.clock.now())
            self.threads.append(threading.current_thread())
            self.changed.notify_all()
        answer = self.answer(request) if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def __len__(self):
        return len(self.keys)

    def of(self, key):
        return sum(each == key for each in self.keys)

    def wait(self, count):
        """Until so many runs have begun."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.keys) >= count, PATIENCE), f"{len(self)} runs of {count}"


class Gate(threading.Event):
    """What reconcile functions wait at; opened at the end of the test at the latest."""

    def __call__(self, request):
        assert self.wait(PATIENCE)


@pytest.fixture
def clock():
    return FakeClock(start=0.0)


@pytest.fixture(params=["priority", "rate limiting"])
def queue(clock, request):
    """A queue as a controller has by default, and client-go's."""
    limiter = ItemExponentialFailureRateLimiter(0.005, 1000)
    if request.param == "priority":
        return PriorityQueue(clock=clock, rate_limiter=limiter, backoff="steady", max_starvation=60.0)
    return RateLimitingQueue(clock=clock, rate_limiter=limiter)


@pytest.fixture
def runs(clock):
    return Runs(clock)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.set()


@pytest.fixture
def make(clock, queue, gate):
    """``make(reconcile, **options)`` is a controller "pods", not started; all are stopped after the test."""
    made = []

    def build(reconcile, **options):
        options = {"queue": queue, "clock": clock, **options}
        made.append(Controller("pods", reconcile, **options))
        return made[-1]

    yield build
    gate.set()
    for controller in made:
        controller.stop(0)
        for thread in controller._pool.threads():
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in controller._pool.threads())


def idle(controller):
    """True if nothing is ready and nobody works: what is left waits for its time."""
    statistics = controller.queue.statistics()
    return not statistics.depth and not statistics.processing and not controller.statistics().active


def settle(controller):
    """Wait until the controller has done all there is to do at this instant."""
    until(lambda: idle(controller), "the controller is idle")


def alive():
    """The names of the workers that live now."""
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("workqueue-"))


def step_until(clock, condition, what="", *, by=0.25):
    """Let time pass, in steps, until a condition is true that somebody makes true who sleeps on the clock."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what or condition}"
        clock.step(by)
        time.sleep(0.001)


class LoopThread:
    """A loop that turns in a thread of its own, as Kopf's does beside the workers."""

    def __init__(self, clock):
        self.loop = asyncio.new_event_loop()
        #: What nobody handled: tasks that were destroyed, callbacks that raised.
        self.unhandled = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.watched = None
        self.thread = threading.Thread(target=self._run, args=(clock,), name="loop of the test", daemon=True)
        self.thread.start()
        until(lambda: self.watched is not None)

    def _run(self, clock):
        asyncio.set_event_loop(self.loop)
        self.watched = WatchedLoop(clock=clock, loop=self.loop)
        self.loop.run_forever()

    def __call__(self):
        """What a controller asks for."""
        return self.watched

    def turns(self):
        """True if the loop does what it is given."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(done.set)
        return done.wait(PATIENCE)

    def tasks(self):
        return asyncio.all_tasks(self.loop)

    def stop(self):
        """The loop is closed, with whatever is on it."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(PATIENCE)
            self.loop.close()


@pytest.fixture
def loop(clock):
    """Nothing may be left on it at the end but what the test has taken out of ``unhandled`` itself."""
    made = LoopThread(clock)
    yield made
    if not made.loop.is_closed():
        until(lambda: not made.tasks(), "all tasks have ended")
    made.watched.close()
    made.stop()
    gc.collect()
    assert made.unhandled == []


@pytest.fixture
def make_async(loop, make):  # in this order: the loop outlives the controllers
    """``make_async(reconcile, **options)`` is a controller whose coroutines run on ``loop``, not started."""
    return lambda reconcile, **options: make(reconcile, **{"loop": loop, **options})


@pytest.fixture(params=["thread", "loop"])
def build(request, make_async, make):
    """``build(function)`` is a controller, in the second case one with an ``async def`` around the function."""

    def in_thread(function, **options):
        return make(function, **options)

    def on_loop(function, **options):
        async def reconcile(request):
            await asyncio.sleep(0)
            return function(request)

        return make_async(reconcile, **options)

    return on_loop if request.param == "loop" else in_thread


# Events.


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def outbox(sink, clock):
    """On the clock of the test; timestamps begin in 2023, and the first pause is half of the others."""
    made = Outbox(sink, clock=clock, wall=lambda: int((1_700_000_000 + clock.now()) * 10**9), random=lambda: 0.5)
    yield made
    made.close(PATIENCE)


@pytest.fixture
def recorder(outbox):
    return EventRecorder("pod-controller", outbox=outbox, instance="node-1")
