"""As much OpenAPI as kubectl needs before it applies something: that the server itself validates and knows dry runs.

There are no schemas: ``kubectl explain`` has nothing to tell.
"""

from typing import Any

from workqueue.testing.apiserver.errors import PageNotFound
from workqueue.testing.apiserver.registry import Registry, Resource

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def index(registry: Registry) -> dict[str, Any]:
    """What ``/openapi/v3`` answers: where the document of each group version is."""
    paths = [
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group, versions in registry.versions().items()
        for version in versions
    ]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}}


def document(registry: Registry, path: list[str]) -> dict[str, Any]:
    """What ``/openapi/v3/<path>`` answers.

    :param path: of a group version: "api", "v1", or "apis", group and version.
    :raises PageNotFound: if there is no such group version.
    """
    match path:
        case ["api", version]:
            resources = registry.resources("", version)
        case ["apis", group, version]:
            resources = registry.resources(group, version)
        case _:
            resources = None
    if resources is None:
        raise PageNotFound
    paths = {f"/{'/'.join(path)}/{_object_path(resource)}": _operations(resource) for resource in resources}
    info = {"title": "Kubernetes", "version": "v1.36.3"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


def _object_path(resource: Resource) -> str:
    return f"{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}/{{name}}"


def _operations(resource: Resource) -> dict[str, Any]:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    operation = {
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": kind,
    }
    return {"put": operation, "patch": operation, "delete": operation}
