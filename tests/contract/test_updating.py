"""Replacing and patching objects."""

from typing import Any

import pytest

from tests.contract.conftest import JSON_PATCH, STRATEGIC, Api, assert_refused


def version(document: dict[str, Any]) -> int:
    return int(document["metadata"]["resourceVersion"])


def test_a_put_replaces_the_object_and_raises_its_version(api: Api) -> None:
    old = api.create(data={"a": "1"}, labels={"x": "y"})
    response = api.call("PUT", api.path(name="a"), {"metadata": {"name": "a"}, "data": {"b": "2"}})
    new = response.json()
    assert response.status_code == 200
    assert new["data"] == {"b": "2"}
    assert "labels" not in new["metadata"]
    assert version(new) > version(old)
    for kept in ("uid", "creationTimestamp"):
        assert new["metadata"][kept] == old["metadata"][kept]


def test_a_put_of_an_old_version_is_a_conflict(api: Api) -> None:
    old = api.create()
    api.label("a", x="y")
    status = assert_refused(api.call("PUT", api.path(name="a"), old), 409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_a_put_of_the_present_version_is_accepted(api: Api) -> None:
    old = api.create()
    old["data"] = {"a": "1"}
    new = api.call("PUT", api.path(name="a"), old).json()
    assert new["data"] == {"a": "1"}
    assert version(new) > version(old)


def test_a_put_for_another_uid_is_a_conflict(api: Api) -> None:
    api.create()
    body = {"metadata": {"name": "a", "uid": "another"}}
    assert_refused(api.call("PUT", api.path(name="a"), body), 409, "Conflict", "UID in precondition: another")


def test_a_put_that_changes_nothing_keeps_the_version(api: Api) -> None:
    old = api.create(data={"a": "1"}, labels={"x": "y"})
    new = api.call("PUT", api.path(name="a"), old).json()
    assert new == old


def test_a_put_of_a_name_that_is_not_there_is_not_found(api: Api) -> None:
    status = assert_refused(api.call("PUT", api.path(name="a"), {"metadata": {"name": "a"}}), 404, "NotFound")
    assert status["message"] == 'configmaps "a" not found'


def test_a_put_of_another_name_than_the_paths_is_a_bad_request(api: Api) -> None:
    api.create("a")
    refused = api.call("PUT", api.path(name="a"), {"metadata": {"name": "b"}})
    status = assert_refused(refused, 400, "BadRequest")
    assert status["message"] == "the name of the object (b) does not match the name on the URL (a)"


def test_a_put_without_a_name_is_a_bad_request(api: Api) -> None:
    api.create("a")
    assert_refused(api.call("PUT", api.path(name="a"), {"metadata": {}}), 400, "BadRequest", "name must be provided")


def test_a_put_may_create_a_lease_and_needs_a_version_from_then_on(api: Api) -> None:
    path = api.path("leases.coordination.k8s.io/v1", "a")
    body = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "one"}}
    made = api.call("PUT", path, body)
    assert made.status_code == 201
    assert_refused(api.call("PUT", path, body), 422, "Invalid", "must be specified for an update")
    assert api.call("PUT", path, made.json()).json() == made.json()


def test_a_merge_patch_sets_and_removes(api: Api) -> None:
    old = api.create(data={"keep": "1", "go": "2"}, labels={"x": "y"})
    patch = {"data": {"go": None, "come": "3"}, "metadata": {"annotations": {"n": "m"}}}
    new = api.patch(api.path(name="a"), patch).json()
    assert new["data"] == {"keep": "1", "come": "3"}
    assert new["metadata"]["labels"] == {"x": "y"}
    assert new["metadata"]["annotations"] == {"n": "m"}
    assert version(new) > version(old)


def test_a_patch_that_changes_nothing_keeps_the_version(api: Api) -> None:
    old = api.create(labels={"x": "y"})
    assert api.patch(api.path(name="a"), {"metadata": {"labels": {"x": "y"}}}).json() == old
    assert api.patch(api.path(name="a"), {}).json() == old


def test_a_patch_that_changes_nothing_is_no_event(api: Api) -> None:
    old = api.create(labels={"x": "y"})
    with api.watch(resourceVersion=old["metadata"]["resourceVersion"]) as events:
        api.label("a", x="y")
        api.label("a", x="z")
        event = events.next()
        assert (event["type"], event["object"]["metadata"]["labels"]) == ("MODIFIED", {"x": "z"})


def test_a_json_patch_tests_adds_replaces_removes(api: Api) -> None:
    api.create(data={"a": "1", "b": "2"}, labels={"x/y": "z"})
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "one"},
        {"op": "remove", "path": "/data/b"},
        {"op": "add", "path": "/data/c", "value": "3"},
        {"op": "copy", "from": "/data/c", "path": "/data/d"},
        {"op": "move", "from": "/data/a", "path": "/data/e"},
        {"op": "remove", "path": "/metadata/labels/x~1y"},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/one"]},
        {"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/two"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]
    response = api.patch(api.path(name="a"), operations, content_type=JSON_PATCH)
    new = response.json()
    assert response.status_code == 200, response.text
    assert new["data"] == {"c": "3", "d": "3", "e": "one"}
    assert "labels" not in new["metadata"]
    assert new["metadata"]["finalizers"] == ["example.com/two"]
    api.patch(api.path(name="a"), {"metadata": {"finalizers": None}})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/none/deeper", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_fit_changes_nothing(api: Api, operation: dict[str, Any]) -> None:
    old = api.create(data={"a": "1"})
    operations = [{"op": "add", "path": "/data/b", "value": "2"}, operation]
    refused = api.patch(api.path(name="a"), operations, content_type=JSON_PATCH)
    assert_refused(refused, 422, "Invalid", "the server rejected our request")
    assert api.read(api.path(name="a")) == old


def test_a_strategic_patch_merges_containers_by_name_and_conditions_by_type(api: Api) -> None:
    api.create_pod()
    patch = {"spec": {"containers": [{"name": "main", "image": "example.com/image:2"}]}}
    new = api.patch(api.path("pods", "a"), patch, content_type=STRATEGIC).json()
    assert [(c["name"], c["image"]) for c in new["spec"]["containers"]] == [("main", "example.com/image:2")]
    for kind in ("Ready", "PodScheduled", "Ready"):
        patch = {"status": {"conditions": [{"type": kind, "status": "True"}]}}
        new = api.patch(api.path("pods", "a", "status"), patch, content_type=STRATEGIC).json()
    assert sorted(condition["type"] for condition in new["status"]["conditions"]) == ["PodScheduled", "Ready"]


def test_a_patch_with_an_old_version_is_a_conflict(api: Api) -> None:
    api.create()
    assert_refused(api.patch(api.path(name="a"), {"metadata": {"resourceVersion": "1"}}), 409, "Conflict")


def test_a_patch_with_the_present_version_is_accepted(api: Api) -> None:
    old = api.create()
    patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"], "labels": {"x": "y"}}}
    assert api.patch(api.path(name="a"), patch).json()["metadata"]["labels"] == {"x": "y"}


def test_a_patch_cannot_change_the_uid(api: Api) -> None:
    api.create()
    refused = api.patch(api.path(name="a"), {"metadata": {"uid": "another"}})
    status = assert_refused(refused, 422, "Invalid", "field is immutable")
    assert status["details"]["causes"][0]["field"] == "metadata.uid"


def test_a_patch_of_a_name_that_is_not_there_is_not_found(api: Api) -> None:
    assert_refused(api.patch(api.path(name="none"), {}), 404, "NotFound", 'configmaps "none" not found')


def test_a_patch_that_is_no_json_is_a_bad_request(api: Api) -> None:
    api.create()
    assert_refused(api.patch(api.path(name="a"), b"x"), 400, "BadRequest", "error decoding patch")


def test_a_patch_of_an_unknown_media_type_is_refused(api: Api) -> None:
    api.create()
    refused = api.patch(api.path(name="a"), {}, content_type="application/json")
    assert_refused(refused, 415, "UnsupportedMediaType")


def test_the_generation_counts_changes_of_the_specification_only(api: Api) -> None:
    api.create_pod()
    path = api.path("pods", "a")
    assert api.patch(path, {"metadata": {"labels": {"x": "y"}}}).json()["metadata"]["generation"] == 1
    assert api.patch(f"{path}/status", {"status": {"phase": "Running"}}).json()["metadata"]["generation"] == 1
    patch = {"spec": {"activeDeadlineSeconds": 1000}}
    assert api.patch(path, patch).json()["metadata"]["generation"] == 2


def test_a_write_to_the_status_changes_only_the_status(api: Api) -> None:
    old = api.create_pod()
    patch = {"status": {"phase": "Running"}, "spec": {"activeDeadlineSeconds": 1000}}
    new = api.patch(api.path("pods", "a", "status"), patch).json()
    assert new["status"]["phase"] == "Running"
    assert new["spec"] == old["spec"]
    new["status"]["phase"] = "Succeeded"
    new["spec"]["activeDeadlineSeconds"] = 1000
    put = api.call("PUT", api.path("pods", "a", "status"), new).json()
    assert put["status"]["phase"] == "Succeeded"
    assert put["spec"] == old["spec"]


def test_a_write_to_the_object_leaves_the_status(api: Api) -> None:
    old = api.create_pod()
    new = api.patch(api.path("pods", "a"), {"status": {"phase": "Running"}}).json()
    assert new == old
    new["status"]["phase"] = "Running"
    assert api.call("PUT", api.path("pods", "a"), new).json()["status"]["phase"] == "Pending"


def test_the_status_can_be_read_by_itself(api: Api) -> None:
    pod = api.create_pod()
    assert api.read(api.path("pods", "a", "status")) == pod


def test_a_kind_without_a_status_has_no_such_path(api: Api) -> None:
    api.create()
    assert_refused(api.get(api.path(name="a", subresource="status")), 404, "NotFound")


def test_a_status_of_a_deployment_starts_empty_and_is_written_apart(api: Api) -> None:
    path = api.path("deployments.apps/v1")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "paused": True}  # no controller makes pods
    body = {"metadata": {"name": "a"}, "spec": spec, "status": {"replicas": 7}}
    made = api.call("POST", path, body).json()
    assert (made["status"], made["spec"]["replicas"]) == ({}, 1)
    assert api.patch(f"{path}/a", {"spec": {"replicas": 2}}).json()["metadata"]["generation"] == 2
    written = api.patch(f"{path}/a/status", {"spec": {"replicas": 3}, "status": {"replicas": 2}}).json()
    assert (written["status"]["replicas"], written["spec"]["replicas"]) == (2, 2)  # a controller may add to the status
    assert written["metadata"]["generation"] == 2
