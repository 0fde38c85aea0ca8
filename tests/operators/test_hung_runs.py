"""A run that hangs holds up neither the other keys nor the end of the operator."""

import time

import pytest

from tests.operators.harness import eventually, run_in_process
from tests.operators.objects import pod

NAME = {"controller": "pods"}


@pytest.fixture
def operator(server):
    server.create("pods", pod("hung"))
    with run_in_process("-A", path="tests/operators/files/hung_run.py") as running:
        yield running
        running.module.go_on.set()


def test_a_hung_run_is_named_and_measured_and_the_other_keys_go_on(server, operator):
    operator.wait_until_seen("default/hung is stuck for ")
    [line] = [line for line in operator.said if "is stuck for" in line]
    assert "another worker has its place: " in line
    assert "hung_run.py:" in line
    server.create("pods", pod("other"))
    eventually(lambda: operator.module.done == {"other"}, "the other key")
    assert operator.metric("workqueue_stuck") == 1
    assert operator.metric("workqueue_replaced_workers_total") == 1
    assert operator.metric("controller_runtime_reconcile_timeouts_total", **NAME) == 1
    assert operator.metric("controller_runtime_active_workers", **NAME) == 0
    operator.module.go_on.set()
    eventually(lambda: operator.metric("workqueue_stuck") == 0, "its end")
    operator.wait_until_seen("what it answered is not looked at")
    eventually(lambda: operator.module.controller.statistics().success >= 2, "a run in time")


def test_the_operator_stops_without_waiting_for_a_hung_run_and_says_where_it_is(server):
    server.create("pods", pod("hung"))
    with run_in_process("-A", path="tests/operators/files/hung_run.py") as operator:
        operator.wait_until_seen("default/hung is stuck for ")
        module = operator.module
        begun = time.monotonic()
    try:
        assert time.monotonic() - begun < 30, "its grace"
        [line] = [line for line in operator.said if "abandoned" in line]
        assert line.startswith("controller pods: abandoned: default/hung (")
        assert "hung_run.py:" in line
        assert any("controller pods stopped: not drained: 1 run is stuck; 0 keys" in line for line in operator.said)
        assert not any("controller pods stopping" in line for line in operator.said), "there is nothing to wait for"
    finally:
        module.go_on.set()
