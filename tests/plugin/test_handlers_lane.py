"""Kopf's events into an informer: what each kind does, and that nothing gets out of hand."""

import asyncio
from typing import Any

import kopf
import pytest

from workqueue import Manager
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer
from workqueue.informer import Informer
from workqueue.plugin.handlers_lane import HandlersLane
from workqueue.plugin.login import Login
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope


class Lane:
    """A lane and the functions it registered with Kopf, called as Kopf calls them."""

    def __init__(self) -> None:
        self.registry = kopf.OperatorRegistry()
        self.informer = Informer("pods", indexer=Indexer())
        self.lane = HandlersLane(
            ResourceSpec.parse("pods"),
            name="pods",
            informer=self.informer,
            registry=self.registry,
            login=Login(),
            ambiguous=pytest.fail,
        )
        self.told: list[tuple[str, str, bool]] = []
        for kind in ("add", "update", "delete"):
            self.lane.add_handler(self.listener(kind), kind=kind)

    def listener(self, kind: str) -> Any:
        def listen(key: ObjectKey, initial: bool, **_: Any) -> None:
            self.told.append((kind, str(key), initial))

        listen.__name__ = f"pod_{kind}"
        return listen

    def event(self, kind: str | None, body: Any) -> None:
        async def call() -> None:
            for handler in self.registry._watching.get_all_handlers():
                assert await handler.fn(event={"type": kind, "object": body}, body=body) is None

        asyncio.run(call())


@pytest.fixture
def lane() -> Lane:
    return Lane()


def pod(name: str, version: int, uid: str = "u1") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": str(version)}}


def test_every_handler_is_kopfs_and_returns_nothing_to_patch_with(lane):
    ids = [handler.id for handler in lane.registry._watching.get_all_handlers()]
    assert ids == [
        "workqueue/pods/intake",
        "workqueue/pods/pod_add",
        "workqueue/pods/pod_update",
        "workqueue/pods/pod_delete",
    ]
    lane.event("ADDED", pod("a", 1))


def test_kinds_of_events_become_kinds_of_calls(lane):
    lane.event(None, pod("a", 1))
    lane.informer.progress.mark_synced()
    lane.event("MODIFIED", pod("a", 2))
    lane.event("DELETED", pod("a", 3))
    lane.event("ADDED", pod("b", 4))
    assert lane.told == [
        ("add", "ns/a", True),
        ("update", "ns/a", False),
        ("delete", "ns/a", False),
        ("add", "ns/b", False),
    ]


def test_a_listing_after_the_sync_is_not_initial_and_repeats_nothing(lane):
    lane.event(None, pod("a", 1))
    lane.informer.progress.mark_synced()
    lane.told.clear()
    lane.event(None, pod("a", 1))
    lane.event(None, pod("b", 2))
    assert lane.told == [("add", "ns/b", False)]


def test_a_deletion_of_a_former_pod_after_its_successor_came_removes_nothing(lane):
    lane.event("ADDED", pod("a", 1, "u1"))
    lane.event("ADDED", pod("a", 3, "u2"))
    lane.event("DELETED", pod("a", 2, "u1"))
    assert lane.informer.reader.entry("ns/a").uid == "u2"
    assert [kind for kind, _, _ in lane.told] == ["add", "delete", "add"]


def test_an_object_without_a_usable_key_is_dropped_with_a_report(lane, caplog):
    for body in ({}, {"metadata": {}}, {"metadata": {"namespace": "ns"}}, None, {"metadata": None}):
        lane.event("ADDED", body)
    assert lane.told == []
    assert len(lane.informer.reader) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "pods: an event was ignored: object has no meta: no metadata.name to make a key of"
    ] * 5


def test_what_comes_after_the_handlers_is_seen_whether_it_could_be_stored_or_not(lane):
    class Watch:
        """Notes what is seen, and how many calls the handlers have had by then."""

        def __init__(self) -> None:
            self.keys: list[tuple[str, str, int]] = []

        def start(self, scope: Scope, *, selectors: Any) -> None:
            pass

        def seen(self, key: ObjectKey, *, by: str) -> None:
            self.keys.append((str(key), by, len(lane.told)))

    lane.lane._watch = watch = Watch()
    lane.lane.start(Scope())
    lane.event(None, pod("a", 1))
    lane.event("ADDED", pod("b", 2) | {"spec": {1, 2}})
    lane.event("DELETED", pod("a", 3))
    lane.event("ADDED", {"metadata": {}})
    assert watch.keys == [("ns/a", "listing", 1), ("ns/b", "change", 1), ("ns/a", "deletion", 2)]


def test_an_event_that_cannot_be_stored_harms_no_other(lane, caplog):
    lane.event("ADDED", pod("a", 1) | {"spec": {1, 2}})
    lane.event("ADDED", pod("b", 2))
    assert lane.told == [("add", "ns/b", False)]
    assert "ns/a cannot be stored as JSON" in caplog.text


def test_each_informer_of_a_registry_has_a_name_of_its_own():
    manager = Manager(registry=kopf.OperatorRegistry())
    names = [manager.informer(resource).name for resource in ("pods-extra", "pods", "pods", "pods")]
    assert names == ["pods-extra", "pods", "pods-2", "pods-3"]
