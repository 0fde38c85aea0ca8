"""The control plane for tests is what it says: real, of the pinned version, alone, and gone when it is stopped."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.client import Client
from tests.cluster.components import APISERVER, KWOK
from tests.cluster.controlplane import ControlPlane, ControlPlaneError
from tests.cluster.nodes import is_ready

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def call(
    plane: ControlPlane,
    method: str,
    path: str,
    *,
    body: object = None,
    token: str | None = None,
    ca_file: str | None = None,
) -> requests.Response:
    """One request, as admin unless `token` says who, to the server that `ca_file` (its own) proves."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy on the way to loopback
        return session.request(
            method,
            plane.url + path,
            json=body,
            headers={"Authorization": f"Bearer {token or plane.admin_token}"},
            verify=ca_file or plane.ca_file,
            timeout=30,
        )


def wait_for(look: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until `look` says yes; the test fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, dead but not yet collected by its parent, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):  # no /proc elsewhere than on Linux
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return True


def listening(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def pod(name: str) -> dict[str, Any]:
    """The least pod that the API server takes, and that no scheduler looks at."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "example.invalid/none"}], "schedulerName": "nobody"},
    }


@pytest.fixture
def room(control_plane: ControlPlane) -> str:
    """A namespace of the test's own."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "control-plane-"}}
    answer = call(control_plane, "POST", "/api/v1/namespaces", body=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["metadata"]["name"])


def test_ready_and_of_the_pinned_version(control_plane: ControlPlane) -> None:
    assert call(control_plane, "GET", "/readyz").text == "ok"
    expected = APISERVER.version()
    if given := os.environ.get("KUBEBUILDER_ASSETS"):  # then it is whatever the user brought
        told = subprocess.run([f"{given}/kube-apiserver", "--version"], capture_output=True, text=True, check=True)
        expected = told.stdout.split()[-1]
    version = call(control_plane, "GET", "/version").json()
    assert version["gitVersion"] == expected
    assert [version["major"], version["minor"]] == expected.removeprefix("v").split(".")[:2]


def test_a_pod_is_created_and_the_audit_log_says_so(control_plane: ControlPlane, room: str) -> None:
    since = control_plane.audit_position()
    assert call(control_plane, "POST", f"/api/v1/namespaces/{room}/pods", body=pod("first")).status_code == 201
    answer = call(control_plane, "GET", f"/api/v1/namespaces/{room}/pods/first")
    assert answer.json()["metadata"]["namespace"] == room

    def seen() -> list[tuple[str, int]]:
        return [
            (event["verb"], event["responseStatus"]["code"])
            for event in control_plane.audit_events(since=since)
            if event["user"]["username"] == "admin" and event.get("objectRef", {}).get("namespace") == room
        ]

    wait_for(lambda: len(seen()) == 2)
    assert seen() == [("create", 201), ("get", 200)]


def test_a_user_without_rights_is_known_and_refused(control_plane: ControlPlane, room: str) -> None:
    token = control_plane.token_for("operator")
    answer = call(control_plane, "GET", f"/api/v1/namespaces/{room}/pods", token=token)
    assert answer.status_code == 403
    assert 'User "operator" cannot list resource "pods"' in answer.json()["message"]
    assert call(control_plane, "GET", "/api/v1/namespaces", token="of-nobody").status_code == 401


def test_a_service_account_gets_a_real_token(control_plane: ControlPlane, room: str) -> None:
    accounts = f"/api/v1/namespaces/{room}/serviceaccounts"
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    assert call(control_plane, "POST", accounts, body=body).status_code == 201
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = call(control_plane, "POST", f"{accounts}/robot/token", body=body).json()["status"]["token"]
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = call(control_plane, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body, token=token)
    assert who.json()["status"]["userInfo"]["username"] == f"system:serviceaccount:{room}:robot"


def test_the_usual_clients_take_the_kubeconfig(control_plane: ControlPlane, room: str) -> None:
    # kubernetes and pykube are imported here: a broken one shall not take the other tests along.
    import kubernetes
    import pykube

    path = control_plane.kubeconfig_for("admin", namespace=room)
    with kubernetes.config.new_client_from_config(path) as client:
        client.configuration.no_proxy = "127.0.0.1"
        kubernetes.client.CoreV1Api(client).create_namespaced_pod(room, pod("second"))
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(path))
    try:
        assert [each.name for each in pykube.Pod.objects(api)] == ["second"]
    finally:
        api.session.close()


def test_a_second_one_beside_the_first(control_plane: ControlPlane) -> None:
    with ControlPlane() as second:
        pids, ports, directory = second.pids, second.ports, second.directory
        assert sorted(pids) == ["etcd", "keeper", "kube-apiserver"]
        assert not set(ports.values()) & set(control_plane.ports.values())
        assert not set(pids.values()) & set(control_plane.pids.values())
        assert call(second, "GET", "/readyz").text == "ok"
        assert all(map(listening, ports.values()))
        with pytest.raises(RuntimeError, match="only kwok makes nodes ready"):
            second.make_nodes(1)
        with pytest.raises(RuntimeError, match="kwok is not among the parts"):
            second.start_part(KWOK)
        with pytest.raises(RuntimeError, match="etcd was not stopped"):
            second.start_etcd()
        second.stop_part(KWOK)  # harmless
        with pytest.raises(requests.exceptions.SSLError):  # it is not the first under another name
            call(second, "GET", "/readyz", ca_file=control_plane.ca_file)
    assert not any(map(alive, pids.values()))
    assert not any(map(listening, ports.values()))
    assert not directory.exists()
    second.stop()  # harmless
    assert call(control_plane, "GET", "/readyz").text == "ok"


def test_servers_restart_on_their_ports_with_their_data() -> None:
    with ControlPlane() as plane:
        before, token, url = plane.pids, plane.admin_token, plane.url
        path = "/api/v1/namespaces/default/pods"
        uid = call(plane, "POST", path, body=pod("kept")).json()["metadata"]["uid"]
        kubeconfig = Path(plane.kubeconfig).read_text(encoding="utf-8")

        plane.stop_apiserver()
        assert not alive(before["kube-apiserver"])
        with pytest.raises(requests.exceptions.ConnectionError):
            call(plane, "GET", "/readyz")
        plane.stop_etcd(grace=0)
        assert not alive(before["etcd"])
        plane.start_etcd()
        plane.start_apiserver()

        assert (plane.admin_token, plane.url) == (token, url)
        assert Path(plane.kubeconfig).read_text(encoding="utf-8") == kubeconfig
        assert call(plane, "GET", f"{path}/kept").json()["metadata"]["uid"] == uid


def test_a_server_that_will_not_start_says_why_and_leaves_nothing() -> None:
    plane = ControlPlane(apiserver_args=["--no-such-flag"])
    with pytest.raises(ControlPlaneError, match=r"(?s)kube-apiserver ended with status 1.*: --no-such-flag"):
        plane.start()
    assert not plane.pids
    assert not any(map(listening, plane.ports.values()))


def test_killed_by_kill_9_the_owner_leaves_nothing(tmp_path: Path) -> None:
    program = """
import json, time
from tests.cluster.controlplane import ControlPlane
plane = ControlPlane().start()
print(json.dumps([plane.pids, plane.ports, str(plane.directory)]), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout
            pids, ports, directory = json.loads(owner.stdout.readline())
            assert all(map(alive, pids.values()))
        finally:
            owner.kill()
    wait_for(lambda: not any(map(alive, pids.values())))
    assert not any(map(listening, ports.values()))
    assert not Path(directory).exists()


def test_killed_by_kill_9_the_keeper_takes_the_servers_along() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux can tie a child to its parent's life")
    with ControlPlane() as plane:
        pids, directory = plane.pids, plane.directory
        os.kill(pids["keeper"], signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids.values())))
        with pytest.raises(ControlPlaneError, match="the keeper process is gone, and its servers with it"):
            plane.stop_apiserver()
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_make_cluster_runs_until_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.cluster"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            kubeconfig, export = running.stdout.readline().strip(), running.stdout.readline().strip()
            assert export == f"export KUBECONFIG={kubeconfig}"
            document = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
            server, token = document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]["token"]
            port = int(server.rpartition(":")[2])
            assert listening(port)
            ca_file = Path(kubeconfig).parent / "certificates" / "apiserver.crt"
            with Client(server, token=token, ca_file=ca_file) as client:
                names = [f"kwok-{number}" for number in range(3)]
                assert all(is_ready(client, name) for name in names)
            running.send_signal(number)
            _, said = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 0
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said
    assert not listening(port)
    assert not Path(kubeconfig).parent.exists()
