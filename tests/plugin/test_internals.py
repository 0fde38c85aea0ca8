"""Guards around Kopf's watches, each for one operator only; and hearing of its stop."""

import asyncio
import contextlib
import sys

import kopf
import pytest
from kopf._cogs import clients
from kopf._cogs.clients import scanning, watching

from tests.plugin.conftest import PATIENCE
from workqueue.plugin import hooks
from workqueue.plugin.internals import hook_in, on_stop, stop_operator

PODS = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)


class KopfsWatch:
    """In the place of Kopf's own: gives two events, remembers what it was called with and what was closed."""

    def __init__(self):
        self.calls = []
        #: Held here, so that nothing but a call closes them.
        self.begun = []
        self.closed = 0

    def __call__(self, **kwargs):
        self.calls.append(kwargs)
        self.begun.append(self._watch(kwargs["namespace"]))
        return self.begun[-1]

    async def _watch(self, namespace):
        try:
            yield f"{namespace}-1"
            yield f"{namespace}-2"
        finally:
            self.closed += 1


@pytest.fixture
def kopfs(monkeypatch):
    """Kopf's own watch; whatever guards it is gone after the test."""
    made = KopfsWatch()
    monkeypatch.setattr(watching, "continuous_watch", made)
    return made


class Guard:
    """Passes on what it is given, marked with its name."""

    def __init__(self, name):
        self.name = name
        self.calls = []
        self.closed = 0

    async def watch(self, begin, *, resource, namespace):
        self.calls.append((resource, namespace))
        try:
            async with contextlib.aclosing(begin()) as events:
                async for event in events:
                    yield f"{self.name}: {event}"
        finally:
            self.closed += 1

    async def observe(self, begin, *, resource, namespace, listing):
        async with contextlib.aclosing(begin()) as events:
            async for event in events:
                yield f"{self.name} observes: {event}"


def watch(settings, namespace=None):
    """What Kopf gets when it watches: called as Kopf calls it."""
    return watching.continuous_watch(
        settings=settings,
        resource=PODS,
        namespace=namespace,
        operator_pause_waiter=asyncio.create_task(asyncio.Event().wait()),  # it ends with the loop
    )


def events_of(settings, namespace=None):
    async def run():
        return [event async for event in watch(settings, namespace)]

    return asyncio.run(run())


# Guards.


def test_a_guard_is_told_what_is_watched_and_yields_what_kopf_sees(kopfs):
    settings, guard = kopf.OperatorSettings(), Guard("mine")
    assert hook_in(settings, guard) is True
    assert events_of(settings, "default") == ["mine: default-1", "mine: default-2"]
    assert events_of(settings) == ["mine: None-1", "mine: None-2"]
    assert guard.calls == [("pods", "default"), ("pods", None)]
    assert [sorted(call) for call in kopfs.calls] == [
        ["namespace", "operator_pause_waiter", "resource", "settings"]
    ] * 2, "Kopf's own gets what Kopf gave"
    assert kopfs.calls[0]["settings"] is settings


def test_kopf_itself_watches_through_the_guard(kopfs):
    settings, guard = kopf.OperatorSettings(), Guard("mine")
    settings.watching.reconnect_backoff = 0
    hook_in(settings, guard)

    async def run():
        stream = watching.infinite_watch(settings=settings, resource=PODS, namespace="default", _iterations=1)
        return [event async for event in stream]

    assert asyncio.run(run()) == ["mine observes: default-1", "mine observes: default-2"], "it is never paused"


def test_a_guard_that_begins_nothing_watches_nothing(kopfs):
    class Other:
        async def watch(self, begin, *, resource, namespace):
            yield "other"

    settings = kopf.OperatorSettings()
    hook_in(settings, Other())
    assert events_of(settings) == ["other"]
    assert kopfs.calls == []


def test_operators_in_one_process_do_not_get_each_others_guards(kopfs):
    first, second, bare = (kopf.OperatorSettings() for _ in range(3))
    guards = Guard("first"), Guard("second")
    hook_in(first, guards[0])
    hook_in(second, guards[1])
    assert events_of(bare, "a") == ["a-1", "a-2"]
    assert events_of(first, "b") == ["first: b-1", "first: b-2"]
    assert events_of(second, "c") == ["second: c-1", "second: c-2"]
    assert [guard.calls for guard in guards] == [[("pods", "b")], [("pods", "c")]]


def test_a_second_guard_of_one_operator_takes_the_place_of_the_first(kopfs):
    settings = kopf.OperatorSettings()
    first, second = Guard("first"), Guard("second")
    hook_in(settings, first)
    installed = watching.continuous_watch
    hook_in(settings, second)
    assert watching.continuous_watch is installed, "restarts do not pile up"
    assert events_of(settings, "a") == ["second: a-1", "second: a-2"]
    assert first.calls == []
    assert len(kopfs.calls) == 1


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "another's"])
def test_closing_a_watch_closes_the_guard_and_kopfs_own_at_once(kopfs, guarded):
    settings, guard = kopf.OperatorSettings(), Guard("mine")
    hook_in(settings if guarded else kopf.OperatorSettings(), guard)

    async def run():
        events = watch(settings, "a")
        await anext(events)
        assert kopfs.closed == 0
        await events.aclose()
        assert (kopfs.closed, guard.closed) == (1, int(guarded))

    asyncio.run(run())


def test_a_cancelled_watch_closes_the_guard_and_kopfs_own(kopfs, monkeypatch):
    settings, guard = kopf.OperatorSettings(), Guard("mine")

    async def run():
        stuck = asyncio.Event()

        async def wait(**kwargs):
            try:
                yield "a"
                await stuck.wait()
            finally:
                kopfs.closed += 1

        monkeypatch.setattr(watching, "continuous_watch", wait)
        hook_in(settings, guard)
        seen = asyncio.Queue()

        async def consume():
            async for event in watch(settings):
                seen.put_nowait(event)

        task = asyncio.create_task(consume())
        async with asyncio.timeout(PATIENCE):
            assert await seen.get() == "mine: a"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (kopfs.closed, guard.closed) == (1, 1)

    asyncio.run(run())


def test_what_a_guard_raises_reaches_kopf(kopfs):
    class Raising:
        async def watch(self, begin, *, resource, namespace):
            async for event in begin():
                yield event
                raise OSError("away")

    settings = kopf.OperatorSettings()
    hook_in(settings, Raising())
    with pytest.raises(OSError, match="away"):
        events_of(settings)


def test_of_a_kopf_without_such_a_watch_that_is_said_and_the_rest_is_guarded(monkeypatch):
    async def scan(**kwargs):
        return "Kopf's"

    class Discovering(Guard):
        async def discover(self, attempt, *, groups):
            return f"{self.name}: {await attempt()}"

    monkeypatch.setattr(scanning, "scan_resources", scan)
    monkeypatch.delattr(watching, "continuous_watch")
    settings = kopf.OperatorSettings()
    assert hook_in(settings, Discovering("mine")) is False
    assert not hasattr(watching, "continuous_watch")
    assert asyncio.run(scanning.scan_resources(settings=settings, logger=None)) == "mine: Kopf's"
    monkeypatch.setitem(sys.modules, "kopf._cogs.clients.watching", None)
    monkeypatch.delattr(clients, "watching")
    assert hook_in(settings, Discovering("mine")) is False


@pytest.mark.parametrize("missing", ["settings", "resource", "namespace", "operator_pause_waiter"])
def test_a_kopf_that_names_its_parameters_otherwise_gets_its_own_watch(kopfs, missing):
    async def own(**_):
        yield "Kopf's"

    given = {"settings": kopf.OperatorSettings(), "resource": PODS, "namespace": None, "operator_pause_waiter": None}
    hook_in(given["settings"], Guard("mine"))
    given[f"the_{missing}"] = given.pop(missing)

    async def run():
        return [event async for event in hooks.guarded_watch(own)(**given)]

    [event] = asyncio.run(run())
    assert event.endswith("Kopf's")


# The stop.


def stop_flag_checker(flag):
    """Kopf's own task, by its name."""
    return asyncio.create_task(flag.wait(), name="stop-flag checker")


def test_a_stop_is_told_once_as_soon_as_it_begins():
    async def run():
        told, flag = [], asyncio.Event()
        task = stop_flag_checker(flag)
        assert on_stop(asyncio.get_running_loop(), lambda: told.append(task.done())) is True
        for _ in range(10):
            await asyncio.sleep(0)
        assert told == [], "not before"
        flag.set()
        await task
        for _ in range(10):
            await asyncio.sleep(0)
        assert told == [True]

    asyncio.run(run())


def test_a_stop_that_we_cause_is_told_once_as_well():
    async def run():
        told = []
        loop = asyncio.get_running_loop()
        task = stop_flag_checker(asyncio.Event())
        assert on_stop(loop, lambda: told.append("stop"))
        await asyncio.sleep(0)
        assert stop_operator(loop)
        await asyncio.wait([task], timeout=PATIENCE)
        for _ in range(10):
            await asyncio.sleep(0)
        assert told == ["stop"]
        assert stop_operator(loop) is False, "it has stopped"

    asyncio.run(run())


def test_where_nothing_would_tell_of_a_stop_that_is_said():
    async def run():
        told = []
        assert on_stop(asyncio.get_running_loop(), lambda: told.append("stop")) is False
        assert stop_operator(asyncio.get_running_loop()) is False
        assert told == []

    asyncio.run(run())
