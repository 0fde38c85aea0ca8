"""The verbs on objects: create, read, update, patch. Deleting is in ``deletion``, listing in ``listing``.

Both ways in come here, HTTP and the direct calls of ``ApiServer``; the direct ones are *trusted*:
they may write what over HTTP only the server writes (status together with the rest, uid, times),
and are not held to the rules of a kind, so that a test says in one call what it needs.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from workqueue.testing.apiserver import custom, errors, objects, validation
from workqueue.testing.apiserver.patches import json_patch, merge_patch, strategic_merge_patch
from workqueue.testing.apiserver.registry import BUILT_IN, Registry, Resource
from workqueue.testing.apiserver.store import Entry, Store

_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class PatchType(Enum):
    """How a patch is to be read: its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    #: Taken as a merge patch that creates what is not there; who owns which field is not kept.
    APPLY = "application/apply-patch+yaml"


class Cluster:
    """The objects of one cluster and the kinds they are of. Safe to use from any thread."""

    def __init__(self, *, history: int) -> None:
        """:param history: how many events of each kind watches can look back at, at least."""
        #: Its lock is held over each verb: a verb is one transaction.
        self.store = Store(history=history)
        self.registry = Registry(BUILT_IN)
        for resource in self.registry.all():
            self.store.add_table(resource.storage)
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.create(self.registry.find("namespaces"), "", {"metadata": {"name": name}})

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Mapping[str, Any],
        *,
        trusted: bool = False,
        dry_run: bool = False,
    ) -> Entry:
        """Let an object be.

        :param namespace: where; "" in the cluster scope.
        :raises ApiError: if it cannot be.
        """
        with self.store.lock:
            stored = objects.to_stored(resource, body)
            validation.check_shape(resource, {"metadata": {}, **stored})
            document = objects.new_document(resource, namespace, stored, trusted=trusted)
            name = document["metadata"]["name"]
            self._check_namespace(resource, namespace, name)
            validation.check(resource, document, kind_rules=not trusted)
            objects.complete(resource, document, trusted=trusted)
            if self.store.get(resource.storage, namespace, name) is not None:
                raise errors.already_exists(name, resource.group, resource.plural)
            if dry_run:
                del document["metadata"]["resourceVersion"]
                return Entry(namespace, name, 0, document)
            entry = self.store.put(resource.storage, namespace, name, document)
            if resource.name == _DEFINITIONS:
                self._establish(resource, entry)
            return entry

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        found = self.store.get("namespaces", "", namespace)
        if found is None:
            raise errors.not_found(namespace, "", "namespaces")
        if "deletionTimestamp" in found.metadata:
            told = f"namespace {namespace} is being terminated"
            raise errors.forbidden(
                name,
                resource.group,
                resource.plural,
                f"unable to create new content in namespace {namespace} because it is being terminated",
                [errors.cause("metadata.namespace", "NamespaceTerminating", told)],
            )

    def _establish(self, resource: Resource, entry: Entry) -> None:
        """Serve what a definition defines, and say so in its status."""
        served = custom.resources_of(entry.document)
        spec = entry.document["spec"]
        for old in self.registry.all():
            if (old.group, old.plural) == (spec["group"], spec["names"]["plural"]) and old.custom:
                self.registry.remove(old)
        for new in served:
            self.registry.add(new)
            self.store.add_table(new.storage)
        document = entry.copy()
        status = document.get("status") or {}
        if not status.get("conditions"):
            document["status"] = custom.established(document, objects.now_text())
            self.store.put(resource.storage, "", entry.name, document)

    def read(self, resource: Resource, namespace: str, name: str) -> Entry:
        """An object as it is.

        :raises ApiError: 404 if it is not.
        """
        entry = self.store.get(resource.storage, namespace, name)
        if entry is None:
            raise errors.not_found(name, resource.group, resource.plural)
        return entry

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
        trusted: bool = False,
        dry_run: bool = False,
    ) -> tuple[Entry, bool]:
        """Replace an object.

        :param subresource: "status" or "".
        :returns: its new state, and whether it was created by this.
        :raises ApiError: if it cannot be replaced.
        """
        with self.store.lock:
            stored = objects.to_stored(resource, body)
            validation.check_shape(resource, {"metadata": {}, **stored})
            before = self.store.get(resource.storage, namespace, name)
            given = (stored.get("metadata") or {}).get("name") or ""
            if before is None and given == name and resource.create_on_update and not subresource:
                return self.create(resource, namespace, body, trusted=trusted, dry_run=dry_run), True
            if before is None and given == name:
                raise errors.not_found(name, resource.group, resource.plural)
            if before is None:
                nobody = Entry(namespace, name, 0, {"metadata": {"uid": ""}})
                objects.check_update(resource, nobody, {"metadata": {"name": given}}, patched=False)
                raise errors.not_found(name, resource.group, resource.plural)
            objects.check_update(resource, before, {"metadata": {}, **stored}, patched=False)
            kind_rules = not (trusted or subresource)  # a status leaves the specification as it is
            after = objects.next_document(resource, before, stored, subresource=subresource, trusted=trusted)
            return self._change(resource, before, after, kind_rules=kind_rules, dry_run=dry_run), False

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        kind: PatchType,
        subresource: str = "",
        trusted: bool = False,
        dry_run: bool = False,
    ) -> tuple[Entry, bool]:
        """Change parts of an object.

        :param subresource: "status" or "".
        :returns: its new state, and whether it was created by this.
        :raises ApiError: if it cannot be changed so.
        """
        with self.store.lock:
            before = self.store.get(resource.storage, namespace, name)
            if kind is PatchType.APPLY and not isinstance(patch, dict):
                raise errors.bad_request("error decoding YAML: only JSON objects are understood here")
            if before is None and kind is PatchType.APPLY and not subresource:
                return self.create(resource, namespace, patch, trusted=trusted, dry_run=dry_run), True
            if before is None:
                raise errors.not_found(name, resource.group, resource.plural)
            body = _patched(objects.to_shown(resource, before), patch, kind)
            if not isinstance(body, dict):
                raise errors.unusable_patch()
            stored = objects.to_stored(resource, body)
            validation.check_shape(resource, stored)
            objects.check_update(resource, before, stored, patched=True)
            kind_rules = not (trusted or subresource)  # a status leaves the specification as it is
            after = objects.next_document(resource, before, stored, subresource=subresource, trusted=trusted)
            return self._change(resource, before, after, kind_rules=kind_rules, dry_run=dry_run), False

    def _change(
        self, resource: Resource, before: Entry, document: dict[str, Any], *, kind_rules: bool, dry_run: bool
    ) -> Entry:
        """Store the next state of an object, if it is another than the present one."""
        validation.check_finalizers_not_added(resource, before.metadata, document["metadata"])
        validation.check(resource, document, kind_rules=kind_rules)
        metadata = document["metadata"]
        ends = "deletionTimestamp" in metadata and not metadata.get("finalizers")
        if dry_run or objects.same(before.document, document):
            return Entry(before.namespace, before.name, before.version, document)
        if ends and before.metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds"):
            self.forget(resource, before)
            return Entry(before.namespace, before.name, before.version, document)
        entry = self.store.put(resource.storage, before.namespace, before.name, document)
        if resource.name == _DEFINITIONS:
            self._establish(resource, entry)
        return entry

    def forget(self, resource: Resource, entry: Entry) -> Entry:
        """Let an object be gone; a namespace that waited for this one goes with it. The lock is held by the caller.

        :returns: its last state, at the version of its end.
        """
        gone = self.store.remove(resource.storage, entry)
        if not entry.namespace:
            return gone
        home = self.store.get("namespaces", "", entry.namespace)
        if home is not None and "deletionTimestamp" in home.metadata and not self.content(entry.namespace):
            self.store.remove("namespaces", home)
        return gone

    def content(self, namespace: str) -> list[tuple[Resource, Entry]]:
        """What is in a namespace."""
        with self.store.lock:
            by_table = {resource.storage: resource for resource in self.registry.all() if resource.namespaced}
            return [
                (resource, entry)
                for table, resource in by_table.items()
                for entry in self.store.entries(table, namespace)
            ]


def _patched(document: dict[str, Any], patch: Any, kind: PatchType) -> Any:
    match kind:
        case PatchType.JSON:
            return json_patch(document, patch)
        case PatchType.STRATEGIC:
            return strategic_merge_patch(document, patch)
        case _:
            return merge_patch(document, patch)
