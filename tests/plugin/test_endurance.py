"""Watches that fail are begun again after a pause, for as long as it takes; what Kopf does to them is left to Kopf."""

import asyncio
import contextlib
import logging
import weakref

import aiohttp
import pytest
from kopf._cogs.clients.errors import APIForbiddenError, APIServerError
from kopf._cogs.clients.watching import Bookmark, WatchingError
from kopf._cogs.structs.references import Resource

from tests.plugin.conftest import Pauses
from workqueue.plugin import endurance
from workqueue.plugin.endurance import GOOD, SHORT, Endurance
from workqueue.plugin.observers import DEFINITIONS, NAMESPACES
from workqueue.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock(start=0.0)


@pytest.fixture
def keeper(clock):
    return Endurance(clock)


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


# What Kopf's own observers see. What becomes of a listing is tested with observers.py.

BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}


def body(name, **more):
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}, **more}


def definition(plural, group="a.dev"):
    versions = [{"name": "v1", "served": True}]
    return body(f"{plural}.{group}", spec={"group": group, "names": {"plural": plural}, "versions": versions})


def listing(*bodies):
    return [*({"type": None, "object": each} for each in bodies), Bookmark.LISTED]


def observe(keeper, attempt, *, resource=NAMESPACES, namespace=None, listing="paged"):
    """What one of Kopf's observers sees of one watch, to its end: type and name."""

    async def run():
        watching = keeper.observe(attempt, resource=resource, namespace=namespace, listing=listing)
        return [event async for event in watching]

    return [
        (each["type"], each["object"]["metadata"].get("name")) if isinstance(each, dict) else each
        for each in asyncio.run(run())
    ]


def test_an_observer_is_told_what_happened_between_two_watches(keeper, pauses, caplog):
    first = Attempts(*listing(body("a"), body("b")), end=OSError("away"))
    assert observe(keeper, first) == [("ADDED", "a"), ("ADDED", "b"), Bookmark.LISTED]
    again = Attempts(*listing(body("b"), body("c")), end=OSError("away"))
    assert observe(keeper, again) == [("ADDED", "c"), ("DELETED", "a"), Bookmark.LISTED]
    assert (first.closed, again.closed, pauses.made) == (1, 1, [1, 2])
    assert said(caplog)[0] == "the watch of namespaces failed, next try in 1 s: away"


def test_a_user_who_watches_what_kopf_observes_sees_what_kopf_gives(keeper, clock):
    """And it says nothing to the observer, whose watch is another."""
    events = [*listing(body("a")), {"type": "ADDED", "object": body("b")}, BOOKMARK]
    for resource in (NAMESPACES, DEFINITIONS):
        assert watch(keeper, Attempts(*events, end=clock), resource=resource) == events
    assert observe(keeper, Attempts(*listing(body("a")), end=clock)) == [("ADDED", "a"), Bookmark.LISTED]
    assert watch(keeper, Attempts(*listing(), end=clock), resource=NAMESPACES) == [Bookmark.LISTED]
    assert observe(keeper, Attempts(*listing(body("a")), end=clock)) == [Bookmark.LISTED]


def test_what_kopf_observes_beside_the_two_is_watched_like_any(keeper, clock):
    """Such as its peers."""
    events = [*listing(body("a")), BOOKMARK]

    async def run():
        watching = keeper.observe(
            Attempts(*events, end=clock), resource="kopfpeerings.kopf.dev", namespace="x", listing="paged"
        )
        return [event async for event in watching]

    assert asyncio.run(run()) == events


def test_each_observer_has_its_own_memory_and_each_operator_too(keeper, clock):
    definitions = [*listing(definition("things")), {"type": "ADDED", "object": definition("others")}]
    assert observe(keeper, Attempts(*listing(body("a")), end=clock)) == [("ADDED", "a"), Bookmark.LISTED]
    assert observe(keeper, Attempts(*definitions, end=clock), resource=DEFINITIONS) == [
        Bookmark.LISTED,
        ("ADDED", "others.a.dev"),
    ]
    assert observe(Endurance(clock), Attempts(*listing(body("a")), end=clock)) == [("ADDED", "a"), Bookmark.LISTED]


def test_a_broken_stream_of_what_exists_is_begun_again(keeper, pauses, caplog):
    attempt = Attempts(*listing(body("a")), BOOKMARK, {"type": "ADDED", "object": body("b")}, end=OSError("too far"))
    assert observe(keeper, attempt, listing="streamed") == [("ADDED", "a"), Bookmark.LISTED]
    assert (attempt.closed, pauses.made) == (1, [1.0])
    assert said(caplog) == [
        "the watch of namespaces failed, next try in 1 s: the list of what exists was interrupted",
    ]


def test_an_event_that_an_observer_would_die_of_is_ignored_with_a_line(keeper, clock, caplog):
    odd = [
        {"type": "ADDED", "object": body("things.a.dev", spec={"names": {}})},
        {"type": "ADDED", "object": {"metadata": {"uid": "u"}}},
        {"type": "ADDED", "object": {}},
    ]
    good = {"type": "ADDED", "object": definition("things")}
    assert observe(keeper, Attempts(*odd, good, end=clock), resource=DEFINITIONS) == [("ADDED", "things.a.dev")]
    assert [line.partition(" was ignored: ")[0] for line in said(caplog)] == [
        f"the watch of {DEFINITIONS}: an event without an object"
    ] * 3


def test_an_observation_that_is_closed_closes_kopfs_own_at_once(keeper):
    async def run():
        attempt = Attempts(*listing(body("a"), body("b")))
        events = keeper.observe(attempt, resource=NAMESPACES, namespace=None, listing="paged")
        await anext(events)
        assert attempt.closed == 0
        await events.aclose()
        assert attempt.closed == 1

    asyncio.run(run())


def test_what_is_left_out_is_not_observed_either(keeper):
    keeper.leave_out(DEFINITIONS)

    async def run():
        attempt = Attempts(*listing(definition("things")))
        events = keeper.observe(attempt, resource=DEFINITIONS, namespace=None, listing="paged")
        task = asyncio.create_task(anext(events))
        await turns()
        assert not task.done()
        assert await cancelled(task)
        assert attempt.begun == []

    asyncio.run(run())


# Kopf's looks at the resources.


def resources(*plurals, group="a.dev"):
    return [Resource(group=group, version="v1", plural=plural) for plural in plurals]


def discover(keeper, *answers, groups=("a.dev",)):
    """One look, which fails with each answer that is an exception."""
    left = list(answers)

    async def attempt():
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = asyncio.run(keeper.discover(attempt, groups=groups))
    assert left == []
    return found


def test_a_look_is_made_until_it_works(keeper, pauses, caplog):
    found = resources("things")
    assert discover(keeper, OSError("away"), OSError("away"), found) is found
    assert pauses.made == [1, 2]
    assert said(caplog)[0] == "discovery failed, next try in 1 s: away"


def test_an_observer_of_definitions_is_told_what_kopfs_looks_did_not_find(keeper, clock):
    discover(keeper, [*resources("things"), *resources("pods", group="")], groups=None)
    both = Attempts(*listing(definition("things"), definition("others")), end=clock)
    assert observe(keeper, both, resource=DEFINITIONS) == [("ADDED", "others.a.dev"), Bookmark.LISTED]
    discover(keeper, resources("others", "things"))
    assert observe(keeper, both, resource=DEFINITIONS) == [Bookmark.LISTED]


def test_definitions_of_groups_that_were_not_asked_for_are_of_no_interest(keeper, clock):
    discover(keeper, resources("things"), groups={"", "a.dev"})
    both = Attempts(*listing(definition("things"), definition("things", "b.dev")), end=clock)
    assert observe(keeper, both, resource=DEFINITIONS) == [Bookmark.LISTED]


class Looks:
    """Looks of which a test says when they end."""

    def __init__(self):
        self.begun = []

    async def __call__(self):
        self.begun.append(asyncio.get_running_loop().create_future())
        return await self.begun[-1]


def test_looks_at_the_same_groups_are_made_in_turn_and_end_in_the_order_in_which_they_began(keeper):
    async def run():
        looks, others = Looks(), Looks()
        ended = []

        async def look(name, attempt=looks, groups=("a.dev",)):
            ended.append((name, await keeper.discover(attempt, groups=groups)))

        all_looks = (look("first"), look("second"), look("other", others, ("b.dev",)))
        tasks = [asyncio.create_task(each) for each in all_looks]
        await turns()
        assert (len(looks.begun), len(others.begun)) == (1, 1), "another group does not wait"
        others.begun[0].set_result(["c"])
        looks.begun[0].set_result(["a"])
        await turns()
        assert len(looks.begun) == 2
        looks.begun[1].set_result(["b"])
        await asyncio.gather(*tasks)
        assert sorted(ended) == [("first", ["a"]), ("other", ["c"]), ("second", ["b"])]
        assert [name for name, _ in ended if name != "other"] == ["first", "second"]

    keeper._observed[DEFINITIONS].scanned = lambda resources, *, groups: None  # what is found is of no interest here
    keeper._observed[DEFINITIONS].behind = lambda resources, *, groups: frozenset()
    asyncio.run(run())


def test_a_look_during_which_a_listing_ended_is_made_again(keeper):
    """Else what it found might be older than what the listing says, and Kopf would never know."""

    async def run():
        looks = Looks()
        look = asyncio.create_task(keeper.discover(looks, groups=["a.dev"]))
        await turns()
        attempt = Attempts(*listing(), end=asyncio.Event())
        events = keeper.observe(attempt, resource=DEFINITIONS, namespace=None, listing="paged")
        assert await anext(events) is Bookmark.LISTED
        looks.begun[0].set_result(resources("gone"))
        await turns()
        assert len(looks.begun) == 2
        looks.begun[1].set_result([])
        assert await look == []
        await events.aclose()

    asyncio.run(run())


def test_a_look_that_is_cancelled_lets_the_next_one_be_made(keeper):
    async def run():
        looks = Looks()
        first, second = (asyncio.create_task(keeper.discover(looks, groups=None)) for _ in range(2))
        await turns()
        assert await cancelled(first)
        await turns()
        looks.begun[1].set_result([])
        assert await second == []

    asyncio.run(run())


def test_a_look_that_comes_before_a_definition_is_served_is_made_again(keeper, clock, pauses):
    discover(keeper, [], groups=None)
    observe(keeper, Attempts(*listing(definition("things")), end=clock), resource=DEFINITIONS)
    found = resources("things")
    assert discover(keeper, [], [], found) is found
    assert pauses.made == [0.1, 0.2]
    assert discover(keeper, found) is found


def test_a_look_that_comes_before_a_definition_is_served_no_more_is_made_again(keeper, clock, pauses):
    discover(keeper, resources("things"), groups=None)
    gone = {"type": "DELETED", "object": definition("things")}
    observe(keeper, Attempts(*listing(definition("things")), gone, end=clock), resource=DEFINITIONS)
    assert discover(keeper, resources("things"), []) == []
    assert pauses.made == [0.1]


def test_what_is_never_served_is_waited_for_once(keeper, clock, pauses):
    discover(keeper, [], groups=None)
    observe(keeper, Attempts(*listing(definition("things")), end=clock), resource=DEFINITIONS)
    assert discover(keeper, *[[]] * 11) == []
    assert sum(pauses.made) == pytest.approx(102.3)
    assert discover(keeper, []) == []
    found = resources("others")
    observe(keeper, Attempts(*listing(definition("things"), definition("others")), end=clock), resource=DEFINITIONS)
    assert discover(keeper, [], found) == found, "something else is behind now: it is waited for anew"
    assert discover(keeper, found) == found


@pytest.mark.parametrize(("established", "pauses_made"), [("True", [0.1]), ("False", []), ("Unknown", [])])
def test_a_definition_whose_names_are_not_accepted_is_not_waited_for(keeper, clock, pauses, established, pauses_made):
    conditions = [{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": established}]
    body = {**definition("things"), "status": {"conditions": conditions}}
    discover(keeper, [], groups=None)
    observe(keeper, Attempts(*listing(body), end=clock), resource=DEFINITIONS)
    discover(keeper, *[[]] * len(pauses_made), resources("things") if pauses_made else [])
    assert pauses.made == pauses_made


def test_groups_of_which_nothing_was_ever_defined_are_not_waited_for(keeper, clock, pauses):
    discover(keeper, [], groups=None)
    observe(keeper, Attempts(*listing(definition("things")), end=clock), resource=DEFINITIONS)
    aggregated = resources("nodes", group="metrics.k8s.io")
    assert discover(keeper, aggregated, groups=["metrics.k8s.io"]) is aggregated
    assert pauses.made == []
