"""The administrator of a control plane: applies objects as `kubectl apply --server-side` does, and removes them again.

It depends on no controller: where there are none, a namespace that was deleted is finalised here, and where there are,
what they made of the objects (ReplicaSets, pods) goes as well.
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any, Self

import requests

from tests.cluster.controlplane import ControlPlane
from tests.operators.harness import eventually

Object = dict[str, Any]

EXTENSIONS = "/apis/apiextensions.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
#: Where objects of a kind are, and whether in a namespace; what is not here is not applied.
PLACES = {
    "Namespace": ("/api/v1", "namespaces", False),
    "CustomResourceDefinition": (EXTENSIONS, "customresourcedefinitions", False),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "Pod": ("/api/v1", "pods", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "ReplicaSet": ("/apis/apps/v1", "replicasets", True),
    "Role": (RBAC, "roles", True),
    "RoleBinding": (RBAC, "rolebindings", True),
    "ClusterRole": (RBAC, "clusterroles", False),
    "ClusterRoleBinding": (RBAC, "clusterrolebindings", False),
}
#: What a namespace is emptied of, in this order: makers before what they make.
CONTENTS = ("Deployment", "ReplicaSet", "Pod", "RoleBinding", "Role", "ServiceAccount", "ConfigMap")


class Refused(Exception):
    """The API server said no; the text is its message, `code` the HTTP status."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Cluster:
    """One session, to be used by `with`."""

    def __init__(self, plane: ControlPlane) -> None:
        self.url = plane.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = plane.ca_file
        self._session.headers["Authorization"] = f"Bearer {plane.admin_token}"
        #: What the server warned of, in any answer.
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def call(self, method: str, path: str, body: object = None, *, kind: str = "application/json") -> Object:
        """What the server answers; Refused if that is an error."""
        headers = {"Content-Type": kind}
        answer = self._session.request(method, self.url + path, json=body, headers=headers, timeout=30)
        if "Warning" in answer.headers:
            self.warnings.append(answer.headers["Warning"])
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")  # a path of nothing is text
        found: Object = answer.json() if is_json else {}
        if not answer.ok:
            raise Refused(found.get("message", answer.text), code=answer.status_code)
        return found

    def find(self, path: str) -> Object | None:
        """What is there, or None."""
        try:
            return self.call("GET", path)
        except Refused as error:
            if error.code != 404:
                raise
            return None

    def apply(self, document: Object, *, query: str = "") -> Object:
        """Server-side apply, strict about fields that do not exist; `query="&dryRun=All"` only tries."""
        path = f"{path_of(document)}?fieldManager=tests&fieldValidation=Strict{query}"
        return self.call("PATCH", path, document, kind="application/apply-patch+yaml")

    @contextlib.contextmanager
    def applied(self, documents: Iterable[Object]) -> Iterator[None]:
        """The objects exist inside of `with`, and their namespaces with all that is in them not after it."""
        documents = list(documents)
        try:
            for each in documents:
                self.apply(each)
                if each["kind"] == "CustomResourceDefinition":
                    eventually(lambda each=each: self._is_served(each), f"what {each['metadata']['name']} defines")
            yield
        finally:
            for each in reversed(documents):
                self.remove(each)

    @contextlib.contextmanager
    def namespace(self, prefix: str, **labels: str) -> Iterator[str]:
        """A namespace of one's own."""
        body = {"metadata": {"generateName": f"{prefix}-", "labels": labels}}
        made = self.call("POST", "/api/v1/namespaces", body)
        try:
            yield made["metadata"]["name"]
        finally:
            self.remove(made | {"kind": "Namespace"})

    def token(self, namespace: str, account: str) -> str:
        """A service account's own, as a pod is given it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return str(self.call("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"])

    def namespaces(self) -> set[str]:
        """Their names."""
        return {each["metadata"]["name"] for each in self.call("GET", "/api/v1/namespaces")["items"]}

    def labelled(self, application: str) -> list[str]:
        """Everything, wherever it is, that belongs to an application by its label: kind and name."""
        query = f"?labelSelector=app.kubernetes.io/name%3D{application}"
        found = ((kind, self.call("GET", f"{base}/{plural}{query}")) for kind, (base, plural, _) in PLACES.items())
        return [f"{kind} {each['metadata']['name']}" for kind, listed in found for each in listed["items"]]

    def remove(self, document: Object) -> None:
        """Delete, and wait until it is gone."""
        path = path_of(document)
        if document["kind"] == "Namespace":
            self._empty(document["metadata"]["name"])
        self._delete(path)
        if document["kind"] == "Namespace":
            eventually(lambda: self._finalised(path), f"the end of {path}")
        eventually(lambda: self.find(path) is None, f"the end of {path}")

    def _is_served(self, definition: Object) -> bool:
        """Objects of a new kind are not found at first, then "(re)initializing"."""
        spec = definition["spec"]
        try:
            path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            return bool(self.call("GET", path))
        except Refused as error:
            if error.code not in (404, 429):
                raise
            return False

    def _delete(self, path: str) -> None:
        try:
            self.call("DELETE", path, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
        except Refused as error:
            if error.code not in (404, 409):  # gone, or on its way
                raise

    def _empty(self, namespace: str) -> None:
        for kind in CONTENTS:
            base, plural, _ = PLACES[kind]
            self._delete(f"{base}/namespaces/{namespace}/{plural}")

    def _finalised(self, path: str) -> bool:
        """True once the namespace is gone. Where no controller does it, nobody else takes its finalizer off."""
        found = self.find(path)
        if found is None:
            return True
        pods = (self.find(f"{path}/pods") or {}).get("items", ())
        if not pods and found["spec"].get("finalizers"):
            bare = copy.deepcopy(found)
            bare["spec"]["finalizers"] = []
            try:
                self.call("PUT", f"{path}/finalize", bare)
            except Refused as error:
                if error.code not in (404, 409):  # a controller was faster
                    raise
        return False


def path_of(document: Object) -> str:
    """Where an object is; KeyError for a kind that has no place here."""
    base, plural, namespaced = PLACES[document["kind"]]
    metadata = document["metadata"]
    inside = f"/namespaces/{metadata['namespace']}" if namespaced else ""
    return f"{base}{inside}/{plural}/{metadata['name']}"
