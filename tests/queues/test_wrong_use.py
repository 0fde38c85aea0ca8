"""Wrong use is loud, changes nothing, and leaves a queue that works."""

import copy
import gc
import logging
import math
import threading

import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.queues import (
    BucketRateLimiter,
    Debounce,
    DelayingQueue,
    ItemExponentialFailureRateLimiter,
    MaxOfRateLimiter,
    PriorityQueue,
    Queue,
    RateLimitingQueue,
    ShutDown,
)

from .conftest import PATIENCE, handle_all

NAN = math.nan

#: Every verb that takes a key, by the class that has it first.
VERBS = {
    Queue: {
        "add": lambda queue, key: queue.add(key),
        "done": lambda queue, key: queue.done(key),
    },
    DelayingQueue: {
        "add_after": lambda queue, key: queue.add_after(key, 5),
        "add_after_nothing": lambda queue, key: queue.add_after(key, 0),
    },
    RateLimitingQueue: {
        "add_rate_limited": lambda queue, key: queue.add_rate_limited(key),
        "forget": lambda queue, key: queue.forget(key),
        "num_requeues": lambda queue, key: queue.num_requeues(key),
    },
    PriorityQueue: {
        "add_with": lambda queue, key: queue.add_with(key),
        "add_with_priority": lambda queue, key: queue.add_with(key, priority=5),
        "add_with_priority_later": lambda queue, key: queue.add_with(key, priority=5, after=5),
        "add_with_nothing_new": lambda queue, key: queue.add_with(key, respect_backoff=True),
        "cancel": lambda queue, key: queue.cancel(key),
    },
}


def verbs_of(queue_class):
    bases = (*queue_class.__mro__, *((DelayingQueue, RateLimitingQueue, Queue) if queue_class is PriorityQueue else ()))
    return {name: verb for base in bases for name, verb in VERBS.get(base, {}).items()}


EVERY_VERB = pytest.mark.parametrize(
    ("queue_class", "verb"),
    [
        pytest.param(queue_class, verb, id=f"{queue_class.__name__}-{name}")
        for queue_class in (Queue, DelayingQueue, RateLimitingQueue, PriorityQueue)
        for name, verb in verbs_of(queue_class).items()
    ],
)


def in_use(queue):
    """A queue with a key in hands, one that is ready and, where there is that, one that waits and one that failed."""
    queue.add("held")
    assert queue.get(timeout=0) == "held"
    queue.add("ready")
    if hasattr(queue, "add_after"):
        queue.add_after("waiting", 100)
    if hasattr(queue, "add_rate_limited"):
        queue.add_rate_limited("failed")
    return queue


def works(queue, clock):
    """True if what was asked for before, and a new key, are handed out each once, and nothing else is."""
    assert not queue._lock.locked()
    queue._check()
    queue.add("new")
    queue.done("held")
    keys = handle_all(queue)
    clock.step(1_000)
    keys += handle_all(queue)
    assert queue.shut_down_with_drain(timeout=0) is True
    queue._check()
    delayed = {"waiting": "add_after", "failed": "add_rate_limited"}
    return set(keys) == {"ready", "new", *(key for key, verb in delayed.items() if hasattr(queue, verb))}


# Keys.


@EVERY_VERB
@pytest.mark.parametrize("key", [["list"], {"dict": 1}, ("tuple of", ["list"]), set()], ids=repr)
def test_a_key_that_cannot_be_hashed_is_refused_by_every_verb_and_changes_nothing(queue_class, verb, key, clock):
    queue = in_use(queue_class(clock=clock))
    before = queue.statistics()
    with pytest.raises(TypeError, match="unhashable"):
        verb(queue, key)
    assert queue.statistics() == before
    assert works(queue, clock)


@pytest.mark.parametrize(
    "options",
    [
        {"max_starvation": 5},
        {"fairness": lambda key: "all"},
        {"backoff": "steady"},
        {"debounce": Debounce(1, 2)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_key_that_cannot_be_hashed_is_refused_whatever_the_options(options, clock, provider):
    for name, verb in verbs_of(PriorityQueue).items():
        queue = PriorityQueue(clock=clock, name="pods", metrics=provider, **options)
        queue.add_with("held", after=0)
        assert queue.get(timeout=0) == "held"
        before = queue.statistics()
        with pytest.raises(TypeError, match="unhashable"):
            verb(queue, ["list"])
        queue._check()
        assert queue.statistics() == before, name


def test_of_several_keys_those_before_the_wrong_one_are_asked_for(clock):
    queue = PriorityQueue(clock=clock)
    with pytest.raises(TypeError, match="unhashable"):
        queue.add_with("a", "b", ["wrong"], "c")
    queue._check()
    assert handle_all(queue) == ["a", "b"]


class Broken(Exception):
    pass


class Brittle:
    """A key whose hash or == raises when it is asked for the so-manieth time from now on, once."""

    def __init__(self, name):
        self.name = name
        self.left = None

    def use(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Broken

    def __hash__(self):
        self.use()
        return 1  # of all of them: so that they have to be compared

    def __eq__(self, other):
        self.use()
        return isinstance(other, Brittle) and self.name == other.name


ASKING = {"add", "add_after", "add_after_nothing", "add_rate_limited", "add_with", "add_with_priority"}


@pytest.mark.parametrize(
    ("queue_class", "verb"),
    [
        pytest.param(queue_class, verb, id=f"{queue_class.__name__}-{name}")
        for queue_class in (Queue, DelayingQueue, RateLimitingQueue, PriorityQueue)
        for name, verb in verbs_of(queue_class).items()
        if name in ASKING
    ],
)
def test_a_key_whose_hash_or_comparison_raises_midway_loses_nothing_and_leaves_no_lock(queue_class, verb, clock):
    for moment in range(100):
        queue = queue_class(clock=clock)
        held, ready, key = Brittle("held"), Brittle("ready"), Brittle("key")
        queue.add(held)
        assert queue.get(timeout=0) is held
        queue.add(ready)
        key.left = moment
        try:
            verb(queue, key)
        except Broken:
            finished = False
        else:
            finished = key.left is not None  # it was not used so often
        key.left = None
        assert not queue._lock.locked()
        queue._check()
        queue.add(key)
        queue.done(held)
        clock.step(10)
        got = handle_all(queue)
        assert sorted(each.name for each in got)[-2:] == ["key", "ready"], f"broken at use {moment}"
        if queue_class is Queue or finished is False:
            assert len(got) == 2
        assert queue.shut_down_with_drain(timeout=0) is True
        queue._check()
        if finished:
            assert moment > 1
            return
    pytest.fail("it is used without end")


class Incomparable:
    """A key that has the hash of others and cannot be compared with them."""

    def __hash__(self):
        return hash("other")

    def __eq__(self, other):
        raise Broken


@pytest.mark.parametrize("state", ["ready", "held", "held again", "waiting"])
@pytest.mark.parametrize("measured", [False, True], ids=["unmeasured", "measured"])
def test_a_key_that_cannot_be_compared_with_another_is_refused_at_once_and_not_later(
    queue_class, state, measured, clock, provider
):
    names = {"name": "pods", "metrics": provider} if measured else {}
    for name, verb in verbs_of(queue_class).items():
        if name not in ASKING | {"add_with_priority_later"}:
            continue
        queue = queue_class(clock=clock, **names)
        if queue_class is not PriorityQueue and (state == "waiting") is not (name in ("add_after", "add_rate_limited")):
            continue  # the trio keeps what waits beside what does not: they do not meet
        if state == "waiting":
            queue.add_after("other", 1)
        else:
            queue.add("other")
        if state.startswith("held"):
            assert queue.get(timeout=0) == "other"
        if state == "held again":
            queue.add("other")
        adds = queue.statistics().adds
        with pytest.raises(Broken):
            verb(queue, Incomparable())
        assert queue.statistics().adds == adds, name
        assert not queue._lock.locked()
        queue._check()
        queue.done("other")
        clock.step(1)
        assert handle_all(queue) == ([] if state == "held" else ["other"]), name
        assert queue.shut_down_with_drain(timeout=0) is True
        queue._check()


# Delays and timeouts.


@pytest.mark.parametrize(
    "ask",
    [
        lambda queue: queue.add_after("a", NAN),
        lambda queue: queue.add_with("a", after=NAN),
        lambda queue: queue.add_with("a", "b", priority=5, after=NAN),
        lambda queue: queue.add_with(after=NAN),
        lambda queue: queue.add_with("a", after=NAN, rate_limited=True),
    ],
)
def test_a_delay_that_is_no_number_is_refused_by_every_verb_that_takes_one(ask, clock):
    queue = PriorityQueue(clock=clock)
    before = queue.statistics()
    with pytest.raises(ValueError, match="is not a number"):
        ask(queue)
    assert queue.statistics() == before
    assert queue.num_requeues("a") == 0


@pytest.mark.parametrize("delay", ["5", None, [5], 1j], ids=repr)
def test_a_delay_of_a_wrong_kind_is_refused_and_changes_nothing(delaying_class, clock, delay):
    queue = delaying_class(clock=clock)
    before = queue.statistics()
    with pytest.raises(TypeError):
        queue.add_after("a", delay)
    assert queue.statistics() == before


@pytest.mark.parametrize("delay", [-1, -1e-9, -1e300, -math.inf])
def test_a_negative_delay_is_now(delaying_class, clock, delay):
    queue = delaying_class(clock=clock)
    queue.add_after("a", delay)
    assert handle_all(queue) == ["a"]


@pytest.mark.parametrize("delay", [math.inf, 1.7e308, 1e300, 1e18])
def test_a_delay_without_end_is_never_over_holds_nobody_up_and_is_reported_at_shutdown(
    delaying_class, clock, background, caplog, delay
):
    queue = delaying_class(clock=clock)
    queue.add_after("never", delay)
    queue.add_after("late", 1e6)
    got = [background(queue.get) for _ in range(2)]
    clock.wait_for_waiters(2)
    queue.add_after("soon", 5)
    queue.add_after("never", delay)
    queue._check()
    clock.wait_for_waiters(2)
    while not any(future.done() for future in got):
        clock.step(1)
    clock.step(1e6)
    assert {future.result(PATIENCE) for future in got} == {"soon", "late"}
    clock.step(1e12)
    assert (len(queue), queue.statistics().delayed) == (0, 1)
    with caplog.at_level(logging.INFO, logger="workqueue.queues"):
        queue.shut_down()
    assert "1 delayed keys dropped: never" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.INFO}, "every clean stop says it"
    assert queue.statistics().dropped == 1


@pytest.mark.parametrize("timeout", ["5", [5], 1j], ids=repr)
def test_a_timeout_of_a_wrong_kind_is_refused(queue_class, timeout):
    queue = queue_class()
    for wait in (queue.get, queue.shut_down_with_drain, lambda timeout: queue.item(timeout).__enter__()):
        with pytest.raises(TypeError):
            wait(timeout)
    assert not queue.shutting_down
    queue.add("a")
    assert handle_all(queue) == ["a"]


# Priorities.


@pytest.mark.parametrize("priority", ["5", 1.0, NAN, [1], (1,), 1j], ids=repr)
def test_a_priority_that_is_no_int_is_refused_and_changes_nothing(clock, priority):
    queue = PriorityQueue(clock=clock)
    before = queue.statistics()
    for options in ({}, {"after": 5}, {"rate_limited": True}):
        with pytest.raises(TypeError, match=r"^priority=.*: expected an int, or None$"):
            queue.add_with("a", priority=priority, **options)
    assert queue.statistics() == before
    assert queue.num_requeues("a") == 0


# One limiter in two queues.

BOTH = pytest.mark.parametrize("second_class", [RateLimitingQueue, PriorityQueue])


@pytest.fixture
def limiter():
    return ItemExponentialFailureRateLimiter(1, 1000)


@BOTH
def test_a_limiter_in_use_is_refused_in_one_line_that_names_both_queues(
    limiting_class, second_class, limiter, provider
):
    first = limiting_class(name="pods", rate_limiter=limiter)
    first.add_rate_limited("a")
    with pytest.raises(ConfigurationError) as caught:
        second_class(name="nodes", rate_limiter=limiter, metrics=provider)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("rate_limiter", "'pods'", "'nodes'", "ItemExponentialFailureRateLimiter", "give queue"):
        assert part in message
    assert not provider.opened, "nobody was told of a queue that there is not"
    assert first.num_requeues("a") == 1


@BOTH
def test_a_limiter_of_a_queue_that_is_shut_down_may_be_used_by_another(limiting_class, second_class, limiter):
    first = limiting_class(rate_limiter=limiter)
    first.add("left")
    first.shut_down()
    second = second_class(rate_limiter=limiter)
    with pytest.raises(ConfigurationError):
        limiting_class(rate_limiter=limiter)
    second.add_rate_limited("a")
    assert second.num_requeues("a") == 1


@BOTH
def test_a_limiter_of_a_queue_that_is_gone_may_be_used_by_another(limiting_class, second_class, limiter):
    first = limiting_class(rate_limiter=limiter)
    first.add_rate_limited("a")
    del first
    gc.collect()
    second_class(rate_limiter=limiter)


@pytest.mark.parametrize(
    "options",
    [{"max_starvation": -1}, {"backoff": "x"}, {"fairness": 5}, {"debounce": 5}],
    ids=lambda options: next(iter(options)),
)
def test_a_queue_that_could_not_be_made_keeps_no_limiter(limiter, provider, options):
    with pytest.raises(ConfigurationError) as caught:
        PriorityQueue(name="pods", metrics=provider, rate_limiter=limiter, **options)
    assert caught.value.__traceback__ is not None, "the unfinished queue is in there, alive"
    PriorityQueue(name="pods", rate_limiter=limiter)
    assert not provider.opened


def test_a_queue_with_a_steady_backoff_uses_its_limiter_too(limiter):
    first = PriorityQueue(name="pods", rate_limiter=limiter, backoff="steady")
    with pytest.raises(ConfigurationError, match="'pods' uses this"):
        PriorityQueue(rate_limiter=limiter, backoff="steady")
    first.shut_down()
    PriorityQueue(rate_limiter=limiter, backoff="steady")


@BOTH
def test_limiters_may_have_a_part_in_common(limiting_class, second_class, clock):
    bucket = BucketRateLimiter(1, 1, clock=clock)
    first = limiting_class(clock=clock, rate_limiter=MaxOfRateLimiter(bucket))
    second = second_class(clock=clock, rate_limiter=MaxOfRateLimiter(bucket))
    first.add_rate_limited("a")
    second.add_rate_limited("a")
    assert (handle_all(first), handle_all(second)) == (["a"], [])
    clock.step(1)
    assert handle_all(second) == ["a"]


@BOTH
def test_a_copy_of_a_limiter_is_another_one(limiting_class, second_class):
    class Constant:
        def when(self, key):
            return 5.0

        def forget(self, key):
            pass

        def num_requeues(self, key):
            return 0

    limiter = Constant()
    first = limiting_class(rate_limiter=limiter)
    second = second_class(rate_limiter=copy.copy(limiter))
    with pytest.raises(ConfigurationError):
        second_class(rate_limiter=limiter)
    assert not first.shutting_down
    assert not second.shutting_down


@pytest.mark.parametrize("wrong", [5, "exponential", ItemExponentialFailureRateLimiter, lambda key: 5.0, object()])
def test_what_is_no_limiter_is_refused_by_name(limiting_class, provider, wrong):
    with pytest.raises(ConfigurationError, match=r"^rate_limiter=.*: expected "):
        limiting_class(name="pods", metrics=provider, rate_limiter=wrong)
    assert not provider.opened


def test_a_limiter_that_takes_no_attributes_is_let_through(limiting_class):
    class Slotted(ItemExponentialFailureRateLimiter):
        __slots__ = ()

        def __setattr__(self, name, value):
            if name.startswith("_kopf"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    limiter = Slotted(1, 1000)
    for _ in range(2):
        limiting_class(rate_limiter=limiter)


# A provider of metrics that fails.


class FailingProvider:
    def __init__(self, *, when):
        self.when = when

    def queue_opened(self, name, statistics):
        if self.when == "opened":
            raise LookupError("the name is taken")

    def queue_closed(self, name, statistics):
        raise LookupError("broken")


def test_a_provider_that_takes_no_such_queue_is_an_error_of_who_makes_it_and_keeps_no_limiter(limiting_class, limiter):
    with pytest.raises(LookupError, match="the name is taken") as caught:
        limiting_class(name="pods", metrics=FailingProvider(when="opened"), rate_limiter=limiter)
    assert caught.value.__traceback__ is not None, "the unfinished queue is in there, alive"
    limiting_class(name="pods", rate_limiter=limiter)


def test_a_provider_that_fails_at_the_end_is_no_error_of_the_shutdown_nor_of_the_last_done(queue_class, clock, caplog):
    queue = queue_class(name="pods", clock=clock, metrics=FailingProvider(when="closed"))
    queue.shut_down()
    assert "queue 'pods': its provider of metrics failed" in caplog.text
    caplog.clear()
    queue = queue_class(name="pods", clock=clock, metrics=FailingProvider(when="closed"))
    queue.add("a")
    queue.shut_down()
    queue.done(queue.get())
    assert "queue 'pods': its provider of metrics failed" in caplog.text
    assert queue.shut_down_with_drain() is True


def test_keys_that_cannot_be_told_do_not_keep_a_shutdown_from_telling_of_the_others(delaying_class, clock, caplog):
    class Silent:
        def __str__(self):
            raise Broken

        __repr__ = __str__

    queue = delaying_class(name="pods", clock=clock)
    queue.add_after(Silent(), 5)
    queue.add_after("default/web", 6)
    queue.add("ready")
    queue.add(Silent())
    with caplog.at_level(logging.INFO, logger="workqueue.queues"):
        assert queue.shut_down_with_drain(timeout=0) is False
    assert "2 delayed keys dropped: <a Silent that cannot be told>, default/web" in caplog.text
    assert "2 keys queued (ready, <a Silent that cannot be told>)" in caplog.text


def test_a_tenant_that_cannot_be_compared_is_an_error_of_who_asks_and_changes_nothing(clock):
    class Tenant:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            raise Broken

    queue = PriorityQueue(clock=clock, fairness=lambda key: Tenant())
    queue.add("a")
    queue.add_with("b", priority=5)
    for priority in (0, 5):
        with pytest.raises(Broken):
            queue.add_with("c", priority=priority)
        assert not queue._lock.locked()
        queue._check()
    assert handle_all(queue) == ["b", "a"]
    queue._check()


# After the shutdown.


def test_every_get_after_the_shutdown_is_answered_at_once_and_again_and_again(queue_class, background):
    queue = queue_class()
    queue.shut_down()
    for _ in range(3):
        for get in (queue.get, lambda: queue.get(timeout=0), lambda: queue.get(timeout=60), lambda: queue.get(-1)):
            with pytest.raises(ShutDown):
                get()
    start = threading.Barrier(20)

    def get_often():
        start.wait(PATIENCE)
        for _ in range(50):
            with pytest.raises(ShutDown):
                queue.get()

    for future in [background(get_often) for _ in range(20)]:
        future.result(PATIENCE)
    queue._check()
    assert queue._getters == 0


def test_what_is_left_at_the_shutdown_is_handed_out_once_to_many_threads(queue_class, background):
    queue = queue_class()
    for key in range(200):
        queue.add(key)
    queue.shut_down()
    start = threading.Barrier(20)

    def get_all():
        start.wait(PATIENCE)
        return handle_all(queue)

    got = [future.result(PATIENCE) for future in [background(get_all) for _ in range(20)]]
    assert sorted(key for keys in got for key in keys) == list(range(200))


def test_the_error_of_a_queue_that_is_shut_down_names_it(queue_class):
    queue = queue_class(name="pods")
    queue.shut_down()
    with pytest.raises(ShutDown, match="'pods' is shut down and empty"):
        queue.get()
