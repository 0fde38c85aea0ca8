"""Waiting until the cache has come so far: seen before, seen by whatever comes, never missed, never for ever."""

import asyncio
import random
import threading

import pytest

from tests.cache.objects import pod
from tests.queues.conftest import PATIENCE
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer
from workqueue.informer import Informer

KEY = ObjectKey("default", "web")


@pytest.fixture
def wait_for(informer):
    def wait(version, *, key=KEY, timeout=10.0):
        read = lambda: informer.reader.entry(key)  # noqa: E731
        entry = informer.progress.wait_for(key, version=version, read=read, timeout=timeout)
        return entry and entry.resource_version

    return wait


@pytest.fixture
def expect_gone(informer):
    def wait(uid="u1", *, key=KEY, timeout=10.0):
        return informer.progress.expect_gone(key, uid=uid, read=lambda: informer.reader.entry(key), timeout=timeout)

    return wait


@pytest.fixture
def starts(clock, background):
    """Begin to wait in a thread, the only one; returns once that sleeps."""

    def start(function, *args, **kwargs):
        waiting = background(function, *args, **kwargs)
        clock.wait_for_timed_waiters(1)
        assert not waiting.done()
        return waiting

    return start


@pytest.fixture(autouse=True)
def nobody_is_awaited_at_the_end(informer):
    yield
    assert informer.progress._awaited == {}
    assert informer.progress._gone == {}


def reached(informer, version, namespace=""):
    informer.progress.reached(version, namespace=namespace)


# wait_for: it was seen before.


@pytest.mark.parametrize(("stored", "wanted"), [("5", "5"), ("6", "5"), ("10", "9"), ("opaque", "opaque")])
def test_what_the_cache_shows_already_is_not_waited_for(informer, wait_for, stored, wanted):
    informer.apply(pod(rv=stored))
    assert wait_for(wanted, timeout=0) == stored


@pytest.mark.parametrize(("namespace", "position"), [("", "5"), ("", "6"), ("default", "5"), ("default", "10")])
def test_what_the_watch_has_passed_already_is_not_waited_for(informer, wait_for, namespace, position):
    reached(informer, position, namespace)
    assert wait_for("5", timeout=0) is None
    informer.apply(pod(rv=3))  # it did not change between: 5 was a write that changed nothing
    assert wait_for("5", timeout=0) == "3"


# wait_for: it comes.


def test_an_event_ends_the_wait(informer, wait_for, starts):
    waiting = starts(wait_for, "5")
    informer.apply(pod(rv=4))
    informer.apply(pod("other", rv=9))
    assert not waiting.done()
    informer.apply(pod(rv=5))
    assert waiting.result(PATIENCE) == "5"


def test_a_later_event_ends_it_too(informer, wait_for, starts):
    waiting = starts(wait_for, "9")
    informer.apply(pod(rv=10))
    assert waiting.result(PATIENCE) == "10"


def test_a_position_ends_the_wait(informer, wait_for, starts):
    informer.apply(pod(rv=3))
    waiting = starts(wait_for, "5")
    reached(informer, "4")
    reached(informer, "99", "elsewhere")
    reached(informer, "opaque")
    assert not waiting.done()
    reached(informer, "5")
    assert waiting.result(PATIENCE) == "3"


def test_a_deletion_ends_the_wait(informer, wait_for, starts):
    informer.apply(pod(rv=3))
    waiting = starts(wait_for, "5")
    informer.remove(pod(rv=7))
    assert waiting.result(PATIENCE) is None


def test_a_deletion_of_what_was_there_before_does_not(informer, wait_for, starts):
    informer.apply(pod(rv=3))
    waiting = starts(wait_for, "5")
    informer.remove(pod(rv=4))
    assert not waiting.done()
    informer.apply(pod(rv=5, uid="u2"))
    assert waiting.result(PATIENCE) == "5"


def test_a_deletion_of_what_was_never_seen_ends_it(informer, wait_for, starts):
    # Created and deleted before the cache saw any of it.
    waiting = starts(wait_for, "5")
    informer.remove(pod(rv=6))
    assert waiting.result(PATIENCE) is None


@pytest.mark.parametrize("bodies", [[], [pod(rv=5)], [pod(rv=9)]])
def test_a_list_ends_the_wait(informer, wait_for, starts, bodies):
    informer.apply(pod(rv=3))
    waiting = starts(wait_for, "5")
    informer.replace(bodies)
    reached(informer, "9")
    assert waiting.result(PATIENCE) == (bodies[0]["metadata"]["resourceVersion"] if bodies else None)


def test_all_who_wait_are_woken_and_only_those_whose_time_has_come(informer, wait_for, background, clock):
    waiting = {version: [background(wait_for, version) for _ in range(3)] for version in ("5", "7")}
    clock.wait_for_timed_waiters(6)
    informer.apply(pod(rv=6))
    assert [each.result(PATIENCE) for each in waiting["5"]] == ["6"] * 3
    clock.wait_for_timed_waiters(3)
    reached(informer, "7")
    assert [each.result(PATIENCE) for each in waiting["7"]] == ["6"] * 3


# wait_for: opaque versions.


def test_an_opaque_version_is_waited_for_by_its_text(informer, wait_for, starts, clock):
    waiting = starts(wait_for, "abc")
    informer.apply(pod(rv="abd"))
    reached(informer, "999")
    informer.apply(pod(rv="abc"))
    assert waiting.result(PATIENCE) == "abc"


def test_an_opaque_version_that_is_deleted_ends_the_wait_for_it(informer, wait_for, starts):
    informer.apply(pod(rv="abb"))
    waiting = starts(wait_for, "abc")
    informer.remove(pod(rv="abc"))
    assert waiting.result(PATIENCE) is None


@pytest.mark.parametrize("version", ["9" * 20, "9" * 30, "1.5", "-5", "", "²"])
def test_what_is_no_number_of_an_api_server_is_opaque(informer, wait_for, version):
    reached(informer, version)
    reached(informer, "9" * 19)
    with pytest.raises(TimeoutError):
        wait_for(version, timeout=0)


# Timeouts and stops.


def test_a_wait_ends_after_its_timeout_and_not_before(informer, wait_for, starts, clock):
    waiting = starts(wait_for, "5")
    clock.step(9.5)
    assert not waiting.done()
    clock.step(0.5)
    with pytest.raises(
        TimeoutError, match="waited 10 s for default/web at resourceVersion 5: the cache has not come so far"
    ):
        waiting.result(PATIENCE)


def test_being_woken_prolongs_nothing(informer, wait_for, starts, clock):
    waiting = starts(wait_for, "5")
    for version in range(1, 4):
        clock.step(3)
        informer.apply(pod(rv=version))
        clock.wait_for_timed_waiters(1)
    clock.step(1)
    with pytest.raises(TimeoutError):
        waiting.result(PATIENCE)


def test_a_stop_ends_each_wait(informer, wait_for, expect_gone, background, clock):
    informer.apply(pod(rv=1))
    waiting = [background(wait_for, "5"), background(expect_gone)]
    clock.wait_for_timed_waiters(2)
    informer.stop()
    for each in waiting:
        with pytest.raises(TimeoutError, match="the operator stops"):
            each.result(PATIENCE)
    assert wait_for("1") == "1"  # what is there is there
    with pytest.raises(TimeoutError, match="the operator stops"):
        wait_for("5")


def test_waiting_in_a_running_loop_is_refused_at_once(informer, wait_for, expect_gone):
    informer.apply(pod(rv=5))

    async def wait(function, *args):
        with pytest.raises(RuntimeError, match=r"blocks.*asyncio\.to_thread"):
            function(*args)

    asyncio.run(wait(wait_for, "5"))
    asyncio.run(wait(expect_gone))

    async def in_a_thread():
        return await asyncio.to_thread(wait_for, "5")

    assert asyncio.run(in_a_thread()) == "5"


def test_an_error_while_looking_leaves_nothing_behind(informer):
    def read():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        informer.progress.wait_for(KEY, version="5", read=read, timeout=10)


def test_a_deletion_is_not_remembered_for_the_next_who_waits(informer, wait_for, starts):
    waiting = starts(wait_for, "5")
    informer.remove(pod(rv=6))
    assert waiting.result(PATIENCE) is None
    with pytest.raises(TimeoutError):
        wait_for("5", timeout=0)


# expect_gone.


def test_what_is_not_there_is_gone(informer, expect_gone):
    expect_gone(timeout=0)
    informer.apply(pod(uid="u2"))
    expect_gone(timeout=0)  # its successor is
    informer.apply(pod("other"))
    with pytest.raises(TimeoutError, match="the end of default/web with uid u2"):
        expect_gone("u2", timeout=0)


@pytest.mark.parametrize("uid", [None, "u1"])
@pytest.mark.parametrize(
    "goes",
    [
        lambda informer: informer.remove(pod(rv=9)),
        lambda informer: informer.replace([]),
        lambda informer: informer.replace([pod(uid="u2", rv=9)]),
        lambda informer: informer.apply(pod(uid="u2", rv=9)),
        lambda informer: informer.remove_missing(informer.reader.entry(KEY)),
    ],
    ids=["deleted", "not listed", "listed as another", "recreated", "missing"],
)
def test_whatever_takes_it_away_ends_the_wait(informer, expect_gone, starts, goes, uid):
    informer.apply(pod(rv=1))
    waiting = starts(expect_gone)
    informer.apply(pod(rv=2))
    reached(informer, "99")
    assert not waiting.done()
    goes(informer)
    assert waiting.result(PATIENCE) is None


def test_an_object_without_a_uid_is_taken_for_the_one_until_it_is_gone(informer, expect_gone, starts):
    informer.apply(pod(uid=None, rv=1))
    waiting = starts(expect_gone)
    informer.apply(pod(uid=None, rv=2))
    assert not waiting.done()
    informer.remove(pod(uid=None, rv=3))
    waiting.result(PATIENCE)


def test_what_does_not_go_is_given_up(informer, expect_gone, starts, clock):
    informer.apply(pod(rv=1))
    waiting = starts(expect_gone)
    clock.step(10)
    with pytest.raises(TimeoutError, match="waited 10 s"):
        waiting.result(PATIENCE)


# Synced, stale, told.


def test_it_is_synced_only_while_it_is_live(informer):
    progress = informer.progress
    assert (progress.has_synced, progress.synced_once) == (False, False)
    progress.mark_stale("not yet")
    progress.mark_synced()
    assert (progress.has_synced, progress.synced_once) == (True, True)
    progress.mark_stale("the connection broke")
    assert (progress.has_synced, progress.synced_once) == (False, True)
    assert informer.statistics().synced is False
    progress.mark_synced()
    assert progress.has_synced is True
    progress.mark_stale("again")
    informer.renew()
    assert (progress.has_synced, progress.synced_once) == (False, False)
    progress.mark_synced()
    assert progress.has_synced is True


def test_a_wait_for_a_sync_that_has_become_stale_waits_for_the_next(informer, clock, background):
    progress = informer.progress
    progress.mark_served()
    progress.mark_synced()
    progress.mark_stale("the connection broke")
    assert informer.wait_for_sync(0) is False
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_timed_waiters(1)
    progress.mark_synced()
    assert waiting.result(PATIENCE) is True


def test_the_time_does_not_count_while_the_resource_is_not_served(informer, clock, background):
    progress = informer.progress
    progress.mark_served()
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_timed_waiters(1)
    progress.mark_not_served()
    clock.step(1000)
    clock.wait_for_timed_waiters(0)
    clock.wait_for_waiters(1)
    progress.mark_served()
    clock.wait_for_timed_waiters(1)
    clock.step(9.5)
    assert not waiting.done()
    clock.step(0.5)
    assert waiting.result(PATIENCE) is False


def test_who_waits_until_handlers_were_told_is_woken_by_that_alone(informer, clock, background):
    progress = informer.progress
    waiting = [background(progress.wait_until_told) for _ in range(2)]
    clock.wait_for_waiters(2)
    progress.mark_synced()
    progress.mark_stale("x")
    assert not any(each.done() for each in waiting)
    assert progress.handlers_told is False
    progress.mark_told()
    assert [each.result(PATIENCE) for each in waiting] == [True, True]
    assert progress.handlers_told is progress.wait_until_told() is True
    informer.renew()
    assert progress.handlers_told is False


def test_who_waits_until_handlers_were_told_is_sent_home_by_a_stop(informer, clock, background):
    waiting = background(informer.progress.wait_until_told)
    clock.wait_for_waiters(1)
    informer.stop()
    assert waiting.result(PATIENCE) is False
    informer.renew()
    informer.progress.mark_told()
    informer.stop()
    assert informer.progress.wait_until_told() is True


# Positions.


def test_a_position_is_that_of_its_namespace(informer, wait_for):
    reached(informer, "9", "default")
    assert wait_for("9", timeout=0) is None
    with pytest.raises(TimeoutError):
        wait_for("9", key=ObjectKey("other", "web"), timeout=0)
    with pytest.raises(TimeoutError):
        wait_for("9", key=ObjectKey("", "web"), timeout=0)
    informer.progress.forget_position(namespace="default")
    informer.progress.forget_position(namespace="never")
    with pytest.raises(TimeoutError):
        wait_for("9", timeout=0)


def test_a_position_may_go_back_with_the_storage_and_is_forgotten_by_a_new_run(informer, wait_for):
    reached(informer, "9")
    reached(informer, "4")
    with pytest.raises(TimeoutError):
        wait_for("9", timeout=0)
    assert wait_for("4", timeout=0) is None
    informer.renew()
    with pytest.raises(TimeoutError):
        wait_for("4", timeout=0)


# Threads.


@pytest.mark.parametrize("way", ["events", "positions", "deletions", "lists"])
def test_no_wake_up_is_lost_among_threads(hectic, background, way):
    # On the real clock: a lost wake-up is a wait of half a minute.
    informer = Informer("pods", indexer=Indexer())
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rounds, waiters = 1000, 3
    begin = threading.Barrier(waiters + 1, timeout=PATIENCE)

    def wait():
        for number in range(1, rounds + 1):
            begin.wait()
            read = lambda: informer.reader.entry(KEY)  # noqa: E731
            if way == "deletions":
                informer.progress.expect_gone(KEY, uid=f"u{number}", read=read, timeout=PATIENCE)
            else:
                informer.progress.wait_for(KEY, version=str(number), read=read, timeout=PATIENCE)

    threads = [background(wait) for _ in range(waiters)]
    chance = random.Random(seed)
    for number in range(1, rounds + 1):
        if way == "deletions":
            informer.apply(pod(uid=f"u{number}", rv=2 * number))
        begin.wait()
        for _ in range(chance.randrange(200)):
            pass
        if way == "events":
            informer.apply(pod(rv=number))
        elif way == "positions":
            informer.progress.reached(str(number), namespace=chance.choice(["", "default"]))
        elif way == "deletions":
            informer.remove(pod(uid=f"u{number}", rv=2 * number + 1))
        else:
            informer.replace([pod(rv=number)])
    for each in threads:
        each.result(PATIENCE)
    assert informer.progress._awaited == {}
