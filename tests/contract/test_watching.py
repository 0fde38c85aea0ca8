"""Watches: from where, of what, until when."""

import time

import pytest

from tests.contract.conftest import PATIENCE, Api, assert_refused

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
STREAMING = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}


def test_a_watch_from_a_version_gives_what_happened_after_it(api: Api) -> None:
    version = api.create("before")["metadata"]["resourceVersion"]
    api.create("a")
    api.label("a", x="y")
    with api.watch(resourceVersion=version) as events:
        assert events.told(2) == [("ADDED", "a"), ("MODIFIED", "a")]
        api.delete(api.path(name="a"))
        assert events.told(1) == [("DELETED", "a")]


def test_events_carry_whole_objects_with_kind_and_version(api: Api) -> None:
    version = api.list_version()
    made = api.create(data={"k": "v"})
    with api.watch(resourceVersion=version) as events:
        assert events.next() == {"type": "ADDED", "object": made}


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}])
def test_a_watch_from_nowhere_gives_the_present_first(api: Api, query: dict[str, str]) -> None:
    for name in "ab":
        api.create(name)
    api.label("a", x="y")
    with api.watch(**query) as events:
        assert sorted(events.told(2)) == [("ADDED", "a"), ("ADDED", "b")]
        api.label("b", x="y")
        assert events.told(1) == [("MODIFIED", "b")]


def test_a_deletion_has_a_version_of_its_own_and_the_last_state(api: Api) -> None:
    made = api.create(data={"k": "v"})
    with api.watch(resourceVersion=made["metadata"]["resourceVersion"]) as events:
        api.delete(api.path(name="a"))
        event = events.next()
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"].pop("resourceVersion")) > int(made["metadata"].pop("resourceVersion"))
    assert event["object"] == made


def test_deleted_and_created_again_is_two_events_with_two_uids(api: Api) -> None:
    made = api.create()
    with api.watch(resourceVersion=made["metadata"]["resourceVersion"]) as events:
        api.delete(api.path(name="a"))
        again = api.create()
        gone, come = events.next(), events.next()
    assert (gone["type"], gone["object"]["metadata"]["uid"]) == ("DELETED", made["metadata"]["uid"])
    assert (come["type"], come["object"]) == ("ADDED", again)


def test_a_watch_can_go_on_where_another_ended(api: Api) -> None:
    version = api.list_version()
    for name in "abc":
        api.create(name)
    with api.watch(resourceVersion=version) as events:
        version = events.next()["object"]["metadata"]["resourceVersion"]
    with api.watch(resourceVersion=version) as events:
        assert events.told(2) == [("ADDED", "b"), ("ADDED", "c")]


def test_a_watch_of_a_namespace_sees_no_other(api: Api) -> None:
    version = api.list_version()
    other = f"{api.namespace}-2"
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    labels = {"test": api.namespace}  # the namespaces of other tests may be going just now
    api.call("POST", f"/api/v1/namespaces/{other}/configmaps", {"metadata": {"name": "there", "labels": labels}})
    api.create("here", labels=labels)
    with api.watch(resourceVersion=version) as events:
        assert events.told(1) == [("ADDED", "here")]
    selector = f"test={api.namespace}"
    with api.watch("/api/v1/configmaps", resourceVersion=version, labelSelector=selector) as events:
        assert events.told(2) == [("ADDED", "there"), ("ADDED", "here")]
    api.delete(f"/api/v1/namespaces/{other}")


def test_objects_cross_a_label_selector(api: Api) -> None:
    version = api.list_version()
    with api.watch(resourceVersion=version, labelSelector="colour=red") as events:
        api.create("a", labels={"colour": "blue"})
        api.label("a", colour="red")
        inside = api.label("a", size="big")
        left = api.label("a", colour="green")
        api.label("a", colour="blue")
        api.label("a", colour="red")
        api.delete(api.path(name="a"))
        told = [events.next() for _ in range(5)]
    assert [event["type"] for event in told] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    # What leaves a selection is shown as it was inside, at the version of the change.
    assert told[2]["object"]["metadata"]["labels"] == inside["metadata"]["labels"]
    assert told[2]["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


def test_objects_cross_a_field_selector(api: Api) -> None:
    version = api.list_version("pods")
    with api.watch(api.path("pods"), resourceVersion=version, fieldSelector="status.phase=Running") as events:
        for name in "ab":
            api.create_pod(name)
        for phase in ("Running", "Succeeded"):
            api.patch(api.path("pods", "a", "status"), {"status": {"phase": phase}})
        assert events.told(2) == [("ADDED", "a"), ("DELETED", "a")]


def test_a_watch_of_one_name_sees_only_it(api: Api) -> None:
    with api.watch(fieldSelector="metadata.name=b") as events:
        for name in "abc":
            api.create(name)
        api.label("b", x="y")
        assert events.told(2) == [("ADDED", "b"), ("MODIFIED", "b")]


def test_a_watch_of_metadata_gives_nothing_else(api: Api) -> None:
    made = api.create_pod()
    with api.watch(api.path("pods"), accept=METADATA) as events:
        event = events.next()
    assert event["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


def test_a_watch_ends_cleanly_after_its_timeout(api: Api) -> None:
    started = time.monotonic()
    with api.watch(resourceVersion=api.list_version(), timeoutSeconds="1") as events:
        assert events.response.headers["Content-Type"] == "application/json"
        assert events.response.headers["Transfer-Encoding"] == "chunked"
        assert list(events) == []
    assert 0.9 <= time.monotonic() - started < PATIENCE


def test_a_bookmark_before_the_timeout_tells_of_what_was_not_selected(api: Api) -> None:
    query = {"allowWatchBookmarks": "true", "timeoutSeconds": "4", "resourceVersion": api.list_version("pods")}
    with api.watch(api.path("pods"), labelSelector="nothing=selected", **query) as events:
        made = api.create_pod()["metadata"]["resourceVersion"]
        event = events.next()
    assert event["type"] == "BOOKMARK"
    bookmark = event["object"]
    assert (bookmark["kind"], bookmark["apiVersion"]) == ("Pod", "v1")
    assert set(bookmark["metadata"]) == {"resourceVersion"}
    assert int(bookmark["metadata"]["resourceVersion"]) >= int(made)


def test_a_streaming_list_ends_with_an_annotated_bookmark(api: Api) -> None:
    made = [api.create(name) for name in "ab"]
    with api.watch(**STREAMING) as events:
        first, second, end = events.next(), events.next(), events.next()
        assert sorted([first["object"], second["object"]], key=lambda o: o["metadata"]["name"]) == made
        assert end["type"] == "BOOKMARK"
        assert (end["object"]["kind"], end["object"]["apiVersion"]) == ("ConfigMap", "v1")
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(end["object"]["metadata"]["resourceVersion"]) >= int(made[1]["metadata"]["resourceVersion"])
        api.create("c")
        assert events.told(1) == [("ADDED", "c")]


@pytest.mark.parametrize("query", [{}, {"labelSelector": "nothing=selected"}])
def test_a_streaming_list_of_nothing_is_a_bookmark(api: Api, query: dict[str, str]) -> None:
    if query:
        api.create()
    with api.watch(**STREAMING, **query) as events:
        event = events.next()
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_streaming_list_of_metadata(api: Api) -> None:
    api.create()
    with api.watch(accept=METADATA, **STREAMING) as events:
        added, end = events.next(), events.next()
    assert (added["type"], added["object"]["kind"]) == ("ADDED", "PartialObjectMetadata")
    assert (end["type"], end["object"]["kind"]) == ("BOOKMARK", "PartialObjectMetadata")
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_without_bookmarks_a_streaming_list_has_no_end(api: Api) -> None:
    api.create("a")
    with api.watch(sendInitialEvents="true", resourceVersionMatch="NotOlderThan") as events:
        assert events.told(1) == [("ADDED", "a")]
        api.create("b")
        assert events.told(1) == [("ADDED", "b")]


def test_a_watch_may_decline_initial_events(api: Api) -> None:
    made = api.create("a")
    with api.watch(resourceVersion="0") as events:  # the cache has seen it now
        events.next()
    query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "0"}
    with api.watch(**query) as events:
        api.create("b")
        assert events.told(1) == [("ADDED", "b")]
    assert made["metadata"]["name"] == "a"


def test_a_streaming_list_of_the_future_is_an_error_event(api: Api) -> None:
    with api.watch(**STREAMING, resourceVersion="999999999") as events:
        assert events.response.status_code == 200
        (event,) = list(events)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 504, "Timeout")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_from_the_future_is_blind(api: Api) -> None:
    api.create("a")
    with api.watch(resourceVersion="999999999", timeoutSeconds="1") as events:
        api.create("b")
        assert list(events) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"sendInitialEvents": "true"}, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ({"resourceVersionMatch": "NotOlderThan"}, "resourceVersionMatch is forbidden for watch unless"),
    ],
)
def test_options_that_make_no_sense_are_invalid(api: Api, query: dict[str, str], words: str) -> None:
    assert_refused(api.get(api.path(), watch="true", **query), 422, "Invalid", words)


def test_a_version_that_is_no_number_is_refused(api: Api) -> None:
    assert_refused(api.get(api.path(), watch="true", resourceVersion="x"), 500, "", "invalid syntax")


@pytest.mark.parametrize("value", ["false", "0", "False"])
def test_a_watch_can_be_declined(api: Api, value: str) -> None:
    assert api.read(api.path(), watch=value)["kind"] == "ConfigMapList"


def test_the_old_path_of_a_watch_still_works(api: Api) -> None:
    api.create("a")
    with api.watch(f"/api/v1/watch/namespaces/{api.namespace}/configmaps") as events:
        assert events.told(1) == [("ADDED", "a")]
