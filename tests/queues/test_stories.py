"""Failure stories that users of other queues told, by their numbers in our list.

Where client-go's answer is another one than ours the test has both: client-go's way is RateLimitingQueue, to the
letter, and ours is PriorityQueue as controllers have it.
"""

import itertools
import random
import threading
import time

import pytest

from workqueue.queues import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    PriorityQueue,
    RateLimitingQueue,
    ShutDown,
    WithMaxWaitRateLimiter,
    default_controller_rate_limiter,
)

from .conftest import PATIENCE, handle_all


def ours(clock, **options):
    """The queue of a controller."""
    return PriorityQueue(clock=clock, **{"backoff": "steady", "max_starvation": 60} | options)


class Told:
    """A limiter around another one that remembers each delay."""

    def __init__(self, limiter):
        self.limiter = limiter
        self.forget, self.num_requeues = limiter.forget, limiter.num_requeues
        self.delays = []

    def when(self, key):
        self.delays.append(self.limiter.when(key))
        return self.delays[-1]


# Story 5: backoff inflation. kubernetes/kubernetes#136853, #112325.


def fail_for_a_second_of_20_events(queue, clock):
    """A key that always fails is told of 20 events in a second; return how many runs there were."""
    tick, runs = 2**-10, 0
    for number in range(1024):
        if number % 51 == 0 and number < 20 * 51:
            queue.add("replicaset")
        try:
            with queue.item(timeout=0) as key:
                queue.add_rate_limited(key)
                runs += 1
        except TimeoutError:
            pass
        clock.step(tick)
    return runs


def test_story_5_events_inflate_the_backoff_of_client_go(clock):
    limiter = Told(default_controller_rate_limiter(clock=clock))
    runs = fail_for_a_second_of_20_events(RateLimitingQueue(clock=clock, rate_limiter=limiter), clock)
    assert runs >= 20
    assert limiter.delays[-1] == 1000, "after one second the next retry is due in a quarter of an hour"


def test_story_5_events_do_not_inflate_our_backoff(clock):
    limiter = Told(ItemExponentialFailureRateLimiter(0.005, 1000))
    queue = ours(clock, rate_limiter=limiter)
    runs = fail_for_a_second_of_20_events(queue, clock)
    assert runs >= 20
    assert queue.num_requeues("replicaset") == runs, "each of them counts as a retry"
    # 5, 10, 20, 40 ms end between two events; the wait of 80 ms never does.
    assert limiter.delays == [0.005, 0.01, 0.02, 0.04, 0.08]
    waited = 0.0
    while not len(queue):
        clock.step(2**-10)
        waited += 2**-10
    assert waited <= 0.08 + 2**-10, "and the next retry is due on the curve of the real ones"


# Story 6: the bucket runs away. kubernetes/kubernetes#104554, kubernetes-sigs/controller-runtime#1594.


def last_of_10_000_failures(queue, clock):
    """10,000 keys fail at once; return after how many seconds the last one is ready."""
    for number in range(10_000):
        queue.add_rate_limited(number)
    waited = 0
    while queue.statistics().delayed:
        clock.step(5)
        waited += 5
    assert len(queue) == 10_000
    return waited


def test_story_6_ten_thousand_failures_of_client_go_take_16_minutes(clock):
    assert last_of_10_000_failures(RateLimitingQueue(clock=clock), clock) == pytest.approx(990, abs=5)


def test_story_6_ten_thousand_failures_of_ours_are_not_held_up_by_each_other(clock):
    assert last_of_10_000_failures(ours(clock), clock) == 5, "5 ms, to the accuracy of this test"


@pytest.mark.parametrize("make", [RateLimitingQueue, ours])
def test_story_6_a_bucket_with_a_maximum_wait_keeps_to_it(clock, make):
    limiter = WithMaxWaitRateLimiter(default_controller_rate_limiter(clock=clock), 60)
    assert last_of_10_000_failures(make(clock=clock, rate_limiter=limiter), clock) == 60


def periods_of_a_key_added_twice_as_fast_as_the_bucket_fills(queue, clock, runs):
    """The seconds between the runs of a key that is added rate limited 16 times a second, where 8 are allowed."""
    instants = []
    while len(instants) < runs:
        queue.add_rate_limited("busy")
        clock.step(1 / 16)
        instants += [clock.now() for _ in handle_all(queue)]
    return [after - before for before, after in itertools.pairwise(instants)]


def test_story_6_a_key_added_too_fast_waits_longer_each_time_in_client_go(clock):
    queue = RateLimitingQueue(clock=clock, rate_limiter=BucketRateLimiter(8, 1, clock=clock))
    periods = periods_of_a_key_added_twice_as_fast_as_the_bucket_fills(queue, clock, 12)
    assert periods == sorted(periods)
    assert periods[-1] > 20 * periods[0]


def test_story_6_a_key_added_too_fast_has_a_constant_period_in_ours(clock):
    queue = ours(clock, rate_limiter=BucketRateLimiter(8, 1, clock=clock))
    periods = periods_of_a_key_added_twice_as_fast_as_the_bucket_fills(queue, clock, 100)
    assert set(periods[1:]) == {periods[1]}
    assert periods[1] <= 2 / 8


# Story 7: add_after(5 h), then add. kubernetes/kubernetes#126027, #110642, kubernetes/client-go#131.

HOURS_5 = 5 * 3600


def test_story_7_an_add_after_a_delay_of_five_hours_is_two_runs_in_client_go(clock):
    queue = RateLimitingQueue(clock=clock)
    queue.add_after("certificate", HOURS_5)
    queue.add("certificate")
    assert handle_all(queue) == ["certificate"]
    clock.step(HOURS_5)
    assert handle_all(queue) == ["certificate"]


def test_story_7_an_add_after_a_delay_of_five_hours_is_one_run_now_in_ours(clock):
    queue = ours(clock)
    queue.add_after("certificate", HOURS_5)
    queue.add("certificate")
    assert handle_all(queue) == ["certificate"]
    clock.step(HOURS_5)
    assert handle_all(queue) == []
    queue.add_after("certificate", HOURS_5)
    assert queue.cancel("certificate"), "who wants it can say so"
    clock.step(HOURS_5)
    assert handle_all(queue) == []


# Story 8: shutdown races. kubernetes-sigs/controller-runtime#3538, kubernetes/kubernetes#141079.

ROUNDS, GETTERS = 1_000, 20


@pytest.mark.parametrize("queue_class", [RateLimitingQueue, PriorityQueue])
def test_story_8_all_getters_return_and_a_drain_is_over_when_nothing_is_left(queue_class, background):
    # 20 getters, random adds and a shutdown; the same threads in all rounds.
    seed = random.randrange(2**32)
    print("seed", seed)
    luck = random.Random(seed)
    begin, end = threading.Barrier(GETTERS + 1), threading.Barrier(GETTERS + 1)
    queue, accepted, handled, held = None, None, [], []

    def get_all(number):
        own = random.Random(seed + number)
        for _ in range(ROUNDS):
            begin.wait(PATIENCE)
            try:
                while True:
                    key = queue.get(timeout=PATIENCE)
                    held.append(key)
                    assert held.count(key) == 1, "a key is in two hands"
                    if own.random() < 0.3:
                        queue.add(own.randrange(1_000))
                    handled.append(key)
                    held.remove(key)
                    queue.done(key)
            except ShutDown:
                end.wait(PATIENCE)

    getters = [background(get_all, number) for number in range(GETTERS)]
    for number in range(ROUNDS):
        queue, accepted = queue_class(), set()
        handled.clear()
        begin.wait(PATIENCE)
        for _ in range(luck.randrange(30)):
            key = luck.randrange(1_000)
            accepted.add(key)
            if luck.random() < 0.5:
                queue.add(key)
            elif queue_class is PriorityQueue:
                queue.add_with(key, priority=luck.randrange(100))
            else:
                queue.add_after(key, 0)
        time.sleep(luck.choice([0, 0, 1e-4, 5e-4]))  # so that the getters are now here, now there
        if number % 3:
            assert queue.shut_down_with_drain(PATIENCE) is True
            assert not held, "the drain was over while somebody worked"
            assert accepted <= set(handled), "the drain was over before all was handled"
            statistics = queue.statistics()
            assert (statistics.depth, statistics.processing) == (0, 0)
        else:
            queue.shut_down()
        end.wait(PATIENCE)
        assert accepted <= set(handled)
        queue._check()
    for getter in getters:
        getter.result(PATIENCE)


# Story 9: the starved initial list. kubernetes-sigs/controller-runtime#3496, home-operations/miroir#122.


WORK = 0.3125


def busy_for(queue, clock, seconds):
    """100 keys are re-queued every 30 s and take 0.3 s of the one worker's time each; 3 more have a low priority.

    Return after how many seconds each of the low ones was handled.
    """
    begin, low = clock.now(), {}
    for number in range(3):
        queue.add_with(f"low-{number}", priority=-100)
    for number in range(100):
        queue.add(f"busy-{number}")
    while clock.now() - begin < seconds:
        key = queue.get(timeout=0)  # there always is one
        if not key.startswith("low"):
            queue.add_after(key, 30)
        clock.step(WORK)
        if key.startswith("low"):
            low[key] = clock.now() - begin
        queue.done(key)
    return low


def test_story_9_keys_of_low_priority_run_within_the_limit(clock):
    low = busy_for(ours(clock), clock, 300)
    assert list(low) == ["low-0", "low-1", "low-2"]
    assert max(low.values()) <= 60 + 6 * WORK, "the run under way when it is time; the three, turn and turn about"


def test_story_9_keys_of_high_priority_wait_for_one_run_at_most_while_low_ones_starve(clock):
    queue = ours(clock)
    queue.add_with(*range(10_000), priority=-100)
    clock.step(3600)
    waited = 0
    for number in range(100):
        queue.add(("busy", number))
        for runs in (0, 1):
            key = queue.get(timeout=0)
            queue.done(key)
            if key == ("busy", number):
                waited = max(waited, runs)
                break
        else:
            pytest.fail("it waits for more than one")
    assert waited == 1


def test_story_9_without_a_limit_they_starve(clock):
    # controller-runtime's answer: nothing but another priority helps.
    assert busy_for(ours(clock, max_starvation=None), clock, 1800) == {}


def test_story_9_the_age_of_the_oldest_key_is_measured(clock, provider):
    queue = ours(clock, name="volumes", metrics=provider, max_starvation=None)
    busy_for(queue, clock, 600)
    assert queue.statistics().oldest_pending >= 600
