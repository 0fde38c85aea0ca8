"""The server as a thing: its start, its end, its files, and watchers that do not read."""

import json
import socket
import stat
import threading
from pathlib import Path

import pytest
import requests

from tests.apiserver.conftest import PODS, Client, pod
from workqueue.testing.apiserver import ApiServer


def test_a_stopped_server_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    server = ApiServer()
    host, port = server.url.removeprefix("http://").split(":")
    server.stop()
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)
    server.stop()
    server.disconnect_watches()


def test_a_stopped_server_still_knows_its_objects() -> None:
    with ApiServer() as server:
        server.create("pods", pod())
    assert server.get("pods", "a")["metadata"]["name"] == "a"
    server.delete("pods", "a")


def test_a_server_stops_with_watches_open(server: ApiServer, client: Client) -> None:
    with client.watch() as events:
        server.create("pods", pod())
        next(events)
        server.stop()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(events)


def test_servers_know_nothing_of_each_other() -> None:
    with ApiServer() as one, ApiServer() as other:
        one.create("pods", pod())
        assert other.list("pods") == []
        assert one.url != other.url


def test_the_kubeconfig_names_the_server_and_is_private(server: ApiServer, tmp_path: Path) -> None:
    path = server.write_kubeconfig(tmp_path / "kubeconfig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = json.loads(path.read_text())
    assert config["clusters"][0]["cluster"]["server"] == server.url
    assert config["current-context"] == config["contexts"][0]["name"]


def test_a_watcher_that_does_not_read_blocks_nobody(server: ApiServer, client: Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as idle:
        idle.sendall(f"GET {PODS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert idle.recv(15).startswith(b"HTTP/1.1 200")
        with client.watch() as events:
            for index in range(100):
                server.create("pods", pod(f"p{index}", metadata={"annotations": {"big": "x" * 200_000}}))
            assert [next(events)["object"]["metadata"]["name"] for _ in range(100)][-1] == "p99"


def test_a_watch_that_falls_too_far_behind_ends(client: Client) -> None:
    with ApiServer(history=10) as server, requests.Session() as session:
        version = server.resource_version
        for index in range(40):
            server.create("pods", pod(f"p{index}"))
        query = {"watch": "true", "resourceVersion": version}
        with session.get(server.url + PODS, params=query, stream=True, timeout=5) as response:
            (line,) = [line for line in response.iter_lines() if line]
        assert json.loads(line)["object"]["code"] == 410


def test_a_body_that_is_too_large_is_refused(server: ApiServer, client: Client) -> None:
    body = pod(metadata={"annotations": {"big": "x" * (3 * 1024 * 1024)}})
    refused = client.call("POST", "/api/v1/namespaces/default/configmaps", body)
    assert (refused.status_code, refused.json()["reason"]) == (413, "RequestEntityTooLarge")


def test_tables_are_what_kubectl_prints(server: ApiServer, client: Client) -> None:
    ready = {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True, "restartCount": 2}]}
    server.create("pods", pod(spec={"containers": [{"name": "c", "image": "i"}]}, status=ready))
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    found = client.call("GET", PODS, headers=headers).json()
    assert [column["name"] for column in found["columnDefinitions"]] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert found["rows"][0]["cells"][:4] == ["a", "1/1", "Running", "2"]
    assert found["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_kubectl_learns_that_the_server_validates(client: Client) -> None:
    paths = client.get("/openapi/v3").json()["paths"]
    document = client.get(paths["api/v1"]["serverRelativeURL"]).json()
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


def test_curl_gets_it_readable(client: Client) -> None:
    text = client.call("GET", PODS, headers={"User-Agent": "curl/8"}).text
    assert text.startswith('{\n  "kind": "PodList"')
