"""Random steps against a model small enough to be believed, and many threads at once.

A failure of the machine prints the steps that led to it, and the blob that repeats them; one of the
walk the steps and the seed. Where the environment says CI the steps are the same in each run.
"""

import os
import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from workqueue.queues import ItemExponentialFailureRateLimiter, RateLimitingQueue, ShutDown
from workqueue.testing import FakeClock

from .conftest import PATIENCE, Provider
from .walking import walk


class Model:
    """A rate limiting queue that is only right: client-go's words, with our departures."""

    def __init__(self):
        self.now, self.down = 0, False
        self.ready, self.dirty, self.held = [], {}, {}  # dirty: since when; held: since when
        self.delayed, self.failures = {}, Counter()
        self.adds = self.retries = self.dropped = 0
        self.queued_for, self.worked_for = [], []

    def add(self, key):
        if not self.down and key not in self.dirty:
            self.dirty[key] = self.now
            self.adds += 1
            self.ready += [key] if key not in self.held else []

    def add_after(self, key, delay):
        if self.down:
            self.dropped += 1
            return
        self.retries += 1
        if delay <= 0:
            self.add(key)
        elif self.now + delay < self.delayed.get(key, 1e9):
            self.delayed.pop(key, None)  # so that it is the last of its instant
            self.delayed[key] = self.now + delay

    def step(self, seconds):
        for _ in range(seconds):  # one after the other: what is due comes at its instant
            self.now += 1
            for key in [key for key, due in self.delayed.items() if due == self.now]:
                del self.delayed[key]
                self.add(key)

    def get(self):
        key = self.ready.pop(0)
        self.queued_for.append(self.now - self.dirty.pop(key))
        self.held[key] = self.now
        return key

    def done(self, key):
        if key in self.held:
            self.worked_for.append(self.now - self.held.pop(key))
            self.ready += [key] if key in self.dirty else []

    def shut_down(self):
        self.dropped += len(self.delayed)
        self.delayed, self.down = {}, True


KEYS = "abc"  # few, so that much happens to each

DELAYS = [-1, 0, 1, 2, 3, 5, 8]

keys = st.sampled_from(KEYS)
delays = st.sampled_from(DELAYS)


class RateLimitingQueueMachine(RuleBasedStateMachine):
    @initialize()
    def make(self):
        self.clock, self.provider, self.model = FakeClock(), Provider(), Model()
        self.queue = RateLimitingQueue(
            name="random",
            clock=self.clock,
            metrics=self.provider,
            rate_limiter=ItemExponentialFailureRateLimiter(1, 6),
        )

    @rule(key=keys)
    def add(self, key):
        self.queue.add(key)
        self.model.add(key)

    @rule(key=keys, delay=delays)
    def add_after(self, key, delay):
        self.queue.add_after(key, delay)
        self.model.add_after(key, delay)

    @rule(key=keys)
    def add_rate_limited(self, key):
        self.queue.add_rate_limited(key)
        self.model.add_after(key, min(2 ** self.model.failures[key], 6))
        self.model.failures[key] += 1

    @rule(key=keys)
    def forget(self, key):
        self.queue.forget(key)
        self.model.failures[key] = 0

    @rule()
    def get(self):
        if self.model.ready:
            assert self.queue.get(timeout=0) == self.model.get()
        else:
            with pytest.raises(ShutDown if self.model.down else TimeoutError):
                self.queue.get(timeout=0)

    @precondition(lambda self: self.model.held)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.model.held)))
        self.queue.done(key)
        self.model.done(key)

    @rule(key=keys)
    def done_of_any_key(self, key):
        self.queue.done(key)
        self.model.done(key)

    @precondition(lambda self: self.model.ready)
    @rule(again=st.booleans())
    def item(self, again):
        with pytest.raises(ArithmeticError), self.queue.item(timeout=0) as key:
            assert key == self.model.get()
            if again:
                self.add(key)
            raise ArithmeticError
        self.model.done(key)

    @rule(seconds=st.integers(0, 4))
    def step(self, seconds):
        self.clock.step(seconds)
        self.model.step(seconds)

    # Rare, or most runs would end soon after they began.
    @rule(drain=st.booleans(), luck=st.integers(0, 9))
    def shut_down(self, drain, luck):
        if luck:
            return
        self.model.shut_down()
        if drain:
            assert self.queue.shut_down_with_drain(timeout=0) is not bool(self.model.dirty or self.model.held)
        else:
            self.queue.shut_down()

    # A rule and no invariant: who asks for the length or the statistics moves the due keys in, so
    # that asking after each step would hide a step that forgets to.
    @rule()
    def look(self):
        model, told = self.model, self.queue.statistics()
        assert (told.ready, told.depth, told.processing) == (len(model.ready), len(model.dirty), len(model.held))
        assert (told.adds, told.retries, told.dropped) == (model.adds, model.retries, model.dropped)
        assert told.delayed == len(model.delayed)
        assert told.shutting_down == self.queue.shutting_down == model.down
        assert len(self.queue) == len(model.ready)
        ages = [model.now - since for since in model.held.values()]
        assert (told.unfinished_work, told.longest_running) == (sum(ages), max(ages, default=0))
        assert (told.queue_duration.count, told.queue_duration.sum) == (len(model.queued_for), sum(model.queued_for))
        assert (told.work_duration.count, told.work_duration.sum) == (len(model.worked_for), sum(model.worked_for))

    @invariant()
    def holds(self):
        self.queue._check()
        for key in KEYS:
            assert self.queue.num_requeues(key) == self.model.failures[key]
        assert len(self.provider.closed) == (self.model.down and not self.model.dirty and not self.model.held)

    def teardown(self):
        if not hasattr(self, "queue"):
            return
        # Whatever happened, everything accepted is handed out, in order.
        self.look()
        self.model.shut_down()
        self.queue.shut_down()
        for key in list(self.model.held):
            self.queue.done(key)
            self.model.done(key)
        while self.model.ready:
            with self.queue.item(timeout=0) as key:
                assert key == self.model.get()
            self.model.done(key)
        self.look()
        self.holds()
        assert self.queue.shut_down_with_drain(timeout=0) is True


TestRateLimitingQueue = RateLimitingQueueMachine.TestCase
TestRateLimitingQueue.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


KEY = {"key": KEYS}
RULES = [
    *[("add", KEY, None)] * 4,
    *[("add_after", KEY | {"delay": DELAYS}, None)] * 3,
    *[("add_rate_limited", KEY, None)] * 2,
    ("forget", KEY, None),
    *[("get", {}, None)] * 4,
    *[("done_of_any_key", KEY, None)] * 4,
    ("item", {"again": [False, True]}, lambda machine: machine.model.ready),
    *[("step", {"seconds": range(5)}, None)] * 3,
    ("shut_down", {"drain": [False, True], "luck": range(4)}, None),
    ("look", {}, None),
]


def test_a_long_walk_of_the_rate_limiting_queue(caplog):
    caplog.set_level("CRITICAL", logger="workqueue.queues")
    walk(RateLimitingQueueMachine, RULES, steps=20_000)


# Real threads.


def producers_of(background, count, produce):
    for future in [background(produce, number) for number in range(count)]:
        future.result(PATIENCE)


def test_50_producers_and_10_workers_lose_no_change_and_hold_no_key_twice(queue_class, background, hectic):
    queue = queue_class()
    lock = threading.Lock()
    changed = Counter()  # what each key should be at
    handled = Counter()  # what each key was at when its last run began
    held = Counter()
    runs = 0
    caught_up = threading.Condition(lock)

    def produce(number):
        for step in range(50):
            key = (number * 7 + step) % 40
            with lock:
                changed[key] += 1
            queue.add(key)

    def work():
        nonlocal runs
        while True:
            try:
                with queue.item() as key:
                    with lock:
                        held[key] += 1
                        assert held[key] == 1, "a key is in two hands"
                        seen = changed[key]
                    queue._check()
                    with lock:
                        held[key] -= 1
                        handled[key] = seen
                        runs += 1
                        caught_up.notify()
            except ShutDown:
                return

    workers = [background(work) for _ in range(10)]
    producers_of(background, 50, produce)
    with caught_up:
        assert caught_up.wait_for(lambda: handled == changed, PATIENCE), "a change was never handled"
    assert queue.shut_down_with_drain(PATIENCE) is True
    for worker in workers:
        worker.result(PATIENCE)
    assert sum(changed.values()) == 2500
    assert queue.statistics().adds == runs <= 2500
    queue._check()


def test_delays_and_retries_of_many_threads_lose_no_key(background, hectic):
    queue = RateLimitingQueue(rate_limiter=ItemExponentialFailureRateLimiter(0.0001, 0.01))
    lock = threading.Lock()
    runs = Counter()
    caught_up = threading.Condition(lock)

    def produce(number):
        for step in range(20):
            queue.add_after((number, step), step % 5 * 0.002)

    def work():
        while True:
            try:
                with queue.item() as key, lock:
                    runs[key] += 1
                    failed = runs[key] < 3
                    caught_up.notify()
            except ShutDown:
                return
            # After done, as a worker may: no other is sent for the key meanwhile.
            if failed:
                queue.add_rate_limited(key)
            else:
                queue.forget(key)

    workers = [background(work) for _ in range(10)]
    producers_of(background, 20, produce)
    with caught_up:
        done = caught_up.wait_for(lambda: len(runs) == 400 and set(runs.values()) == {3}, PATIENCE)
    assert done, f"{len(runs)} of 400 keys, runs {Counter(runs.values())}"
    assert queue.shut_down_with_drain(PATIENCE) is True
    for worker in workers:
        worker.result(PATIENCE)
    assert queue.statistics().dropped == 0
    assert {queue.num_requeues(key) for key in runs} == {0}
    queue._check()
