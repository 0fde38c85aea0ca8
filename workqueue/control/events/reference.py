"""What an event is about: a reference made of an object in any form in which a reconcile function holds it.

Source: GetReference of client-go tools/reference/ref.go. There a missing kind is looked up in a scheme;
here there is none, and an object that does not say what it is gets no event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.base.errors import WorkqueueError


class NotRecordable(WorkqueueError):
    """No event can be made of this: the message says why, and what was expected."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object, told apart from all others and from its former selves."""

    kind: str
    api_version: str
    name: str
    #: "" in the cluster scope.
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    #: A part of the object, such as ``spec.containers{main}``; "" is the whole.
    field_path: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def body(self) -> dict[str, str]:
        """As the API server knows it, without what is empty."""
        fields = {
            "kind": self.kind,
            "apiVersion": self.api_version,
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "fieldPath": self.field_path,
        }
        return {name: value for name, value in fields.items() if value}


def reference_of(obj: object) -> Reference:
    """A reference to an object.

    :param obj: a body as ``request.get()`` returns it; something that has one as its ``obj``, as pykube's objects do;
        an object of the official client; or the fields of a reference: kind, apiVersion, name, and as far as known
        namespace, uid, fieldPath.
    :raises NotRecordable: if it is none of them, or lacks its kind, its apiVersion or its name.
    """
    body = obj if isinstance(obj, Mapping) else getattr(obj, "obj", None)
    model = _fields(obj) if body is None else None
    if model is not None:
        body = {**model, "metadata": _fields(model.get("metadata"))}
    if not isinstance(body, Mapping):
        raise NotRecordable(
            f"{type(obj).__name__} is no object: expected a body, an object of pykube or of the official client, or a "
            "reference"
        )
    metadata = body.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else body
    reference = Reference(
        # What pykube has listed does not say what it is, but its class does.
        kind=_text(body, "kind") or (_attribute(obj, "kind") if body is not obj else ""),
        api_version=_text(body, "apiVersion") or (_attribute(obj, "version") if body is not obj else ""),
        name=_text(named, "name"),
        namespace=_text(named, "namespace"),
        uid=_text(named, "uid"),
        resource_version=_text(named, "resourceVersion"),
        field_path=_text(body, "fieldPath"),
    )
    for field, value in (("kind", reference.kind), ("apiVersion", reference.api_version), ("name", reference.name)):
        if not value:
            lacking = f"the object {str(reference).strip() or 'given'} has no {field}"
            if model is not None and field != "name":
                lacking += ": the official client's lists leave it out; set kind and api_version of the object before"
            raise NotRecordable(lacking)
    return reference


def _fields(obj: object) -> dict[str, Any] | None:
    """The fields of an object of the official client by their names in JSON, whose values are as it has them; or None.

    Its ``to_dict`` would read the whole object, and has other names.
    """
    names = getattr(obj, "attribute_map", None)
    if not isinstance(names, Mapping):
        return None
    return {str(name): getattr(obj, attribute, None) for attribute, name in names.items()}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _attribute(obj: object, name: str) -> str:
    value = getattr(obj, name, "")
    return value if isinstance(value, str) else ""
