"""How objects go."""

import pytest

from tests.contract.conftest import Api, assert_refused


def test_a_deletion_is_answered_with_a_status(api: Api) -> None:
    made = api.create()
    response = api.delete(api.path(name="a"))
    assert response.status_code == 200
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    assert api.get(api.path(name="a")).status_code == 404


def test_what_is_not_there_cannot_be_deleted(api: Api) -> None:
    status = assert_refused(api.delete(api.path(name="a")), 404, "NotFound")
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_a_new_object_of_the_name_has_another_uid(api: Api) -> None:
    old = api.create()
    api.delete(api.path(name="a"))
    assert api.create()["metadata"]["uid"] != old["metadata"]["uid"]


@pytest.mark.parametrize(
    ("precondition", "words"),
    [
        ({"uid": "another"}, "the UID in the precondition (another) does not match the UID in record"),
        ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match the ResourceVersion"),
    ],
)
def test_a_precondition_that_fails_is_a_conflict(api: Api, precondition: dict[str, str], words: str) -> None:
    api.create()
    refused = api.delete(api.path(name="a"), {"preconditions": precondition})
    status = assert_refused(refused, 409, "Conflict", 'Operation cannot be fulfilled on ConfigMap "a"', words)
    assert status["details"] == {"name": "a", "kind": "ConfigMap"}
    assert api.get(api.path(name="a")).status_code == 200


def test_preconditions_that_hold_let_it_go(api: Api) -> None:
    metadata = api.create()["metadata"]
    preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    assert api.delete(api.path(name="a"), {"preconditions": preconditions}).status_code == 200


def test_options_that_are_no_json_are_a_bad_request(api: Api) -> None:
    api.create()
    assert_refused(api.delete(api.path(name="a"), b"x"), 400, "BadRequest")


def test_a_dry_run_deletes_nothing(api: Api) -> None:
    api.create()
    assert api.delete(api.path(name="a"), dryRun="All").status_code == 200
    assert api.get(api.path(name="a")).status_code == 200


def test_an_object_stays_until_its_last_finalizer_is_removed(api: Api) -> None:
    made = api.create(metadata={"finalizers": ["example.com/one", "example.com/two"]})
    with api.watch(resourceVersion=made["metadata"]["resourceVersion"]) as events:
        marked = api.delete(api.path(name="a")).json()
        assert (marked["kind"], marked["metadata"]["deletionGracePeriodSeconds"]) == ("ConfigMap", 0)
        assert marked["metadata"]["deletionTimestamp"]
        again = api.delete(api.path(name="a")).json()
        assert again == marked
        api.patch(api.path(name="a"), {"metadata": {"finalizers": ["example.com/two"]}})
        last = api.patch(api.path(name="a"), {"metadata": {"finalizers": None}}).json()
        assert "finalizers" not in last["metadata"]
        assert api.get(api.path(name="a")).status_code == 404
        first, second, gone = events.next(), events.next(), events.next()
    assert (first["type"], first["object"]) == ("MODIFIED", marked)
    assert second["type"] == "MODIFIED"
    assert gone["type"] == "DELETED"
    assert gone["object"]["metadata"]["finalizers"] == ["example.com/two"]
    assert last["metadata"]["resourceVersion"] == second["object"]["metadata"]["resourceVersion"]
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(last["metadata"]["resourceVersion"])


def test_no_finalizer_is_added_to_what_is_going(api: Api) -> None:
    api.create(metadata={"finalizers": ["example.com/one"]})
    api.delete(api.path(name="a"))
    refused = api.patch(api.path(name="a"), {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}})
    assert_refused(refused, 422, "Invalid", "no new finalizers can be added if the object is being deleted")
    assert api.patch(api.path(name="a"), {"metadata": {"labels": {"x": "y"}}}).status_code == 200
    assert api.patch(api.path(name="a"), {"metadata": {"finalizers": None}}).status_code == 200


def test_a_finalizer_has_a_qualified_name(api: Api) -> None:
    refused = api.call("POST", api.path(), {"metadata": {"name": "a", "finalizers": ["plain"]}})
    assert_refused(refused, 422, "Invalid", "metadata.finalizers[0]: Invalid value")


def test_a_pod_that_was_never_scheduled_goes_at_once_in_two_events(api: Api) -> None:
    made = api.create_pod()
    with api.watch(api.path("pods"), resourceVersion=made["metadata"]["resourceVersion"]) as events:
        answer = api.delete(api.path("pods", "a")).json()
        assert answer["kind"] == "Pod"
        marked, gone = events.next(), events.next()
    assert marked["type"] == "MODIFIED"
    assert marked["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert marked["object"]["metadata"]["generation"] == 2
    assert (gone["type"], gone["object"]) == ("DELETED", answer)
    assert int(answer["metadata"]["resourceVersion"]) > int(marked["object"]["metadata"]["resourceVersion"])
    assert api.get(api.path("pods", "a")).status_code == 404


def test_a_scheduled_pod_terminates_until_it_is_deleted_with_no_grace(api: Api) -> None:
    made = api.create_pod(spec={"nodeName": "somewhere"})
    marked = api.delete(api.path("pods", "a")).json()["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert marked["deletionTimestamp"] > made["metadata"]["creationTimestamp"]
    assert api.delete(api.path("pods", "a")).json()["metadata"] == marked
    assert api.read(api.path("pods", "a"))["metadata"] == marked
    assert api.delete(api.path("pods", "a"), {"gracePeriodSeconds": 0}).status_code == 200
    assert api.get(api.path("pods", "a")).status_code == 404


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_goes_at_once(api: Api, phase: str) -> None:
    api.create_pod(spec={"nodeName": "somewhere"})
    api.patch(api.path("pods", "a", "status"), {"status": {"phase": phase}})
    assert api.delete(api.path("pods", "a")).json()["metadata"]["deletionGracePeriodSeconds"] == 0
    assert api.get(api.path("pods", "a")).status_code == 404


def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        api.create(name, labels={"colour": colour})
    gone = api.delete(api.path(), labelSelector="colour=red").json()
    assert (gone["kind"], [item["metadata"]["name"] for item in gone["items"]]) == ("ConfigMapList", ["a", "c"])
    assert [item["metadata"]["name"] for item in api.read(api.path())["items"]] == ["b"]


def test_a_namespace_that_is_going_takes_nothing_new(api: Api) -> None:
    held = api.create_pod(metadata={"finalizers": ["example.com/one"]})
    going = api.delete(f"/api/v1/namespaces/{api.namespace}").json()
    assert (going["kind"], going["status"]["phase"]) == ("Namespace", "Terminating")
    refused = api.call("POST", api.path(), {"metadata": {"name": "b"}})
    status = assert_refused(refused, 403, "Forbidden", "because it is being terminated")
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert api.read(api.path("pods", "a"))["metadata"]["uid"] == held["metadata"]["uid"]
    api.patch(api.path("pods", "a"), {"metadata": {"finalizers": None}})


def test_the_default_namespace_is_immortal(api: Api) -> None:
    refused = api.delete("/api/v1/namespaces/default")
    assert_refused(refused, 403, "Forbidden", 'namespaces "default" is forbidden: this namespace may not be deleted')
