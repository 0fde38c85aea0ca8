"""Random steps of a priority queue, with each of its options and with all of them, against a model (priority_model.py).

A failure of a machine prints the steps that led to it, and the blob that repeats them; one of a walk the steps and the
seed. Where the environment says CI the steps are the same in each run.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from workqueue.queues import Debounce, ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown
from workqueue.testing import FakeClock

from .conftest import Provider
from .priority_model import BASE, LIMIT, MAX_STARVATION, MAX_WAIT, QUIET, Aged, Debounced, Fair, Model, Steady
from .walking import walk

KEYS = "abcd"  # few, so that much happens to each
DELAYS = [1, 2, 3, 5, 8, 0, -1]
PRIORITIES = [None, 0, 1, 5, -1, -100]

keys = st.sampled_from(KEYS)
delays = st.sampled_from(DELAYS)
priorities = st.sampled_from(PRIORITIES)


class PriorityQueueMachine(RuleBasedStateMachine):
    model_class = Model
    options = {}
    measured = False

    @initialize()
    def make(self):
        self.clock, self.provider, self.model = FakeClock(), Provider(), self.model_class()
        self.queue = PriorityQueue(
            name="random" if self.measured else "",
            clock=self.clock,
            metrics=self.provider,
            rate_limiter=ItemExponentialFailureRateLimiter(BASE, LIMIT),
            **self.options,
        )

    @rule(key=keys)
    def add(self, key):
        self.queue.add(key)
        self.model.ask(key)

    @rule(key=keys, delay=delays)
    def add_after(self, key, delay):
        self.queue.add_after(key, delay)
        self.model.ask(key, delay=delay)

    @rule(key=keys)
    def add_rate_limited(self, key):
        self.queue.add_rate_limited(key)
        self.model.ask(key, delay=0 if self.model.down else self.model.when(key))

    @rule(
        some=st.lists(keys, max_size=3),
        priority=priorities,
        after=st.none() | delays,
        rate_limited=st.sampled_from([False, False, True]),
    )
    def add_with(self, some, priority, after, rate_limited):
        self.queue.add_with(*some, priority=priority, after=after, rate_limited=rate_limited)
        for key in some:
            delay = after
            if rate_limited:
                delay = 0 if self.model.down else self.model.when(key, after)
            self.model.ask(key, priority, delay)

    @rule(key=keys, priority=priorities)
    def add_with_nothing_new(self, key, priority):
        self.queue.add_with(key, priority=priority, respect_backoff=True)
        if not self.model.backs_off(key):
            self.model.ask(key, priority)
        elif not self.model.down:
            self.model.requests += 1

    @rule(key=keys)
    def cancel(self, key):
        assert self.queue.cancel(key) is self.model.cancel(key)

    @rule(key=keys)
    def forget(self, key):
        self.queue.forget(key)
        self.model.forget(key)

    @rule()
    def get(self):
        if self.model.free:
            assert self.queue.get(timeout=0) == self.model.get()[0]
        else:
            with pytest.raises(ShutDown if self.model.down else TimeoutError):
                self.queue.get(timeout=0)

    @precondition(lambda self: self.model.free)
    @rule()
    def get_for_ever(self):
        # Without a timeout the common case is another one.
        assert self.queue.get() == self.model.get()[0]

    @precondition(lambda self: self.model.free)
    @rule()
    def get_with_priority(self):
        assert self.queue.get_with_priority(timeout=0) == self.model.get()

    @precondition(lambda self: self.model.hands)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.model.hands)))
        self.queue.done(key)
        self.model.done(key)

    @rule(key=keys)
    def done_of_any_key(self, key):
        self.queue.done(key)
        self.model.done(key)

    @precondition(lambda self: self.model.free)
    @rule(again=st.booleans())
    def item(self, again):
        with pytest.raises(ArithmeticError), self.queue.item(timeout=0) as key:
            assert key == self.model.get()[0]
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
            assert self.queue.shut_down_with_drain(timeout=0) is self.model.is_idle()
        else:
            self.queue.shut_down()

    # A rule and no invariant: who asks for the length or the statistics moves the due keys in, so
    # that asking after each step would hide a step that forgets to.
    @rule()
    def look(self):
        model, told = self.model, self.queue.statistics()
        ready = {key: asked for key, asked in model.asked.items() if asked.ready}
        assert (told.ready, told.depth, told.processing) == (len(model.free), len(ready), len(model.hands))
        assert (told.adds, told.retries, told.dropped) == (model.adds, model.retries, model.dropped)
        assert told.delayed == len(model.waiting())
        assert told.shutting_down == self.queue.shutting_down == model.down
        assert len(self.queue) == len(ready)
        by_priority = [asked.priority for asked in ready.values()]
        assert dict(told.priorities) == {priority: by_priority.count(priority) for priority in by_priority}
        assert list(told.priorities) == sorted(told.priorities, reverse=True)
        if self.measured:
            ages = [model.now - since for _, since in model.hands.values()]
            assert (told.unfinished_work, told.longest_running) == (sum(ages), max(ages, default=0))
            assert told.oldest_pending == max((model.now - asked.since for asked in ready.values()), default=0)
            assert told.add_requests == model.requests
            for durations, known in (
                (told.queue_duration, model.queued_for),
                (told.work_duration, model.worked_for),
            ):
                assert (durations.count, durations.sum) == (len(known), sum(known))
        self.queue._check()

    @invariant()
    def holds(self):
        with self.queue._lock:
            self.queue._check_locked()  # not _check, which moves the due keys in
        for key in KEYS:
            assert self.queue.num_requeues(key) == self.model.failures[key]
        if self.measured:
            assert len(self.provider.closed) == (self.model.down and self.model.is_idle())

    def teardown(self):
        if not hasattr(self, "queue"):
            return
        # Whatever happened, everything accepted is handed out, in order.
        self.look()
        self.model.shut_down()
        self.queue.shut_down()
        for key in list(self.model.hands):
            self.queue.done(key)
            self.model.done(key)
        while self.model.free:
            key, priority = self.model.get()
            assert self.queue.get_with_priority(timeout=0) == (key, priority)
            self.queue.done(key)
            self.model.done(key)
        self.look()
        self.holds()
        assert self.queue.shut_down_with_drain(timeout=0) is True


class MeasuredMachine(PriorityQueueMachine):
    measured = True


class AgedMachine(PriorityQueueMachine):
    model_class = Aged
    options = {"max_starvation": MAX_STARVATION}


class FairMachine(PriorityQueueMachine):
    model_class = Fair
    options = {"fairness": Fair.tenant}


class DebouncedMachine(PriorityQueueMachine):
    model_class = Debounced
    options = {"debounce": Debounce(QUIET, MAX_WAIT)}


class SteadyMachine(PriorityQueueMachine):
    model_class = Steady
    options = {"backoff": "steady"}


class EverythingMachine(PriorityQueueMachine):
    class model_class(Aged, Fair, Debounced, Steady):
        pass

    options = AgedMachine.options | FairMachine.options | DebouncedMachine.options | SteadyMachine.options
    measured = True


def of(machine, examples):
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=50,
        deadline=None,
        derandomize="CI" in os.environ,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    return case


TestPriorityQueue = of(PriorityQueueMachine, 80)
TestMeasured = of(MeasuredMachine, 40)
TestAged = of(AgedMachine, 40)
TestFair = of(FairMachine, 40)
TestDebounced = of(DebouncedMachine, 40)
TestSteady = of(SteadyMachine, 40)
TestEverything = of(EverythingMachine, 60)


def can_get(machine):
    return machine.model.free


KEY = {"key": KEYS}
RULES = [
    *[("add", KEY, None)] * 4,
    *[("add_after", KEY | {"delay": DELAYS}, None)] * 2,
    *[("add_rate_limited", KEY, None)] * 2,
    *[
        (
            "add_with",
            {
                "some": [(), *[(one,) for one in KEYS] * 3, ("a", "b"), ("d", "a", "c"), ("b", "b")],
                "priority": PRIORITIES,
                "after": [None] * 7 + DELAYS,
                "rate_limited": [False, False, True],
            },
            None,
        )
    ]
    * 4,
    *[("add_with_nothing_new", KEY | {"priority": PRIORITIES}, None)] * 2,
    ("cancel", KEY, None),
    ("forget", KEY, None),
    ("get", {}, None),
    *[("get_for_ever", {}, can_get), ("get_with_priority", {}, can_get)] * 2,
    *[("done_of_any_key", KEY, None)] * 5,
    ("item", {"again": [False, True]}, can_get),
    *[("step", {"seconds": range(5)}, None)] * 4,
    ("shut_down", {"drain": [False, True], "luck": range(4)}, None),
    ("look", {}, None),
]


@pytest.mark.parametrize(
    "machine",
    [
        PriorityQueueMachine,
        MeasuredMachine,
        AgedMachine,
        FairMachine,
        DebouncedMachine,
        SteadyMachine,
        EverythingMachine,
    ],
)
def test_a_long_walk_of(machine, caplog):
    caplog.set_level("CRITICAL", logger="workqueue.queues")
    walk(machine, RULES, steps=12_000)
