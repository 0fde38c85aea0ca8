"""Objects as rows of a table: what kubectl prints. The columns that people look at, not all of the real ones."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.store import Entry


def _age(document: Mapping[str, Any]) -> str:
    created = document["metadata"].get("creationTimestamp")
    if not created:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


def _part(document: Mapping[str, Any], *path: str) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _ready(document: Mapping[str, Any]) -> str:
    wanted = len(_part(document, "spec", "containers") or [])
    statuses = _part(document, "status", "containerStatuses") or []
    return f"{sum(bool(status.get('ready')) for status in statuses)}/{wanted}"


def _restarts(document: Mapping[str, Any]) -> str:
    return str(sum(status.get("restartCount", 0) for status in _part(document, "status", "containerStatuses") or []))


def _pod_status(document: Mapping[str, Any]) -> str:
    if "deletionTimestamp" in document["metadata"]:
        return "Terminating"
    return str(_part(document, "status", "reason") or _part(document, "status", "phase") or "")


def _node_status(document: Mapping[str, Any]) -> str:
    ready = [c for c in _part(document, "status", "conditions") or [] if c.get("type") == "Ready"]
    return "Ready" if ready and ready[0].get("status") == "True" else "NotReady"


_COLUMNS: dict[str, tuple[tuple[str, Callable[[Mapping[str, Any]], Any]], ...]] = {
    "pods": (("Ready", _ready), ("Status", _pod_status), ("Restarts", _restarts)),
    "nodes": (("Status", _node_status),),
    "namespaces": (("Status", lambda document: _part(document, "status", "phase") or ""),),
    "configmaps": (("Data", lambda document: len(document.get("data") or {})),),
    "deployments.apps": (
        ("Ready", lambda d: f"{_part(d, 'status', 'readyReplicas') or 0}/{_part(d, 'spec', 'replicas') or 0}"),
        ("Available", lambda d: _part(d, "status", "availableReplicas") or 0),
    ),
    "events": (
        ("Type", lambda d: d.get("type") or ""),
        ("Reason", lambda d: d.get("reason") or ""),
        ("Object", lambda d: f"{_part(d, 'involvedObject', 'kind')}/{_part(d, 'involvedObject', 'name')}".lower()),
        ("Message", lambda d: d.get("message") or ""),
    ),
    "leases.coordination.k8s.io": (("Holder", lambda d: _part(d, "spec", "holderIdentity") or ""),),
}


def row(resource: Resource, document: Mapping[str, Any]) -> dict[str, Any]:
    """One object as a row.

    :param document: with its metadata; the stored field names.
    """
    cells = [
        document["metadata"].get("name", ""),
        *(value(document) for _, value in _COLUMNS.get(resource.storage, ())),
        _age(document),
    ]
    shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}
    return {"cells": cells, "object": shown}


def of(resource: Resource, entries: Iterable[Entry], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Objects as a meta.k8s.io/v1 Table.

    :param metadata: of the list.
    """
    names = ["Name", *(name for name, _ in _COLUMNS.get(resource.storage, ())), "Age"]
    columns = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": name, "priority": 0}
        for name in names
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": columns,
        "rows": [row(resource, entry.document) for entry in entries],
    }
