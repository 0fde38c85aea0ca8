"""An informer of metadata at a real API server: what is kept, of built-in and of custom resources."""

from typing import Any

import pytest

from tests.cluster.client import ApiError, Client
from tests.cluster.controlplane import ControlPlane
from tests.faults.scene import operating
from tests.operators.harness import InProcess, eventually
from workqueue.base.keys import ObjectKey

pytestmark = pytest.mark.e2e

OPERATOR = "tests/lanes/files/witnessed.py"

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.metadata.example.com"},
    "spec": {
        "group": "metadata.example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


class Watched:
    """Objects of one kind, and an operator that watches them."""

    def __init__(self, plane: ControlPlane, path: str, **body: Any) -> None:
        """
        :param path: of the collection.
        :param body: of each object, with what it is.
        """
        self.plane, self.path, self.body = plane, path, body

    def make(self, name: str) -> dict[str, Any]:
        with self.plane.client() as admin:
            metadata = {"name": name, "labels": {"app": name}}
            return admin.call("POST", self.path, {**self.body, "metadata": metadata})

    def listed(self) -> list[dict[str, Any]]:
        """What the server has, cut."""
        with self.plane.client() as admin:
            items = admin.call("GET", self.path)["items"]
        found = []
        for each in items:
            metadata = {name: value for name, value in each["metadata"].items() if name != "managedFields"}
            found.append({"kind": self.body["kind"], "apiVersion": self.body["apiVersion"], "metadata": metadata})
        return found

    def follows(self, operator: InProcess) -> None:
        name = lambda body: body["metadata"]["name"]  # noqa: E731
        cache = operator.module.pods.indexer
        eventually(lambda: sorted(cache.list(), key=name) == sorted(self.listed(), key=name), "the server's metadata")

    def lives(self, operator: InProcess) -> None:
        """Something is there, something comes, changes, goes; and again after another list."""
        self.follows(operator)
        self.make("b")
        self.make("c")
        with self.plane.client() as admin:
            admin.patch(f"{self.path}/b", {"metadata": {"annotations": {"note": "x" * 3000}}})
            admin.call("DELETE", f"{self.path}/c")
        self.follows(operator)
        namespace = self.path.split("/")[-2]
        lists = operator.module.pods.statistics().lane.lists
        operator.module.pods.stream_lane.mend({ObjectKey(namespace, "b"): "missing"})
        eventually(lambda: operator.module.pods.statistics().lane.lists > lists, "another list")
        self.make("d")
        self.follows(operator)
        assert operator.module.pods.by_index("namespace", namespace) != []


def test_secrets_are_known_without_what_is_in_them(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    secrets = Watched(control_plane, path, kind="Secret", apiVersion="v1", stringData={"password": "nobody knows"})
    secrets.make("a")
    named = {"METADATA_ONLY": "1", "WITNESSED": "secrets"}
    with operating("-n", namespace, kubeconfig=control_plane.kubeconfig, path=OPERATOR, **named) as operator:
        secrets.lives(operator)
        eventually(lambda: operator.module.witness.gives(operator.module.pods.indexer), "handlers that know of it")


def test_custom_resources_say_what_they_are(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/metadata.example.com/v1/namespaces/{namespace}/things"
    things = Watched(control_plane, path, kind="Thing", apiVersion="metadata.example.com/v1", spec={"text": "x" * 1000})
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with control_plane.client() as admin:
        admin.call("POST", definitions, DEFINITION)
        try:
            eventually(lambda: served(admin, path), "things")
            things.make("a")
            named = {"METADATA_ONLY": "1", "WITNESSED": "things"}
            with operating("-n", namespace, kubeconfig=control_plane.kubeconfig, path=OPERATOR, **named) as operator:
                things.lives(operator)
        finally:
            admin.call("DELETE", f"{definitions}/things.metadata.example.com")


def served(admin: Client, path: str) -> bool:
    try:
        admin.call("GET", path)
    except ApiError:
        return False
    return True
