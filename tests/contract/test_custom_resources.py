"""CustomResourceDefinitions: what they add, and how their objects differ from built-in ones."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.conftest import MERGE, STRATEGIC, Api, assert_refused

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def eventually(condition: Callable[[], bool]) -> None:
    """A real server needs a moment from a definition to its resources."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.05)


class Foos:
    """A definition of a group of its own, and where its objects live."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.group = f"g{uuid.uuid4().hex[:8]}.example.com"
        self.name = f"foos.{self.group}"
        self.root = f"/apis/{self.group}/v1alpha1"
        self.path = f"{self.root}/namespaces/{api.namespace}/foos"

    def definition(self) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"spec": ANYTHING, "status": ANYTHING}}
        version = {
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"plural": "foos", "kind": "Foo", "shortNames": ["fo"], "categories": ["all"]},
                "versions": [version],
            },
        }

    def body(self, name: str = "a", **fields: Any) -> dict[str, Any]:
        return {
            "apiVersion": f"{self.group}/v1alpha1",
            "kind": "Foo",
            "metadata": {"name": name},
            "spec": {"replicas": 1},
            **fields,
        }

    def create(self, name: str = "a", **fields: Any) -> dict[str, Any]:
        response = self.api.call("POST", self.path, self.body(name, **fields))
        assert response.status_code == 201, response.text
        return response.json()


@pytest.fixture
def foos(api: Api) -> Iterator[Foos]:
    """Foos that are served."""
    foos = Foos(api)
    made = api.call("POST", DEFINITIONS, foos.definition())
    assert made.status_code == 201, made.text
    eventually(lambda: api.get(foos.root).status_code == 200 and api.get(foos.path).status_code == 200)
    yield foos
    api.delete(f"{DEFINITIONS}/{foos.name}")
    eventually(lambda: api.get(f"{DEFINITIONS}/{foos.name}").status_code == 404)


def test_a_group_that_is_not_defined_is_no_page(api: Api) -> None:
    for path in ("/apis/nobody.example.com", "/apis/nobody.example.com/v1", "/apis/nobody.example.com/v1/things"):
        response = api.get(path)
        assert (response.status_code, response.text) == (404, "404 page not found\n")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_definition_becomes_established(foos: Foos) -> None:
    definition = foos.api.read(f"{DEFINITIONS}/{foos.name}")
    conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert definition["status"]["storedVersions"] == ["v1alpha1"]
    assert definition["spec"]["names"]["singular"] == "foo"
    assert definition["spec"]["names"]["listKind"] == "FooList"


def test_its_resources_are_discovered(foos: Foos) -> None:
    groups = [group["name"] for group in foos.api.read("/apis")["groups"]]
    assert foos.group in groups
    resources = {resource["name"]: resource for resource in foos.api.read(foos.root)["resources"]}
    assert set(resources) == {"foos", "foos/status"}
    assert resources["foos"]["shortNames"] == ["fo"]
    assert (resources["foos"]["kind"], resources["foos"]["singularName"]) == ("Foo", "foo")
    assert (resources["foos"]["namespaced"], resources["foos"]["categories"]) == (True, ["all"])


def test_its_objects_are_served(foos: Foos) -> None:
    made = foos.create()
    assert (made["kind"], made["apiVersion"]) == ("Foo", f"{foos.group}/v1alpha1")
    assert made["metadata"]["generation"] == 1
    assert foos.api.read(f"{foos.path}/a") == made


def test_items_of_a_custom_kind_carry_it(foos: Foos) -> None:
    made = foos.create()
    found = foos.api.read(foos.path)
    assert (found["kind"], found["apiVersion"]) == ("FooList", f"{foos.group}/v1alpha1")
    assert found["items"] == [made]


def test_a_body_without_its_kind_is_a_bad_request(foos: Foos) -> None:
    refused = foos.api.call("POST", foos.path, {"metadata": {"name": "a"}})
    assert_refused(refused, 400, "BadRequest", "Object 'Kind' is missing")


def test_a_body_of_another_version_is_a_bad_request(foos: Foos) -> None:
    refused = foos.api.call("POST", foos.path, foos.body() | {"apiVersion": "v1"})
    assert_refused(refused, 400, "BadRequest", "does not match the expected API version")


def test_refusals_name_the_group(foos: Foos) -> None:
    status = assert_refused(foos.api.get(f"{foos.path}/none"), 404, "NotFound")
    assert status["message"] == f'foos.{foos.group} "none" not found'
    assert status["details"] == {"name": "none", "group": foos.group, "kind": "foos"}


def test_the_status_is_written_apart(foos: Foos) -> None:
    made = foos.create(status={"seen": 1})
    assert "status" not in made
    path = f"{foos.path}/a"
    changed = foos.api.patch(path, {"spec": {"replicas": 2}, "status": {"seen": 2}}).json()
    assert "status" not in changed
    assert changed["metadata"]["generation"] == 2
    patch = {"spec": {"replicas": 3}, "status": {"seen": 3}, "metadata": {"labels": {"x": "y"}}}
    written = foos.api.patch(f"{path}/status", patch).json()
    assert (written["spec"], written["status"]) == ({"replicas": 2}, {"seen": 3})
    assert written["metadata"]["generation"] == 2
    assert "labels" not in written["metadata"]


def test_a_put_needs_a_version(foos: Foos) -> None:
    foos.create()
    refused = foos.api.call("PUT", f"{foos.path}/a", foos.body())
    assert_refused(
        refused, 422, "Invalid", "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    )


def test_patches_that_change_nothing_keep_the_version(foos: Foos) -> None:
    made = foos.create()
    assert foos.api.patch(f"{foos.path}/a", {"spec": {"replicas": 1}}).json() == made


def test_there_is_no_strategic_patch(foos: Foos) -> None:
    foos.create()
    refused = foos.api.patch(f"{foos.path}/a", {}, content_type=STRATEGIC)
    assert_refused(refused, 415, "UnsupportedMediaType", MERGE)


def test_objects_without_a_namespace_are_refused(foos: Foos) -> None:
    path = foos.path.replace(foos.api.namespace, "nowhere")
    assert_refused(foos.api.call("POST", path, foos.body()), 404, "NotFound", 'namespaces "nowhere" not found')


def test_its_objects_are_watched(foos: Foos) -> None:
    version = foos.api.read(foos.path)["metadata"]["resourceVersion"]
    with foos.api.watch(foos.path, resourceVersion=version) as events:
        made = foos.create()
        assert events.next() == {"type": "ADDED", "object": made}
        foos.api.delete(f"{foos.path}/a")
        assert events.told(1) == [("DELETED", "a")]


def test_a_watch_from_before_the_definition_is_expired(foos: Foos) -> None:
    with foos.api.watch(foos.path, resourceVersion="1") as events:
        assert events.response.status_code == 200
        (event,) = list(events)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["status"], status["code"], status["reason"]) == ("Status", "Failure", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


def test_a_streaming_list_of_nothing_is_a_bookmark(foos: Foos) -> None:
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with foos.api.watch(foos.path, **query) as events:
        event = events.next()
    assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "Foo")
    assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_definition_takes_its_objects_with_it(foos: Foos) -> None:
    version = foos.create()["metadata"]["resourceVersion"]
    with foos.api.watch(foos.path, resourceVersion=version) as events:
        going = foos.api.delete(f"{DEFINITIONS}/{foos.name}").json()
        assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        assert events.told(1) == [("DELETED", "a")]
    eventually(lambda: foos.api.get(foos.path).status_code == 404)
    eventually(lambda: foos.api.get(foos.root).status_code == 404)


def test_a_definition_is_named_after_its_resource(api: Api) -> None:
    definition = Foos(api).definition()
    definition["metadata"]["name"] = "foos.other.example.com"
    assert_refused(api.call("POST", DEFINITIONS, definition), 422, "Invalid", "metadata.name")


def test_protected_groups_need_an_approval(api: Api) -> None:
    foos = Foos(api)
    foos.group = "contract.k8s.io"
    foos.name = f"foos.{foos.group}"
    assert_refused(api.call("POST", DEFINITIONS, foos.definition()), 422, "Invalid", "api-approved.kubernetes.io")
