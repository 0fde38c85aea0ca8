"""What ends an operator ends it plainly; what a watch can miss is found."""

import signal as signals
import socket

import pytest

from tests.operators.harness import eventually, run_as_process, run_in_process
from tests.operators.objects import pod
from workqueue.testing.apiserver import Fault


def is_watch(query) -> bool:
    return query.get("watch") == "true"


def test_a_list_that_never_ends_is_given_up_with_one_line_and_no_worker_ever_started(server, kubeconfig, tmp_path):
    server.create("pods", pod("web"))
    server.script(Fault(method="GET", path="/api/v1/pods", hang=True, times=None))
    with run_as_process(
        "-A", path="tests/operators/files/impatient.py", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False
    ) as operator:
        assert operator.process.wait(60) == 1
    output = operator.output()
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: the cache of pods did not sync within 0.5 s (pods: ")
    (threads,) = [line for line in output.splitlines() if line.startswith("threads: ")]
    assert "workqueue-start-pods" in threads
    assert "workqueue-pods-" not in threads
    assert "Traceback" not in output


def test_deletions_that_nobody_saw_are_found_when_kopf_lists_again(server):
    for name in ("stays", "goes"):
        server.create("pods", pod(name))
    with run_in_process("-A") as operator:
        operator.wait_until_seen("default/goes: pod created")
        server.script(Fault(method="GET", path="/api/v1/pods", query=is_watch, status=503, times=None))
        asked = len(server.requests)
        server.disconnect_watches()
        eventually(
            lambda: any(r.path == "/api/v1/pods" and is_watch(r.query) for r in server.requests[asked:]),
            "a watch that is refused",
        )
        server.delete("pods", "goes")
        server.compact()
        server.clear_faults()
        operator.wait_until_seen("default/goes: pod does not exist anymore")
        assert [key.name for key in operator.module.pods.indexer.list_keys()] == ["stays"]


def test_a_port_in_use_is_said_in_one_line(server, kubeconfig, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with run_as_process(
            "-A", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False, WORKQUEUE_BIND_ADDRESS=address
        ) as operator:
            assert operator.process.wait(60) == 1
    (line,) = [line for line in operator.output().splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: cannot serve probes and metrics at {address} (")
    assert "set WORKQUEUE_BIND_ADDRESS" in line
    assert "Traceback" not in operator.output()


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_process_with_status_0(server, kubeconfig, tmp_path, signal):
    server.create("pods", pod("web"))
    with run_as_process("-A", kubeconfig=kubeconfig, log=tmp_path / "log") as operator:
        operator.wait_until_idle(1)
        operator.process.send_signal(getattr(signals, signal))
        assert operator.process.wait(60) == 0
    assert "controller pods stopped: drained" in operator.output()


CONTEXTS = """
current-context: nowhere
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
"""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "error: kubeconfig {path} does not exist: correct KUBECONFIG", id="no such file"),
        pytest.param("a: [b", "error: kubeconfig {path} is not YAML: while parsing", id="no YAML"),
        pytest.param("- a", "error: kubeconfig {path} is no kubeconfig: expected clusters", id="no kubeconfig"),
        pytest.param(
            CONTEXTS,
            "error: kubeconfig {path} has no context 'nowhere', its current-context; there are: here",
            id="no such context",
        ),
        pytest.param(
            CONTEXTS.replace("nowhere", "here").replace("name: u,", "name: v,"),
            "error: kubeconfig {path} has no user 'u', which its context 'here' wants",
            id="no such user",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_said_in_one_line_that_names_it(tmp_path, content, said):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with run_as_process("-A", kubeconfig=path, log=tmp_path / "log", ready=False) as operator:
        assert operator.process.wait(60) == 1
    (line,) = [line for line in operator.output().splitlines() if line.startswith("error: ")]
    assert line.startswith(said.format(path=path))
    assert "Traceback" not in operator.output()
