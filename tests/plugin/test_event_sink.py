"""Events on an API server: what is kept, and what each of its answers means for an event."""

import socket
from dataclasses import replace

import kopf
import pytest

from workqueue.control.events import (
    EventExists,
    EventGone,
    EventRecorder,
    EventRejected,
    NamespaceTerminating,
    Outbox,
    SinkUnavailable,
)
from workqueue.control.events.event import Event
from workqueue.control.events.reference import Reference
from workqueue.plugin import event_sink
from workqueue.plugin.event_sink import KubernetesEventSink
from workqueue.testing.apiserver import Fault

PATIENCE = 30.0
AT = "2023-11-14T22:13:20Z"
EVENT = Event(
    "web.1", Reference("Pod", "v1", "web", "default", "u"), "Warning", "Failed", "no luck", "c", "h", AT, AT,
    annotations={"example.com/a": "b"},
)  # fmt: skip


@pytest.fixture
def logged_in(server, login):
    login.renew(kopf.ConnectionInfo(server=server.url))
    yield login
    login.kubernetes().rest_client.pool_manager.clear()


@pytest.fixture
def sink(logged_in):
    return KubernetesEventSink(logged_in)


def create(sink, event=EVENT):
    return sink.create(event.namespace, event.body())


def patch(sink, event=EVENT):
    return sink.patch(event.namespace, event.name, replace(event, count=2, message="again").patch())


def status(code, reason, message, **details):
    """A Status object, as an API server answers."""
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message, **details}


def test_an_event_is_kept_as_it_was_made(sink, server):
    answer = create(sink)
    kept = server.get("events", "web.1")
    assert answer["metadata"]["uid"] == kept["metadata"]["uid"]
    for times in ("firstTimestamp", "lastTimestamp"):  # this client writes them in a way of its own
        assert kept.pop(times).replace("+00:00", "Z") == AT
    body = EVENT.body()
    assert kept["metadata"].items() >= body.pop("metadata").items()
    assert kept.items() >= {key: value for key, value in body.items() if not key.endswith("Timestamp")}.items()


def test_a_patch_changes_count_message_and_time_and_nothing_else(sink, server):
    create(sink)
    before = server.get("events", "web.1")
    answer = sink.patch("default", "web.1", {"count": 2, "message": "again", "lastTimestamp": "2023-11-14T22:14:00Z"})
    after = server.get("events", "web.1")
    assert {key for key in after if after[key] != before.get(key)} == {"count", "message", "lastTimestamp", "metadata"}
    assert (after["count"], after["message"], after["lastTimestamp"]) == (2, "again", "2023-11-14T22:14:00Z")
    assert (answer["count"], answer["message"], answer["metadata"]["name"]) == (2, "again", "web.1")


# What answers mean.


def test_a_name_that_is_taken_is_said_to_be(sink):
    create(sink)
    with pytest.raises(EventExists, match=r'events "web\.1" already exists'):
        create(sink)


def test_an_event_that_is_not_there_is_gone(sink):
    with pytest.raises(EventGone, match=r'events "web\.1" not found'):
        patch(sink)


def test_a_namespace_that_is_not_there_is_a_rejection(sink):
    with pytest.raises(EventRejected, match='namespaces "nowhere" not found') as raised:
        create(sink, replace(EVENT, about=replace(EVENT.about, namespace="nowhere")))
    assert not isinstance(raised.value, EventGone)


def test_a_namespace_on_its_way_out_is_told_apart(sink, server):
    told = "unable to create new content in namespace default because it is being terminated"
    details = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace", "message": "going"}]}
    server.script(Fault(method="POST", status=403, body=status(403, "Forbidden", told, details=details)))
    with pytest.raises(NamespaceTerminating, match=told):
        create(sink)


def test_a_missing_right_is_said_with_what_to_do(sink, server):
    told = "events is forbidden: User cannot create resource"
    server.script(Fault(method="POST", status=403, body=status(403, "Forbidden", told)))
    with pytest.raises(EventRejected, match=f"^{told}: bind a role with the verbs create and patch on events$"):
        create(sink)


def test_an_event_that_breaks_a_rule_is_rejected(sink):
    with pytest.raises(EventRejected, match=r'^422 Event "web\.1" is invalid: involvedObject\.namespace'):
        sink.create("default", {**EVENT.body(), "involvedObject": {"kind": "Pod", "namespace": "other"}})


@pytest.mark.parametrize("code", [400, 405, 409, 413])
@pytest.mark.parametrize("call", [create, patch])
def test_what_would_be_refused_again_is_rejected(sink, server, code, call):
    server.script(Fault(path="*/events*", status=code))
    with pytest.raises(EventRejected, match=f"^{code} ") as raised:
        call(sink)
    assert type(raised.value) is EventRejected


@pytest.mark.parametrize("code", [401, 408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", [create, patch])
def test_what_says_nothing_of_the_event_is_tried_again(sink, server, code, call):
    server.script(Fault(path="*/events*", status=code, body=b"<html>later\n</html>"))
    with pytest.raises(SinkUnavailable, match=f"^{code} "):
        call(sink)


@pytest.mark.parametrize("call", [create, patch])
def test_a_server_that_does_not_answer_is_given_up_in_time(sink, server, call, monkeypatch):
    monkeypatch.setattr(event_sink, "TIMEOUT", (0.2, 0.2))
    server.script(Fault(path="*/events*", hang=True, times=None))
    with pytest.raises(SinkUnavailable, match="timed out"):
        call(sink)


@pytest.mark.parametrize("call", [create, patch])
def test_an_answer_that_breaks_off_is_tried_again(sink, server, call):
    create(sink)
    server.script(Fault(path="*/events*", cut_after_bytes=5))
    with pytest.raises(SinkUnavailable):
        call(sink, replace(EVENT, name="web.2" if call is create else "web.1"))


def test_nobody_at_the_address_is_tried_again(login):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        login.renew(kopf.ConnectionInfo(server=f"http://127.0.0.1:{nobody.getsockname()[1]}"))
        with pytest.raises(SinkUnavailable):
            create(KubernetesEventSink(login))
    login.kubernetes().rest_client.pool_manager.clear()


def test_before_the_login_an_event_waits_for_it(login):
    with pytest.raises(SinkUnavailable, match="no client yet"):
        create(KubernetesEventSink(login))


def test_what_no_request_can_be_made_of_is_rejected(sink):
    with pytest.raises(EventRejected):
        sink.create(None, EVENT.body())


# All together.


def test_events_go_all_the_way(sink, server):
    outbox = Outbox(sink)
    recorder = EventRecorder("pod-controller", outbox=outbox)
    pod = server.create(
        "pods", {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    )
    node = server.create("nodes", {"metadata": {"name": "Node"}} | {"metadata": {"name": "node-1"}})
    for _ in range(3):
        recorder.event(pod, type="Normal", reason="Synced", message="all is well")
    recorder.event(node, type="Warning", reason="Full", message="110 pods")
    outbox.close(PATIENCE)
    events = {event["involvedObject"]["name"]: event for event in server.list("events", namespace="default")}
    assert {name: (event["count"], event["reason"]) for name, event in events.items()} == {
        "web": (3, "Synced"),
        "node-1": (1, "Full"),
    }
    assert events["web"]["involvedObject"]["uid"] == pod["metadata"]["uid"]
    assert (outbox.statistics().sent, outbox.statistics().patched) == (2, 2)


def test_an_event_that_has_expired_is_created_anew(sink, server):
    outbox = Outbox(sink)
    recorder = EventRecorder("pod-controller", outbox=outbox)
    about = {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": "default"}
    recorder.event(about, type="Normal", reason="Synced", message="all is well")
    while not (kept := server.list("events", namespace="default")):
        pass
    server.delete("events", kept[0]["metadata"]["name"])
    recorder.event(about, type="Normal", reason="Synced", message="all is well")
    outbox.close(PATIENCE)
    (again,) = server.list("events", namespace="default")
    assert (again["metadata"]["name"], again["count"]) == (kept[0]["metadata"]["name"], 2)
    assert again["metadata"]["uid"] != kept[0]["metadata"]["uid"]
