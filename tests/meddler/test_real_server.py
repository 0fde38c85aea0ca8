"""The meddler before a real kube-apiserver: TLS, tokens, its own lines."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.controlplane import ControlPlane
from tests.cluster.meddler import (
    OPEN_CUT,
    AnswerStatus,
    CutBetweenEvents,
    CutBody,
    CutInsideEvent,
    DelayHead,
    DropClosingBookmark,
    EarlyBookmark,
    EndWatch,
    ExpireContinue,
    InjectLines,
    Meddler,
    Meddling,
    NoStreamingLists,
    StallWatch,
)
from tests.cluster.meddler.lines import error_event
from tests.meddler.line import Answer

pytestmark = pytest.mark.e2e

STREAMING = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
ALL = ["ADDED a-0", "ADDED a-1", "ADDED a-2"]


class Room:
    """A namespace with three config maps, seen through the meddler."""

    def __init__(self, plane: ControlPlane, meddler: Meddler) -> None:
        self.plane = plane
        self._meddler = meddler
        with plane.client() as admin:
            made = admin.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "meddler-"}})
        self.path = f"/api/v1/namespaces/{made['metadata']['name']}/configmaps"
        for number in range(3):
            self.make(f"a-{number}", {"x": "x" * 60_000})

    def make(self, name: str, data: dict[str, str] | None = None) -> dict[str, Any]:
        with self.plane.client() as admin:
            return admin.call("POST", self.path, {"metadata": {"name": name}, "data": data or {}})

    def ask(self, *, token: str | None = None, **query: str) -> Answer:
        return Answer(self._meddler, self.path, token=token or self.plane.admin_token, **query)

    def watch(self, **query: str) -> Answer:
        return self.ask(watch="true", **query)


@pytest.fixture(scope="module")
def meddler(control_plane: ControlPlane) -> Iterator[Meddler]:
    with Meddler(control_plane.url, ca_file=control_plane.ca_file) as made:
        yield made


@pytest.fixture
def room(control_plane: ControlPlane, meddler: Meddler) -> Iterator[Room]:
    yield Room(control_plane, meddler)
    meddler.heal()
    meddler.wait_for(lambda now: now.open_watches == 0)


def test_a_kubeconfig_leads_through_it_with_the_users_own_rights(
    control_plane: ControlPlane, meddler: Meddler, room: Room, tmp_path: Path
) -> None:
    answers = {}
    for user in ("admin", "nobody"):
        path = meddler.kubeconfig(into=tmp_path / user, token=control_plane.token_for(user))
        config = yaml.safe_load(path.read_text())
        server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        answers[user] = requests.get(server + room.path, headers=headers, timeout=30)
    assert [answers["admin"].status_code, answers["nobody"].status_code] == [200, 403]
    assert answers["admin"].headers["Content-Encoding"] == "gzip"
    assert [each["metadata"]["name"] for each in answers["admin"].json()["items"]] == ["a-0", "a-1", "a-2"]
    with room.ask(token="wrong") as answer:
        assert answer.status == 401


def test_a_watch_passes_at_once(room: Room) -> None:
    with room.watch() as watch:
        assert watch.names(3) == ALL
        late = []
        for number in range(10):
            began = time.monotonic()
            room.make(f"b-{number}")
            assert watch.names(1) == [f"ADDED b-{number}"]
            late.append(time.monotonic() - began)
    assert sorted(late)[5] < 0.1


def test_watches_are_cut_ended_stalled_and_added_to(meddler: Meddler, room: Room) -> None:
    meddler.add(
        Meddling(path=room.path, verb="watch", what=CutBetweenEvents(after=1)),
        Meddling(path=room.path, verb="watch", what=CutInsideEvent(after=2, keep=50_000, how="close")),
        Meddling(path=room.path, verb="watch", what=(InjectLines(error_event(410), after=2), EndWatch(after=3))),
        Meddling(path=room.path, verb="watch", what=StallWatch(after=3)),
    )
    with room.watch() as watch:
        assert (watch.names(1), watch.rest(), watch.ending) == (ALL[:1], b"", "reset")
    with room.watch() as watch:
        assert (watch.names(2), len(watch.rest()), watch.ending) == (ALL[:2], 50_000, "close")
    with room.watch() as watch:
        assert (watch.names(3), watch.rest(), watch.ending) == ([*ALL[:2], "ERROR"], b"", "end")
    with room.watch() as stalled, room.watch() as watch:
        assert stalled.names(3) == watch.names(3) == ALL
        room.make("b")
        assert watch.names(1) == ["ADDED b"]
        assert stalled.is_silent()
        assert meddler.cut_watches(how="close") == 2
        assert (stalled.rest(), stalled.ending, watch.rest(), watch.ending) == (b"", "close", b"", "close")
    faults = meddler.statistics().faults
    for kind in ("cut between events", "cut inside an event", "inject lines", "clean end", "stall"):
        assert faults[kind] == 1
    assert faults[OPEN_CUT] == 2


def test_bookmarks_of_a_streaming_list(meddler: Meddler, room: Room) -> None:
    with room.watch(**STREAMING) as watch:
        assert watch.names(4) == [*ALL, "BOOKMARK"]
    meddler.add(Meddling(path=room.path, what=EarlyBookmark()), Meddling(path=room.path, what=DropClosingBookmark()))
    with room.watch(**STREAMING) as watch:
        events = [watch.line() for _ in range(5)]
        last, early, closing = (each["object"]["metadata"] for each in events[2:])
        assert [each["type"] for each in events[3:]] == ["BOOKMARK", "BOOKMARK"]
        assert early["resourceVersion"] == last["resourceVersion"]
        assert "annotations" not in early
        assert closing["annotations"] == {"k8s.io/initial-events-end": "true"}
    with room.watch(**STREAMING) as watch:
        assert watch.names(3) == ALL
        assert watch.is_silent()
        room.make("b")
        assert watch.names(1) == ["ADDED b"]


def test_lists_are_answered_otherwise_late_or_in_part(meddler: Meddler, room: Room) -> None:
    meddler.add(
        Meddling(path=room.path, what=ExpireContinue()),
        Meddling(path=room.path, what=NoStreamingLists()),
        Meddling(path=room.path, verb="list", what=AnswerStatus(status=429, retry_after=2)),
        Meddling(path=room.path, verb="list", what=CutBody(after=70_000)),
        Meddling(path=room.path, verb="list", what=DelayHead(seconds=0.3)),
    )
    with room.ask(limit="1") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    with room.ask() as answer:
        assert (len(answer.rest()), answer.ending) == (70_000, "reset")
    began = time.monotonic()
    with room.ask(limit="1") as answer:
        assert time.monotonic() - began >= 0.3
        token = json.loads(answer.rest())["metadata"]["continue"]
    for status in (410, 200):
        with room.ask(limit="1", **{"continue": token}) as answer:
            assert answer.status == status
    with room.watch(**STREAMING) as answer:
        assert answer.status == 422
    faults = meddler.statistics().faults
    for kind in ("status", "cut a list midway", "delay", "expire the continue token", "no streaming lists"):
        assert faults[kind] == 1


def test_refusing_and_accepting(meddler: Meddler, room: Room) -> None:
    meddler.refuse()
    with pytest.raises(ConnectionRefusedError):
        room.ask()
    meddler.accept()
    with room.ask() as answer:
        assert answer.status == 200
