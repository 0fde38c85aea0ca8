"""How an operator ends: gently at the first signal, at once at the second, and with nothing lost even by SIGKILL."""

import re
import signal
import time

import pytest

from tests.operators.harness import eventually, run_as_process
from tests.operators.objects import pod

SLOW = "tests/operators/files/slow.py"
RECEIVED = "Signal SIGTERM is received"


def keys(output, what):
    """The pods of which a line says something."""
    return set(re.findall(rf"default/(\S+): {what}", output))


def stopped(output):
    """The line that says what was left."""
    [line] = re.findall(r"controller pods stopped: .*", output)
    return line


def seconds_to_end(operator):
    """From SIGTERM to status 0."""
    begun = time.monotonic()
    operator.process.send_signal(signal.SIGTERM)
    assert operator.process.wait(60) == 0
    return time.monotonic() - begun


@pytest.fixture
def make_pods(server):
    def make(count):
        for number in range(count):
            server.create("pods", pod(f"web-{number}"))
        return {f"web-{number}" for number in range(count)}

    return make


def test_sigterm_lets_running_and_queued_keys_finish_and_ends_with_status_0(make_pods, kubeconfig, tmp_path):
    pods = make_pods(8)
    with run_as_process("-A", path=SLOW, kubeconfig=kubeconfig, log=tmp_path / "log", SLOW_SECONDS="1") as operator:
        eventually(lambda: len(keys(operator.output(), "begun")) == 4, "four running keys")
        assert seconds_to_end(operator) < 20, "the grace period; two rounds of keys take two"
    output = operator.output()
    assert keys(output, "finished") == pods
    assert stopped(output) == (
        "controller pods stopped: drained; 0 keys queued and 0 in processing were left, 0 delayed keys dropped"
    )
    begin = re.search(
        r"controller pods stopping: \d keys queued, \d in processing, up to 20 s; a second signal ends it now\n", output
    )
    assert begin is not None
    assert begin.start() < output.index("controller pods stopped"), "it is said at once"
    assert "Traceback" not in output


def test_sigterm_begins_no_key_that_would_outlast_the_grace_period(make_pods, kubeconfig, tmp_path):
    pods = make_pods(12)
    with run_as_process("-A", path=SLOW, kubeconfig=kubeconfig, log=tmp_path / "log", SLOW_GRACE="3.5") as operator:
        eventually(lambda: len(keys(operator.output(), "begun")) == 4, "four running keys")
        assert seconds_to_end(operator) < 3.5 + 5, "the grace period, and what a slow machine takes to end a process"
    output = operator.output()
    begun = keys(output, "begun")
    assert keys(output, "finished") == begun, "a key was cut off"
    left = len(pods - begun)
    assert left >= 4, "more was begun than two runs in 3.5 s allow"
    assert stopped(output) == (
        f"controller pods stopped: not drained within 3.5 s; {left} keys queued and 0 in processing were left, "
        "0 delayed keys dropped"
    )
    assert "Traceback" not in output


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(make_pods, kubeconfig, tmp_path, second):
    make_pods(8)
    with run_as_process(
        "-A", path=SLOW, kubeconfig=kubeconfig, log=tmp_path / "log", SLOW_SECONDS="600", SLOW_GRACE="600"
    ) as operator:
        eventually(lambda: len(keys(operator.output(), "begun")) == 4, "four running keys")
        operator.process.send_signal(signal.SIGTERM)
        eventually(lambda: operator.get("/readyz").status_code != 200, "the beginning of the stop")
        eventually(lambda: RECEIVED in operator.output(), "Kopf's line about the signal")
        assert operator.process.poll() is None
        operator.process.send_signal(second)
        assert operator.process.wait(60) == -second, "by the signal itself"
    assert "Traceback" not in operator.output()


def test_after_a_sigkill_the_next_start_looks_at_everything_again(make_pods, kubeconfig, tmp_path):
    pods = make_pods(8)
    with run_as_process(
        "-A", path=SLOW, kubeconfig=kubeconfig, log=tmp_path / "killed", SLOW_SECONDS="600"
    ) as operator:
        eventually(lambda: len(keys(operator.output(), "begun")) == 4, "four running keys")
        operator.process.kill()
        assert operator.process.wait(60) == -signal.SIGKILL
    assert keys(operator.output(), "finished") == set()
    with run_as_process("-A", path=SLOW, kubeconfig=kubeconfig, log=tmp_path / "log", SLOW_SECONDS="0") as operator:
        eventually(lambda: keys(operator.output(), "finished") == pods, "a run for every pod")
        operator.process.terminate()
        assert operator.process.wait(60) == 0
