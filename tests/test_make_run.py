"""`make run CLUSTER=…`: which cluster a command gets, and what is said about it. What needs Go is in tests/e2e."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.cluster import current
from tests.cluster.client import Client
from tests.cluster.demo import DeploymentLife
from tests.operators.harness import eventually, free_port
from workqueue.testing.apiserver import ApiError, ApiServer

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CHOICES = "choose one of embedded, real, current"


@pytest.fixture(autouse=True)
def no_other_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever cluster, or outer make, the tests run in."""
    for name in ("CLUSTER", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "MAKEFLAGS", "MAKELEVEL", "WORKQUEUE_DEMO_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leads to the server; so does KUBECONFIG."""
    path = server.write_kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def make(*arguments: str) -> list[str]:
    """The literal command, on the Python that runs these tests; it installs nothing."""
    return ["make", "--no-print-directory", "INSTALLED=", f"BIN={BIN}", "run", *arguments]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """python -m tests.cluster.run …"""
    return call(sys.executable, "-m", "tests.cluster.run", *command, **environment)


def call(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("choice", ["nowhere", "embedded real", "'; echo oops; '", "Real"])
def test_a_cluster_that_is_not_known_is_one_line_that_names_the_choices(choice: str) -> None:
    done = call(*make(f"CLUSTER={choice}"))
    assert done.returncode != 0
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert said == [f"error: CLUSTER={choice} is not known; {CHOICES}"]
    assert call(*make(), CLUSTER=choice).stderr == done.stderr, "as an environment variable, too"


@pytest.mark.parametrize("argument", [[], ["CLUSTER="], ["CLUSTER=embedded"]])
def test_without_a_choice_it_is_the_embedded_one(argument: list[str]) -> None:
    shown = call(*make("-n", *argument))
    (line,) = shown.stdout.splitlines()
    assert line.endswith(f" {BIN}/kopf run -A operator/pods.py")
    # The same line, with another command.
    environment = {"CLUSTER": argument[0].partition("=")[2]} if argument else {}
    line = line.removesuffix(f"{BIN}/kopf run -A operator/pods.py") + "sh -c 'echo $KUBECONFIG; exit 7'"
    done = call("sh", "-c", line, **environment)
    assert done.returncode == 7
    assert done.stdout.endswith("/kubeconfig\n")
    assert "demo: embedded cluster at http://127.0.0.1:" in done.stderr


def test_no_command_is_one_line_of_usage() -> None:
    for choice in ("embedded", "real", "current"):
        done = run(choice)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "usage: python -m tests.cluster.run embedded|real|current COMMAND [ARGUMENT...]\n"
    done = call(sys.executable, "-m", "tests.cluster.demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m tests.cluster.demo COMMAND ")
    assert run().stderr == f"error: CLUSTER= is not known; {CHOICES}\n"


# -- CLUSTER=current


def test_the_current_cluster_is_named_before_the_command_runs(server: ApiServer, kubeconfig: Path) -> None:
    done = run("current", "sh", "-c", "echo $KUBECONFIG; echo ran >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, f"{kubeconfig}\n")
    first, second = done.stderr.splitlines()
    assert first.startswith("run: sh -c ")
    assert first.endswith(f" will only read, from {server.url}, context 'in-process' of {kubeconfig}")
    assert second == "ran"


def test_the_main_job_on_the_current_cluster_only_reads(
    server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.create("pods", {"metadata": {"name": "web"}})
    before = server.list("pods")
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", address)
    with subprocess.Popen(
        make("CLUSTER=current"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            with requests.Session() as session:
                session.trust_env = False
                eventually(lambda: session.get(f"http://{address}/readyz", timeout=10).ok, "readiness")
            running.send_signal(signal.SIGTERM)
            _, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert "default/web: pod created" in said
    assert said.splitlines()[0].startswith(f"run: {BIN}/kopf run -A operator/pods.py will only read, from {server.url}")
    assert [request.path for request in server.requests if request.writes] == []
    assert server.list("pods") == before


def test_without_a_kubeconfig_it_is_one_line(tmp_path: Path) -> None:
    done = run("current", "echo", "ran")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: no cluster to log in to: there is no {tmp_path}/.kube/config, KUBECONFIG is not set, "
        "and this is no pod with a service account\n"
    )


def test_a_kubeconfig_that_leads_nowhere_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text("contexts: [")
    done = run("current", "echo", "ran", KUBECONFIG=str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: kubeconfig {path} is not YAML (")
    assert done.stderr.count("\n") == 1


def test_of_several_kubeconfigs_it_names_what_the_client_takes(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubernetes.config import new_client_from_config

    other = tmp_path / "other"
    other.write_text(kubeconfig.read_text().replace("in-process", "other").replace("//127.0.0.1:", "//other.invalid:"))
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}{os.pathsep}{other}")
    with new_client_from_config(f"{kubeconfig}{os.pathsep}{other}") as client:
        assert current.where().startswith(f"{client.configuration.host}, context ")
    monkeypatch.setenv("KUBECONFIG", f"{other}{os.pathsep}{kubeconfig}")
    with new_client_from_config(f"{other}{os.pathsep}{kubeconfig}") as client:
        assert current.where().startswith(f"{client.configuration.host}, context ")


def test_a_pod_names_its_own_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "in_cluster", lambda: True)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert current.where() == "the cluster of this pod, https://10.0.0.1:443"


def test_a_command_that_is_not_there_is_one_more_line(kubeconfig: Path) -> None:
    done = run("current", "/nowhere/command")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr.splitlines()[1:] == ["error: cannot run /nowhere/command: No such file or directory"]


# -- CLUSTER=real, as far as it needs no Go


def test_without_go_and_binaries_it_is_one_line(tmp_path: Path) -> None:
    done = run("real", "echo", "ran", PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path), KUBEBUILDER_ASSETS="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the control plane for tests needs Go ")
    assert done.stderr.count("\n") == 1


def test_a_seed_that_is_no_number_is_one_line() -> None:
    done = run("real", "echo", "ran", WORKQUEUE_DEMO_SEED="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: WORKQUEUE_DEMO_SEED must be a number, not 'x'\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_signal_during_the_build_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    go = tmp_path / "bin/go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\n[ "$1" = env ] && echo go1.99 && exit\nexec sleep 1000\n', encoding="utf-8")
    go.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{go.parent}:/usr/bin:/bin",
        "XDG_CACHE_HOME": str(tmp_path),
        "KUBEBUILDER_ASSETS": "",
    }
    command = [sys.executable, "-m", "tests.cluster.run", "real", "echo", "ran"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stderr
            assert running.stderr.readline().startswith("building etcd ")
            running.send_signal(number)
            output, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert (running.returncode, output) == (0, "")
    assert said == "demo: stopped before the command was run\n"


class Life:
    """A Deployment's life on an in-process API server, a second in no time."""

    def __init__(self, server: ApiServer, *, seed: int) -> None:
        self.server = server
        self.said: list[str] = []
        self.client = Client(server.url, token="", ca_file=None)
        self._life = DeploymentLife(self.client, seed=seed, now=0.0, say=self.said.append)
        self._now = 0.0

    def live(self, seconds: float, *, watch: Callable[[], object] = lambda: None) -> None:
        for _ in range(round(seconds * 5)):
            self._life.look(self._now)
            watch()
            self._now += 0.2

    def deployment(self) -> dict:
        return self.server.get("deployments.apps", "web", namespace="demo")


@pytest.fixture
def life(server: ApiServer) -> Iterator[Callable[[int], Life]]:
    made: list[Life] = []

    def make_life(seed: int) -> Life:
        made.append(Life(server, seed=seed))
        return made[-1]

    yield make_life
    for each in made:
        each.client.close()


@pytest.mark.parametrize("seed", range(5))
def test_a_deployment_is_scaled_and_restarted_within_half_a_minute(life: Callable[[int], Life], seed: int) -> None:
    running = life(seed)
    replicas: list[int] = []
    restarts: set[str] = set()

    def watch() -> None:
        spec = running.deployment()["spec"]
        if spec["replicas"] not in replicas[-1:]:
            replicas.append(spec["replicas"])
        restarts.update(spec["template"]["metadata"].get("annotations", {}).values())

    running.live(30, watch=watch)
    assert replicas[0] == 5
    assert len(replicas) >= 3
    assert all(2 <= count <= 12 for count in replicas)
    assert restarts
    assert running.said[0] == "deployment web made, with 5 replicas"
    assert running.said[1] == f"deployment web scaled from 5 to {replicas[1]}"
    assert running.said[2] == "deployment web restarted"


def test_one_seed_is_one_life(life: Callable[[int], Life]) -> None:
    first = life(7)
    first.live(300)
    with ApiServer() as server:
        second = Life(server, seed=7)
        second.live(300)
        second.client.close()
    assert first.said == second.said
    assert len(first.said) > 20


def test_a_deployment_that_somebody_deletes_comes_back(life: Callable[[int], Life]) -> None:
    running = life(1)
    running.live(5)
    running.server.delete("deployments.apps", "web", namespace="demo")
    running.live(20)
    assert running.deployment()["spec"]["replicas"] >= 2
    assert running.said.count("deployment web made, with 5 replicas") == 2
    running.server.delete("deployments.apps", "web", namespace="demo")
    running.server.delete("namespaces", "demo")
    with pytest.raises(ApiError):
        running.server.get("namespaces", "demo")
    running.live(20)
    assert running.deployment()["spec"]["replicas"] >= 2
