"""Locks, conditions and time in a scenario do what those of the standard library do."""

import concurrent.futures
import queue
import threading
import time
from threading import Condition, Event, Timer  # as modules do that are there before

import pytest

from workqueue.base.clock import RealClock
from workqueue.testing import ScheduleFailed, explore, explore_random, replay


def once(scenario):
    """Under the plain schedule only; return what the scenario collects."""
    kept = []

    def collecting(run):
        kept.append(scenario(run))

    replay(collecting, schedule="")
    return kept[-1]


# Locks.


def test_locks_exclude_each_other_in_every_schedule():
    def scenario(run):
        for lock in (
            threading.Lock(),
            threading.RLock(),
            Condition(),
            threading.Semaphore(),
            threading.BoundedSemaphore(),
        ):
            inside = []

            def enter(lock=lock, inside=inside):
                with lock:
                    inside.append(1)
                    run.pause()
                    assert inside == [1]
                    inside.clear()

            run.threads(enter, count=2, name=type(lock).__name__)

    explore_random(scenario, seed=1, runs=300)


def test_an_rlock_is_held_as_often_as_it_was_acquired():
    def scenario(run):
        lock = threading.RLock()
        steps = []

        def holder():
            with lock:
                with lock:
                    steps.append("twice")
                    run.pause()
                run.pause()
                steps.append("once")

        def other():
            with lock:
                steps.append("other")
            with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
                lock.release()

        run.thread(holder)
        run.thread(other)

        @run.afterwards
        def check():
            assert steps in (["twice", "once", "other"], ["other", "twice", "once"])

    explore(scenario, preemptions=100)


def test_misuse_of_a_lock_is_told_as_ever():
    def scenario(run):
        lock, rlock, condition = threading.Lock(), threading.RLock(), threading.Condition()
        for call, kind in [
            (lock.release, RuntimeError),
            (rlock.release, RuntimeError),
            (condition.wait, RuntimeError),
            (condition.notify, RuntimeError),
            (condition.notify_all, RuntimeError),
            (lambda: lock.acquire(False, 1), ValueError),
            (lambda: lock.acquire(timeout=-2), ValueError),
            (lambda: lock.acquire(timeout=threading.TIMEOUT_MAX * 2), OverflowError),
            (lambda: threading.Semaphore(-1), ValueError),
            (lambda: threading.BoundedSemaphore().release(), ValueError),
            (lambda: time.sleep(-1), ValueError),
        ]:
            with pytest.raises(kind):
                call()
        assert not lock.locked()
        with lock:
            assert lock.locked()
            assert not lock.acquire(blocking=False)
            assert "locked" in repr(lock)
        assert "unlocked" in repr(lock)

    explore(scenario)


def test_a_lock_may_be_released_by_another_thread_than_its_holder():
    def scenario(run):
        lock = threading.Lock()
        lock.acquire()
        passed = []

        def wait():
            with lock:
                passed.append(1)

        run.thread(wait)
        run.thread(lock.release)
        run.afterwards(lambda: passed.remove(1))

    explore(scenario, preemptions=100)


# Conditions.


def test_who_sleeps_first_is_notified_first():
    def scenario(run):
        changed = threading.Condition()
        asleep, woken = [], []

        def sleep(name):
            with changed:
                asleep.append(name)
                changed.wait()
                woken.append(name)

        def wake():
            time.sleep(1)
            for number in range(3):
                with changed:
                    changed.notify()
                # One after the other, else those that were notified race for the lock.
                time.sleep(1)
                assert len(woken) == number + 1

        for name in "abc":
            run.thread(sleep, args=[name])
        run.thread(wake)
        run.afterwards(lambda: orders.add((*asleep, *woken)))

    orders = set()
    explore(scenario, preemptions=0)
    assert len(orders) == 6
    assert all(order[:3] == order[3:] for order in orders)


def test_who_was_notified_may_get_the_lock_after_somebody_else():
    def scenario(run):
        changed = threading.Condition()
        items, empty = [], []

        def take():
            with changed:
                if not items:
                    changed.wait()
                if items:
                    items.pop()
                else:
                    empty.append(1)

        def put():
            with changed:
                items.append(1)
                changed.notify()

        run.threads(take, count=2)
        run.thread(put)
        run.thread(put)
        run.afterwards(lambda: seen.add(len(empty)))

    seen = set()
    explore(scenario)
    assert seen == {0, 1}


def test_a_wait_ends_by_time_only_when_nobody_can_go_on():
    def scenario(run):
        changed = threading.Condition()
        results = []

        def wait():
            with changed:
                results.append(changed.wait(5))
                results.append(run.clock.now())

        run.thread(wait)
        if somebody:

            @run.thread
            def notify():
                with changed:
                    changed.notify()

        run.afterwards(lambda: seen.add(tuple(results)))

    seen, somebody = set(), False
    explore(scenario)
    assert seen == {(False, 1005.0)}
    seen, somebody = set(), True
    explore(scenario)
    assert seen == {(True, 1000.0), (False, 1005.0)}  # the latter if the notify came before the wait


def test_a_notify_is_spent_on_one_whose_time_is_over_and_who_has_not_woken():
    # As in CPython, where a waiter leaves the line only once it holds the lock again.
    def scenario(run):
        changed = threading.Condition()
        results = {}

        def sleep(name, timeout):
            with changed:
                results[name] = changed.wait(timeout)

        def notify():
            time.sleep(5)
            with changed:
                changed.notify()

        run.thread(sleep, args=["short", 5], name="short")
        run.thread(sleep, args=["long", 60], name="long")
        run.thread(notify)
        run.afterwards(lambda: seen.add(tuple(sorted(results.items()))))

    seen = set()
    explore(scenario)
    assert seen == {
        (("long", True), ("short", False)),  # the short one had left, or came second and the long one was notified
        (("long", False), ("short", False)),  # it was over, and in line
    }


def test_a_wait_of_no_time_lets_others_have_the_lock():
    def scenario(run):
        changed = threading.Condition()
        steps = []

        def wait(timeout):
            with changed:
                steps.append("before")
                assert changed.wait(timeout) is False
                steps.append("after")

        def other():
            with changed:
                steps.append("other")

        run.thread(wait, args=[0])
        run.thread(wait, args=[-1])
        run.thread(other)
        run.afterwards(lambda: seen.add("".join(step[0] for step in steps)))

    seen = set()
    explore(scenario)
    assert {"baoba", "boaba", "bobaa", "bbaoa"} <= seen


def test_wait_for_counts_its_time_by_the_virtual_clock():
    def scenario(run):
        changed = threading.Condition()
        results = []

        def wait():
            with changed:
                results.append(changed.wait_for(lambda: False, timeout=3))
                results.append(time.monotonic())

        def disturb():
            time.sleep(1)
            with changed:
                changed.notify()

        run.thread(wait)
        run.thread(disturb)
        return results

    assert once(scenario) == [False, 1003.0]


def test_a_condition_on_an_rlock_gives_it_up_however_often_it_is_held():
    def scenario(run):
        changed = threading.Condition()
        ready = []

        def wait():
            with changed, changed, changed:
                while not ready:
                    changed.wait()

        def set_ready():
            with changed, changed:
                ready.append(1)
                changed.notify()

        run.thread(wait)
        run.thread(set_ready)

    explore(scenario, preemptions=100)


def test_a_condition_works_on_a_lock_of_somebody_elses_making():
    class Wrapped:
        def __init__(self):
            self._lock = threading.Lock()

        def acquire(self, *args):
            return self._lock.acquire(*args)

        def release(self):
            self._lock.release()

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *error):
            self.release()

    def scenario(run):
        changed = threading.Condition(Wrapped())
        ready = []

        def wait():
            with changed:
                while not ready:
                    changed.wait()

        def set_ready():
            with changed:
                ready.append(1)
                changed.notify()

        run.thread(wait)
        run.thread(set_ready)

    explore(scenario)


# What is made of them.


def test_an_event_is_seen_by_all_who_wait_for_it():
    def scenario(run):
        event = Event()
        seen = []

        def wait():
            assert event.wait()
            seen.append(1)

        run.threads(wait, count=2)
        run.thread(event.set)
        run.afterwards(lambda: seen == [1, 1] or pytest.fail("not all"))

    assert explore(scenario).schedules > 10


def test_an_event_that_nobody_sets_is_waited_for_in_vain():
    def scenario(run):
        event = Event()
        run.thread(event.wait)

    with pytest.raises(ScheduleFailed, match="deadlock") as failed:
        explore(scenario)
    assert "1 wait: sleeps on condition 1 of lock 1 (event) and was not notified" in str(failed.value)
    assert once(lambda run: Event().wait(7)) is False


def test_a_barrier_lets_all_go_at_once():
    def scenario(run):
        barrier = threading.Barrier(3)
        arrived = []

        def arrive():
            arrived.append(1)
            barrier.wait()
            assert len(arrived) == 3

        run.threads(arrive, count=3)

    explore(scenario)


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"])
def test_the_queues_of_the_standard_library_work(kind):
    def scenario(run):
        items = getattr(queue, kind)()
        taken = []

        def take():
            while (item := items.get()) is not None:
                taken.append(item)

        def put():
            items.put(1)
            items.put(2)

        # The end comes later, as a LifoQueue hands out the last first, and None cannot be compared.
        def end():
            while sorted(taken) != [1, 2]:
                time.sleep(1)
            items.put(None)

        run.thread(take)
        run.thread(put)
        run.thread(end)

    assert explore(scenario, preemptions=1).schedules > 10


def test_a_full_queue_makes_producers_wait_and_timeouts_pass_at_once():
    def scenario(run):
        items = queue.Queue(maxsize=1)

        def produce():
            for number in range(3):
                items.put(number)

        def consume():
            assert [items.get() for _ in range(3)] == [0, 1, 2]
            with pytest.raises(queue.Empty):
                items.get(timeout=3600)
            items.put(4)
            with pytest.raises(queue.Full):
                items.put(5, timeout=3600)

        run.thread(produce)
        run.thread(consume)

    began = time.perf_counter()
    explore(scenario)
    assert time.perf_counter() - began < 30


def test_an_executor_works():
    def scenario(run):
        # With one thread: it joins several in the order of a set of them, which is never the same.
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            futures = [executor.submit(pow, 2, number) for number in range(3)]
            assert [future.result() for future in futures] == [1, 2, 4]

    assert explore(scenario, preemptions=1).schedules > 10


# Time.


def test_time_stands_still_while_somebody_can_go_on_and_then_jumps():
    def scenario(run):
        instants = []

        def sleep(seconds):
            time.sleep(seconds)
            instants.append((seconds, run.clock.now(), time.monotonic(), RealClock.now()))

        for seconds in (3600, 0.25, 60):
            run.thread(sleep, args=[seconds])
        run.afterwards(lambda: seen.add(tuple(instants)))

    seen = set()
    explore(scenario)
    assert seen == {tuple((seconds, *[1000.0 + seconds] * 3) for seconds in (0.25, 60, 3600))}


def test_all_whose_instant_is_the_same_race():
    def scenario(run):
        order = []

        def sleep(name):
            time.sleep(1)
            order.append(name)

        for name in "abc":
            run.thread(sleep, args=[name])
        run.afterwards(lambda: seen.add("".join(order)))

    seen = set()
    explore(scenario, preemptions=0)
    assert len(seen) == 6


def test_an_acquire_ends_by_time():
    def scenario(run):
        lock = threading.Lock()
        results = []

        def hold():
            with lock:
                time.sleep(10)

        def attempt(timeout):
            got = lock.acquire(timeout=timeout)
            results.append((timeout, got, run.clock.now()))
            if got:
                lock.release()

        lock.acquire()
        run.thread(lock.release)
        run.thread(hold)
        run.thread(attempt, args=[3])
        run.thread(attempt, args=[30])
        run.afterwards(lambda: seen.update(results))

    seen = set()
    explore(scenario, preemptions=1)
    assert seen == {(3, True, 1000.0), (3, False, 1003.0), (30, True, 1000.0), (30, True, 1010.0)}


def test_clocks_wait_until_the_very_instant():
    def scenario(run):
        for clock in (run.clock, RealClock()):

            def wait(clock=clock):
                condition = threading.Condition()
                for seconds in (0.1, 0.7, 1e-9, 1e6 / 3):
                    until = clock.now() + seconds
                    with condition:
                        while clock.now() < until:
                            clock.wait(condition, until)
                        clock.wait(condition, until)  # in the past: returns at once
                    assert clock.now() == until

            run.thread(wait)

    explore(scenario, preemptions=0)


def test_a_wait_for_an_instant_that_never_comes_is_told_as_such():
    def scenario(run):
        condition = threading.Condition()

        @run.thread
        def wait():
            with condition:
                run.clock.wait(condition, 1e12)
                assert 1e9 < run.clock.now() < 1e12
                run.clock.wait(condition, float("inf"))

    with pytest.raises(ScheduleFailed, match="deadlock"):
        explore(scenario)


def test_a_timer_goes_off_when_its_time_has_come():
    def scenario(run):
        rang = []
        timer = Timer(30, lambda: rang.append(run.clock.now()))
        cancelled = Timer(30, lambda: pytest.fail("it was cancelled"))
        timer.start()
        cancelled.start()
        cancelled.cancel()
        run.afterwards(lambda: rang == [1030.0] or pytest.fail("it did not ring"))

    explore(scenario)


def test_the_set_up_and_the_last_checks_have_locks_and_time_too():
    def scenario(run):
        assert run.clock.now() == 1000.0
        time.sleep(1)
        with pytest.raises(queue.Empty):
            queue.Queue().get(timeout=1)
        run.thread(lambda: time.sleep(1))

        @run.afterwards
        def check():
            assert run.clock.now() == 1003.0
            assert not Event().wait(1)
            assert run.clock.now() == 1004.0

    assert explore(scenario).schedules == 1
