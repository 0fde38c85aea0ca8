"""The queues under every schedule of small cases, and under random ones of larger cases.

With `WORKQUEUE_MORE_PREEMPTIONS=1` each case is tried with one more, which takes four minutes and not half of one.
"""

import os
import threading
import time
from _thread import get_ident
from collections import Counter

import pytest

from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue, ShutDown, dedup
from workqueue.testing import ScheduleFailed, explore, explore_random, replay

pytestmark = pytest.mark.schedules

#: Beyond those that a test asks for.
MORE = int(os.environ.get("WORKQUEUE_MORE_PREEMPTIONS", "0"))
SEED = int(os.environ.get("WORKQUEUE_SEED", "1"))


class Ledger:
    """Who asks for what, who works on what, and what a queue owes to them. One for each run; needs no lock."""

    def __init__(self, queue):
        self.queue = queue
        #: How often each key changed, and at which change it was when its last run began.
        self.changed, self.seen = Counter(), Counter()
        #: Which change must be seen by a run in the end: one that was added before anybody thought of shutting down.
        self.owed = Counter()
        self.in_hands = set()
        self.shutting_down = False

    def produce(self, *keys):
        for key in keys:
            self.changed[key] += 1
            change = self.changed[key]
            self.queue.add(key)
            if not self.shutting_down:
                self.owed[key] = max(self.owed[key], change)

    def begin(self, key):
        assert key not in self.in_hands, f"{key} is in two hands"
        self.in_hands.add(key)
        self.seen[key] = self.changed[key]

    def end(self, key):
        self.in_hands.remove(key)
        self.queue.done(key)

    def work(self, seconds=None):
        while True:
            try:
                key = self.queue.get()
            except ShutDown:
                return
            self.begin(key)
            if seconds is not None:
                time.sleep(seconds)
            self.end(key)

    def shut_down(self):
        self.shutting_down = True
        self.queue.shut_down()

    def drain(self):
        self.shutting_down = True
        assert self.queue.shut_down_with_drain() is True
        assert not self.in_hands, "the drain is over, and somebody works"
        self.check()

    def check(self):
        late = {key for key, change in self.owed.items() if self.seen[key] < change}
        assert not late, f"no run began after the last add of {late}"
        assert len(self.queue) == 0
        self.queue._check()


def small_case(queue_class, end, sabotage=None):
    """2 producers, 2 workers, 2 keys, one of them asked for by both; then the end, which comes amid all that."""

    def scenario(run):
        queue = queue_class(clock=run.clock)
        if sabotage is not None:
            sabotage(queue)
        ledger = Ledger(queue)
        run.thread(ledger.produce, args=["a", "b"], name="producer")

        @run.thread
        def last_producer():
            ledger.produce("a")
            end(ledger)

        run.threads(ledger.work, count=2, name="worker")
        run.afterwards(ledger.check)

    return scenario


def test_2_producers_and_2_workers_in_all_schedules(queue_class):
    report = explore(small_case(queue_class, Ledger.shut_down), preemptions=2 + MORE)
    print(f"\n{queue_class.__name__}: {report}")
    assert report.schedules > 5000


def test_2_producers_and_2_workers_when_the_end_is_a_drain(queue_class):
    report = explore(small_case(queue_class, Ledger.drain), preemptions=1 + MORE)
    print(f"\n{queue_class.__name__}, drained: {report}")
    assert report.schedules > 1000


def test_2_producers_and_2_workers_when_who_has_the_lock_may_be_preempted(queue_class):
    report = explore(small_case(queue_class, Ledger.shut_down), preemptions=1 + MORE, grain="fine")
    print(f"\n{queue_class.__name__}, fine: {report}")
    assert report.schedules > 1000


def test_two_drains_and_a_worker_all_return(queue_class):
    def scenario(run):
        ledger = Ledger(queue_class(clock=run.clock))
        ledger.produce("a", "b")
        run.threads(ledger.drain, count=2, name="drainer")
        run.thread(ledger.work, name="worker")

    report = explore(scenario, preemptions=2 + MORE)
    print(f"\n{queue_class.__name__}, two drains: {report}")
    assert report.schedules > 500


def test_a_drain_that_is_released_says_whether_all_was_done(queue_class):
    def scenario(run):
        queue = queue_class(clock=run.clock)
        ledger = Ledger(queue)
        ledger.produce("a")

        def drain():
            drained = queue.shut_down_with_drain()
            seen.add(drained)
            if drained:
                assert not ledger.in_hands
                ledger.check()

        run.thread(drain)
        run.thread(ledger.work, name="worker")
        run.thread(queue.shut_down)
        run.afterwards(ledger.check)

    seen = set()
    explore(scenario, preemptions=2 + MORE)
    assert seen == {True, False}


def test_all_who_wait_for_a_key_see_the_shutdown(queue_class):
    def scenario(run):
        queue = queue_class(clock=run.clock)

        def get():
            with pytest.raises(ShutDown):
                queue.get()

        run.threads(get, count=3)
        run.thread(queue.shut_down)
        run.afterwards(queue._check)

    explore(scenario, preemptions=2 + MORE)


def test_a_key_added_around_its_done_is_handed_out_once_more(queue_class):
    def scenario(run):
        queue = queue_class(clock=run.clock)
        queue.add("a")
        assert queue.get(timeout=0) == "a"
        again = []
        run.thread(queue.done, args=["a"])
        run.thread(queue.add, args=["a"])

        @run.thread
        def worker():
            again.append(queue.get())
            queue.done("a")

        @run.afterwards
        def check():
            assert again == ["a"]
            with pytest.raises(TimeoutError):
                queue.get(timeout=0)
            assert queue.shut_down_with_drain(timeout=0) is True
            queue._check()

    explore(scenario, preemptions=100)


def test_a_key_that_comes_when_a_getter_gives_up_is_not_lost(queue_class):
    # The wake-up for it may be spent on the one whose time is over.
    def scenario(run):
        queue = queue_class(clock=run.clock)
        got = []

        def get(timeout):
            try:
                got.append((queue.get(timeout), run.clock.now()))
            except TimeoutError:
                assert run.clock.now() == 1005.0
                gave_up.add(True)

        def add():
            time.sleep(5)
            queue.add("a")

        run.thread(get, args=[5], name="impatient")
        run.thread(get, args=[6], name="patient")
        run.thread(get, args=[3600], name="very patient")
        run.thread(add)
        run.thread(lambda: (time.sleep(5.5), queue.add("b"), queue.add("c")))

        @run.afterwards
        def check():
            keys = [key for key, _ in got]
            assert sorted(keys) in (["a", "b"], ["a", "b", "c"])
            assert dict(got)["a"] == 1005.0
            queue._check()

    gave_up = set()
    explore(scenario, preemptions=1)
    assert gave_up


def test_a_getter_without_patience_takes_what_is_there(queue_class):
    def scenario(run):
        queue = queue_class(clock=run.clock)
        got = []

        def poll():
            try:
                got.append(queue.get(timeout=0))
            except TimeoutError:
                got.append(None)

        run.threads(poll, count=2)
        run.thread(queue.add, args=["a"])
        run.afterwards(lambda: seen.add(tuple(sorted(got, key=str))))

    seen = set()
    assert explore(scenario, preemptions=100).exhaustive
    assert seen == {(None, None), (None, "a")}


# Keys that wait for their time.


def test_every_delayed_key_is_had_at_its_very_instant_by_some_getter(delaying_class):
    def scenario(run):
        queue = delaying_class(clock=run.clock)
        got = {}

        def get():
            try:
                while True:
                    key = queue.get()
                    got[key] = run.clock.now()
                    queue.done(key)
            except ShutDown:
                pass

        def produce():
            queue.add_after("late", 9)
            queue.add_after("early", 3)
            time.sleep(10)
            queue.shut_down()

        run.threads(get, count=2, name="getter")
        run.thread(produce, name="producer")

        @run.afterwards
        def check():
            assert got == {"early": 1003.0, "late": 1009.0}
            queue._check()

    report = explore(scenario, preemptions=2 + MORE)
    print(f"\n{delaying_class.__name__}, delays: {report}")
    assert report.schedules > 100


def test_a_getter_that_gives_up_leaves_the_wait_for_a_delayed_key_to_another(delaying_class):
    def scenario(run):
        queue = delaying_class(clock=run.clock)
        got = []

        def impatient():
            try:
                got.append((queue.get(timeout=2), run.clock.now()))
            except TimeoutError:
                assert run.clock.now() == 1002.0

        def patient():
            got.append((queue.get(), run.clock.now()))

        run.thread(impatient)
        run.thread(patient)
        run.thread(queue.add_after, args=["a", 5])
        run.thread(lambda: (time.sleep(60), queue.add("end")))

        @run.afterwards
        def check():
            assert got == [("a", 1005.0)]
            queue._check()

    explore(scenario, preemptions=2 + MORE)


def test_a_delay_that_is_over_during_a_run_makes_another_after_it(delaying_class):
    def scenario(run):
        queue = delaying_class(clock=run.clock)
        ledger = Ledger(queue)
        ledger.produce("a")
        run.threads(ledger.work, count=2, args=[2], name="worker")

        @run.thread
        def producer():
            time.sleep(0.5)
            queue.add_after("a", 1)
            ledger.changed["a"] += 1
            time.sleep(60)
            ledger.shut_down()

        @run.afterwards
        def check():
            ledger.check()
            assert ledger.seen["a"] == 2
            assert run.clock.now() == 1060.5

    explore(scenario, preemptions=2 + MORE)


# More than can be explored.


def test_many_threads_in_random_schedules(delaying_class):
    def scenario(run):
        queue = delaying_class(clock=run.clock)
        ledger = Ledger(queue)

        def produce(number):
            for step in range(3):
                ledger.produce("abc"[(number + step) % 3])
                queue.add_after("abc"[step], step + number / 10)
            time.sleep(1)
            ledger.produce("a")

        for number in range(3):
            run.thread(produce, args=[number], name="producer")
        run.threads(ledger.work, count=4, name="worker")
        run.thread(lambda: (time.sleep(10), ledger.drain()), name="drainer")
        run.thread(lambda: (time.sleep(10), ledger.drain()), name="drainer")
        run.afterwards(ledger.check)

    report = explore_random(scenario, seed=SEED, runs=300)
    print(f"\n{delaying_class.__name__}, many: {report}")
    assert report.longest > 60


@pytest.mark.parametrize("limiting_class", [RateLimitingQueue, PriorityQueue])
def test_retries_of_many_threads_in_random_schedules(limiting_class):
    def scenario(run):
        queue = limiting_class(clock=run.clock, rate_limiter=ItemExponentialFailureRateLimiter(0.1, 1))
        ledger = Ledger(queue)
        runs = Counter()

        def work():
            while True:
                try:
                    key = queue.get()
                except ShutDown:
                    return
                ledger.begin(key)
                runs[key] += 1
                if runs[key] < 3:
                    queue.add_rate_limited(key)
                else:
                    queue.forget(key)
                ledger.end(key)

        run.thread(ledger.produce, args=["a", "b"], name="producer")
        run.thread(ledger.produce, args=["b", "c"], name="producer")
        run.threads(work, count=3, name="worker")
        run.thread(lambda: (time.sleep(60), ledger.drain()), name="drainer")

        @run.afterwards
        def check():
            ledger.check()
            assert set(runs) == {"a", "b", "c"}
            assert min(runs.values()) >= 3
            assert {queue.num_requeues(key) for key in runs} == {0}

    explore_random(scenario, seed=SEED, runs=300)


# Planted bugs: each is in one function that breaks one queue.


def without_the_second_look_in_done(queue):
    done = queue.done

    def broken(key):
        with queue._lock:
            if isinstance(queue, PriorityQueue):
                queue._held.pop(key, None)
            elif queue._states.get(key) is dedup._AGAIN:
                queue._states[key] = dedup._IN_HANDS
                queue._again -= 1
        done(key)

    queue.done = broken


def without_the_notify_in_add(queue):
    add, notify = queue.add, queue._changed.notify
    adding = set()

    def broken(key):
        adding.add(get_ident())
        add(key)
        adding.remove(get_ident())

    queue.add = broken
    queue._changed.notify = lambda n=1: None if get_ident() in adding else notify(n)


def without_the_second_wake_up(queue):
    queue._changed.notify_all = queue._changed.notify


def asks_and_waits(queue_class, sabotage):
    """A producer that wants to see its key handled before it goes on."""

    def scenario(run):
        queue = queue_class(clock=run.clock)
        sabotage(queue)
        handled = threading.Event()

        @run.thread
        def producer():
            queue.add("a")
            handled.wait()

        @run.thread
        def worker():
            queue.done(queue.get())
            handled.set()

    return scenario


def two_drains(queue_class, sabotage):
    """Two that drain while somebody works on the only key."""

    def scenario(run):
        queue = queue_class(clock=run.clock)
        sabotage(queue)
        queue.add("a")
        queue.get(timeout=0)
        run.threads(queue.shut_down_with_drain, count=2, name="drainer")
        run.thread(queue.done, args=["a"], name="worker")

    return scenario


def shut_down_small_case(queue_class, sabotage):
    return small_case(queue_class, Ledger.shut_down, sabotage)


@pytest.mark.parametrize(
    ("case", "sabotage", "text"),
    [
        (shut_down_small_case, without_the_second_look_in_done, "no run began after the last add of {'a'}"),
        (asks_and_waits, without_the_notify_in_add, "worker: sleeps on condition"),
        (two_drains, without_the_second_wake_up, "drainer-2: sleeps on condition"),
    ],
    ids=["done", "add", "drain"],
)
def test_a_planted_bug_is_found_told_and_found_again(queue_class, case, sabotage, text):
    explore(case(queue_class, lambda queue: None), preemptions=1)
    scenario = case(queue_class, sabotage)
    with pytest.raises(ScheduleFailed) as failed:
        explore(scenario)
    print(f"\n{failed.value}")
    assert text in str(failed.value)
    assert f"replay(scenario, schedule={failed.value.schedule!r})" in str(failed.value)
    assert "begins" in failed.value.trace
    with pytest.raises(ScheduleFailed) as again:
        replay(scenario, schedule=failed.value.schedule)
    assert text in str(again.value)
    assert (again.value.schedule, again.value.trace) == (failed.value.schedule, failed.value.trace)
