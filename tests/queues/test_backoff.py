"""Steady backoff: the exponent and the count of retries are two numbers, and events raise the second alone.

The limiter of these tests gives 1 s, then 2, 4, 8 …, so that a delay tells the exponent.
"""

import threading
import time

import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.queues import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    MaxOfRateLimiter,
    PriorityQueue,
    WithMaxWaitRateLimiter,
)

from .conftest import PATIENCE, handle_all


@pytest.fixture
def queue(clock):
    limiter = ItemExponentialFailureRateLimiter(1, 1000)
    return PriorityQueue(clock=clock, rate_limiter=limiter, backoff="steady")


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


def fail(queue, key="foo"):
    """A run of a key that is ready, and that fails."""
    assert queue.get(timeout=0) == key
    queue.add_rate_limited(key)
    queue.done(key)


def wait(queue, clock, key="foo"):
    """Step until the key is ready; return how many seconds that took."""
    waited = 0.0
    while not len(queue):
        clock.step(0.125)
        waited += 0.125
        assert waited < 10_000
    return waited


# Retries.


def test_a_run_that_came_at_the_end_of_its_wait_and_failed_waits_twice_as_long(queue, clock):
    queue.add("foo")
    waited = []
    for _ in range(5):
        fail(queue)
        waited.append(wait(queue, clock))
    assert waited == [1, 2, 4, 8, 16]
    assert queue.num_requeues("foo") == 5


def test_a_retry_that_comes_late_is_a_retry(queue, clock):
    queue.add("foo")
    fail(queue)
    clock.step(100)  # all workers were busy
    fail(queue)
    assert wait(queue, clock) == 2


def test_a_key_that_was_forgotten_begins_anew(queue, clock):
    queue.add("foo")
    for _ in range(3):
        fail(queue)
        wait(queue, clock)
    queue.forget("foo")
    assert queue.num_requeues("foo") == 0
    fail(queue)
    assert wait(queue, clock) == 1
    assert queue.num_requeues("foo") == 1


def test_keys_have_backoffs_of_their_own(queue, clock):
    for key in ("foo", "bar"):
        queue.add(key)
    fail(queue, "foo")
    fail(queue, "bar")
    clock.step(1)
    fail(queue, "foo")
    assert queue.get(timeout=0) == "bar"
    queue.forget("bar")
    queue.done("bar")
    assert wait(queue, clock) == 2
    assert (queue.num_requeues("foo"), queue.num_requeues("bar")) == (2, 0)


# Events inside the window.


def test_an_event_makes_a_waiting_key_run_at_once(queue, clock):
    queue.add("foo")
    fail(queue)
    queue.add("foo")
    assert handle_all(queue) == ["foo"]
    clock.step(100)
    assert handle_all(queue) == [], "and its wait is over"


def test_a_run_that_an_event_caused_inside_the_window_keeps_the_exponent_and_counts(queue, clock):
    queue.add("foo")
    fail(queue)
    for number in range(2, 22):
        clock.step(0.03125)
        queue.add("foo")
        fail(queue)
        assert queue.num_requeues("foo") == number
    assert wait(queue, clock) == 1, "a whole wait from the last failure on"
    fail(queue)
    assert wait(queue, clock) == 2, "the real retry grew"
    assert queue.num_requeues("foo") == 22


def test_an_event_after_the_window_is_a_retry_like_any(queue, clock):
    queue.add("foo")
    fail(queue)
    wait(queue, clock)
    queue.add("foo")
    fail(queue)
    assert wait(queue, clock) == 2


def test_events_of_each_wait_keep_the_exponent_of_that_wait(queue, clock):
    queue.add("foo")
    waited = []
    for _ in range(4):
        for _ in range(3):
            fail(queue)
            clock.step(0.5)
            queue.add("foo")
        fail(queue)
        waited.append(wait(queue, clock))
    assert waited == [1, 2, 4, 8]
    assert queue.num_requeues("foo") == 16


def test_an_event_during_a_failing_run_runs_at_once_after_it_and_keeps_the_exponent(queue, clock):
    queue.add("foo")
    assert queue.get(timeout=0) == "foo"
    queue.add("foo")
    queue.add_rate_limited("foo")
    queue.done("foo")
    fail(queue)
    assert wait(queue, clock) == 1
    assert queue.num_requeues("foo") == 2


def test_an_explicit_delay_inside_the_window_is_no_retry_either(queue, clock):
    queue.add("foo")
    fail(queue)
    fail_at = clock.now()
    queue.add_after("foo", 0.25)
    assert wait(queue, clock) == 0.25
    fail(queue)
    assert wait(queue, clock) == 1
    assert clock.now() == fail_at + 1.25


def test_a_wait_that_was_cut_short_on_purpose_grows_the_next_one(queue, clock):
    # Who fails and says "again in a second at most" retries for real, each second.
    queue.add("foo")
    for retry in range(1, 5):
        assert queue.get(timeout=0) == "foo"
        queue.add_with("foo", after=1, rate_limited=True)
        queue.done("foo")
        assert wait(queue, clock) == 1
        assert queue.num_requeues("foo") == retry
    fail(queue)
    assert wait(queue, clock) == 16, "the exponent counted them"


def test_a_shorter_wait_asked_for_while_the_key_waits_is_its_wait_from_then_on(queue, clock):
    queue.add("foo")
    for _ in range(3):
        fail(queue)
        wait(queue, clock)
    fail(queue)  # 8 s
    queue.add_with("foo", after=1, rate_limited=True)
    assert wait(queue, clock) == 1
    fail(queue)
    assert wait(queue, clock) == 16, "it was a retry at its time"


def test_a_shorter_wait_asked_for_after_an_event_inside_the_window_is_its_wait(queue, clock):
    queue.add("foo")
    for _ in range(3):
        fail(queue)
        wait(queue, clock)
    fail(queue)  # 8 s
    queue.add("foo")
    assert queue.get(timeout=0) == "foo"
    queue.add_with("foo", after=1, rate_limited=True)
    queue.done("foo")
    queue.add_with("foo", respect_backoff=True)
    assert wait(queue, clock) == 1
    fail(queue)
    assert wait(queue, clock) == 16, "its time had come: it was a retry"


def test_a_success_inside_the_window_forgets(queue, clock):
    queue.add("foo")
    fail(queue)
    queue.add("foo")
    assert queue.get(timeout=0) == "foo"
    queue.forget("foo")
    queue.done("foo")
    clock.step(10)
    assert handle_all(queue) == []
    queue.add("foo")
    fail(queue)
    assert wait(queue, clock) == 1


def test_the_plain_backoff_grows_with_each_failure(clock):
    # The same as above, as client-go and controller-runtime have it.
    queue = PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))
    queue.add("foo")
    fail(queue)
    for _ in range(5):
        queue.add("foo")
        fail(queue)
    assert wait(queue, clock) == 32


def test_a_failure_of_a_key_that_waits_already_counts_and_changes_neither_its_time_nor_its_exponent(queue, clock):
    queue.add("foo")
    fail(queue)
    clock.step(0.5)
    queue.add_rate_limited("foo")
    assert queue.num_requeues("foo") == 2
    assert wait(queue, clock) == 0.5
    fail(queue)
    assert wait(queue, clock) == 2


def test_a_failure_put_back_after_its_done_is_as_good(queue, clock):
    queue.add("foo")
    waited = []
    for _ in range(3):
        assert queue.get(timeout=0) == "foo"
        queue.done("foo")
        queue.add_rate_limited("foo")
        waited.append(wait(queue, clock))
    assert waited == [1, 2, 4]


# Leaving a backoff alone.


def test_who_has_nothing_new_to_say_never_cuts_a_backoff(queue, clock):
    queue.add("foo")
    fail(queue)
    for _ in range(8):
        queue.add_with("foo", priority=-100, respect_backoff=True)
        assert handle_all(queue) == []
        clock.step(0.125)
    assert handle_all(queue) == ["foo"]
    assert queue.statistics().retries == 1


def test_who_has_nothing_new_to_say_counts_as_asking_also_where_it_is_left_alone(clock, provider):
    queue = PriorityQueue(name="pods", clock=clock, metrics=provider, backoff="steady")
    queue.add("foo")
    fail(queue)
    queue.add_with("foo", respect_backoff=True)
    assert (queue.statistics().add_requests, queue.statistics().adds) == (3, 1)
    queue.shut_down()
    queue.add_with("foo", respect_backoff=True)
    assert queue.statistics().add_requests == 3
    queue._check()


def test_who_has_nothing_new_to_say_does_not_make_a_failing_key_run_again_after_its_run(queue, clock):
    queue.add("foo")
    fail(queue)
    wait(queue, clock)
    assert queue.get(timeout=0) == "foo"
    queue.add_with("foo", respect_backoff=True)
    queue.add_rate_limited("foo")
    queue.done("foo")
    assert wait(queue, clock) == 2


def test_who_has_nothing_new_to_say_of_a_key_that_did_not_fail_is_heard(queue):
    queue.add_with("foo", priority=-100, respect_backoff=True)
    assert queue.get_with_priority(timeout=0) == ("foo", -100)
    queue.add_with("foo", respect_backoff=True)
    queue.done("foo")
    assert handle_all(queue) == ["foo"], "a key in hands that never failed"


def test_who_has_nothing_new_to_say_is_heard_again_after_the_wait_and_after_a_forget(queue, clock):
    queue.add("foo")
    fail(queue)
    wait(queue, clock)
    queue.add_with("foo", priority=7, respect_backoff=True)
    assert queue.statistics().priorities == ((7, 1),), "its wait is over: it is ready, and raised"
    fail(queue)
    queue.forget("foo")
    queue.add_with("foo", respect_backoff=True)
    assert handle_all(queue) == ["foo"]


def test_who_has_nothing_new_to_say_does_not_lose_a_key_that_was_taken_back(queue, clock):
    queue.add("foo")
    fail(queue)
    queue.cancel("foo")
    queue.add_with("foo", respect_backoff=True)
    assert handle_all(queue) == ["foo"]


def test_a_plain_backoff_is_not_respected(clock):
    queue = PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000))
    queue.add_rate_limited("foo")
    queue.add_with("foo", respect_backoff=True)
    assert handle_all(queue) == ["foo"]


def test_a_failure_of_which_nothing_is_new_is_no_failure(queue):
    before = queue.statistics()
    with pytest.raises(ValueError, match="rate_limited is for a key that failed"):
        queue.add_with("foo", rate_limited=True, respect_backoff=True)
    assert queue.statistics() == before
    assert queue.num_requeues("foo") == 0


# Taking back.


def test_a_key_taken_back_from_its_wait_keeps_its_exponent_and_its_count(queue, clock):
    queue.add("foo")
    fail(queue)
    wait(queue, clock)
    fail(queue)
    queue.cancel("foo")
    assert queue.num_requeues("foo") == 2
    queue.add("foo")
    fail(queue)
    assert wait(queue, clock) == 2


# Buckets, and limiters of users.


def test_a_waiting_key_takes_no_further_token(clock):
    bucket = BucketRateLimiter(1, 1, clock=clock)
    queue = PriorityQueue(clock=clock, rate_limiter=bucket, backoff="steady")
    queue.add_rate_limited("other")
    queue.add_rate_limited("foo")
    for _ in range(10):
        queue.add_rate_limited("foo")
    assert bucket.when("any") == 2, "the third token"


def test_an_event_inside_the_window_takes_no_token(clock):
    bucket = BucketRateLimiter(1, 1, clock=clock)
    limiter = MaxOfRateLimiter(ItemExponentialFailureRateLimiter(1, 1000), bucket)
    queue = PriorityQueue(clock=clock, rate_limiter=limiter, backoff="steady")
    queue.add("foo")
    for _ in range(10):
        fail(queue)
        queue.add("foo")
    assert bucket.when("any") == 1, "the second token"


def test_a_limit_of_the_wait_holds(clock):
    limiter = WithMaxWaitRateLimiter(ItemExponentialFailureRateLimiter(1, 1000), 3)
    queue = PriorityQueue(clock=clock, rate_limiter=limiter, backoff="steady")
    queue.add("foo")
    waited = []
    for _ in range(4):
        fail(queue)
        waited.append(wait(queue, clock))
    assert waited == [1, 2, 3, 3]


class Scripted:
    """A limiter that answers as it was told to, and counts."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.failures = 0

    def when(self, key):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.failures += 1
        return answer

    def forget(self, key):
        self.failures = 0

    def num_requeues(self, key):
        return self.failures


@pytest.mark.parametrize("broken", [LookupError("broken"), float("nan")], ids=["raises", "nan"])
def test_a_limiter_that_is_broken_once_leaves_no_wait_behind(clock, broken):
    queue = PriorityQueue(clock=clock, rate_limiter=Scripted(broken, 3.0), backoff="steady")
    with pytest.raises((LookupError, ValueError)):
        queue.add_rate_limited("foo")
    queue.add_with("foo", respect_backoff=True)
    assert queue.get(timeout=0) == "foo"
    queue.add_rate_limited("foo")
    queue.done("foo")
    assert wait(queue, clock) == 3
    queue._check()


def test_a_limiter_that_gives_no_delay_is_no_wait(clock):
    queue = PriorityQueue(clock=clock, rate_limiter=Scripted(0.0, 0.0, 5.0), backoff="steady")
    queue.add("foo")
    fail(queue)
    fail(queue)
    fail(queue)
    assert wait(queue, clock) == 5
    assert queue.num_requeues("foo") == 3


def test_a_limiter_may_look_at_the_queue_while_a_worker_takes_a_key_that_failed(clock, background):
    looking, look = threading.Event(), threading.Event()

    class Curious(ItemExponentialFailureRateLimiter):
        def when(self, key):
            if key == "slow":
                looking.set()
                assert look.wait(PATIENCE)
                assert len(queue) == queue.statistics().ready == 0
                assert queue.num_requeues("foo") == 1
            return super().when(key)

    queue = PriorityQueue(clock=clock, rate_limiter=Curious(1, 1000), backoff="steady")
    queue.add_rate_limited("foo")
    clock.step(1)
    asked = background(queue.add_rate_limited, "slow")
    assert looking.wait(PATIENCE)
    got = background(queue.get)  # of a key that failed: its wait is over
    assert got.result(PATIENCE) == "foo"
    look.set()
    asked.result(PATIENCE)
    assert queue.statistics().delayed == 1


def test_a_forget_while_the_limiter_is_asked_leaves_a_backoff_that_can_be_forgotten(clock, background):
    asking, go_on = threading.Event(), threading.Event()

    class Slow(ItemExponentialFailureRateLimiter):
        def when(self, key):
            delay = super().when(key)
            asking.set()
            assert go_on.wait(PATIENCE)
            return delay

    queue = PriorityQueue(clock=clock, rate_limiter=Slow(1, 1000), backoff="steady")
    asked = background(queue.add_rate_limited, "foo")
    assert asking.wait(PATIENCE)
    queue.forget("foo")
    go_on.set()
    asked.result(PATIENCE)
    assert queue.statistics().delayed == 1
    assert queue.num_requeues("foo") == 0
    clock.step(1)
    assert handle_all(queue) == ["foo"]
    queue.forget("foo")
    queue.add_with("foo", respect_backoff=True)
    assert handle_all(queue) == ["foo"]


def test_failures_of_one_key_on_many_threads_are_all_counted_and_raise_the_exponent_once(clock, background, hectic):
    class Slow(ItemExponentialFailureRateLimiter):
        def when(self, key):
            time.sleep(0.002)  # the others come meanwhile
            return super().when(key)

    queue = PriorityQueue(clock=clock, rate_limiter=Slow(1, 1000), backoff="steady")
    queue.add("foo")
    assert queue.get(timeout=0) == "foo"
    start = threading.Barrier(8)

    def fail_often():
        start.wait(PATIENCE)
        for _ in range(200):
            queue.add_rate_limited("foo")

    for future in [background(fail_often) for _ in range(8)]:
        future.result(PATIENCE)
    assert queue.num_requeues("foo") == 1_600
    queue.done("foo")
    assert wait(queue, clock) == 1
    fail(queue)
    assert wait(queue, clock) == 2


# Wrong words.


@pytest.mark.parametrize("backoff", ["", "Steady", None, True, 5, ["steady"]], ids=repr)
def test_a_backoff_that_does_not_exist_is_refused_by_name(backoff):
    with pytest.raises(ConfigurationError, match=r"^backoff=.*: expected 'plain' or 'steady'$"):
        PriorityQueue(backoff=backoff)
