"""From its start to its stop, after which nothing is left."""

import gc
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.meddler import AnswerStatus, CutBody, Deed, DelayHead, Meddler, Meddling, StallWatch
from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.lines import LineSplitter
from tests.meddler.conftest import ALL, Client
from tests.meddler.line import PATIENCE, PODS, Answer
from workqueue.testing.apiserver import ApiServer


def test_stop_resets_what_is_open_and_leaves_nothing(server: ApiServer) -> None:
    with Meddler(server.url) as meddler:
        client = Client(meddler)
        meddler.add(Meddling(path="/api/v1/pods", what=StallWatch(after=5)))
        meddler.add(Meddling(path="/api/v1/nodes", what=DelayHead(seconds=99)))
        late = threading.Thread(target=lambda: client.ask("/api/v1/nodes").__exit__())
        late.start()
        with client.watch() as watch, client.watch("/api/v1/pods") as stalled, client.ask() as idle:
            assert watch.names(5) == stalled.names(5) == ALL
            assert idle.rest()
            meddler.wait_for(lambda now: now.faults == {"stall": 1, "delay": 1})
            began = time.monotonic()
            meddler.stop()
            assert time.monotonic() - began < 1
            assert (watch.rest(), watch.ending, stalled.rest(), stalled.ending) == (b"", "reset", b"", "reset")
        late.join(PATIENCE)
    gc.collect()  # whoever was not closed says so
    assert not [each.name for each in threading.enumerate() if "meddler" in each.name]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", meddler.port)).close()
    meddler.stop()
    with pytest.raises(RuntimeError, match="the meddler is stopped"):
        meddler.heal()
    assert meddler.statistics().open_watches == 0
    with pytest.raises(TimeoutError, match="before the meddler stopped"):
        meddler.wait_for(lambda now: now.requests == 99)


def test_clients_that_do_not_read_are_no_hindrance(server: ApiServer) -> None:
    for number in range(200):  # more than the kernels hold
        annotations = {"x": "x" * 100_000}
        server.create("pods", {"metadata": {"name": f"x{number}", "namespace": "default", "annotations": annotations}})
    with Meddler(server.url) as meddler:
        client = Client(meddler)
        with client.watch() as watch, client.ask() as listing, client.watch("/api/v1/pods") as cut:
            assert watch.status == listing.status == cut.status == 200
            meddler.wait_for(lambda now: now.open_watches == 2)
            assert meddler.cut_watches("/api/v1/pods", how="close") == 1
            meddler.stop()
    gc.collect()


@pytest.mark.parametrize("deeds", [(), (CutBody(),), (AnswerStatus(status=503),)])
def test_healing_lets_go_what_is_held_back(meddler: Meddler, client: Client, deeds: tuple[Deed, ...]) -> None:
    meddler.add(Meddling(what=(DelayHead(seconds=99), *deeds)))
    healer = threading.Thread(target=lambda: (meddler.wait_for(lambda now: now.faults["delay"] == 1), meddler.heal()))
    healer.start()
    with client.ask() as answer:
        assert answer.status == 200
        assert answer.rest()
        assert answer.ending == "end"
    healer.join(PATIENCE)


def test_waiting_gives_up(meddler: Meddler) -> None:
    with pytest.raises(TimeoutError, match=r"not so within 0.01 s; last seen: Statistics\(requests=0"):
        meddler.wait_for(lambda now: now.requests == 1, timeout=0.01)


def test_the_kubeconfig_leads_to_it(meddler: Meddler, tmp_path: Path) -> None:
    path = meddler.kubeconfig(into=tmp_path / "kubeconfig", token="secret", namespace="here")
    assert path.stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["clusters"][0]["cluster"] == {"server": meddler.url}
    assert config["users"][0]["user"] == {"token": "secret"}
    assert config["contexts"][0]["context"]["namespace"] == "here"


def test_a_failure_inside_is_told_at_the_end(server: ApiServer) -> None:
    meddler = Meddler(server.url)
    meddler.add(Meddling(path=PODS, query=lambda query: bool(query["not there"]), what=DelayHead(seconds=0)))
    with pytest.raises(ConnectionError):
        Answer(meddler, PODS)
    with pytest.raises(RuntimeError, match="the meddler has failed: KeyError"):
        meddler.stop()
    meddler.stop()


@pytest.mark.parametrize(
    ("path", "query", "verb"),
    [
        ("/api/v1/pods", "", "list"),
        ("/api/v1/pods", "watch=false", "list"),
        ("/api/v1/pods", "watch=1", "watch"),
        ("/api/v1/watch/pods", "", "watch"),
        ("/api/v1/namespaces", "", "list"),
        ("/api/v1/namespaces/a", "", "other"),
        ("/api/v1/namespaces/a/status", "", "other"),
        ("/api/v1/namespaces/a/pods", "", "list"),
        ("/api/v1/namespaces/a/pods/b", "", "other"),
        ("/api/v1/namespaces/a/pods/b", "watch=true", "watch"),
        ("/apis/apps/v1/deployments", "", "list"),
        ("/apis/apps/v1/namespaces/a/deployments", "", "list"),
        ("/apis/apps/v1", "", "other"),
        ("/api", "", "other"),
        ("/version", "watch=true", "other"),
    ],
)
def test_what_is_asked(path: str, query: str, verb: str) -> None:
    parameters = dict([query.split("=")] if query else [])
    assert Asked(method="GET", path=path, query=parameters).verb == verb
    assert Asked(method="POST", path=path, query=parameters).verb == "other"


def test_lines_are_put_together_however_they_come() -> None:
    data = b"one\n\ntwo\nthree"
    for size in (1, 2, 5, 100):
        splitter = LineSplitter()
        pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
        assert [line for piece in pieces for line in splitter.feed(piece)] == [b"one\n", b"\n", b"two\n"]
        assert splitter.rest == b"three"
