"""The store without HTTP: what tests set up with, and look at."""

from collections.abc import Mapping
from typing import Any

import orjson

from workqueue.testing.apiserver import listing, objects
from workqueue.testing.apiserver.cluster import Cluster, PatchType
from workqueue.testing.apiserver.deletion import DeleteOptions, delete
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.store import Entry


class DirectCalls:
    """The verbs on objects, from any thread, waking the same watches as HTTP does.

    They are trusted: they may write status together with the rest, keep a uid or times that are
    given, need not fulfil the rules of a kind (a pod without containers is fine), and delete
    without a grace period. Documents they return are the caller's own.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def create(self, resource: str, body: Mapping[str, Any], *, namespace: str | None = None) -> dict[str, Any]:
        """Let an object be.

        :param resource: "pods", or with the group, "deployments.apps".
        :param body: the object; kind and apiVersion may be left out. It is not changed.
        :param namespace: where; None for the one in its metadata, or "default".
        :returns: the object as stored.
        :raises ApiError: as the server would refuse it.
        """
        kind = self._cluster.registry.find(resource)
        document = {"kind": kind.kind, **_copy(body)}
        where = _where(kind, namespace, document)
        return _shown(kind, self._cluster.create(kind, where, document, trusted=True))

    def get(self, resource: str, name: str, *, namespace: str = "default") -> dict[str, Any]:
        """An object as it is now.

        :raises ApiError: 404 if it is not.
        """
        kind = self._cluster.registry.find(resource)
        return _shown(kind, self._cluster.read(kind, _where(kind, namespace), name))

    def list(
        self, resource: str, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> "list[dict[str, Any]]":
        """The objects that are there now.

        :param namespace: "" for all.
        """
        kind = self._cluster.registry.find(resource)
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        options = listing.ListOptions.parse(kind, _where(kind, namespace), query)
        return [_shown(kind, entry) for entry in listing.read_page(self._cluster.store, kind, options).entries]

    def update(
        self, resource: str, body: Mapping[str, Any], *, namespace: str | None = None, subresource: str = ""
    ) -> dict[str, Any]:
        """Replace an object, its status included.

        :param body: with its name; a resourceVersion in it must be the present one.
        :param namespace: where; None for the one in its metadata, or "default".
        :param subresource: "status" to change only that, "" to change everything in one write.
        :raises ApiError: as the server would refuse it.
        """
        kind = self._cluster.registry.find(resource)
        document: dict[str, Any] = {"kind": kind.kind, **_copy(body)}
        where, metadata = _where(kind, namespace, document), document["metadata"]
        name = metadata["name"]
        with self._cluster.store.lock:
            if not kind.unconditional_update and not metadata.get("resourceVersion"):
                metadata["resourceVersion"] = self._cluster.read(kind, where, name).metadata["resourceVersion"]
            entry, _ = self._cluster.update(
                kind, where, name, document, subresource=subresource, trusted=not subresource
            )
        return _shown(kind, entry)

    def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        *,
        namespace: str = "default",
        kind: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> dict[str, Any]:
        """Change parts of an object, its status included.

        :param kind: how the patch is to be read.
        :param subresource: "status" to change only that, "" to change everything in one write.
        :raises ApiError: as the server would refuse it.
        """
        found = self._cluster.registry.find(resource)
        entry, _ = self._cluster.patch(
            found,
            _where(found, namespace),
            name,
            _copy(patch),
            kind=kind,
            subresource=subresource,
            trusted=not subresource,
        )
        return _shown(found, entry)

    def delete(
        self, resource: str, name: str, *, namespace: str = "default", grace_period: int | None = 0
    ) -> dict[str, Any]:
        """Let an object go; with finalizers on it, it only starts to.

        :param grace_period: seconds, for pods; 0 is what a kubelet does in the end, None what the pod says.
        :returns: its last state.
        :raises ApiError: 404 if there is none.
        """
        kind = self._cluster.registry.find(resource)
        options = DeleteOptions(grace_period=grace_period)
        return _shown(kind, delete(self._cluster, kind, _where(kind, namespace), name, options).entry)

    @property
    def resource_version(self) -> int:
        """The version of the newest change of all."""
        return self._cluster.store.version


def _copy(body: Any) -> Any:
    return orjson.loads(orjson.dumps(body))


def _where(resource: Resource, namespace: str | None, body: Mapping[str, Any] | None = None) -> str:
    """The namespace a direct call means."""
    if not resource.namespaced:
        return ""
    if namespace is None:
        metadata = (body or {}).get("metadata") or {}
        return metadata.get("namespace") or "default"
    return namespace


def _shown(resource: Resource, entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = _copy(objects.to_shown(resource, entry))
    return document
