"""CustomResourceDefinitions: from a definition to the resources it adds."""

from collections.abc import Mapping
from typing import Any

from workqueue.testing.apiserver.registry import ALL_METADATA, Resource


def resources_of(definition: Mapping[str, Any]) -> list[Resource]:
    """The resources a definition adds: one for each version it serves, all showing the same objects.

    :param definition: a CustomResourceDefinition that passed validation and has its defaults.
    """
    spec = definition["spec"]
    names = spec["names"]
    return [
        Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            singular=names.get("singular") or "",
            list_kind=names.get("listKind") or "",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            has_status="status" in (version.get("subresources") or {}),
            has_generation=True,
            status_keeps=frozenset({ALL_METADATA}),
            fields=tuple(field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()),
            custom=True,
            unconditional_update=False,
        )
        for version in spec["versions"]
        if version.get("served")
    ]


def established(definition: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status of a definition whose resources are served.

    :param now: the time of the transitions.
    """
    return {
        "conditions": [
            _condition("NamesAccepted", now, "NoConflicts", "no conflicts found"),
            _condition("Established", now, "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": [v["name"] for v in definition["spec"]["versions"] if v.get("storage")],
    }


def terminating(status: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status of a definition that is going, its objects with it."""
    told = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = _condition("Terminating", now, "InstanceDeletionPending", told)
    return {**status, "conditions": [*(status.get("conditions") or []), condition]}


def _condition(kind: str, now: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
