"""What the contract suite talks to: the in-process API server, and with `-m e2e` a real kube-apiserver.

Each test runs on both. Where they differ, the in-process one is wrong.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
import requests

from workqueue.testing.apiserver import ApiServer

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
#: Seconds without a byte after which a watch is given up.
PATIENCE = 20.0


class Events:
    """The events of one watch, as they come."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self._lines = response.iter_lines(chunk_size=None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All events until the server ends the watch."""
        return (json.loads(line) for line in self._lines if line)

    def next(self) -> dict[str, Any]:
        """The next event."""
        return next(iter(self))

    def told(self, count: int) -> list[tuple[str, str]]:
        """The next events: type and name of each."""
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in islice(self, count)]


class Api:
    """A server, and a fresh namespace on it."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.session = session
        self.namespace = f"contract-{uuid.uuid4().hex[:10]}"
        self.made_pods = False

    def path(self, resource: str = "configmaps", name: str = "", subresource: str = "") -> str:
        """A path in the namespace: of "pods", "leases.coordination.k8s.io/v1"."""
        plural, _, group = resource.partition(".")
        root = f"/apis/{group}" if group else "/api/v1"
        return "/".join(filter(None, [f"{root}/namespaces/{self.namespace}/{plural}", name, subresource]))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        accept: str = "",
        content_type: str = "application/json",
        **query: Any,
    ) -> requests.Response:
        """One request. A body of bytes is sent as it is, any other as JSON."""
        headers = {"Content-Type": content_type, "Accept": accept or "application/json"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        return self.session.request(method, self.url + path, params=query, data=data, headers=headers, timeout=PATIENCE)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, **query)

    def read(self, path: str, **query: Any) -> dict[str, Any]:
        """A document that is there."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def create(
        self, name: str = "a", *, resource: str = "configmaps", labels: dict[str, str] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """An object that is created for sure."""
        metadata = {"name": name, **fields.pop("metadata", {})}
        if labels:
            metadata["labels"] = labels
        response = self.call("POST", self.path(resource), {"metadata": metadata, **fields})
        assert response.status_code == 201, response.text
        return response.json()

    def create_pod(self, name: str = "a", *, spec: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A pod that no scheduler looks at: nobody but the test changes it."""
        containers = [{"name": "main", "image": "example.com/image:1"}]
        spec = {"containers": containers, "schedulerName": "nobody", **(spec or {})}
        self.made_pods = True
        return self.create(name, resource="pods", spec=spec, **fields)

    def patch(self, path: str, patch: Any, *, content_type: str = MERGE, **query: Any) -> requests.Response:
        return self.call("PATCH", path, patch, content_type=content_type, **query)

    def label(self, name: str, **labels: str | None) -> dict[str, Any]:
        """A configmap with other labels than before."""
        response = self.patch(self.path(name=name), {"metadata": {"labels": labels}})
        assert response.status_code == 200, response.text
        return response.json()

    def delete(self, path: str, body: Any = None, **query: Any) -> requests.Response:
        return self.call("DELETE", path, body, **query)

    def list_version(self, resource: str = "configmaps") -> str:
        """The version of the newest list."""
        return self.read(self.path(resource))["metadata"]["resourceVersion"]

    @contextmanager
    def watch(self, path: str = "", *, accept: str = "application/json", **query: Any) -> Iterator[Events]:
        """A watch, closed at the end of the block."""
        with self.session.get(
            self.url + (path or self.path()),
            params={"watch": "true", "timeoutSeconds": "10", **query},
            headers={"Accept": accept},
            stream=True,
            timeout=PATIENCE,
        ) as response:
            yield Events(response)


@contextmanager
def _in_process() -> Iterator[Api]:
    with ApiServer() as server, requests.Session() as session:
        session.trust_env = False
        yield Api(server.url, session)


@contextmanager
def _real(control_plane: Any) -> Iterator[Api]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(control_plane.ca_file)
        session.headers["Authorization"] = f"Bearer {control_plane.admin_token}"
        yield Api(control_plane.url, session)


@pytest.fixture(params=["in-process", pytest.param("real", marks=pytest.mark.e2e)])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """The server under test, with a namespace of the test's own."""
    control_plane = request.getfixturevalue("control_plane") if request.param == "real" else None
    with _in_process() if control_plane is None else _real(control_plane) as api:
        made = api.call("POST", "/api/v1/namespaces", {"metadata": {"name": api.namespace}})
        assert made.status_code == 201, made.text
        yield api
        if api.made_pods:  # a namespace goes when it is empty, and nobody ends a pod on a node that is not there
            api.delete(api.path("pods"), gracePeriodSeconds=0)
        api.delete(f"/api/v1/namespaces/{api.namespace}")


def assert_refused(response: requests.Response, code: int, reason: str, *words: str) -> dict[str, Any]:
    """The answer is a Status object with that code and reason, and its message has all the words."""
    status = response.json()
    assert (response.status_code, status["code"], status.get("reason", "")) == (code, code, reason), response.text
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    for word in words:
        assert word in status["message"]
    return status
