"""Who owns an object, by its ``metadata.ownerReferences``, without decoding the rest of it.

Semantics: apimachinery pkg/apis/meta/v1 controller_ref.go (``GetControllerOf``), and
runtime/schema (``ParseGroupVersion``). References of a wrong shape are passed over, one by one: an
API server lets none in, and what hears of every event must not fail because of one object.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from workqueue.cache.entry import Body


class OwnerReference(NamedTuple):
    """One owner of an object."""

    #: The API group of the owner's kind, without the version; "" for the core group.
    group: str
    kind: str
    name: str
    #: "" if there is none.
    uid: str
    #: It is the one that manages the object; there is one at most.
    controller: bool


class _Reference(msgspec.Struct, gc=False):
    apiVersion: str  # noqa: N815
    kind: str
    name: str
    uid: str | None = None
    controller: bool | None = None


class _Metadata(msgspec.Struct, gc=False):
    ownerReferences: list[_Reference] | None = None  # noqa: N815


class _Object(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None


_object = msgspec.json.Decoder(_Object)


def owner_references(body: Mapping[str, Any]) -> list[OwnerReference]:
    """The owners that an object names, in its order.

    :param body: the object; one that handlers are given is not decoded by it.
    :return: nothing for an object that names none, or is none.
    """
    return [owner for reference in _references(body) if (owner := _owner(reference)) is not None]


def controller_of(body: Mapping[str, Any]) -> OwnerReference | None:
    """The owner that manages an object; None if there is none.

    :param body: as of :func:`owner_references`.
    """
    return next((owner for owner in owner_references(body) if owner.controller), None)


def _references(body: Mapping[str, Any]) -> Sequence[_Reference]:
    if isinstance(body, Body):
        try:
            metadata = _object.decode(body._entry.body).metadata  # noqa: SLF001 - of this room
            return (metadata and metadata.ownerReferences) or ()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # something has not the shape that it should have: look which
    try:
        metadata = body.get("metadata")
        given = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    except (ValueError, TypeError):  # bytes that are no JSON, or no object
        return ()
    return [found for each in given if (found := _converted(each)) is not None] if isinstance(given, list) else ()


def _converted(reference: object) -> _Reference | None:
    """A reference that was decoded already; None if it is none."""
    try:
        return msgspec.convert(reference, _Reference)  # of any mapping: Kopf's bodies are views
    except msgspec.ValidationError:
        return None


def _owner(reference: _Reference) -> OwnerReference | None:
    """What a reference says; None if that names no object."""
    group, slash, version = reference.apiVersion.rpartition("/")
    if not version or (slash and not group) or "/" in group:
        return None
    if not reference.kind or not reference.name or "/" in reference.name:
        return None
    return OwnerReference(group, reference.kind, reference.name, reference.uid or "", reference.controller is True)
