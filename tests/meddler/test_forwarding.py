"""What nobody ordered to be spoilt passes as it is."""

import gzip
import threading
import time

import pytest
import requests
from aiohttp import web

from tests.cluster.meddler import Meddler
from tests.meddler.conftest import ALL, SPEC, Client
from tests.meddler.line import PATIENCE, PODS, Answer
from workqueue.testing.apiserver import ApiServer, Fault


def test_every_method_reaches_the_server_with_its_path_query_headers_and_body(
    meddler: Meddler, server: ApiServer
) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["User-Agent"] = "me"
        made = session.post(
            f"{meddler.url}{PODS}?dryRun=All", json={"metadata": {"name": "a"}, "spec": SPEC}, timeout=9
        )
        assert (made.status_code, made.json()["metadata"]["name"]) == (201, "a")
        path = f"{meddler.url}{PODS}/pod-0"
        merge = {"Content-Type": "application/merge-patch+json"}
        patched = session.patch(path, data='{"metadata":{"annotations":{"x":"ä"}}}'.encode(), headers=merge, timeout=9)
        assert patched.json()["metadata"]["annotations"] == {"x": "ä"}
        assert session.delete(path, timeout=9).status_code == 200
        assert session.get(path, timeout=9).json()["reason"] == "NotFound"
        listed = session.get(f"{meddler.url}{PODS}?labelSelector=a%3Db%2Cc%21%3D1", timeout=9)
        assert listed.json()["items"] == []
    asked = [(each.method, each.path, dict(each.query), each.user_agent) for each in server.requests]
    pod = f"{PODS}/pod-0"
    assert asked == [
        ("POST", PODS, {"dryRun": "All"}, "me"),
        ("PATCH", pod, {}, "me"),
        ("DELETE", pod, {}, "me"),
        ("GET", pod, {}, "me"),
        ("GET", PODS, {"labelSelector": "a=b,c!=1"}, "me"),
    ]
    assert meddler.statistics().requests == 5
    assert not meddler.statistics().faults


def test_a_watch_passes_line_by_line_at_once_its_head_too(meddler: Meddler, server: ApiServer, client: Client) -> None:
    with client.watch(resourceVersion="") as watch:
        assert watch.names(5) == ALL
        assert meddler.wait_for(lambda now: now.open_watches == 1).watches == 1
        late = []
        for number in range(20):
            began = time.monotonic()
            server.create("pods", {"metadata": {"name": f"new-{number}", "namespace": "default"}})
            assert watch.names(1) == [f"ADDED new-{number}"]
            late.append(time.monotonic() - began)
        assert sorted(late)[10] < 0.03, "a line waits for nothing, such as an acknowledgement"
        version = server.get("pods", "pod-0", namespace="default")["metadata"]["resourceVersion"]
    meddler.wait_for(lambda now: now.open_watches == 0)
    with client.watch("/api/v1/nodes", resourceVersion=version) as watch:  # of which there are none
        assert watch.status == 200


def test_a_client_that_goes_away_ends_its_watch_at_the_server(meddler: Meddler, client: Client) -> None:
    with client.watch() as watch:
        assert watch.names(5) == ALL
    assert meddler.wait_for(lambda now: now.open_watches == 0).broken == 0


def test_a_watch_ends_as_the_server_ends_it(meddler: Meddler, server: ApiServer, client: Client) -> None:
    with client.watch(timeoutSeconds="1") as watch:
        assert watch.names(5) == ALL
        server.disconnect_watches()
        watch.rest()
        assert watch.ending == "close"
    assert meddler.wait_for(lambda now: now.open_watches == 0).broken == 1
    server.script(Fault(path=PODS, status=418))
    with client.ask() as answer:
        assert answer.status == 418


def test_a_line_that_the_server_has_broken_off_is_passed_on_as_far_as_it_came(
    meddler: Meddler, server: ApiServer, client: Client
) -> None:
    server.script(Fault(path=PODS, cut_after_bytes=20))
    with client.watch() as watch:
        assert (watch.rest(), watch.ending) == (b'{"type":"ADDED","obj', "close")
    assert meddler.statistics().broken == 1


def test_a_server_that_is_away_is_a_reset_and_counted(server: ApiServer, meddler: Meddler, client: Client) -> None:
    with client.ask() as answer:
        assert answer.status == 200
    server.stop()
    with pytest.raises(ConnectionResetError):
        client.ask()
    assert meddler.statistics().unreachable == 1


def test_compressed_bodies_and_the_authorization_pass_as_they_are() -> None:
    """Ours does not compress and asks nobody who he is: another server does."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(f"{request.headers['Authorization']} {request.raw_path} {request.headers.get('Accept', '')}")
        headers = [("Content-Encoding", "gzip"), ("Warning", "299 - a"), ("Warning", "299 - b")]
        return web.Response(body=gzip.compress(b"a" * 10_000), headers=headers)

    with (
        _OtherServer(answer) as url,
        Meddler(url) as meddler,
        Answer(meddler, "/a%2Fb", token="secret", x="1 2") as got,
    ):
        assert gzip.decompress(got.rest()) == b"a" * 10_000
        assert got.headers.get_all("Warning") == ["299 - a", "299 - b"]
    assert asked == ["Bearer secret /a%2Fb?x=1+2 "]


class _OtherServer:
    def __init__(self, handler: object) -> None:
        self._handler = handler
        self._url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        import asyncio

        async def serve() -> None:
            self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
            runner = web.ServerRunner(web.Server(self._handler), handle_signals=False, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._over.wait()
            await runner.cleanup()

        asyncio.run(serve())

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self._url

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)
