"""What is made of a call of event(): the fields, the names, what is no event, and that nothing is ever raised."""

import re
from collections import UserDict
from datetime import UTC, datetime

import pytest
from kubernetes import client

from tests.control.conftest import PATIENCE, until
from tests.control.event_sinks import pod
from workqueue.base.errors import ConfigurationError
from workqueue.control.events import EventRecorder
from workqueue.control.events.event import MESSAGE_LIMIT, event_name, shortened

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class PykubePod:
    """As pykube has listed it: the items of a list do not say what they are, their class does."""

    kind = "Pod"
    version = "v1"

    def __init__(self, obj):
        self.obj = obj


METADATA = client.V1ObjectMeta(name="web", namespace="default", uid="uid-of-web", resource_version="7")
EXPECTED = "expected a body, an object of pykube or of the official client, or a reference"
SET = ": the official client's lists leave it out; set kind and api_version of the object before"


class Untold:
    def __str__(self):
        raise ValueError("no text")


@pytest.fixture
def record(recorder, outbox, sink):
    """``record(obj, …)`` is the event that has become of a call, or None."""

    def run(obj, **fields):
        recorder.event(obj, **{"type": "Normal", "reason": "Synced", "message": "all is well", **fields})
        until(lambda: not outbox.statistics().pending, "nothing is pending")
        return sink.calls[-1][2] if sink.calls else None

    return run


def test_an_event_has_all_that_kubernetes_shows(record):
    event = record(pod(), type="Warning", reason="Failed", message="no luck", annotations={"example.com/a": "b"})
    at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"web.{int(at.timestamp()) * 10**9:x}",
            "namespace": "default",
            "annotations": {"example.com/a": "b"},
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "web",
            "namespace": "default",
            "uid": "uid-of-web",
            "resourceVersion": "7",
        },
        "type": "Warning",
        "reason": "Failed",
        "message": "no luck",
        "count": 1,
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "source": {"component": "pod-controller"},
        "reportingComponent": "pod-controller",
        "reportingInstance": "node-1",
    }


def test_the_same_event_again_is_a_patch_with_the_later_time(record, clock, sink):
    first = record(pod())
    clock.step(61)
    assert record(pod()) == {"count": 2, "lastTimestamp": "2023-11-14T22:14:21Z", "message": "all is well"}
    assert sink.verbs == ["create", "patch"]
    assert sink.calls[1][1] == first["metadata"]["name"]


def test_an_object_in_the_cluster_scope_has_its_events_in_the_default_namespace(record, sink):
    event = record({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
    assert event["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    assert event["metadata"]["namespace"] == "default"
    assert [namespace for namespace, _ in sink.events] == ["default"]


def test_an_event_is_kept_in_the_namespace_of_its_object(record, sink):
    record(pod(namespace="shop"))
    assert [namespace for namespace, _ in sink.events] == ["shop"]


@pytest.mark.parametrize(
    "obj",
    [
        pod(),
        UserDict(pod()),
        PykubePod(pod()),
        PykubePod({"metadata": pod()["metadata"]}),
        {"apiVersion": "v1", "kind": "Pod", **pod()["metadata"]},
        client.V1Pod(api_version="v1", kind="Pod", metadata=METADATA),
        client.V1ObjectReference(
            api_version="v1", kind="Pod", name="web", namespace="default", uid="uid-of-web", resource_version="7"
        ),
    ],
    ids=[
        *("a body", "a mapping", "a pykube object", "a pykube object of a list", "a reference"),
        *("an object of the official client", "a reference of the official client"),
    ],
)
def test_an_object_may_come_in_any_form(record, obj):
    assert record(obj)["involvedObject"] == {"apiVersion": "v1", "kind": "Pod", **pod()["metadata"]}


def test_a_reference_may_be_to_a_part_of_an_object(record):
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "web", "fieldPath": "spec.containers{main}"}
    assert record(reference)["involvedObject"] == reference


# What is none.


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"type": "normal"}, "type='normal' of Pod default/web: expected 'Normal' or 'Warning'"),
        ({"type": None}, "type=None of Pod default/web: expected 'Normal' or 'Warning'"),
        ({"reason": ""}, "reason='' of Pod default/web: expected a word, such as 'Synced'"),
        ({"reason": None}, "reason=None of Pod default/web: expected a word, such as 'Synced'"),
        ({"reason": "R" * 129}, "the reason of Pod default/web has 129 characters, at most 128 are allowed"),
        ({"message": Untold()}, "ValueError('no text')"),
        (
            {"annotations": {"a": "x" * 20_000}},
            "the annotations of Pod default/web have 20001 characters, at most 16384 are allowed",
        ),
        ({"annotations": ["a"]}, "annotations=['a'] of Pod default/web: expected texts by name"),
        ({"obj": None}, f"NoneType is no object: {EXPECTED}"),
        ({"obj": "default/web"}, f"str is no object: {EXPECTED}"),
        ({"obj": PykubePod(None)}, f"PykubePod is no object: {EXPECTED}"),
        ({"obj": client.V1Pod()}, "the object given has no kind" + SET),
        ({"obj": client.V1Pod(metadata=METADATA)}, "the object default/web has no kind" + SET),
        ({"obj": client.V1Pod(kind="Pod", metadata=METADATA)}, "the object Pod default/web has no apiVersion" + SET),
        ({"obj": client.V1Pod(kind="Pod", api_version="v1")}, "the object Pod has no name"),
        ({"obj": {"metadata": pod()["metadata"]}}, "the object default/web has no kind"),
        ({"obj": {**pod(), "apiVersion": ""}}, "the object Pod default/web has no apiVersion"),
        ({"obj": {**pod(), "metadata": {}}}, "the object Pod has no name"),
        ({"obj": {}}, "the object given has no kind"),
        ({"obj": {**pod(), "metadata": {"name": 3}}}, "the object Pod has no name"),
    ],
)
def test_what_is_no_event_is_a_line_in_the_log_and_counted_and_never_raised(record, recorder, caplog, call, told):
    call = {"obj": pod(), **call}
    assert record(call.pop("obj"), **call) is None
    assert [each.getMessage() for each in caplog.records] == [f"pod-controller: an event was not recorded: {told}"]
    statistics = recorder.statistics()
    assert (statistics.recorded, statistics.dropped["invalid"], statistics.pending) == (1, 1, 0)


def test_a_message_may_be_anything_with_a_text(record):
    assert record(pod(), message=ValueError("oops"))["message"] == "oops"
    assert record(pod(name="other"), message=None, annotations={"a": 1})["metadata"]["annotations"] == {"a": "1"}


@pytest.mark.parametrize("component", ["", " ", None, 3])
def test_a_recorder_needs_a_name(outbox, component):
    with pytest.raises(ConfigurationError, match=r"recorder\(.*\): expected a name, such as 'pod-controller'"):
        EventRecorder(component, outbox=outbox)


def test_a_recorder_tells_by_default_on_which_host_it_is(outbox, sink, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "my-pod-1")
    EventRecorder("pods", outbox=outbox).event(pod(), type="Normal", reason="Told", message="")
    sink.wait(1)
    assert sink.calls[0][2]["reportingInstance"] == "my-pod-1"


def test_recorders_of_one_outbox_are_told_apart_and_counted_together(outbox, sink):
    recorders = [EventRecorder(name, outbox=outbox) for name in ("pods", "foos")]
    for each in recorders:
        each.event(pod(), type="Normal", reason="Told", message="the same")
    outbox.close(PATIENCE)
    assert sink.verbs == ["create", "create"]
    assert [call[2]["source"]["component"] for call in sink.calls] == ["pods", "foos"]
    assert {each.statistics().sent for each in recorders} == {2}


# Names, and messages that are too long.


def test_a_name_is_the_objects_and_the_time():
    assert event_name("test-pod", 105999103295324396) == "test-pod.178959f726d80ec"


@pytest.mark.parametrize(
    "name", ["x" * 300, "x" * 240, "test.POD", "test.pod/invalid!chars?", "--test.pod", "a..b", "a\n", "é", ""]
)
def test_an_odd_name_is_no_part_of_the_events(name):
    names = {event_name(name, 105999103295324396) for _ in range(3)}
    assert len(names) == 3
    assert all(SUBDOMAIN.fullmatch(each) and len(each) == 36 for each in names)


def test_the_longest_name_that_fits_is_used():
    assert event_name("x" * 237, 105999103295324396) == "x" * 237 + ".178959f726d80ec"
    assert len(event_name("x" * 238, 105999103295324396)) == 36


def test_no_two_events_have_one_name_though_the_clock_stands_still(recorder, sink, outbox):
    for number in range(20):
        recorder.event(pod(uid=str(number)), type="Normal", reason=f"Reason{number}", message="")
    outbox.close(PATIENCE)
    assert len({name for _, name, _ in sink.calls}) == 20


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
@pytest.mark.parametrize("offset", range(4))
def test_a_message_that_is_too_long_is_cut_between_two_characters(character, offset):
    cut = shortened("x" * offset + character * 2 * MESSAGE_LIMIT)
    assert MESSAGE_LIMIT - 3 <= len(cut.encode()) <= MESSAGE_LIMIT
    assert cut.endswith(" ...")
    assert set(cut.removesuffix(" ...")) <= {"x", character}


def test_a_message_that_fits_is_left_alone():
    assert shortened("é" * (MESSAGE_LIMIT // 2)) == "é" * (MESSAGE_LIMIT // 2)
    assert shortened("half \ud83d") == "half ?"


def test_a_long_message_is_cut_before_it_is_sent(record):
    assert len(record(pod(), message="x" * 5000)["message"]) == MESSAGE_LIMIT
