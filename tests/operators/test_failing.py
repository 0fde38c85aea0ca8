"""What ends an operator ends it plainly; what a watch can miss is found."""

import signal as signals

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


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_process_with_status_0(server, kubeconfig, tmp_path, signal):
    server.create("pods", pod("web"))
    with run_as_process("-A", kubeconfig=kubeconfig, log=tmp_path / "log") as operator:
        operator.wait_until_idle(1)
        operator.process.send_signal(getattr(signals, signal))
        assert operator.process.wait(60) == 0
    assert "controller pods stopped: drained" in operator.output()
