"""What a client learns before its first request."""

import pytest

from tests.contract.conftest import Api


def test_the_version_is_1_36(api: Api) -> None:
    version = api.read("/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")


def test_the_core_group_has_version_v1(api: Api) -> None:
    found = api.read("/api")
    assert (found["kind"], found["versions"]) == ("APIVersions", ["v1"])


def test_the_groups_name_their_versions_and_the_preferred_one(api: Api) -> None:
    found = api.read("/apis")
    assert (found["kind"], found["apiVersion"]) == ("APIGroupList", "v1")
    groups = {group["name"]: group for group in found["groups"]}
    assert {"apps", "coordination.k8s.io", "apiextensions.k8s.io", "authorization.k8s.io", "events.k8s.io"} <= set(
        groups
    )
    assert groups["apps"] == {
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }


def test_one_group_can_be_asked_for(api: Api) -> None:
    found = api.read("/apis/apps")
    assert (found["kind"], found["name"]) == ("APIGroup", "apps")
    assert found["preferredVersion"]["groupVersion"] == "apps/v1"


def test_pods_are_described_with_their_short_name_category_and_status(api: Api) -> None:
    found = api.read("/api/v1")
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", "v1")
    resources = {resource["name"]: resource for resource in found["resources"]}
    pods = resources["pods"]
    assert pods.pop("storageVersionHash")
    assert sorted(pods.pop("verbs")) == [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]  # fmt: skip
    assert pods == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "shortNames": ["po"],
        "categories": ["all"],
    }
    assert resources["pods/status"] == {
        "name": "pods/status",
        "singularName": "",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["get", "patch", "update"],
    }


@pytest.mark.parametrize(
    ("group_version", "plural", "kind", "namespaced"),
    [
        ("api/v1", "namespaces", "Namespace", False),
        ("api/v1", "nodes", "Node", False),
        ("api/v1", "events", "Event", True),
        ("api/v1", "configmaps", "ConfigMap", True),
        ("api/v1", "secrets", "Secret", True),
        ("api/v1", "services", "Service", True),
        ("api/v1", "serviceaccounts", "ServiceAccount", True),
        ("apis/apps/v1", "deployments", "Deployment", True),
        ("apis/apps/v1", "replicasets", "ReplicaSet", True),
        ("apis/coordination.k8s.io/v1", "leases", "Lease", True),
        ("apis/events.k8s.io/v1", "events", "Event", True),
        ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", False),
        ("apis/authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ],
)
def test_a_resource_is_served(api: Api, group_version: str, plural: str, kind: str, namespaced: bool) -> None:
    resources = {resource["name"]: resource for resource in api.read(f"/{group_version}")["resources"]}
    assert (resources[plural]["kind"], resources[plural]["namespaced"]) == (kind, namespaced)


def test_everybody_in_charge_may_do_everything(api: Api) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "watch", "resource": "pods"}}}
    response = api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert response.status_code == 201
    answer = response.json()
    assert (answer["kind"], answer["spec"]) == ("SelfSubjectAccessReview", review["spec"])
    assert answer["status"]["allowed"] is True
