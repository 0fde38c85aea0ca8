"""What the server writes into a new object that the client left out: the values a user would notice."""

from typing import Any

from workqueue.testing.apiserver.registry import Resource

_CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_POD_TEMPLATE = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_POD = {**_POD_TEMPLATE, "priority": 0, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"}
_DEPLOYMENT = {
    "replicas": 1,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    "revisionHistoryLimit": 10,
    "progressDeadlineSeconds": 600,
}


def fill_in(resource: Resource, document: dict[str, Any]) -> None:
    """Set the defaults of the specification, in place."""
    match resource.name:
        case "pods":
            spec = document.setdefault("spec", {})
            _missing(spec, _POD)
            _containers(spec)
        case "deployments.apps" | "replicasets.apps":
            spec = document.setdefault("spec", {})
            _missing(spec, _DEPLOYMENT if resource.plural == "deployments" else {"replicas": 1})
            if isinstance(template := (spec.get("template") or {}).get("spec"), dict):
                _missing(template, _POD_TEMPLATE)
                _containers(template)
        case "namespaces":
            document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            document["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = document["metadata"]["name"]
        case "secrets":
            document.setdefault("type", "Opaque")
        case "customresourcedefinitions.apiextensions.k8s.io":
            spec = document["spec"]
            names = spec["names"]
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", f"{names['kind']}List")
            spec.setdefault("conversion", {"strategy": "None"})


def first_status(resource: Resource, document: dict[str, Any]) -> dict[str, Any] | None:
    """The status of an object just created, whatever the client said.

    :returns: None if it has none.
    """
    match resource.name:
        case "pods":
            return {"phase": "Pending", "qosClass": "BestEffort"}
        case "namespaces":
            return {"phase": "Active"}
        case "nodes":
            status: dict[str, Any] = document.get("status") or {}
            return status
        case "services":
            return {"loadBalancer": {}}
        case "replicasets.apps":
            return {"replicas": 0}
        case "customresourcedefinitions.apiextensions.k8s.io":
            stored = [version["name"] for version in document["spec"]["versions"] if version.get("storage")]
            return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
        case _:
            return None if resource.custom or not resource.has_status else {}


def _missing(document: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        document.setdefault(key, value)


def _containers(spec: dict[str, Any]) -> None:
    for container in spec.get("containers") or []:
        _missing(container, _CONTAINER)
        image = container.get("image") or ""
        tag = image.rpartition("/")[2].partition(":")[2]
        container.setdefault("imagePullPolicy", "Always" if tag in {"", "latest"} else "IfNotPresent")
