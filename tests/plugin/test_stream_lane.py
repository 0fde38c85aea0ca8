"""A stream lane's parts as they come and go: what is counted, what is trusted, what is left."""

import asyncio
from types import SimpleNamespace

import kopf
import pytest

from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer
from workqueue.informer import Informer, ReflectorStatistics
from workqueue.plugin.lack import Lack
from workqueue.plugin.login import Login
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.plugin.stream_lane import StreamLane, Streams


class Part:
    """Stands in the place of a reflector."""

    def __init__(self, namespace="", *, problem="", told=True, **counts):
        self.problem, self.told = problem, told
        self.wanted = []
        counted = {"lists": 0, "watches": 0, "interruptions": 0, "ignored": 0, **counts}
        self._statistics = ReflectorStatistics(namespace, live=not problem, problem=problem, heard_at=None, **counted)

    @property
    def is_live(self):
        return not self.problem

    def statistics(self):
        return self._statistics

    def want_list(self, why):
        self.wanted.append(why)


@pytest.fixture
def lane():
    informer = Informer("pods", indexer=Indexer())
    return StreamLane(ResourceSpec.parse("pods"), informer=informer, login=Login())


def begin(lane, namespace, part):
    async def run():
        lane.begin(namespace, part, selectors={})

    asyncio.run(run())


def pod(name, namespace):
    return {"metadata": {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1"}}


def test_it_is_synced_when_every_namespace_is_and_told_when_every_one_was(lane):
    progress = lane.informer.progress
    lane.expect({"a", "b"})
    begin(lane, "a", Part("a"))
    assert not progress.has_synced
    assert "Kopf has not begun to watch it" in lane.problem
    late = Part("b", problem="not listed yet", told=False)
    begin(lane, "b", late)
    assert not progress.has_synced
    assert lane.problem == "pods: not listed yet"
    late.problem = ""
    lane.update()
    assert (progress.has_synced, progress.handlers_told) == (True, False)
    late.told = True
    lane.update()
    assert progress.handlers_told
    late.problem = "away"
    lane.update()
    assert not progress.has_synced


def test_counts_never_go_back(lane):
    lane.expect({"a", "b"})
    begin(lane, "a", Part("a", lists=1, watches=5, interruptions=2, ignored=3))
    begin(lane, "b", Part("b", lists=1, watches=1))
    lane.expect({"b"})
    found = lane.statistics()
    assert (found.lists, found.watches, found.interruptions, found.ignored) == (2, 6, 2, 3)
    begin(lane, "b", Part("b", lists=1))
    found = lane.statistics()
    assert (found.lists, found.watches) == (3, 6)


def test_another_version_of_the_resource_is_listed_as_if_nothing_was_known(lane):
    lane.expect({None})
    first, second = Part(), Part()
    begin(lane, None, first)
    begin(lane, None, first)
    begin(lane, None, second)
    assert first.wanted == []
    assert second.wanted == ["another version is served"]


def test_what_is_of_a_namespace_that_is_served_no_more_goes_as_tombstones(lane):
    told = []
    lane.informer.add_handler(
        lambda key, final_state_known, **_: told.append((str(key), final_state_known)), kind="delete"
    )
    lane.expect({"a", "b"})
    begin(lane, "a", Part("a"))
    begin(lane, "b", Part("b"))
    lane.informer.replace([pod("x", "a"), pod("y", "b")])
    lane.expect({"b"})
    assert told == [("a/x", False)]
    assert [str(key) for key in lane.informer.reader.list_keys()] == ["b/y"]
    lane.expect((), why="pods is not served by the cluster")
    assert told == [("a/x", False), ("b/y", False)]
    assert lane.problem == "pods is not served by the cluster"


def test_what_is_not_served_is_said_with_what_may_have_been_meant_and_who_waits(caplog):
    def resource(plural):
        return kopf.Resource("", "v1", plural, kind="X", namespaced=True, preferred=True)

    lack = Lack(waiting=lambda: ["b", "a"])
    informer = Informer("podz", indexer=Indexer())
    lane = StreamLane(ResourceSpec.parse("podz"), informer=informer, login=Login(), lack=lack)
    streams = Streams(
        [lane],
        settings=kopf.OperatorSettings(),
        scope=Scope(("team-*",)),
        registry=kopf.OperatorRegistry(),
        ambiguous=pytest.fail,
        clock=informer.clock,
    )
    streams.found([resource("pods"), resource("nodes")], groups=None)
    for _ in range(3):
        streams.served([], {None})
    line = (
        "podz is not served by the cluster; waiting for it (is the name right, is its definition there? did you mean "
        "pods?), and so are controllers a, b"
    )
    assert caplog.messages == [line]
    streams.found([resource("podz")], groups=None)
    streams.served([resource("podz")], set())
    streams.served([resource("podz")], set())
    patterns = (
        "podz: no namespace fits -n 'team-*'; waiting for one (are the patterns right?), and so are controllers a, b"
    )
    assert caplog.messages == [line, patterns]
    streams.served([resource("podz")], {"team-a"})
    assert lack.problem == ""


def test_mending_asks_those_for_a_list_that_are_concerned(lane):
    asked = []
    lane.expect({"a", "b"})
    parts = {name: Part(name) for name in ("a", "b")}
    for name, part in parts.items():
        begin(lane, name, part)
    lane._loop = SimpleNamespace(call_soon_threadsafe=lambda function, why: asked.append((function.__self__, why)))
    lane.mend({ObjectKey("a", "x"): "missing"})
    assert asked == [(parts["a"], "the consistency check found differences")]
    lane.stop()
    lane.mend({ObjectKey("a", "x"): "missing"})
    assert len(asked) == 1, "nobody is left to ask"
