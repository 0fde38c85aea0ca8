"""Each cached object delivered again, from the cache alone, on a clock that stands still."""

import math
import threading
from queue import SimpleQueue

import pytest

from tests.cache.objects import pod
from tests.informer.conftest import Recorder
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import ConfigurationError
from workqueue.informer import Resyncer


@pytest.fixture
def updates(informer):
    """A queue of what update handlers are told, from whatever thread."""
    told = SimpleQueue()
    informer.add_handler(lambda **arguments: told.put((arguments["name"], informer.clock.now())), kind="update")
    return told


@pytest.fixture
def resyncer(informer):
    resyncer = Resyncer(informer, period=10)
    yield resyncer
    resyncer.stop()


def take(updates, count):
    return sorted(updates.get(timeout=PATIENCE) for _ in range(count))


# One resync.


def test_a_resync_is_an_update_of_every_object_from_itself_to_itself(informer, told):
    informer.replace([pod("a", rv=5), pod("b", rv=None)])
    informer.deliver()
    told.take()
    informer.resync()
    assert [(each.kind, each.name, each.old, each.new, each.initial) for each in told.take()] == [
        ("update", "a", pod("a", rv=5), pod("a", rv=5), False),
        ("update", "b", pod("b", rv=None), pod("b", rv=None), False),
    ]
    assert informer.statistics().events == 1, "a resync is no event"


def test_a_resync_delivers_what_is_stored_now(informer):
    recorder = Recorder()

    def change_the_others(name, **_):
        if name == "a":
            informer.remove(pod("b", rv=2))
            informer.apply(pod("c", rv=2))
            informer.apply(pod("d", rv=2))

    informer.replace([pod("a"), pod("b"), pod("c")])
    informer.deliver()
    informer.add_handler(change_the_others, kind="update")
    recorder.listen(informer, "update")
    informer.resync()
    assert recorder.lines() == ["update default/a 1 -> 1", "update default/c 1 -> 2", "update default/c 2 -> 2"]


def test_a_resync_of_an_empty_cache_is_nothing(informer, told):
    informer.resync()
    assert told.take() == []


# From time to time.


def test_every_cached_object_is_delivered_once_each_period(informer, clock, updates, resyncer):
    informer.replace([pod("a"), pod("b"), pod("c")])
    informer.progress.mark_synced()
    start = clock.now()
    resyncer.start()
    for instant in (start + 10, start + 20, start + 30):
        clock.wait_until_asleep_until(instant)
        clock.step(9.5)
        assert clock.timed_waiters() == 1
        assert updates.empty()
        clock.step(0.5)
        assert take(updates, 3) == [("a", instant), ("b", instant), ("c", instant)]
    clock.wait_until_asleep_until(start + 40)
    assert updates.empty()


def test_nothing_is_delivered_before_the_sync(informer, clock, updates, resyncer):
    informer.replace([pod("a")])
    start = clock.now()
    resyncer.start()
    for instant in (start + 10, start + 20):
        clock.wait_until_asleep_until(instant)
        clock.step(10)
    clock.wait_until_asleep_until(start + 30)
    assert updates.empty()
    informer.progress.mark_synced()
    clock.step(10)
    assert take(updates, 1) == [("a", start + 30)]
    clock.wait_until_asleep_until(start + 40)
    assert updates.empty()


def test_missed_periods_are_not_made_up_for_and_shift_none_of_the_next(informer, clock, updates, resyncer):
    informer.replace([pod("a")])
    informer.progress.mark_synced()
    start = clock.now()
    resyncer.start()
    clock.wait_until_asleep_until(start + 10)
    clock.step(35)
    assert take(updates, 1) == [("a", start + 35)]
    clock.wait_until_asleep_until(start + 40)
    assert updates.empty()
    clock.step(5)
    assert take(updates, 1) == [("a", start + 40)]


def test_a_resync_that_takes_longer_than_the_period_is_followed_by_the_next_at_once(informer, clock, resyncer):
    told = SimpleQueue()

    def slow(name, **_):
        clock.step(12)
        told.put((name, clock.now()))

    informer.add_handler(slow, kind="update")
    informer.replace([pod("a"), pod("b")])
    informer.progress.mark_synced()
    start = clock.now()
    resyncer.start()
    clock.wait_until_asleep_until(start + 10)
    clock.step(10)  # the first lasts from 10 to 34: those of 20 and 30 are one, the next
    assert [told.get(timeout=PATIENCE) for _ in range(4)] == [
        ("a", start + 22), ("b", start + 34), ("a", start + 46), ("b", start + 58),
    ]  # fmt: skip
    resyncer.stop()


def test_a_handler_that_fails_does_not_end_the_resyncs(informer, clock, updates, resyncer):
    def failing(**_):
        raise ArithmeticError

    informer.add_handler(failing, kind="update")
    informer.replace([pod("a")])
    informer.progress.mark_synced()
    start = clock.now()
    resyncer.start()
    for instant in (start + 10, start + 20):
        clock.wait_until_asleep_until(instant)
        clock.step(10)
        assert take(updates, 1) == [("a", instant)]
    clock.wait_until_asleep_until(start + 30)
    assert informer.statistics().handlers[1].errors == 2


# The end.


def test_a_stop_ends_the_thread(informer, clock, updates, resyncer):
    resyncer.start()
    clock.wait_for_timed_waiters(1)
    [thread] = [each for each in threading.enumerate() if each.name == "workqueue-resync-pods"]
    assert thread.daemon
    resyncer.stop()
    assert not thread.is_alive()
    assert clock.waiters() == 0
    resyncer.stop()


def test_a_resyncer_that_was_never_started_may_be_stopped(resyncer):
    resyncer.stop()


def test_a_stop_ends_a_resync_after_the_object_it_is_at(informer, clock, resyncer, background):
    entered, leave, calls = threading.Event(), threading.Event(), []

    def handler(name, **_):
        calls.append(name)
        entered.set()
        assert leave.wait(PATIENCE)

    informer.add_handler(handler, kind="update")
    informer.replace([pod("a"), pod("b"), pod("c")])
    informer.progress.mark_synced()
    resyncer.start()
    clock.wait_for_timed_waiters(1)
    clock.step(10)
    assert entered.wait(PATIENCE)
    stopping = background(resyncer.stop)
    with resyncer._sleeper._changed:  # the stop is asked for, and waits for the handler
        resyncer._sleeper._changed.wait_for(lambda: resyncer._sleeper.is_stopped, PATIENCE)
    assert not stopping.done()
    leave.set()
    stopping.result(PATIENCE)
    assert calls == ["a"]


@pytest.mark.parametrize("period", [0.999, 0, -1, math.nan, -math.inf])
def test_a_period_shorter_than_a_second_is_refused(informer, period):
    with pytest.raises(ConfigurationError, match="expected at least 1 second, or 0 for none") as caught:
        Resyncer(informer, period=period)
    assert f"resync={period!r}" in str(caught.value)


def test_a_period_of_a_second_is_the_shortest(informer, clock, updates):
    resyncer = Resyncer(informer, period=1)
    informer.replace([pod("a")])
    informer.progress.mark_synced()
    start = clock.now()
    resyncer.start()
    clock.wait_until_asleep_until(start + 1)
    clock.step(1)
    assert take(updates, 1) == [("a", start + 1)]
    resyncer.stop()
