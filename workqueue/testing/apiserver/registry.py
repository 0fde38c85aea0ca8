"""The kinds that are served, and how each behaves where the kinds differ."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from workqueue.testing.apiserver.errors import no_such_resource

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
#: The one field of ``status_keeps`` that means the whole of the metadata.
ALL_METADATA = "*"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version of its group."""

    #: "" for the core group.
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _VERBS
    #: Whether there is a status subresource.
    has_status: bool = False
    #: Whether metadata.generation counts the changes of the specification.
    has_generation: bool = False
    #: What of the metadata a write to the status subresource leaves alone.
    status_keeps: frozenset[str] = frozenset()
    #: Field selectors beyond metadata.name and metadata.namespace.
    fields: tuple[str, ...] = ()
    #: Made by a CustomResourceDefinition.
    custom: bool = False
    #: Whether a PUT without a resourceVersion means "whatever is there".
    unconditional_update: bool = True
    #: Whether a PUT on a name that is free creates.
    create_on_update: bool = False
    #: Whose objects these are, if another resource shows the same ones: the key of that table.
    table: str = ""
    #: This version's names for the stored fields, where they differ.
    renames: Mapping[str, str] = field(default_factory=dict)

    @property
    def group_version(self) -> str:
        """As in apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """The plural with its group: "pods", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> str:
        """The table its objects are in."""
        return self.table or self.name

    @property
    def singular_name(self) -> str:
        """As in discovery."""
        return self.singular or self.kind.lower()

    def unsupported_field(self, path: str) -> str:
        """Why objects cannot be selected by that field; "" if they can."""
        if path in {"metadata.name", *self.fields} or (path == "metadata.namespace" and self.namespaced):
            return ""
        if self.custom or self.fields or not self.namespaced:
            return f"field label not supported: {path}"
        return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


_EVENT_FIELDS = (
    *(
        f"involvedObject.{name}"
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    ),
    *("reason", "reportingComponent", "source", "type"),
)
_POD_FIELDS = (
    *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
    *("status.phase", "status.podIP", "status.nominatedNodeName"),
)

BUILT_IN: tuple[Resource, ...] = (
    Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("", "v1", "events", "Event", short_names=("ev",), fields=_EVENT_FIELDS, create_on_update=True),
    Resource(
        "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), has_status=True,
        fields=("status.phase",), verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    ),
    Resource(
        "", "v1", "nodes", "Node", namespaced=False, short_names=("no",), has_status=True,
        fields=("spec.unschedulable",),
    ),
    Resource(
        "", "v1", "pods", "Pod", short_names=("po",), categories=("all",), has_status=True, has_generation=True,
        fields=_POD_FIELDS,
    ),
    Resource("", "v1", "secrets", "Secret", fields=("type",)),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
    Resource(
        "", "v1", "services", "Service", short_names=("svc",), categories=("all",), has_status=True,
        fields=("spec.clusterIP", "spec.type"),
    ),
    Resource(
        "apps", "v1", "deployments", "Deployment", short_names=("deploy",), categories=("all",), has_status=True,
        has_generation=True, status_keeps=frozenset({"labels"}),
    ),
    Resource(
        "apps", "v1", "replicasets", "ReplicaSet", short_names=("rs",), categories=("all",), has_status=True,
        has_generation=True, fields=("status.replicas",),
    ),
    Resource(
        "events.k8s.io", "v1", "events", "Event", short_names=("ev",), table="events", create_on_update=True,
        renames={
            "involvedObject": "regarding",
            "message": "note",
            "reportingComponent": "reportingController",
            "source": "deprecatedSource",
            "firstTimestamp": "deprecatedFirstTimestamp",
            "lastTimestamp": "deprecatedLastTimestamp",
            "count": "deprecatedCount",
        },
    ),
    Resource(
        "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
        short_names=("crd", "crds"), categories=("api-extensions",), has_status=True, has_generation=True,
        status_keeps=frozenset({ALL_METADATA}), unconditional_update=False,
    ),
    Resource(
        "coordination.k8s.io", "v1", "leases", "Lease", unconditional_update=False, create_on_update=True,
    ),
)  # fmt: skip


class Registry:
    """Which resources are served now. CustomResourceDefinitions add to it and take away."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        #: Guards _resources.
        self._lock = threading.Lock()
        #: Guarded by _lock. By group and version, then by plural; in the order they came.
        self._resources: dict[tuple[str, str], dict[str, Resource]] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Serve a resource from now on, in place of one of the same name and version."""
        with self._lock:
            self._resources.setdefault((resource.group, resource.version), {})[resource.plural] = resource

    def remove(self, resource: Resource) -> None:
        """Serve it no longer."""
        with self._lock:
            version = self._resources.get((resource.group, resource.version), {})
            version.pop(resource.plural, None)
            if not version:
                self._resources.pop((resource.group, resource.version), None)

    def versions(self) -> dict[str, list[str]]:
        """The groups and their versions; the core group is ""."""
        with self._lock:
            found: dict[str, list[str]] = {}
            for group, version in self._resources:
                found.setdefault(group, []).append(version)
            return found

    def resources(self, group: str, version: str) -> list[Resource] | None:
        """What one group version serves; None if there is no such thing."""
        with self._lock:
            found = self._resources.get((group, version))
            return None if found is None else list(found.values())

    def all(self) -> list[Resource]:
        """Every resource in every version."""
        with self._lock:
            return [resource for version in self._resources.values() for resource in version.values()]

    def find(self, name: str) -> Resource:
        """A resource by the name a test calls it.

        :param name: the plural of a core resource, "pods", or plural and group, "deployments.apps".
        :raises ApiError: 404 if none is served by that name.
        """
        for resource in self.all():
            if resource.name == name:
                return resource
        raise no_such_resource()
