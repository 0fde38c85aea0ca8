"""From what a client sends to what is stored: which fields are the client's and which the server's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import choices
from typing import Any
from uuid import uuid4

import orjson

from workqueue.testing.apiserver import defaults, errors
from workqueue.testing.apiserver.errors import cause
from workqueue.testing.apiserver.registry import ALL_METADATA, Resource
from workqueue.testing.apiserver.store import Entry

#: What generateName appends: no vowels and no lookalikes, as apimachinery's rand.String.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
#: What of the metadata only the server writes.
_SERVER_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def now_text(*, after: float = 0.0) -> str:
    """The time of day as metadata carries it.

    :param after: seconds from now.
    """
    return (datetime.now(UTC) + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_stored(resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
    """A body without its kind and apiVersion, its fields under their stored names.

    :raises ApiError: 400 if it is of another kind or version.
    """
    kind, version = body.get("kind"), body.get("apiVersion")
    if resource.custom and not kind:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): Object 'Kind' is missing in "
            f"'{orjson.dumps(body).decode()}'"
        )
    if version and version != resource.group_version:
        raise errors.bad_request(
            f"the API version in the data ({version}) does not match the expected "
            f"API version ({resource.group_version})"
        )
    if kind and kind != resource.kind:
        raise errors.bad_request(
            f'{kind} in version "{version or resource.version}" cannot be handled as a {resource.kind}: '
            "unknown conversion"
        )
    stored_names = {shown: stored for stored, shown in resource.renames.items()}
    return {stored_names.get(key, key): value for key, value in body.items() if key not in {"kind", "apiVersion"}}


def to_shown(resource: Resource, entry: Entry) -> dict[str, Any]:
    """An object as this version of its resource shows it, kind and apiVersion first. Not to be changed."""
    fields = {resource.renames.get(key, key): value for key, value in entry.document.items()}
    return {"kind": resource.kind, "apiVersion": resource.group_version, **fields}


def new_document(resource: Resource, namespace: str, body: dict[str, Any], *, trusted: bool) -> dict[str, Any]:
    """The first state of an object.

    :param namespace: the one of the request; "" in the cluster scope.
    :param body: what the client sent, kind and apiVersion removed; belongs to the result.
    :param trusted: keep also what only the server writes (uid, times, generation, status), if it is given.
    :raises ApiError: if the body cannot be created.
    """
    given = {key: value for key, value in (body.get("metadata") or {}).items() if value is not None}
    given.pop("managedFields", None)
    given.pop("selfLink", None)
    if given.pop("resourceVersion", ""):
        raise errors.internal("resourceVersion should not be set on objects to be created")
    if given.get("namespace", namespace) != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not given.get("name") and given.get("generateName"):
        given["name"] = given["generateName"][:58] + "".join(choices(_SUFFIX, k=5))  # noqa: S311 - a name, no secret
    kept = {key: given.pop(key) for key in _SERVER_METADATA if key in given}
    if not trusted:
        kept = {}
    metadata: dict[str, Any] = {"name": given.pop("name", "")}
    if "generateName" in given:
        metadata["generateName"] = given.pop("generateName")
    if namespace:
        metadata["namespace"] = namespace
    metadata |= {"uid": str(uuid4()), "resourceVersion": ""}
    if resource.has_generation:
        metadata["generation"] = 1
    metadata["creationTimestamp"] = now_text()
    return {**body, "metadata": {**metadata, **kept, **given}}


def complete(resource: Resource, document: dict[str, Any], *, trusted: bool) -> None:
    """Fill in defaults and the first status of a valid new object, in place."""
    defaults.fill_in(resource, document)
    status = defaults.first_status(resource, document)
    if trusted and isinstance(document.get("status"), dict):
        document["status"] = {**(status or {}), **document["status"]}
    elif status is not None:
        document["status"] = status
    elif resource.has_status:
        document.pop("status", None)


def next_document(
    resource: Resource, before: Entry, body: dict[str, Any], *, subresource: str, trusted: bool
) -> dict[str, Any]:
    """The state of an object after an update.

    :param before: its present state.
    :param body: the whole object as the client wants it, kind and apiVersion removed; belongs to the result.
    :param subresource: "status" if only that may change, else "".
    :param trusted: let the status change together with the rest.
    """
    old = before.document
    metadata = {key: value for key, value in body["metadata"].items() if value is not None}
    metadata.pop("managedFields", None)
    metadata.pop("selfLink", None)
    metadata["resourceVersion"] = before.metadata["resourceVersion"]
    for name in ("namespace", *_SERVER_METADATA):
        if name in before.metadata:
            metadata[name] = before.metadata[name]
        else:
            metadata.pop(name, None)
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if name in metadata and not metadata[name]:
            del metadata[name]
    if subresource == "status":
        if ALL_METADATA in resource.status_keeps:
            metadata = dict(before.metadata)
        for name in resource.status_keeps - {ALL_METADATA}:
            metadata.pop(name, None)
            if name in before.metadata:
                metadata[name] = before.metadata[name]
        document = {**old, "metadata": metadata}
        document.pop("status", None)
        if "status" in body:
            document["status"] = body["status"]
        return document
    document = {**body, "metadata": metadata}
    if resource.has_status and not trusted:
        document.pop("status", None)
        if "status" in old:
            document["status"] = old["status"]
    defaults.fill_in(resource, document)
    if resource.has_generation and not same(_specification(resource, old), _specification(resource, document)):
        metadata["generation"] = before.metadata.get("generation", 0) + 1
    return document


def _specification(resource: Resource, document: Mapping[str, Any]) -> Any:
    """What generation counts the changes of."""
    if not resource.custom:
        return document.get("spec")
    hidden = {"metadata", "status"} if resource.has_status else {"metadata"}
    return {key: value for key, value in document.items() if key not in hidden}


def same(one: Any, other: Any) -> bool:
    """Whether two documents are equal as JSON: in JSON true is not 1."""
    return one == other and orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        other, option=orjson.OPT_SORT_KEYS
    )


def check_update(resource: Resource, before: Entry, body: Mapping[str, Any], *, patched: bool) -> None:
    """Refuse an update meant for another object or another state of it.

    :param patched: whether the body is the result of a patch: such a one changed the uid by intent.
    :raises ApiError: 400, 409 or 422.
    """
    metadata = body["metadata"]
    name, group = before.name, resource.group
    given = metadata.get("name") or ""
    if not given:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if metadata.get("namespace", before.namespace) != before.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    version = metadata.get("resourceVersion") or ""
    if version and not version.isdigit():
        raise errors.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if not version.strip("0") and not resource.unconditional_update:
        why = "Invalid value: 0: must be specified for an update"
        raise errors.invalid(name, group, resource.plural, cause("metadata.resourceVersion", "FieldValueInvalid", why))
    if version.strip("0") and int(version) != before.version:
        raise errors.modified(name, group, resource.plural)
    uid = metadata.get("uid") or before.metadata["uid"]
    if uid != before.metadata["uid"]:
        if patched:
            why = f'Invalid value: "{uid}": field is immutable'
            raise errors.invalid(name, group, resource.kind, cause("metadata.uid", "FieldValueInvalid", why))
        why = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{before.key}, "
            f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {before.metadata['uid']}"
        )
        raise errors.conflict(name, group, resource.plural, why)
