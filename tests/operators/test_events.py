"""An operator that records events: those of what was listed, too, all sent at its end, and again in the next run."""

import sys

import kopf
import pytest

from tests.lanes.promises import LANES
from tests.operators.harness import eventually, run_in_process
from tests.operators.objects import pod
from workqueue.testing.apiserver import Fault

MODULE = "tests.operators.files.telling"


@pytest.fixture
def run(server, monkeypatch):
    """``with run() as operator``, of one module and one registry, on each lane."""
    sys.modules.pop(MODULE, None)
    registry = kopf.OperatorRegistry()
    yield lambda: run_in_process("-A", "-m", MODULE, path="", registry=registry)
    sys.modules.pop(MODULE, None)


def told(server):
    """Of each object: how often it was told of."""
    events = server.list("events", namespace="default")
    return {event["involvedObject"]["name"]: event["count"] for event in events if event["reason"] == "Seen"}


@pytest.mark.parametrize("lane", LANES)
def test_objects_of_the_first_list_have_events_and_a_second_run_has_its_own(server, run, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    pods = {name: server.create("pods", pod(name)) for name in "abc"}
    with run() as operator:
        eventually(lambda: operator.metric("recorder_events_total", result="sent") == 3, "three events")
        about = {event["involvedObject"]["name"]: event["involvedObject"] for event in server.list("events")}
        for name, reference in about.items():
            assert (reference["kind"], reference["apiVersion"]) == ("Pod", "v1")
            assert reference["uid"] == pods[name]["metadata"]["uid"]
    assert told(server) == {"a": 1, "b": 1, "c": 1}
    recorder = sys.modules[MODULE].recorder
    assert recorder.statistics().sent == 3

    server.create("pods", pod("d"))
    with run() as operator:
        assert sys.modules[MODULE].recorder is recorder
        eventually(lambda: recorder.statistics().sent == 7, "four more events")
    assert len(server.list("events", namespace="default")) == 7
    assert recorder.statistics().dropped["closed"] == 0


def test_what_is_recorded_while_the_operator_drains_is_sent(server, run):
    names = {f"at-the-end-{number}" for number in range(10)}
    for name in names:
        server.create("pods", pod(name))
    with run():
        module = sys.modules[MODULE]
        eventually(lambda: module.controller.queue.statistics().processing == 1, "a run that waits for the stop")
        assert told(server) == {}
    assert told(server) == dict.fromkeys(names, 1)


def test_an_api_server_that_takes_no_events_does_not_keep_the_operator(server, run):
    server.script(Fault(method="POST", path="*/events", status=503, times=None))
    server.create("pods", pod("first"))
    with run() as operator:
        operator.wait_until_seen("the event Seen of Pod default/first could not be sent, and will be retried: 503")
    assert any("1 events were not sent before the end" in line for line in operator.said)
