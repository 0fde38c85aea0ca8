"""What every work queue must do, to be run against yours: derive from the class of what it is.

Properties asserted by client-go's util/workqueue tests (queue_test.go, delaying_queue_test.go,
rate_limiting_queue_test.go), as far as client-go's queues and controller-runtime's agree. A queue
takes its time from the clock that it is made with.
"""

import threading
from typing import Any, Protocol

import pytest

from workqueue.base.clock import Clock
from workqueue.base.errors import ShutDown
from workqueue.testing.clock import FakeClock

#: Seconds of real time after which a thread is given up.
PATIENCE = 30.0


class AnyQueue(Protocol):
    """The verbs of :class:`workqueue.queues.Queue`."""

    @property
    def shutting_down(self) -> bool:
        """True from the shutdown on."""
        ...

    def add(self, key: Any) -> None:
        """Ask for a key."""
        ...

    def get(self, timeout: float | None = None) -> Any:
        """Take one: TimeoutError if there is none in time, ShutDown if there never will be."""
        ...

    def done(self, key: Any) -> None:
        """It is handled."""
        ...

    def shut_down(self) -> None:
        """Take no more."""
        ...

    def __len__(self) -> int: ...


class AnyDelayingQueue(AnyQueue, Protocol):
    """The verbs of :class:`workqueue.queues.DelayingQueue`."""

    def add_after(self, key: Any, delay: float) -> None:
        """Ask for a key in so many seconds."""
        ...


class AnyRateLimitingQueue(AnyDelayingQueue, Protocol):
    """The verbs of :class:`workqueue.queues.RateLimitingQueue`."""

    def add_rate_limited(self, key: Any) -> object:
        """Ask for a key when its limiter lets it."""
        ...

    def forget(self, key: Any) -> None:
        """It is through."""
        ...

    def num_requeues(self, key: Any) -> int:
        """How often it was put off."""
        ...


class QueueContract:
    """Every queue: derive from it, name the class Test…, and say how a queue is made."""

    def make_queue(self, clock: Clock) -> Any:
        """A new queue, an :class:`AnyQueue`.

        :param clock: its clock.
        """
        raise NotImplementedError

    def check(self, queue: Any) -> None:
        """Assert what the queue itself says is always true; nothing by default."""

    # Order and de-duplication, done, the end.

    def test_keys_come_in_the_order_they_were_added(self) -> None:
        queue = self.make_queue(FakeClock())
        for key in ("c", "a", "b"):
            queue.add(key)
        assert _take_all(queue) == ["c", "a", "b"]

    def test_duplicates_do_not_grow_the_length(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("foo")
        assert len(queue) == 1
        queue.add("bar")
        assert len(queue) == 2
        queue.add("foo")
        assert len(queue) == 2

    def test_two_adds_are_one_delivery(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("bar")
        queue.add("bar")
        queue.done(queue.get(timeout=0))
        assert len(queue) == 0
        with pytest.raises(TimeoutError):
            queue.get(timeout=0)

    def test_a_waiting_key_that_is_added_again_keeps_its_place(self) -> None:
        queue = self.make_queue(FakeClock())
        for key in ("a", "b", "a"):
            queue.add(key)
        assert _take_all(queue) == ["a", "b"]

    def test_a_key_in_processing_is_not_counted_in_the_length(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("foo")
        queue.get(timeout=0)
        assert len(queue) == 0

    def test_a_key_added_while_in_processing_comes_back_after_done(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("foo")
        assert queue.get(timeout=0) == "foo"
        queue.add("foo")
        with pytest.raises(TimeoutError):
            queue.get(timeout=0)
        queue.done("foo")
        assert queue.get(timeout=0) == "foo"
        queue.done("foo")
        assert len(queue) == 0

    def test_get_with_timeout_zero_does_not_wait(self) -> None:
        queue = self.make_queue(FakeClock())
        with pytest.raises(TimeoutError):
            queue.get(timeout=0)
        queue.add("a")
        assert queue.get(timeout=0) == "a"

    def test_done_of_a_key_that_was_never_added_changes_nothing(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.done("b")
        assert _take_all(queue) == ["a"]
        self.check(queue)

    def test_done_of_a_queued_key_does_not_queue_it_twice(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.done("a")
        self.check(queue)
        assert _take_all(queue) == ["a"]

    def test_done_twice_is_done_once(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.get(timeout=0)
        queue.add("a")
        queue.done("a")
        queue.done("a")
        self.check(queue)
        assert _take_all(queue) == ["a"]

    def test_ready_keys_are_still_handed_out_after_shutdown(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.add("b")
        queue.shut_down()
        assert [queue.get(), queue.get()] == ["a", "b"]
        with pytest.raises(ShutDown):
            queue.get()

    def test_a_key_added_again_before_the_shutdown_comes_back_after_it(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.get(timeout=0)
        queue.add("a")
        queue.shut_down()
        with pytest.raises(ShutDown):
            queue.get()
        queue.done("a")
        assert queue.get() == "a"
        queue.done("a")
        with pytest.raises(ShutDown):
            queue.get()

    def test_adds_after_shutdown_are_ignored(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("held")
        queue.get(timeout=0)
        queue.shut_down()
        queue.add("new")
        queue.add("held")
        queue.done("held")
        assert len(queue) == 0
        with pytest.raises(ShutDown):
            queue.get(timeout=0)
        self.check(queue)

    def test_a_second_shutdown_is_harmless(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add("a")
        queue.shut_down()
        queue.shut_down()
        assert queue.get() == "a"

    def test_a_queue_tells_that_it_is_shutting_down(self) -> None:
        queue = self.make_queue(FakeClock())
        assert not queue.shutting_down
        queue.shut_down()
        assert queue.shutting_down

    def test_a_worker_that_waits_gets_what_is_added(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        taken: list[object] = []
        worker = threading.Thread(target=lambda: taken.append(queue.get()), daemon=True)
        worker.start()
        clock.wait_for_waiters(1)
        queue.add("a")
        worker.join(PATIENCE)
        assert taken == ["a"]

    def test_many_workers_and_producers_lose_no_key_and_hold_none_twice(self) -> None:
        queue = self.make_queue(FakeClock())
        lock = threading.Lock()
        held: set[object] = set()
        seen: set[object] = set()
        twice: list[object] = []

        def work() -> None:
            while True:
                try:
                    key = queue.get()
                except ShutDown:
                    return
                with lock:
                    if key in held:
                        twice.append(key)
                    held.add(key)
                    seen.add(key)
                with lock:
                    held.discard(key)
                queue.done(key)

        def produce(first: int) -> None:
            for number in range(200):
                queue.add((first + number) % 300)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        producers = [threading.Thread(target=produce, args=[100 * number], daemon=True) for number in range(3)]
        for thread in (*threads, *producers):
            thread.start()
        for thread in producers:
            thread.join(PATIENCE)
        queue.shut_down()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert (seen, twice, len(queue)) == (set(range(300)), [], 0)
        self.check(queue)


class DelayingQueueContract(QueueContract):
    """Every queue that delays, an :class:`AnyDelayingQueue`."""

    def test_a_delayed_key_comes_at_its_time_and_not_before_and_once(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("foo", 50)
        assert len(queue) == 0
        clock.step(49.5)
        with pytest.raises(TimeoutError):
            queue.get(timeout=0)
        clock.step(0.5)
        assert len(queue) == 1
        assert _take_all(queue) == ["foo"]
        clock.step(10_000)
        assert len(queue) == 0

    def test_of_two_delays_of_a_key_the_later_is_ignored(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("foo", 50)
        queue.add_after("foo", 70)
        assert len(queue) == 0
        clock.step(60)
        assert _take_all(queue) == ["foo"]
        clock.step(20)
        assert len(queue) == 0

    def test_of_two_delays_of_a_key_the_earlier_wins(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("foo", 50)
        queue.add_after("foo", 30)
        assert len(queue) == 0
        clock.step(40)
        assert _take_all(queue) == ["foo"]
        clock.step(20)
        assert len(queue) == 0

    def test_keys_come_by_their_time_and_not_by_the_order_of_adding(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("late", 100)
        queue.add_after("early", 5)
        clock.step(6)
        assert _take_all(queue) == ["early"]
        queue.add_after("last", 200)
        clock.step(100)
        assert _take_all(queue) == ["late"]
        clock.step(200)
        assert _take_all(queue) == ["last"]

    def test_keys_that_are_due_together_come_in_the_order_of_their_times(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("third", 1)
        queue.add_after("second", 0.5)
        queue.add_after("first", 0.25)
        assert len(queue) == 0
        clock.step(2)
        assert _take_all(queue) == ["first", "second", "third"]

    def test_keys_of_one_instant_come_in_the_order_of_adding(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        keys = [object() for _ in range(20)]  # not comparable: only the order may count
        for key in keys:
            queue.add_after(key, 1)
        clock.step(1)
        assert _take_all(queue) == keys

    def test_a_delay_that_ends_while_the_key_waits_is_merged(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("foo", 5)
        queue.add("foo")
        clock.step(5)
        assert _take_all(queue) == ["foo"]

    def test_no_delay_is_now(self) -> None:
        queue = self.make_queue(FakeClock())
        queue.add_after("zero", 0)
        queue.add_after("less", -1)
        assert _take_all(queue) == ["zero", "less"]

    def test_a_key_that_waits_is_not_handed_out_after_a_shutdown(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        queue.add_after("foo", 5)
        queue.shut_down()
        clock.step(5)
        with pytest.raises(ShutDown):
            queue.get(timeout=0)


class RateLimitingQueueContract(DelayingQueueContract):
    """Every queue with a limiter, an :class:`AnyRateLimitingQueue`, whose first failure waits less than a second."""

    def test_a_key_that_failed_comes_after_a_while_and_its_failures_are_counted(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        for failures in range(1, 4):
            queue.add_rate_limited("foo")
            assert queue.num_requeues("foo") == failures
            clock.step(1000)
            assert _take_all(queue) == ["foo"]
        assert queue.num_requeues("bar") == 0

    def test_a_key_that_was_forgotten_starts_again(self) -> None:
        clock = FakeClock()
        queue = self.make_queue(clock)
        for _ in range(15):
            queue.add_rate_limited("foo")
            clock.step(1000)
            _take_all(queue)
        queue.forget("foo")
        queue.forget("never seen")
        assert queue.num_requeues("foo") == 0
        queue.add_rate_limited("foo")
        clock.step(1)
        assert _take_all(queue) == ["foo"]


def _take_all(queue: Any) -> list[object]:
    """Get everything that is ready, and mark it done."""
    keys = []
    while len(queue):
        keys.append(queue.get(timeout=0))
        queue.done(keys[-1])
    return keys
