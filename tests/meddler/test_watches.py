"""What can go wrong with a watch while it runs."""

import json
from typing import Any

import pytest

from tests.cluster.meddler import (
    CutBetweenEvents,
    CutInsideEvent,
    DropClosingBookmark,
    EarlyBookmark,
    EndWatch,
    InjectLines,
    Meddler,
    Meddling,
    StallWatch,
)
from tests.cluster.meddler.lines import NO_JSON, NO_METADATA, NO_OBJECT, bookmark, error_event
from tests.meddler.conftest import ALL, Client, newest
from tests.meddler.line import PODS
from workqueue.testing.apiserver import ApiServer

BREAKS = pytest.mark.parametrize("how", ["reset", "close"])


@BREAKS
@pytest.mark.parametrize("after", [0, 3, 5])
def test_cut_between_events(meddler: Meddler, client: Client, *, after: int, how: Any) -> None:
    meddler.add(Meddling(path=PODS, verb="watch", what=CutBetweenEvents(after=after, how=how)))
    with client.watch() as watch:
        assert watch.names(after) == ALL[:after]
        assert watch.rest() == b""
        assert watch.ending == how
    assert meddler.statistics().faults == {"cut between events": 1}
    with client.watch() as watch:
        assert watch.names(5) == ALL


@BREAKS
def test_cut_inside_an_event(meddler: Meddler, client: Client, how: Any) -> None:
    meddler.add(Meddling(verb="watch", what=CutInsideEvent(after=2, keep=24, how=how)))
    with client.watch() as watch:
        assert watch.names(2) == ALL[:2]
        assert watch.rest() == b'{"type":"ADDED","object"'
        assert watch.ending == how
    assert meddler.statistics().faults == {"cut inside an event": 1}


def test_a_cut_inside_an_event_is_never_behind_it(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=CutInsideEvent(keep=1_000_000)))
    with client.watch() as watch:
        assert json.loads(watch.rest())["object"]["metadata"]["name"] == "pod-0"
        assert watch.ending == "reset"


def test_a_watch_ends_well(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=EndWatch(after=4), times=2))
    for _ in range(2):
        with client.watch() as watch:
            assert watch.names(4) == ALL[:4]
            assert watch.rest() == b""
            assert watch.ending == "end"
    assert meddler.statistics().faults == {"clean end": 2}


def test_a_watch_stalls_and_is_cut_by_healing(meddler: Meddler, server: ApiServer, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=StallWatch(after=4), times=None))
    with client.watch() as watch, client.watch("/api/v1/pods") as other:
        assert watch.names(4) == other.names(4) == ALL[:4]
        newest(server)
        assert watch.is_silent()
        now = meddler.statistics()
        assert (now.open_watches, now.stalled_watches, now.faults) == (2, 2, {"stall": 2})
        meddler.heal()
        for each in (watch, other):
            assert each.rest() == b""
            assert each.ending == "reset"
        assert meddler.statistics().stalled_watches == 0
    with client.watch() as watch:
        assert watch.names(5) == ALL


def test_a_client_can_leave_a_stalled_watch(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=StallWatch()))
    with client.watch():
        meddler.wait_for(lambda now: now.stalled_watches == 1)
    meddler.wait_for(lambda now: now.open_watches == now.stalled_watches == 0)


LINES = {
    "410": error_event(410),
    "500": error_event(500),
    "429": error_event(429, retry_after=7),
    "no JSON": NO_JSON,
    "no object": NO_OBJECT,
    "no metadata": NO_METADATA,
    "bookmark": bookmark("77"),
}


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
@pytest.mark.parametrize("after", [0, 2])
def test_lines_are_put_into_a_watch(meddler: Meddler, client: Client, *, line: bytes, after: int) -> None:
    meddler.add(Meddling(verb="watch", what=InjectLines(line, b"second\n", after=after)))
    with client.watch() as watch:
        assert watch.names(after) == ALL[:after]
        expected = json.loads(line) if line != NO_JSON else {"text": NO_JSON.decode().strip()}
        assert watch.line() == expected
        assert watch.names(1) == ["second"]
        assert watch.names(5 - after) == ALL[after:]
    assert meddler.statistics().faults == {"inject lines": 1}


def test_what_the_lines_say() -> None:
    gone, busy = json.loads(LINES["410"]), json.loads(LINES["429"])
    assert (gone["type"], gone["object"]["kind"], gone["object"]["reason"]) == ("ERROR", "Status", "Expired")
    assert (busy["object"]["code"], busy["object"]["details"]) == (429, {"retryAfterSeconds": 7})
    marked = json.loads(LINES["bookmark"])
    assert marked["type"] == "BOOKMARK"
    assert marked["object"]["metadata"] == {"resourceVersion": "77", "creationTimestamp": None}


def test_an_error_event_and_an_end_behind_it(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=(InjectLines(error_event(410), after=2), EndWatch(after=3))))
    with client.watch() as watch:
        assert watch.names(3) == [*ALL[:2], "ERROR"]
        assert watch.rest() == b""
        assert watch.ending == "end"
    assert meddler.statistics().faults == {"inject lines": 1, "clean end": 1}


def test_the_closing_bookmark_is_dropped_and_nothing_else(meddler: Meddler, server: ApiServer, client: Client) -> None:
    meddler.add(Meddling(path=PODS, what=DropClosingBookmark()))
    with client.watch() as watch:  # no streaming list, so it does not count
        assert watch.names(5) == ALL
    with client.streaming_list() as watch:
        assert watch.names(5) == ALL
        assert watch.is_silent()
        newest(server)
        assert watch.names(1)[0].startswith("ADDED zz-")
    assert meddler.statistics().faults == {"drop the closing bookmark": 1}
    with client.streaming_list() as watch:
        assert watch.names(7)[-1] == "BOOKMARK"


@pytest.mark.parametrize("pods", [True, False])
def test_a_bookmark_comes_before_the_closing_one(meddler: Meddler, client: Client, *, pods: bool) -> None:
    meddler.add(Meddling(what=EarlyBookmark()))
    with client.streaming_list(PODS if pods else "/api/v1/nodes") as watch:
        events = [watch.line() for _ in range(5 if pods else 0)]
        early, closing = watch.line()["object"], watch.line()["object"]
        assert closing["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        last = events[-1]["object"] if pods else closing
        assert early["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]
        assert early["kind"] == closing["kind"]
        assert "annotations" not in early["metadata"]
    assert meddler.statistics().faults == {"early bookmark": 1}
