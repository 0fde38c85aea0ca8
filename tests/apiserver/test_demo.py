"""`python -m workqueue.testing.demo`: a command, a cluster around it, and nothing left of either."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workqueue.testing.apiserver import ApiServer
from workqueue.testing.demo import NODES, Churn, PodLife

DEMO = [sys.executable, "-m", "workqueue.testing.demo"]
#: Says where the cluster is, then waits for its end; counts the signals that come.
SCRIPT = """
import os, signal, sys, time
seen = []
def on_signal(number, frame):
    seen.append(number)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, on_signal)
print(os.environ["KUBECONFIG"], os.getpid(), flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.3)
print("signals", len(seen), seen[0], flush=True)
sys.exit(int(sys.argv[1]))
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *command], capture_output=True, text=True, timeout=30, env={**os.environ, **environment}
    )


@contextmanager
def started(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that runs, killed if the test leaves it."""
    process = subprocess.Popen(
        [*DEMO, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_no_command_is_one_line_of_usage_and_status_2() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
    assert done.stderr.count("\n") == 1


def test_the_commands_status_and_output_are_the_demos() -> None:
    done = run("sh", "-c", "echo out; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "embedded cluster at http://127.0.0.1:" in done.stderr
    assert "namespace demo" in done.stderr
    assert "Ctrl-C ends it" in done.stderr


def test_a_command_that_is_not_there_is_one_line_and_status_127() -> None:
    done = run("/nowhere/command")
    assert done.returncode == 127
    assert "cannot run /nowhere/command: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_ended_by_a_signal_has_a_shells_status() -> None:
    assert run("sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_only_kubeconfig_is_changed_in_the_environment() -> None:
    done = run(sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))", KUBECONFIG="mine")
    environment = json.loads(done.stdout)
    kubeconfig = environment.pop("KUBECONFIG")
    expected = {**os.environ}
    expected.pop("KUBECONFIG", None)
    ignored = {"PYTEST_CURRENT_TEST", "LC_CTYPE"}
    assert {k: v for k, v in environment.items() if k not in ignored} == {
        k: v for k, v in expected.items() if k not in ignored
    }
    assert kubeconfig != "mine"
    assert not Path(kubeconfig).parent.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGINT, 5)])
def test_a_signal_reaches_the_command_once_and_leaves_nothing(number: signal.Signals, status: int) -> None:
    with started(sys.executable, "-c", SCRIPT, str(status)) as demo:
        assert demo.stdout is not None
        kubeconfig, pid = demo.stdout.readline().split()
        assert Path(kubeconfig).stat().st_mode & 0o777 == 0o600
        for _ in range(2):  # a terminal and `make` may both send it
            os.killpg(demo.pid, number)
        output, errors = demo.communicate(timeout=20)
    assert output == f"signals 1 {int(number)}\n"
    assert demo.returncode == status
    assert "Traceback" not in errors
    assert not is_alive(int(pid))
    assert not Path(kubeconfig).parent.exists()


def test_what_the_command_leaves_behind_is_ended() -> None:
    done = run("sh", "-c", "sleep 1000 & echo left")  # it holds the output open: run() returns when it is gone
    assert (done.returncode, done.stdout) == (0, "left\n")


def test_pods_come_while_the_thread_runs() -> None:
    with ApiServer() as server:
        with Churn(server, seed=1):
            deadline = time.monotonic() + 15
            while not server.list("pods", namespace="demo"):
                assert time.monotonic() < deadline, "no pod comes"
                time.sleep(0.02)
        assert sorted(node["metadata"]["name"] for node in server.list("nodes")) == list(NODES)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_pod_runs_changes_goes_and_comes_back_within_half_a_minute(seed: int) -> None:
    seen: list[tuple[str, str]] = []
    with ApiServer() as server:
        server.create("namespaces", {"metadata": {"name": "demo"}})
        life = PodLife(server, "web-0", seed=seed, now=0.0)
        versions = set()
        for tick in range(150):
            life.look(tick / 5)
            for pod in server.list("pods"):
                phase = "Terminating" if "deletionTimestamp" in pod["metadata"] else pod["status"]["phase"]
                versions.add(pod["metadata"]["resourceVersion"])
                if (pod["metadata"]["uid"], phase) not in seen:
                    seen.append((pod["metadata"]["uid"], phase))
    first, again = dict.fromkeys(uid for uid, _ in seen)
    assert [phase for uid, phase in seen if uid == first] == ["Pending", "Running", "Terminating"]
    assert "Pending" in [phase for uid, phase in seen if uid == again]
    assert len(versions) > 6


def test_a_pod_that_somebody_else_deletes_comes_back() -> None:
    with ApiServer() as server:
        server.create("namespaces", {"metadata": {"name": "demo"}})
        life = PodLife(server, "web-3", seed=1, now=0.0)
        uids = set()
        for tick in range(60):
            life.look(tick / 5)
            if pods := server.list("pods"):
                uids.add(pods[0]["metadata"]["uid"])
                if len(uids) == 1 and tick > 25:
                    server.delete("pods", "web-3", namespace="demo")
    assert len(uids) == 2
