"""Creating objects: what the server adds, and what it refuses."""

import re

import pytest

from tests.contract.conftest import Api, assert_refused


def test_the_server_sets_uid_version_and_time(api: Api) -> None:
    made = api.create(data={"k": "v"})
    metadata = made["metadata"]
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"k": "v"})
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
    assert metadata["resourceVersion"].isdigit()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    assert (metadata["name"], metadata["namespace"]) == ("a", api.namespace)
    assert "generation" not in metadata
    read = api.read(api.path(name="a"))
    assert read == made


def test_versions_rise_across_kinds(api: Api) -> None:
    made = [api.create("a"), api.create_pod("b"), api.create("c")]
    versions = [int(each["metadata"]["resourceVersion"]) for each in made]
    assert versions == sorted(set(versions))


def test_the_client_does_not_choose_what_is_the_servers(api: Api) -> None:
    given = {"uid": "mine", "creationTimestamp": "2020-01-01T00:00:00Z", "deletionTimestamp": "2020-01-01T00:00:00Z"}
    metadata = api.create(metadata=given)["metadata"]
    assert metadata["uid"] != "mine"
    assert not metadata["creationTimestamp"].startswith("2020")
    assert "deletionTimestamp" not in metadata


def test_a_name_is_generated(api: Api) -> None:
    names = {
        api.call("POST", api.path(), {"metadata": {"generateName": "made-"}}).json()["metadata"]["name"] for _ in "12"
    }
    assert len(names) == 2
    assert all(re.fullmatch(r"made-[a-z0-9]{5}", name) for name in names)


def test_a_new_pod_is_pending_whatever_the_client_says(api: Api) -> None:
    pod = api.create_pod(status={"phase": "Running"})
    assert pod["status"]["phase"] == "Pending"
    assert pod["metadata"]["generation"] == 1
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30


def test_a_namespace_is_active_and_labelled_with_its_name(api: Api) -> None:
    namespace = api.read(f"/api/v1/namespaces/{api.namespace}")
    assert namespace["status"]["phase"] == "Active"
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": api.namespace}


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_some_namespaces_are_there_from_the_start(api: Api, name: str) -> None:
    assert api.read(f"/api/v1/namespaces/{name}")["status"]["phase"] == "Active"


def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    api.create("a")
    refused = api.call("POST", api.path(), {"metadata": {"name": "a"}})
    status = assert_refused(refused, 409, "AlreadyExists")
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_the_group_is_part_of_a_refusal(api: Api) -> None:
    path = api.path("leases.coordination.k8s.io/v1")
    api.call("POST", path, {"metadata": {"name": "a"}})
    status = assert_refused(api.call("POST", path, {"metadata": {"name": "a"}}), 409, "AlreadyExists")
    assert status["message"] == 'leases.coordination.k8s.io "a" already exists'
    assert status["details"] == {"name": "a", "group": "coordination.k8s.io", "kind": "leases"}


def test_nothing_is_created_in_a_namespace_that_is_not_there(api: Api) -> None:
    refused = api.call("POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "a"}})
    status = assert_refused(refused, 404, "NotFound")
    assert status["message"] == 'namespaces "nowhere" not found'
    assert status["details"] == {"name": "nowhere", "kind": "namespaces"}


def test_nothing_is_created_across_namespaces(api: Api) -> None:
    assert_refused(api.call("POST", "/api/v1/configmaps", {"metadata": {"name": "a"}}), 405, "MethodNotAllowed")


def test_a_name_is_required(api: Api) -> None:
    status = assert_refused(api.call("POST", api.path(), {"metadata": {}}), 422, "Invalid")
    assert status["message"] == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }
    ]


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dot.", "a/b"])
def test_a_name_obeys_the_rules(api: Api, name: str) -> None:
    refused = api.call("POST", api.path(), {"metadata": {"name": name}})
    status = assert_refused(refused, 422, "Invalid", "metadata.name: Invalid value")
    assert status["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize("labels", [{"a b": "c"}, {"a": "b c"}, {"a": "-"}])
def test_labels_obey_the_rules(api: Api, labels: dict[str, str]) -> None:
    refused = api.call("POST", api.path(), {"metadata": {"name": "a", "labels": labels}})
    assert_refused(refused, 422, "Invalid", "metadata.labels: Invalid value")


def test_a_pod_needs_containers(api: Api) -> None:
    refused = api.call("POST", api.path("pods"), {"metadata": {"name": "a"}})
    status = assert_refused(refused, 422, "Invalid")
    assert status["message"] == 'Pod "a" is invalid: spec.containers: Required value'


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_a_bad_request(api: Api, body: bytes) -> None:
    assert_refused(api.call("POST", api.path(), body), 400, "BadRequest", "must be of type ConfigMap")


def test_a_body_of_another_kind_is_a_bad_request(api: Api) -> None:
    body = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}
    assert_refused(api.call("POST", api.path(), body), 400, "BadRequest", "cannot be handled as a ConfigMap")


def test_a_body_of_another_namespace_is_a_bad_request(api: Api) -> None:
    body = {"metadata": {"name": "a", "namespace": "default"}}
    assert_refused(api.call("POST", api.path(), body), 400, "BadRequest", "does not match the namespace")


def test_a_new_object_has_no_version_yet(api: Api) -> None:
    assert_refused(api.call("POST", api.path(), {"metadata": {"name": "a", "resourceVersion": "1"}}), 500, "")


def test_a_dry_run_creates_nothing(api: Api) -> None:
    assert api.call("POST", api.path(), {"metadata": {"name": "a"}}, dryRun="All").status_code == 201
    assert api.get(api.path(name="a")).status_code == 404


def test_times_of_leases_carry_microseconds(api: Api) -> None:
    path = api.path("leases.coordination.k8s.io/v1")
    body = {"metadata": {"name": "a"}, "spec": {"renewTime": "2026-01-01T00:00:00Z"}}
    assert_refused(api.call("POST", path, body), 400, "BadRequest", "parsing time")
    body["spec"]["renewTime"] = "2026-01-01T00:00:00.000001Z"
    assert api.call("POST", path, body).json()["spec"] == body["spec"]


def test_both_groups_of_events_show_the_same_events(api: Api) -> None:
    body = {
        "metadata": {"name": "a"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": api.namespace},
        "message": "hello",
        "reason": "Because",
        "type": "Normal",
    }
    assert api.call("POST", api.path("events"), body).status_code == 201
    shown = api.read(api.path("events.events.k8s.io/v1", "a"))
    assert shown["apiVersion"] == "events.k8s.io/v1"
    assert (shown["note"], shown["regarding"]["name"], shown["reason"]) == ("hello", "p", "Because")
    assert "involvedObject" not in shown


def test_an_event_is_kept_with_what_it_is_about(api: Api) -> None:
    for about, refused in ((api.namespace, False), ("other", True), (None, True)):
        body = {"metadata": {"name": f"about-{about}"}, "reason": "Told", "type": "Normal"}
        body["involvedObject"] = {"kind": "Pod", "name": "a", **({"namespace": about} if about else {})}
        answer = api.call("POST", api.path("events"), body)
        if refused:
            assert_refused(answer, 422, "Invalid", "involvedObject.namespace: Invalid value")
        else:
            assert answer.status_code == 201
    cluster_wide = {"metadata": {"generateName": "a"}, "involvedObject": {"kind": "Node", "name": "a"}}
    assert api.call("POST", "/api/v1/namespaces/default/events", cluster_wide).status_code == 201
