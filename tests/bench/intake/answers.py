"""What clients ask an API server for before they ask for pods, and what ours for benchmarks says."""

from typing import Any

HEAD_OF_WATCH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_REASONS = {200: "OK", 201: "Created", 404: "Not Found"}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_EXTENSIONS = "apiextensions.k8s.io"


def _resource(name: str, kind: str, *, namespaced: bool) -> dict[str, Any]:
    return {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": _VERBS}


def _resources(version: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list(resources)}


_GROUP_VERSION = {"groupVersion": f"{_EXTENSIONS}/v1", "version": "v1"}
_GROUP = {"name": _EXTENSIONS, "versions": [_GROUP_VERSION], "preferredVersion": _GROUP_VERSION}

_DOCUMENTS: dict[str, dict[str, Any]] = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    "/api/v1": _resources(
        "v1",
        _resource("pods", "Pod", namespaced=True),
        _resource("namespaces", "Namespace", namespaced=False),
        _resource("events", "Event", namespaced=True),
    ),
    f"/apis/{_EXTENSIONS}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    f"/apis/{_EXTENSIONS}/v1": _resources(
        f"{_EXTENSIONS}/v1", _resource("customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
    ),
}


def answer(method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Status and document: everybody may do everything, and of all but pods there is nothing."""
    if path in _DOCUMENTS:
        return 200, _DOCUMENTS[path]
    if method == "POST":  # reviews of who one is and what one may do
        return 201, {"status": {"allowed": True, "userInfo": {"username": "bench", "groups": []}}}
    if path in ("/api/v1/namespaces", f"/apis/{_EXTENSIONS}/v1/customresourcedefinitions"):
        return 200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
    return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def head(status: int, length: int) -> bytes:
    """The head of an answer that is not a watch."""
    lines = f"HTTP/1.1 {status} {_REASONS[status]}", "Content-Type: application/json", f"Content-Length: {length}"
    return "\r\n".join((*lines, "", "")).encode()
