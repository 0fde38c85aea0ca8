"""What a client learns before its first request: versions, groups, resources."""

import zlib
from typing import Any

from workqueue.testing.apiserver.errors import PageNotFound
from workqueue.testing.apiserver.registry import Registry, Resource

VERSION: dict[str, str] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.3",
    "gitCommit": "in-process",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "linux/amd64",
}


def core_versions(address: str) -> dict[str, Any]:
    """What ``/api`` answers.

    :param address: host and port of the server.
    """
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(registry: Registry) -> dict[str, Any]:
    """What ``/apis`` answers."""
    groups = [_group(name, versions) for name, versions in registry.versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> dict[str, Any]:
    """What ``/apis/<group>`` answers.

    :raises PageNotFound: if there is no such group.
    """
    versions = registry.versions().get(name)
    if not name or versions is None:
        raise PageNotFound
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    offered = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": offered, "preferredVersion": offered[0]}


def resource_list(group_version: str, resources: list[Resource]) -> dict[str, Any]:
    """What ``/api/v1`` and ``/apis/<group>/<version>`` answer."""
    told = []
    for resource in sorted(resources, key=lambda resource: resource.plural):
        told.append(_resource(resource))
        if resource.has_status:
            told.append(
                {
                    "name": f"{resource.plural}/status",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": ["get", "patch", "update"],
                }
            )
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": told}


def _resource(resource: Resource) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        told["shortNames"] = list(resource.short_names)
    if resource.categories:
        told["categories"] = list(resource.categories)
    if "list" in resource.verbs:
        told["storageVersionHash"] = f"{zlib.crc32(resource.name.encode()):08x}"
    return told
