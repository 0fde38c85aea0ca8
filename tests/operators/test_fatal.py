"""What cannot be mended ends the process with one line and status 1; what can be lived with ends nothing."""

import signal
import socket
import time

import pytest

from tests.operators.harness import eventually, run_as_process, run_in_process
from tests.operators.objects import pod

FILES = "tests/operators/files"


def error_line(output):
    """The one line for the user."""
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


def assert_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ("RuntimeError", "error: the login with kubeconfig {kubeconfig} (context in-process) failed: odd"),
        ("SystemExit", "error: the login failed: RuntimeError(\"SystemExit('odd')\")"),
    ],
)
def test_a_login_that_raises_what_nobody_expects_ends_with_one_line(server, kubeconfig, tmp_path, odd, said):
    with run_as_process(
        "-A", path=f"{FILES}/odd_login.py", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False, ODD=odd
    ) as operator:
        assert operator.process.wait(60) == 1
    assert error_line(operator.output()) == said.format(kubeconfig=kubeconfig)
    assert "Traceback" not in operator.output()
    assert_free(operator.port)


def test_a_controller_without_threads_for_its_workers_ends_with_one_line(server, kubeconfig, tmp_path):
    server.create("pods", pod("web"))
    with run_as_process(
        "-A", path=f"{FILES}/no_threads.py", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False
    ) as operator:
        assert operator.process.wait(60) == 1
    output = operator.output()
    assert error_line(output) == "error: controller pods could not start its 4 workers: can't start new thread"
    assert "controller pods stopped: drained" in output
    assert_free(operator.port)


def test_workers_that_cannot_start_as_the_operator_stops_are_no_error(server, kubeconfig, tmp_path):
    with run_as_process(
        "-A", path=f"{FILES}/late_start.py", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False
    ) as operator:
        eventually(lambda: "starting 1 workers" in operator.output(), "the start")
        operator.process.send_signal(signal.SIGTERM)
        assert operator.process.wait(60) == 0
    assert "error: " not in operator.output()
    assert "Traceback" not in operator.output()


def test_a_handler_that_hangs_in_a_resync_does_not_keep_the_process(server, kubeconfig, tmp_path):
    server.create("pods", pod("web"))
    with run_as_process("-A", path=f"{FILES}/hung_handler.py", kubeconfig=kubeconfig, log=tmp_path / "log") as operator:
        eventually(lambda: "hung in workqueue-resync-pods" in operator.output(), "the handler")
        begun = time.monotonic()
        operator.process.send_signal(signal.SIGTERM)
        assert operator.process.wait(60) == 0
        assert time.monotonic() - begun < 1 + 10, "grace, and the time that a slow machine takes"
    assert "Traceback" not in operator.output()


def test_an_object_on_which_the_transform_raises_keeps_nothing_from_being_ready(server):
    for name in ("a", "odd", "b"):
        server.create("pods", pod(name))
    with run_in_process("-A", path=f"{FILES}/two_informers.py") as operator:
        module = operator.module
        eventually(lambda: module.runs == {"whole": {"a", "b", "odd"}, "small": {"a", "b"}}, "the runs")
        # What of: an event or an object of the list, is the lane's business.
        assert any(
            "pods-2: an " in line and ("was not applied" in line or "was ignored" in line) for line in operator.said
        )
        server.create("pods", pod("odd-later"))
        server.create("pods", pod("c"))
        eventually(lambda: {"a", "b", "c"} == module.runs["small"], "a run for what came later")
        assert operator.get("/readyz").ok


def test_two_informers_of_one_resource_have_caches_and_series_of_their_own(server):
    for name in ("a", "odd", "b"):
        server.create("pods", pod(name))
    with run_in_process("-A", path=f"{FILES}/two_informers.py") as operator:
        module = operator.module
        assert (module.whole.name, module.small.name) == ("pods", "pods-2")
        assert operator.metric("informer_objects", name="pods") == 3
        assert operator.metric("informer_objects", name="pods-2") == 2
        assert "spec" in module.whole.get("default/a")
        assert "spec" not in module.small.get("default/a")
        server.delete("pods", "a")
        eventually(lambda: operator.metric("informer_objects", name="pods") == 2, "the deletion in the first")
        eventually(lambda: operator.metric("informer_objects", name="pods-2") == 1, "the deletion in the second")
