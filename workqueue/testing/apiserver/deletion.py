"""How objects go: at once, gracefully, with the last finalizer; namespaces and definitions with their content.

There is no kubelet, no garbage collector and no namespace controller beside this server. A scheduled
pod that is deleted gracefully stays, terminating, until somebody deletes it with a grace period of 0,
as the kubelet does. Owned objects are not collected. The content of a namespace goes at once and within
the deleting call; only objects with finalizers hold it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.testing.apiserver import custom, errors, objects
from workqueue.testing.apiserver.cluster import Cluster
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.store import Entry

#: Namespaces that cannot be deleted.
_IMMORTAL = frozenset({"default", "kube-public", "kube-system"})
#: Resources whose deletion is answered with the object, not with a Status.
_ANSWERED_WITH_OBJECT = frozenset({"pods", "services", "serviceaccounts"})


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion insists on."""

    #: Seconds; None for what the object says.
    grace_period: int | None = None
    #: The object must be this one; "" for any.
    uid: str = ""
    #: The object must be in this state; "" for any.
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def parse(cls, body: Mapping[str, Any], query: Mapping[str, str]) -> "DeleteOptions":
        """Read a DeleteOptions object, or the query parameters of the same names.

        :raises ApiError: 400 for a grace period that is no number.
        """
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        preconditions = body.get("preconditions") or {}
        try:
            period = None if grace is None else max(int(grace), 0)
        except (TypeError, ValueError) as error:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{grace}": invalid syntax') from error
        return cls(
            grace_period=period,
            uid=preconditions.get("uid") or "",
            resource_version=preconditions.get("resourceVersion") or "",
            dry_run=bool(body.get("dryRun") or query.get("dryRun")),
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of an object that was to be deleted."""

    entry: Entry
    #: Whether the answer is the object; else a Status that says so.
    show_object: bool


def delete(cluster: Cluster, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Deletion:
    """Let an object go, as soon as it may.

    :raises ApiError: if there is none, or another one than the options insist on.
    """
    with cluster.store.lock:
        entry = cluster.read(resource, namespace, name)
        _check_preconditions(resource, entry, options)
        if options.dry_run:
            return Deletion(entry, resource.plural in _ANSWERED_WITH_OBJECT)
        match resource.name:
            case "pods":
                return Deletion(_delete_pod(cluster, resource, entry, options), show_object=True)
            case "namespaces":
                return Deletion(_delete_namespace(cluster, resource, entry), show_object=True)
            case "customresourcedefinitions.apiextensions.k8s.io":
                return Deletion(_delete_definition(cluster, resource, entry), show_object=True)
        if entry.metadata.get("finalizers"):
            return Deletion(_mark(cluster, resource, entry, grace=0), show_object=True)
        gone = cluster.forget(resource, entry)
        return Deletion(gone, resource.name in _ANSWERED_WITH_OBJECT)


def _check_preconditions(resource: Resource, entry: Entry, options: DeleteOptions) -> None:
    uid, version = entry.metadata["uid"], entry.metadata["resourceVersion"]
    if options.uid not in {"", uid}:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(entry.name, resource.group, resource.kind, why)
    if options.resource_version not in {"", version}:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({version}). The object might have been modified"
        )
        raise errors.conflict(entry.name, resource.group, resource.kind, why)


def _mark(cluster: Cluster, resource: Resource, entry: Entry, *, grace: int) -> Entry:
    """Store that an object is on its way out, unless it is already and as soon.

    :param grace: seconds.
    """
    terminating = "deletionTimestamp" in entry.metadata
    if terminating and entry.metadata.get("deletionGracePeriodSeconds", 0) <= grace:
        return entry
    document = entry.copy()
    metadata = document["metadata"]
    if not terminating and metadata.get("generation"):
        metadata["generation"] += 1
    metadata["deletionTimestamp"] = objects.now_text(after=grace)
    metadata["deletionGracePeriodSeconds"] = grace
    return cluster.store.put(resource.storage, entry.namespace, entry.name, document)


def _delete_pod(cluster: Cluster, resource: Resource, entry: Entry, options: DeleteOptions) -> Entry:
    spec, status = entry.document.get("spec") or {}, entry.document.get("status") or {}
    grace = spec.get("terminationGracePeriodSeconds", 30) if options.grace_period is None else options.grace_period
    if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        grace = 0
    marked = _mark(cluster, resource, entry, grace=grace)
    if grace == 0 and not marked.metadata.get("finalizers"):
        return cluster.forget(resource, marked)
    return marked


def _delete_namespace(cluster: Cluster, resource: Resource, entry: Entry) -> Entry:
    if entry.name in _IMMORTAL:
        raise errors.forbidden(entry.name, "", "namespaces", "this namespace may not be deleted")
    if "deletionTimestamp" not in entry.metadata:
        document = entry.copy()
        document["metadata"]["deletionTimestamp"] = objects.now_text()
        document["status"] = {**(document.get("status") or {}), "phase": "Terminating"}
        entry = cluster.store.put(resource.storage, "", entry.name, document)
    for kind, inhabitant in cluster.content(entry.name):
        delete(cluster, kind, inhabitant.namespace, inhabitant.name, DeleteOptions(grace_period=0))
    if cluster.store.get("namespaces", "", entry.name) is not None and not cluster.content(entry.name):
        cluster.forget(resource, entry)
    return entry


def _delete_definition(cluster: Cluster, resource: Resource, entry: Entry) -> Entry:
    document = entry.copy()
    now = objects.now_text()
    document["metadata"]["deletionTimestamp"] = now
    document["metadata"]["finalizers"] = ["customresourcecleanup.apiextensions.k8s.io"]
    document["status"] = custom.terminating(document.get("status") or {}, now)
    entry = cluster.store.put(resource.storage, "", entry.name, document)
    spec = document["spec"]
    defined = [
        r
        for r in cluster.registry.all()
        if r.custom and (r.group, r.plural) == (spec["group"], spec["names"]["plural"])
    ]
    for kind in defined[:1]:
        for instance in cluster.store.entries(kind.storage):
            cluster.forget(kind, instance)
    for kind in defined:
        cluster.registry.remove(kind)
        cluster.store.drop_table(kind.storage)
    cluster.forget(resource, entry)
    return entry
