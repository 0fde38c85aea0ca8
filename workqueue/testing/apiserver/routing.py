"""What a path and a method mean: which resource, which object, which verb."""

from collections.abc import Mapping
from dataclasses import dataclass

from workqueue.testing.apiserver import errors, listing
from workqueue.testing.apiserver.registry import Resource


@dataclass(frozen=True, slots=True)
class Target:
    """What a path is about."""

    resource: Resource
    namespace: str = ""
    #: "" for the collection.
    name: str = ""
    #: "status" or "".
    subresource: str = ""


def target_of(resources: Mapping[str, Resource], parts: list[str]) -> Target:
    """What the part of a path behind the version is about.

    :raises ApiError: 404 if there is no such thing.
    """
    match parts:
        case ["namespaces", namespace, plural, *rest] if plural in resources and resources[plural].namespaced:
            found = Target(resources[plural], namespace)
        case [plural, *rest] if plural in resources:
            found = Target(resources[plural])
        case _:
            raise errors.no_such_resource()
    match rest:
        case []:
            return found
        case [name] if found.namespace or not found.resource.namespaced:
            return Target(found.resource, found.namespace, name)
        case [name, "status"] if (found.namespace or not found.resource.namespaced) and found.resource.has_status:
            return Target(found.resource, found.namespace, name, "status")
        case _:
            raise errors.no_such_resource()


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """What a method means for a target.

    :raises ApiError: 405 if nothing.
    """
    match method, bool(target.name):
        case (("GET" | "HEAD"), True):
            return "get"
        case "GET", False:
            return "watch" if listing.is_true(query, "watch") else "list"
        case "POST", False if target.namespace or not target.resource.namespaced:
            return "create"
        case "PUT", True:
            return "update"
        case "PATCH", True:
            return "patch"
        case "DELETE", True if not target.subresource:
            return "delete"
        case "DELETE", False if target.namespace or not target.resource.namespaced:
            return "deletecollection"
        case _:
            raise errors.method_not_allowed()
