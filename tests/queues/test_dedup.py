"""The plain queue's promises, kept by every queue built on it.

Properties asserted by client-go's util/workqueue/queue_test.go, and the edges of ours.
"""

import gc
import threading
import weakref
from queue import SimpleQueue

import pytest

from workqueue.base.keys import ObjectKey
from workqueue.queues import Queue, ShutDown
from workqueue.testing import FakeClock

from .conftest import PATIENCE


def take_all(queue):
    """Get everything that is ready, without done."""
    keys = []
    while len(queue):
        keys.append(queue.get(timeout=0))
    return keys


# Order and de-duplication.


def test_a_key_added_again_in_processing_is_not_counted_in_the_length_before_its_done(trio_class):
    queue = trio_class()
    queue.add("foo")
    queue.get(timeout=0)
    queue.add("foo")
    assert len(queue) == 0
    queue.done("foo")
    assert len(queue) == 1


def test_a_key_that_comes_back_goes_to_the_end(trio_class):
    queue = trio_class()
    queue.add("a")
    queue.get(timeout=0)
    queue.add("a")
    queue.add("b")
    queue.done("a")
    assert take_all(queue) == ["b", "a"]


def test_many_adds_while_in_processing_are_one_more_delivery_to_a_worker_that_waits_until_done(queue_class, background):
    clock = FakeClock()
    queue = queue_class(clock=clock)
    queue.add("foo")
    queue.get(timeout=0)
    other = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add("foo")
    queue.add("foo")
    # Nobody woke it: it still sleeps, now and when time passes.
    assert clock.waiters() == 1
    clock.step(10)
    assert not other.done()
    queue.done("foo")
    assert other.result(PATIENCE) == "foo"
    queue.done("foo")
    assert len(queue) == 0


# Which keys.


@pytest.mark.parametrize("key", [None, 0, "", (), False, frozenset()], ids=repr)
def test_falsy_keys_are_keys(queue_class, key):
    queue = queue_class()
    queue.add(key)
    assert len(queue) == 1
    assert queue.get(timeout=0) == key
    queue.done(key)
    queue._check()


def test_equal_keys_are_one_key(queue_class):
    queue = queue_class()
    queue.add(ObjectKey("default", "web"))
    queue.add(("default", "web"))
    assert take_all(queue) == [ObjectKey("default", "web")]
    queue.done(("default", "web"))
    assert queue.statistics().processing == 0


def test_a_key_that_cannot_be_hashed_is_refused_and_changes_nothing(queue_class):
    queue = queue_class()
    queue.add("a")
    before = queue.statistics()
    with pytest.raises(TypeError):
        queue.add(["b"])
    assert queue.statistics() == before
    queue._check()


def test_handled_keys_are_not_kept_alive(queue_class):
    class Key:
        pass

    queue = queue_class()
    key = Key()
    alive = weakref.ref(key)
    queue.add(key)
    queue.add(key)
    del key
    queue.done(queue.get(timeout=0))
    gc.collect()
    assert alive() is None


def test_an_empty_queue_is_true(queue_class):
    assert queue_class()


# Waiting.


def test_get_waits_until_a_key_is_added(queue_class, clock, background):
    queue = queue_class(clock=clock)
    got = background(queue.get)
    clock.wait_for_waiters(1)
    queue.add("a")
    assert got.result(PATIENCE) == "a"


def test_get_waits_for_its_timeout_and_no_shorter(queue_class, clock, background):
    queue = queue_class(clock=clock)
    got = background(queue.get, timeout=5)
    clock.wait_for_waiters(1)
    clock.step(4.5)
    assert clock.waiters() == 1
    assert not got.done()
    clock.step(0.5)
    assert isinstance(got.exception(PATIENCE), TimeoutError)


def test_get_with_a_timeout_takes_a_key_that_comes_in_time(queue_class, clock, background):
    queue = queue_class(clock=clock)
    got = background(queue.get, timeout=5)
    clock.wait_for_waiters(1)
    clock.step(4.5)
    queue.add("a")
    assert got.result(PATIENCE) == "a"


def test_as_many_sleeping_workers_wake_as_keys_are_added(queue_class, clock, background):
    queue = queue_class(clock=clock)
    got = SimpleQueue()
    for _ in range(5):
        background(lambda: got.put(queue.get()))
    clock.wait_for_waiters(5)
    for key in range(3):
        queue.add(key)
    assert sorted(got.get(timeout=PATIENCE) for _ in range(3)) == [0, 1, 2]
    assert clock.waiters() == 2
    queue.add(3)
    queue.add(4)
    assert sorted(got.get(timeout=PATIENCE) for _ in range(2)) == [3, 4]


def test_a_worker_interrupted_while_it_wakes_leaves_the_key_to_another(queue_class, background):
    class InterruptingClock(FakeClock):
        """Interrupts the first thread that wakes, as Ctrl-C does."""

        interrupted = False

        def wait(self, condition, until):
            super().wait(condition, until)
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt

    clock = InterruptingClock()
    queue = queue_class(clock=clock)
    got = [background(queue.get) for _ in range(2)]
    clock.wait_for_waiters(2)
    queue.add("a")
    errors = [future.exception(PATIENCE) for future in got]
    assert {type(error) for error in errors} == {KeyboardInterrupt, type(None)}
    assert [future.result() for future in got if future.exception() is None] == ["a"]
    queue._check()


# done.


# item().


def test_item_marks_done_at_the_end_of_its_body(queue_class):
    queue = queue_class()
    queue.add("a")
    with queue.item() as key:
        assert key == "a"
        assert queue.statistics().processing == 1
    assert queue.statistics().processing == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_item_marks_done_whatever_its_body_raises(queue_class, error):
    queue = queue_class()
    queue.add("a")
    with pytest.raises(error), queue.item():
        raise error
    assert queue.statistics().processing == 0


def test_item_brings_a_key_back_that_was_added_inside_its_body(queue_class):
    queue = queue_class()
    queue.add("a")
    with queue.item() as key:
        queue.add(key)
    assert take_all(queue) == ["a"]


def test_item_raises_what_get_raises(queue_class):
    queue = queue_class()
    with pytest.raises(TimeoutError), queue.item(timeout=0):
        pytest.fail("there is no key")
    queue.shut_down()
    with pytest.raises(ShutDown), queue.item():
        pytest.fail("there is no key")


# Shutdown.


def test_shutdown_wakes_every_sleeping_worker(queue_class, clock, background):
    queue = queue_class(clock=clock)
    got = [background(queue.get) for _ in range(3)] + [background(queue.get, timeout=60)]
    clock.wait_for_waiters(4)
    queue.shut_down()
    assert [type(future.exception(PATIENCE)) for future in got] == [ShutDown] * 4


# Many threads.

SHUTDOWNS = pytest.mark.parametrize("shutdown", [Queue.shut_down, Queue.shut_down_with_drain])


@SHUTDOWNS
def test_50_producers_and_10_workers_end_with_an_empty_queue(queue_class, background, shutdown):
    queue = queue_class()
    seen = set()

    def produce(number):
        for _ in range(50):
            queue.add(number)

    def work():
        while True:
            try:
                key = queue.get()
            except ShutDown:
                return
            seen.add(key)
            queue.done(key)

    workers = [background(work) for _ in range(10)]
    producers = [background(produce, number) for number in range(50)]
    for producer in producers:
        producer.result(PATIENCE)
    shutdown(queue)
    queue.add("added after shutdown")
    for worker in workers:
        worker.result(PATIENCE)
    assert len(queue) == 0
    assert seen == set(range(50))
    queue._check()


@SHUTDOWNS
def test_workers_that_add_their_own_key_again_end_with_an_empty_queue_and_lose_none(queue_class, background, shutdown):
    queue = queue_class()
    lock = threading.Lock()
    runs = dict.fromkeys(range(50), 0)
    enough = threading.Event()

    def work():
        while True:
            try:
                key = queue.get()
            except ShutDown:
                return
            if runs[key] < 2:
                queue.add(key)
            with lock:
                runs[key] += 1
                if all(count == 3 for count in runs.values()):
                    enough.set()
            queue.done(key)

    workers = [background(work) for _ in range(10)]
    for producer in [background(queue.add, number) for number in range(50)]:
        producer.result(PATIENCE)
    assert enough.wait(PATIENCE), "a key added during its processing was lost"
    shutdown(queue)
    for worker in workers:
        worker.result(PATIENCE)
    assert len(queue) == 0
    assert set(runs.values()) == {3}
    queue._check()


def test_a_timeout_that_is_no_number_is_refused(queue_class):
    queue = queue_class()
    with pytest.raises(ValueError, match="the timeout is not a number"):
        queue.get(timeout=float("nan"))
    with pytest.raises(ValueError, match="the timeout is not a number"):
        queue.shut_down_with_drain(timeout=float("nan"))
