"""Threads end with their run, whatever they do, and nothing of the scheduler stays behind."""

import _thread
import contextvars
import gc
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from workqueue.base.clock import RealClock
from workqueue.testing import ScheduledRun, ScheduleFailed, explore, explore_random, replay

PATCHED = [
    (threading, "Lock"),
    (threading, "RLock"),
    (threading, "_allocate_lock"),
    (threading, "_time"),
    (threading.Condition, "wait"),
    (threading.Condition, "notify"),
    (threading.Thread, "start"),
    (threading.Thread, "join"),
    (threading.Thread, "is_alive"),
    (time, "monotonic"),
    (time, "sleep"),
    (queue, "time"),
    (queue, "SimpleQueue"),
    (RealClock, "now"),
]


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Everything is as it was, and nobody there who was not."""
    threads = set(threading.enumerate())
    originals = [vars(owner)[name] for owner, name in PATCHED]
    yield
    assert [vars(owner)[name] for owner, name in PATCHED] == originals
    assert set(threading.enumerate()) <= threads


def two(run, target=lambda: None):
    lock = threading.Lock()

    def step():
        with lock:
            target()

    run.threads(step, count=2)


# Failures.


@pytest.mark.parametrize(
    "error", [ValueError("sad"), AssertionError("sad"), KeyboardInterrupt("sad"), pytest.fail.Exception("sad")]
)
def test_whatever_a_thread_raises_is_a_failure_with_that_as_its_cause(error):
    def scenario(run):
        def fail():
            raise error

        two(run, fail)

    with pytest.raises(ScheduleFailed, match=f"in thread 1 step: .*{type(error).__name__}: sad") as failed:
        explore(scenario)
    assert failed.value.__cause__ is error


def test_what_the_set_up_and_the_last_checks_raise_is_a_failure():
    def bad_set_up(run):
        two(run)
        raise ValueError("bad")

    def bad_check(run):
        two(run)
        run.afterwards(lambda: 1 / 0)

    with pytest.raises(ScheduleFailed, match="in the set-up: ValueError: bad"):
        explore(bad_set_up)
    with pytest.raises(ScheduleFailed, match="in the last checks: ZeroDivisionError"):
        explore(bad_check)


def test_a_check_comes_after_all_threads_and_after_the_checks_before_it():
    def scenario(run):
        steps = []
        two(run, lambda: steps.append("step"))
        run.afterwards(lambda: steps.append("check"))
        run.afterwards(lambda: steps == ["step", "step", "check"] or pytest.fail("not so"))

    explore(scenario)


def test_the_deadlock_of_one_says_who_has_ended_with_the_lock():
    def scenario(run):
        lock = threading.Lock()
        run.thread(lock.acquire, name="careless")
        run.thread(lock.acquire, name="unlucky")

    with pytest.raises(
        ScheduleFailed, match=r"2 unlucky: waits for lock 1 \(lock\), held by 1 careless which has ended"
    ):
        explore(scenario)


def test_a_lock_that_a_thread_took_along_is_missed_by_the_last_checks():
    def scenario(run):
        lock = threading.Lock()
        run.thread(lock.acquire, name="careless")
        run.afterwards(lock.acquire)

    with pytest.raises(ScheduleFailed, match="deadlock") as failed:
        explore(scenario)
    assert "held by 1 careless which has ended" in str(failed.value)


def test_a_lock_that_is_asked_for_twice_is_held_by_who_waits():
    def scenario(run):
        lock = threading.Lock()

        @run.thread
        def twice():
            with lock, lock:
                pass

    with pytest.raises(ScheduleFailed, match=r"1 twice: waits for lock 1 \(lock\), held by 1 twice"):
        explore(scenario)


def test_a_failure_inside_of_cleaning_up_does_not_hide_the_first():
    def scenario(run):
        lock = threading.Lock()
        held = threading.Lock()
        held.acquire()

        def wait():
            try:
                with lock:
                    held.acquire()
            finally:
                with lock:  # refused, as the run is over
                    pytest.fail("nobody comes here")

        run.thread(wait)
        run.thread(lambda: 1 / 0, name="broken")

    with pytest.raises(ScheduleFailed, match="in thread 2 broken: ZeroDivisionError"):
        explore(scenario)


def test_what_unwinds_at_the_end_releases_and_notifies_without_harm():
    def scenario(run):
        changed = threading.Condition()
        events = []

        def wait():
            with changed:
                try:
                    changed.wait()
                except BaseException:
                    changed.notify_all()
                    events.append("unwound")
                    raise

        run.threads(wait, count=2)
        run.afterwards(lambda: None)
        seen.append(events)

    seen = []
    with pytest.raises(ScheduleFailed, match="deadlock"):
        explore(scenario)
    assert seen[-1] == ["unwound", "unwound"]


# Stubborn threads.

STUBBORN = """
import threading
from workqueue.testing import ScheduleFailed, explore

def scenario(run):
    lock = threading.Lock()

    def never_give_up():
        while True:
            try:
                with lock:
                    pass
                threading.Event().wait()
            except BaseException:
                pass

    run.thread(never_give_up)
    run.thread(lambda: 1 / 0, name="broken")

try:
    explore(scenario)
except ScheduleFailed as failed:
    print(failed)
"""


def test_a_thread_that_catches_everything_is_left_behind_asleep_and_the_process_can_end():
    done = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=True)
    assert "in thread 2 broken: ZeroDivisionError" in done.stdout
    assert "left behind, as they did not unwind at the end of the run: 1 never_give_up" in done.stdout
    assert done.stderr == ""


def test_a_thread_that_catches_everything_once_may_end_as_it_likes():
    def scenario(run):
        def stubborn():
            try:
                threading.Event().wait()
            except BaseException:
                raise OSError("not this one") from None

        run.thread(stubborn)
        run.thread(lambda: 1 / 0)

    with pytest.raises(ScheduleFailed, match="ZeroDivisionError"):
        explore(scenario)


def test_a_thread_that_waits_for_something_real_is_found_out():
    real = _thread.allocate_lock()
    real.acquire()

    def scenario(run):
        def stuck():
            with real:
                pass

        two(run)
        run.thread(stuck)

    with pytest.raises(
        ScheduleFailed, match=r"thread 3 stuck came to no lock and no condition within 0\.2 s"
    ) as failed:
        explore(scenario, patience=0.2)
    assert "in stuck" in str(failed.value)
    assert "with real:" in str(failed.value)
    assert "left behind" in str(failed.value)
    (thread,) = [each for each in threading.enumerate() if each.name == "stuck"]
    assert thread.daemon
    real.release()
    thread.join(30)


def test_ctrl_c_ends_all_of_it():
    def scenario(run):
        lock = threading.Lock()

        def poll():
            while True:
                with lock:
                    pass
                if interrupt.is_set():
                    interrupt.clear()
                    os.kill(os.getpid(), signal.SIGINT)

        run.threads(poll, count=2)

    interrupt = threading.Event()
    interrupt.set()
    with pytest.raises(KeyboardInterrupt):
        explore(scenario, endless_after=10**9)


def test_ctrl_c_waits_until_it_does_no_harm_but_who_insists_is_heard_at_once():
    def scenario(run):
        two(run)
        run.afterwards(lambda: steps.append("checked"))
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")

    steps, times = [], 1
    with pytest.raises(KeyboardInterrupt):
        explore(scenario)
    assert steps == ["went on", "checked"]
    steps, times = [], 2
    with pytest.raises(KeyboardInterrupt):
        explore(scenario)
    assert steps == ["went on"]


def test_a_handler_of_ctrl_c_that_was_there_before_is_called_and_stays():
    def scenario(run):
        two(run)
        signal.raise_signal(signal.SIGINT)

    calls = []
    handler = lambda number, frame: calls.append(number)  # noqa: E731 - compared below
    before = signal.signal(signal.SIGINT, handler)
    try:
        report = explore(scenario)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert report.schedules == 3
    assert set(calls) == {signal.SIGINT}
    assert len(calls) > 3


# Threads of the code under test.


def test_a_thread_that_the_code_starts_takes_part():
    def scenario(run):
        lock = threading.Lock()
        steps = []

        class Worker(threading.Thread):
            def run(self):
                assert threading.current_thread() is self
                with lock:
                    steps.append("worker")

        def parent():
            worker = Worker(name="worker")
            assert not worker.daemon
            worker.start()
            with pytest.raises(RuntimeError, match="threads can only be started once"):
                worker.start()
            with lock:
                steps.append("parent")
            worker.join()
            assert not worker.is_alive()
            steps.append("joined")

        run.thread(parent)
        run.afterwards(lambda: seen.add(tuple(steps)))

    seen = set()
    assert explore(scenario, preemptions=100).exhaustive
    assert seen == {("worker", "parent", "joined"), ("parent", "worker", "joined")}


def test_a_started_thread_that_fails_fails_the_run():
    def scenario(run):
        def fail():
            raise ValueError("sad")

        run.thread(lambda: threading.Thread(target=fail, name="child").start(), name="parent")

    with pytest.raises(ScheduleFailed, match="in thread 2 child: ValueError: sad"):
        explore(scenario)


def test_a_run_does_not_wait_for_daemons():
    def scenario(run):
        ticks = []

        def tick():
            while True:
                time.sleep(1)
                ticks.append(1)

        daemon = threading.Thread(target=tick, daemon=True)
        daemon.start()
        run.thread(lambda: time.sleep(2.5))

        @run.afterwards
        def check():
            assert len(ticks) == 2
            assert daemon.is_alive()

    assert explore(scenario).schedules > 1


def test_a_daemon_that_catches_everything_is_a_failure_of_its_own():
    script = STUBBORN.replace(
        "run.thread(never_give_up)", "threading.Thread(target=never_give_up, daemon=True).start()"
    )
    script = script.replace("1 / 0", "None")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("left behind, as they did not unwind at the end of the run: 1 Thread-")


def test_a_join_may_take_only_so_long():
    def scenario(run):
        thread = threading.Thread(target=lambda: time.sleep(10))
        thread.start()
        thread.join(4)
        assert thread.is_alive()
        assert run.clock.now() == 1004.0
        thread.join(60)
        assert not thread.is_alive()
        assert run.clock.now() == 1010.0

    explore(scenario)


def test_sys_exit_ends_a_thread_and_nothing_else():
    def scenario(run):
        two(run, sys.exit)

    explore(scenario)


def test_a_thread_of_another_kind_is_refused():
    def scenario(run):
        lock = threading.Lock()

        def start():
            with lock:
                ended = _thread.allocate_lock()
                ended.acquire()

                def foreign():
                    try:
                        lock.acquire()
                    except RuntimeError:
                        refused.append(1)
                    ended.release()

                _thread.start_new_thread(foreign, ())
                ended.acquire()

        run.thread(start)

    refused = []
    with pytest.raises(ScheduleFailed, match="uses a lock of the scenario but is not scheduled"):
        explore(scenario)
    assert refused


def test_threads_are_added_in_the_set_up_only():
    def scenario(run):
        def late():
            for add in (run.thread, run.afterwards, lambda target: run.threads(target, count=1)):
                with pytest.raises(RuntimeError, match="the set-up is over"):
                    add(lambda: None)

        run.thread(late)
        run.afterwards(late)

    explore(scenario)


def test_threads_have_the_names_they_were_given():
    def scenario(run):
        def tell():
            names.append(threading.current_thread().name)

        run.thread(tell)
        run.thread(tell, name="producer")
        run.threads(tell, count=2, name="worker")
        run.thread(tell, name="worker")

        class Callable:
            def __call__(self):
                tell()

        run.thread(Callable())

        @partial(run.thread, name="{odd}")
        def notify():
            changed = threading.Condition()
            with changed:
                changed.notify()

    names = []
    assert "7 {odd}: begins" in replay(scenario, schedule="")
    assert names == ["tell", "producer", "worker", "worker-2", "worker-3", "thread"]


# What threads have of their own.


def test_thread_local_data_is_that_of_a_new_thread():
    local = threading.local()

    def scenario(run):
        def step():
            assert not hasattr(local, "value"), "of an earlier run"
            local.value = 1
            run.pause()
            assert local.value == 1

        run.threads(step, count=2)

    assert explore(scenario).schedules > 2


def test_context_variables_are_those_of_a_new_thread():
    variable = contextvars.ContextVar("variable", default=0)

    def scenario(run):
        def step():
            assert variable.get() == 0, "of an earlier run"
            variable.set(1)
            run.pause()
            assert variable.get() == 1

        run.threads(step, count=2)

    assert explore(scenario).schedules > 2


def test_a_thread_local_object_begins_anew_in_each_run():
    class Local(threading.local):
        def __init__(self, start):
            self.value = start

    local = Local(7)

    def scenario(run):
        def step():
            assert local.value == 7, "of an earlier run"
            local.value += 1
            run.pause()
            assert local.value == 8

        run.thread(step)
        run.thread(run.pause)

    assert explore(scenario, preemptions=100).schedules > 2
    assert local.value == 7


def test_a_finalizer_that_takes_a_lock_is_part_of_the_run():
    def scenario(run):
        lock = threading.Lock()

        class Resource:
            def __del__(self):
                with lock:
                    closed.append(1)

        def use():
            resource = Resource()
            with lock:
                resource.used = True

        run.threads(use, count=2)
        run.afterwards(lambda: len(closed) == 2 or pytest.fail("not closed"))
        closed = []

    explore(scenario)


def test_what_a_thread_was_given_is_finalized_while_it_has_its_turn():
    def scenario(run):
        lock = threading.Lock()

        class Resource:
            def __del__(self):
                with lock:
                    closed.append(1)

        run.thread(lambda resource: None, args=[Resource()], name="one")
        run.thread(lambda resource: None, args=[Resource()], name="other")
        run.afterwards(lambda: len(closed) == 2 or pytest.fail("not closed"))
        closed = []

    assert explore(scenario).schedules > 2


def test_garbage_is_collected_between_runs_only():
    class Knot:
        def __init__(self, lock):
            self.lock, self.me = lock, self

        def __del__(self):
            with self.lock:
                finalized.add(threading.get_ident())

    def scenario(run):
        lock = threading.Lock()

        def tie():
            for _ in range(3):
                with lock:
                    Knot(lock)

        run.thread(tie)
        run.thread(tie)

    finalized = set()
    before = gc.get_threshold()
    gc.set_threshold(7)
    try:
        report = explore(scenario, preemptions=100)
    finally:
        gc.set_threshold(*before)
    assert report.schedules == 70
    assert gc.isenabled()
    gc.collect()
    assert finalized == {threading.get_ident()}


def test_logging_in_a_scenario_waits_for_nobody(caplog):
    def scenario(run):
        lock = threading.Lock()

        def step(name):
            logger = logging.getLogger("test.schedules")
            for _ in range(2):
                with lock:
                    logger.info("in %s", name)
                logger.info("out of %s", name)

        run.thread(step, args=["a"])
        run.thread(step, args=["b"])

    with caplog.at_level(logging.INFO, logger="test.schedules"):
        report = explore(scenario)
    assert len(caplog.records) >= 8 * report.schedules


# Order in the house.


def test_one_exploration_at_a_time():
    def scenario(run):
        for call in (
            lambda: explore(two),
            lambda: explore_random(two, seed=1, runs=1),
            lambda: replay(two, schedule=""),
        ):
            with pytest.raises(RuntimeError, match="one exploration at a time, and none inside of a scenario"):
                call()
        two(run)

    explore(scenario)
    explore(two)


def test_other_threads_of_the_process_keep_what_is_real():
    stop = threading.Event()
    wrong = []

    def live():
        while not stop.is_set():
            began = time.monotonic()
            lock, condition = threading.Lock(), threading.Condition()
            with lock, condition:
                condition.wait(0.001)
            if time.monotonic() == began or not isinstance(lock, _thread.LockType):
                wrong.append(lock)

    other = threading.Thread(target=live)
    other.start()
    try:
        explore_random(two, seed=1, runs=1000)
    finally:
        stop.set()
        other.join()
    assert not wrong


def test_what_was_made_in_a_scenario_can_be_used_afterwards():
    kept = []

    def scenario(run):
        locks = threading.Lock(), threading.RLock()
        event, items = threading.Event(), queue.Queue()
        two(run, lambda: items.put(1))
        kept[:] = [*locks, event, items]

    explore(scenario)
    lock, rlock, event, items = kept
    with lock:
        assert not lock.acquire(blocking=False)
        assert not lock.acquire(timeout=0.001)
    with rlock, rlock:
        condition = threading.Condition(rlock)
        assert not condition.wait(0.001)
    waiter = threading.Thread(target=event.wait)
    waiter.start()
    event.set()
    waiter.join(30)
    assert not waiter.is_alive()
    assert [items.get(timeout=1) for _ in range(2)] == [1, 1]


def test_an_exploration_can_be_made_on_any_thread():
    reports = []
    thread = threading.Thread(target=lambda: reports.append(explore(two)))
    thread.start()
    thread.join(30)
    assert reports[0].schedules == 3


def test_the_parts_of_a_run_have_types():
    def scenario(run):
        assert isinstance(run, ScheduledRun)

        @run.thread
        def one():
            return 1

        @run.afterwards
        def check():
            return 2

        assert (one(), check()) == (1, 2)

    explore(scenario)
