"""What can be answered in the server's place, late, or only in part."""

import json
import time
from typing import Any

import pytest

from tests.cluster.meddler import (
    AnswerStatus,
    CutBetweenEvents,
    CutBody,
    DelayHead,
    ExpireContinue,
    Meddler,
    Meddling,
    NoStreamingLists,
)
from tests.meddler.conftest import ALL, Client
from tests.meddler.line import PODS
from workqueue.testing.apiserver import ApiServer


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_status_instead_of_the_answer(
    meddler: Meddler, server: ApiServer, client: Client, *, status: int, reason: str, verb: Any
) -> None:
    retry = 3 if status == 429 else None
    meddler.add(Meddling(path="/api/v1/*pods", verb=verb, what=AnswerStatus(status=status, retry_after=retry)))
    ask = client.watch if verb == "watch" else client.ask
    with ask() as answer:
        found = json.loads(answer.rest())
        assert (answer.status, found["kind"], found["code"], found["reason"]) == (status, "Status", status, reason)
        assert answer.headers.get("Retry-After") == ("3" if retry else None)
        if retry:
            assert found["details"] == {"retryAfterSeconds": 3}
        if status == 504:
            assert found["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert not server.requests
    assert meddler.statistics().faults == {"status": 1}
    with ask() as answer:
        assert answer.status == 200


def test_words_can_be_chosen(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(what=AnswerStatus(status=418, reason="Teapot", message="short")))
    with client.ask() as answer:
        assert json.loads(answer.rest()) | {"metadata": 0} == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": 0,
            "status": "Failure",
            "message": "short",
            "reason": "Teapot",
            "code": 418,
        }


def test_orders_are_carried_out_one_after_the_other_and_only_where_they_fit(meddler: Meddler, client: Client) -> None:
    meddler.add(
        Meddling(path="/api/v1/nodes", what=AnswerStatus(status=501), times=None),
        Meddling(method="DELETE", what=AnswerStatus(status=502), times=None),
        Meddling(query=lambda query: query.get("limit") == "9", what=AnswerStatus(status=503), times=None),
        Meddling(path=PODS, what=AnswerStatus(status=504), times=2),
        Meddling(path="/api/*", what=AnswerStatus(status=505)),
    )

    def status(path: str = PODS, **query: Any) -> int:
        with client.ask(path, **query) as answer:
            return answer.status

    assert [status() for _ in range(4)] == [504, 504, 505, 200]
    assert [status("/api/v1/nodes"), status(method="DELETE", path=f"{PODS}/pod-0"), status(limit="9")] == [
        501,
        502,
        503,
    ]
    meddler.heal()
    assert [status("/api/v1/nodes"), status(limit="9")] == [200, 200]
    assert meddler.statistics().faults == {"status": 6}


def test_what_did_not_come_to_it_can_be_done_to_the_next(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=CutBetweenEvents(after=5)))
    with client.watch(labelSelector="not=there"):
        meddler.wait_for(lambda now: now.open_watches == 1)
        with client.watch() as watch:
            assert watch.names(5) == ALL  # the order is in the hands of the other
    meddler.wait_for(lambda now: now.open_watches == 0)
    with client.watch() as watch:
        assert watch.names(5) == ALL
        assert watch.rest() == b""
        assert watch.ending == "reset"


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("after", [0, 500])
def test_a_list_is_cut_midway(meddler: Meddler, client: Client, *, after: int, how: Any) -> None:
    meddler.add(Meddling(path=PODS, verb="list", what=CutBody(after=after, how=how)))
    with client.ask() as answer:
        length = int(answer.headers["Content-Length"])
        cut = answer.rest()
        assert (len(cut), answer.ending) == (after, how)
    assert meddler.statistics().faults == {"cut a list midway": 1}
    with client.ask() as answer:
        whole = answer.rest()
        assert (len(whole), answer.ending) == (length, "end")
        assert whole.startswith(cut)
    meddler.add(Meddling(path=PODS, verb="list", what=CutBody(after=length)))
    with client.ask() as answer:
        assert answer.rest() == whole
    assert meddler.statistics().faults == {"cut a list midway": 1}


def test_the_continue_token_expires(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(path=PODS, what=ExpireContinue()))
    with client.ask(limit="2") as answer:
        token = json.loads(answer.rest())["metadata"]["continue"]
    with client.ask(limit="2", **{"continue": token}) as answer:
        found = json.loads(answer.rest())
        assert (answer.status, found["code"], found["reason"]) == (410, 410, "Expired")
    assert meddler.statistics().faults == {"expire the continue token": 1}
    with client.ask(limit="2", **{"continue": token}) as answer:
        assert len(json.loads(answer.rest())["items"]) == 2


def test_there_are_no_streaming_lists(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(what=NoStreamingLists(), times=None))
    with client.streaming_list() as answer:
        found = json.loads(answer.rest())
        assert (answer.status, found["code"], found["reason"]) == (422, 422, "Invalid")
        assert found["details"]["causes"][0]["field"] == "sendInitialEvents"
    with client.watch() as watch:
        assert watch.names(5) == ALL
    assert meddler.statistics().faults == {"no streaming lists": 1}


def test_a_head_comes_late(meddler: Meddler, client: Client) -> None:
    meddler.add(Meddling(path=PODS, what=DelayHead(seconds=0.2)))
    meddler.add(Meddling(path=PODS, what=(DelayHead(seconds=0.2), AnswerStatus(status=503))))
    for status in (200, 503):
        began = time.monotonic()
        with client.ask() as answer:
            assert answer.status == status
            assert time.monotonic() - began >= 0.2
    assert meddler.statistics().faults == {"delay": 2, "status": 1}


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in (
        lambda: Meddling(what=()),
        lambda: Meddling(what=DelayHead(seconds=1), times=0),
        lambda: Meddling(what=(AnswerStatus(status=503), CutBody())),
        lambda: Meddling(what=(DelayHead(seconds=1), DelayHead(seconds=1))),
        lambda: DelayHead(seconds=-1),
        lambda: CutBody(after=-1),
    ):
        with pytest.raises(ValueError):
            wrong()
