"""Watches that fail are begun again after a pause, for as long as it takes; what Kopf does to them is left to Kopf."""

import asyncio
import contextlib
import logging
import weakref

import aiohttp
import pytest
from kopf._cogs.clients.errors import APIForbiddenError, APIServerError
from kopf._cogs.clients.watching import WatchingError

from workqueue.plugin import endurance
from workqueue.plugin.endurance import GOOD, SHORT, Endurance
from workqueue.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock(start=0.0)


@pytest.fixture
def keeper(clock):
    return Endurance(clock)


class Pauses:
    """Stands in for asyncio where the code under test sleeps: pauses are written down and move the clock."""

    def __init__(self, clock):
        self.made = []
        #: What each pause waits for, beyond its time.
        self.until = None
        self._clock = clock

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        self.made.append(seconds)
        if self.until is not None:
            await self.until.wait()
        self._clock.step(seconds)


@pytest.fixture
def pauses(monkeypatch, clock):
    made = Pauses(clock)
    monkeypatch.setattr(endurance, "asyncio", made)
    return made


class Attempts:
    """Begins a watch as Kopf does: each gives these events and then ends as it is told."""

    def __init__(self, *events, end=None):
        self.events = events
        #: An exception to end with; an Event to wait for; None ends normally.
        self.end = end
        #: The watches begun. They are held here, so that nothing but a call closes them.
        self.begun = []
        self.closed = 0

    def __call__(self):
        self.begun.append(self._watch())
        return self.begun[-1]

    async def _watch(self):
        try:
            for event in self.events:
                yield event
            if isinstance(self.end, FakeClock):
                self.end.step(SHORT)
            elif isinstance(self.end, asyncio.Event):
                await self.end.wait()
            elif self.end is not None:
                raise self.end
        finally:
            self.closed += 1


def watch(keeper, attempt, *, resource="pods", namespace=None):
    """All events of one watch, to its end."""

    async def run():
        return [event async for event in keeper.watch(attempt, resource=resource, namespace=namespace)]

    return asyncio.run(run())


def fail(keeper, **where):
    assert watch(keeper, Attempts(end=OSError("away")), **where) == []


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# What the watch gives.


def test_events_pass_through_and_an_end_is_an_end(keeper, clock, pauses, caplog):
    attempt = Attempts("a", "b", "c", end=clock)
    assert watch(keeper, attempt) == ["a", "b", "c"]
    assert (len(attempt.begun), attempt.closed) == (1, 1)
    assert pauses.made == []
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("connection refused"), "connection refused"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
        (TimeoutError("too late"), "too late"),
        (ValueError("Expecting value: line 1 column 1 (char 0)"), "Expecting value: line 1 column 1 (char 0)"),
        (KeyError("object"), "object"),
        (aiohttp.ClientPayloadError("broken"), "broken"),
        (WatchingError("Error in the watch-stream: {'code': 500}"), "Error in the watch-stream: {'code': 500}"),
        (APIServerError({"message": "etcd is away", "code": 500}, status=500, headers={}), "etcd is away"),
        (APIForbiddenError(None, status=403, headers={}), "APIForbiddenError"),
        (ExceptionGroup("several", [ValueError(1)]), "several"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_an_error_ends_the_watch_normally_after_the_events_before_it_and_a_pause(keeper, pauses, caplog, error, told):
    attempt = Attempts("a", "b", end=error)
    assert watch(keeper, attempt) == ["a", "b"]
    assert (len(attempt.begun), attempt.closed) == (1, 1)
    assert pauses.made == [1.0]
    assert said(caplog) == [f"the watch of pods failed, next try in 1 s: {told}"]


def test_an_attempt_that_cannot_even_begin_is_an_error_like_any_other(keeper, pauses, caplog):
    def attempt():
        raise OSError("no more files")

    assert watch(keeper, attempt) == []
    assert pauses.made == [1.0]
    assert said(caplog) == ["the watch of pods failed, next try in 1 s: no more files"]


@pytest.mark.parametrize(
    ("error", "told"), [(OSError("a\n\tb\r\nc"), "a b c"), (OSError(), "OSError"), (OSError(" \n"), "OSError")]
)
def test_an_error_is_told_in_one_line_whatever_its_text(keeper, pauses, caplog, error, told):
    watch(keeper, Attempts(end=error), namespace="default")
    assert said(caplog) == [f"the watch of pods in default failed, next try in 1 s: {told}"]


# The pauses.


def test_pauses_are_doubled_to_the_longest(keeper, pauses):
    for _ in range(8):
        fail(keeper)
    assert pauses.made == [1, 2, 4, 8, 16, 30, 30, 30]


def test_each_watch_has_pauses_of_its_own(keeper, pauses):
    watches = [
        {"resource": "pods"},
        {"resource": "pods", "namespace": "a"},
        {"resource": "pods", "namespace": "b"},
        {"resource": "nodes"},
    ]
    for expected in (1, 2, 4):
        for where in watches:
            fail(keeper, **where)
        assert pauses.made == [expected] * len(watches)
        pauses.made.clear()


def test_operators_have_pauses_of_their_own(keeper, pauses, clock):
    fail(keeper)
    fail(keeper)
    fail(Endurance(clock))
    assert pauses.made == [1, 2, 1]


@pytest.mark.parametrize(("held", "expected"), [(GOOD + 0.5, [1, 2, 4, 1, 2]), (GOOD, [1, 2, 4, 8, 16])])
def test_pauses_begin_anew_after_a_watch_that_held_for_a_good_while(keeper, pauses, clock, held, expected):
    for _ in range(3):
        fail(keeper)
    clock.step(held)
    fail(keeper)
    fail(keeper)
    assert pauses.made == expected


def test_the_pause_itself_is_no_good_while(keeper, pauses, clock):
    """A watch that holds half a minute between pauses of half a minute has not recovered."""
    for _ in range(6):
        fail(keeper)
    for _ in range(3):
        clock.step(GOOD)
        fail(keeper)
    assert pauses.made[5:] == [30, 30, 30, 30]


def test_a_watch_that_ends_at_once_is_paced_like_one_that_fails(keeper, pauses, caplog):
    """Such as 410 after 410, each with a whole list."""
    for _ in range(3):
        watch(keeper, Attempts("a"))
    assert pauses.made == [1, 2, 4]
    assert said(caplog)[0] == "the watch of pods failed, next try in 1 s: it ended at once"


def test_a_request_that_brings_nothing_and_ends_at_once_is_paced(keeper, clock, pauses):
    """Kopf makes thousands of them in a second."""

    def pace(*events, end=None):
        async def run():
            return [event async for event in keeper.pace(Attempts(*events, end=end), resource="pods", namespace=None)]

        return asyncio.run(run())

    assert [pace(), pace(), pace("a"), pace("a", end=clock), pace(end=clock)] == [[], [], ["a"], ["a"], []]
    assert pauses.made == [1, 2]
    with pytest.raises(OSError, match="away"):
        pace(end=OSError("away"))


def test_nothing_of_a_watch_that_failed_is_alive_during_the_pause(keeper, pauses, monkeypatch):
    """Its frames hold a timer of Kopf's that would cancel the task: the watch would be gone, and nobody would know."""

    class Frame:
        pass

    frames = []

    async def attempt():
        held = Frame()
        frames.append(weakref.ref(held))
        yield "a"
        raise OSError("away")

    alive = []
    sleep = pauses.sleep

    async def look(seconds):
        alive.append(frames[-1]())
        await sleep(seconds)

    monkeypatch.setattr(pauses, "sleep", look, raising=False)
    assert watch(keeper, attempt) == ["a"]

    async def persist():
        async def fail_once():
            held = Frame()
            frames.append(weakref.ref(held))
            if len(frames) < 3:
                raise OSError("away")
            return "well"

        return await keeper.persist(fail_once, what="discovery")

    assert asyncio.run(persist()) == "well"
    assert alive == [None, None]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "MODIFIED", "object": {"kind": "Pod"}},
        {"type": None, "object": {"spec": {}}},
        {"type": "ADDED", "object": None},
        {"type": "ADDED"},
        {"type": "ADDED", "object": {"metadata": {"name": "a", "uid": ["x"]}}},
    ],
)
def test_an_event_that_kopf_would_die_of_is_ignored_with_a_line(keeper, clock, odd, caplog):
    good = {"type": "ADDED", "object": {"metadata": {"name": "b"}}}
    error = {"type": "ERROR", "object": {"code": 410}}
    assert watch(keeper, Attempts(odd, good, error, end=clock)) == [good, error]
    assert said(caplog)[0].startswith("the watch of pods: an event without an object was ignored: {'type': ")


def test_a_watch_that_lasts_is_not_a_failure(keeper, clock, pauses):
    fail(keeper)
    watch(keeper, Attempts("a", end=clock))
    fail(keeper)
    assert pauses.made == [1, 2]


# What Kopf does.


async def turns(count=20):
    """Let the loop do what it can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return True


def test_a_cancellation_in_the_middle_of_a_watch_is_no_error_of_the_watch(keeper, pauses, caplog):
    async def run():
        attempt = Attempts("a", end=asyncio.Event())
        seen = []

        async def consume():
            async for event in keeper.watch(attempt, resource="pods", namespace=None):
                seen.append(event)

        task = asyncio.create_task(consume())
        await turns()
        assert seen == ["a"]
        assert not task.done()
        assert await cancelled(task)
        assert attempt.closed == 1

    asyncio.run(run())
    assert pauses.made == []
    assert said(caplog) == []


def test_a_cancellation_during_a_pause_ends_it_at_once(keeper, pauses):
    async def run():
        pauses.until = asyncio.Event()
        task = asyncio.create_task(anext(keeper.watch(Attempts(end=OSError()), resource="pods", namespace=None)))
        await turns()
        assert pauses.made == [1.0]
        assert not task.done()
        assert await cancelled(task)

    asyncio.run(run())


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_of_the_server_is_not_swallowed(keeper, pauses, kind):
    """Driven by hand: what such a thing does to a loop is not the question."""
    events = keeper.watch(Attempts(end=kind()), resource="pods", namespace=None)
    with pytest.raises(kind):
        events.asend(None).send(None)
    assert pauses.made == []


def test_a_watch_that_is_closed_closes_kopfs_own_at_once(keeper, pauses, caplog):
    async def run():
        attempt = Attempts("a", "b")
        events = keeper.watch(attempt, resource="pods", namespace=None)
        assert await anext(events) == "a"
        assert attempt.closed == 0
        await events.aclose()
        assert attempt.closed == 1
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    asyncio.run(run())
    assert pauses.made == []
    assert said(caplog) == []


def test_a_failed_watch_is_closed_before_the_pause(keeper, pauses):
    """Else its connection would be held for as long."""

    async def run():
        pauses.until = asyncio.Event()
        attempt = Attempts("a", end=OSError())
        events = keeper.watch(attempt, resource="pods", namespace=None)
        assert await anext(events) == "a"
        task = asyncio.create_task(anext(events))
        await turns()
        assert (pauses.made, attempt.closed) == ([1.0], 1)
        assert await cancelled(task)

    asyncio.run(run())


# Left out.


@pytest.mark.parametrize("namespace", [None, "default"])
def test_what_is_left_out_never_begins_and_never_ends_until_kopf_cancels_it(keeper, pauses, caplog, namespace):
    keeper.leave_out("customresourcedefinitions.apiextensions.k8s.io")

    async def run():
        attempt = Attempts("a")
        watching = keeper.watch(attempt, resource="customresourcedefinitions.apiextensions.k8s.io", namespace=namespace)
        async with contextlib.aclosing(watching) as events:
            task = asyncio.create_task(anext(events))
            await turns()
            assert not task.done()
            assert await cancelled(task)
        assert attempt.begun == []

    asyncio.run(run())
    assert pauses.made == []
    assert said(caplog) == []


def test_what_is_not_left_out_goes_on_as_before(keeper, pauses, clock):
    keeper.leave_out("customresourcedefinitions.apiextensions.k8s.io")
    keeper.leave_out("namespaces")
    assert watch(keeper, Attempts("a")) == ["a"]
    fail(keeper)
    assert watch(Endurance(clock), Attempts("a"), resource="namespaces") == ["a"]
