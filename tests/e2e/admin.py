"""What tests do as the cluster's administrator."""

from typing import Any

import yaml

from tests.cluster.client import Client
from tests.operators.harness import ROOT, eventually

#: What is deployed is what is tested.
BASE = ROOT / "deploy/kustomize/base"
FOOS = ROOT / "deploy/kustomize/foos"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Admin(Client):
    """A few calls."""

    def pods(self, namespace: str) -> dict[str, dict[str, Any]]:
        found = self.call("GET", f"/api/v1/namespaces/{namespace}/pods")
        return {pod["metadata"]["name"]: pod for pod in found["items"]}

    def make_pod(self, namespace: str, name: str, node: str | None, **metadata: object) -> dict[str, Any]:
        """A pod on a node, or one that stays without a node until `bind_pod`."""
        body = {
            "metadata": {"name": name, **metadata},
            "spec": {
                "nodeName": node,
                "schedulerName": "nobody",
                "containers": [{"name": "main", "image": "nginx"}],
            },
        }
        return self.call("POST", f"/api/v1/namespaces/{namespace}/pods", body)

    def bind_pod(self, namespace: str, name: str, node: str) -> None:
        """What a scheduler does."""
        binding = {"metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": node}}
        self.call("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)

    def delete_pod(self, namespace: str, name: str) -> None:
        self.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")

    def make_namespace(self, prefix: str) -> str:
        return self.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": prefix}})["metadata"]["name"]

    def delete_namespace(self, namespace: str) -> None:
        """Let it go, whoever holds on to its pods; returns when these are gone, seconds before the namespace is.

        Harmless if it is gone.
        """
        path = f"/api/v1/namespaces/{namespace}"
        if self.find(path):
            self.call("DELETE", path)  # from now on nothing is made in it
        for pod, body in self.pods(namespace).items():
            if body["metadata"].get("finalizers"):
                self.patch(f"{path}/pods/{pod}", {"metadata": {"finalizers": None}})
        # Nobody ends pods on nodes that are not there, and a namespace waits for its pods.
        self.call("DELETE", f"{path}/pods?gracePeriodSeconds=0")
        eventually(lambda: not self.pods(namespace), f"the end of all pods in {namespace}")

    def is_gone(self, path: str) -> bool:
        return self.find(path) is None

    def make_deployment(self, namespace: str, name: str, *, replicas: int, **spec: object) -> dict[str, Any]:
        labels = {"app": name}
        containers = [{"name": "main", "image": "nginx"}]
        # With the usual 30 s a namespace that is deleted looks at its pods again after 15 s only.
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": containers, "terminationGracePeriodSeconds": 1},
        }
        body = {
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
        }
        return self.call("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body)

    def let_operator_read(self) -> None:
        """Bind the deployed ClusterRole to the user `operator`."""
        role = deployed("ClusterRole", "kopf-workqueue")
        name = role["metadata"]["name"]
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
        }
        self.call("POST", f"{_RBAC}/clusterroles", role)
        self.call("POST", f"{_RBAC}/clusterrolebindings", binding)

    def let_operator_look_after_foos(self) -> None:
        """Add the rights of operator/foos.py to that role, as the overlay does; returns when they are in force."""
        path = f"{_RBAC}/clusterroles/kopf-workqueue"
        rules = yaml.safe_load((FOOS / "rights.yaml").read_text(encoding="utf-8"))
        added = [each["value"] for each in rules]
        self.patch(path, {"rules": [*deployed("ClusterRole", "kopf-workqueue")["rules"], *added]})
        for rule in added:
            for verb in rule["verbs"]:
                resource, _, subresource = rule["resources"][0].partition("/")
                asked = {"group": rule["apiGroups"][0], "resource": resource, "verb": verb, "subresource": subresource}
                review = {"spec": {"user": "operator", "resourceAttributes": asked}}
                eventually(lambda review=review: self.call("POST", _REVIEWS, review)["status"]["allowed"], "a right")

    def forbid_operator_to_read(self) -> None:
        """Undo that."""
        for kind in ("clusterrolebindings", "clusterroles"):
            self.call("DELETE", f"{_RBAC}/{kind}/kopf-workqueue")


def deployed(kind: str, name: str) -> dict[str, Any]:
    """One of the objects that are deployed."""
    found = [
        document
        for path in sorted(BASE.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document and document.get("kind") == kind and document["metadata"]["name"] == name
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name} in {BASE}"
    return found[0]
