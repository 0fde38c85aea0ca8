"""Objects of which nothing is kept but what they are and their metadata.

An API server that is asked for PartialObjectMetadata leaves out the rest, and says of each object
that it is one of those; what it is in truth is put back, so that it can be an owner, say. Where
whole objects come all the same, since somebody else wants them over the same watch, they are cut.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from workqueue.cache.parsing import Raw, parse_object
from workqueue.cache.scanning import joined, members

#: Parts of an object.
KEPT = ("kind", "apiVersion", "metadata")

#: What an object may be that has nothing but metadata.
_STAND_IN = b'"PartialObjectMetadata"'
_NONE = (b"", b"null")


class _Object(msgspec.Struct, gc=False):
    metadata: msgspec.Raw
    kind: msgspec.Raw = msgspec.Raw(b"")
    apiVersion: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815


_object = msgspec.json.Decoder(_Object)


class Cutter:
    """Cuts the objects of one resource."""

    def __init__(self) -> None:
        #: What they are. One assignment by whoever knows it first, or learns that another version is served.
        self._names: tuple[bytes, bytes] | None = None

    def objects_are(self, kind: str, api_version: str) -> None:
        """What those are that say that they are PartialObjectMetadata."""
        self._names = msgspec.json.encode(kind), msgspec.json.encode(api_version)

    def cut(self, body: Mapping[str, Any] | Raw, *, head: bytes = b"") -> Mapping[str, Any] | Raw:
        """The same without all that is not kept.

        :param body: an object, or its JSON.
        :param head: what its list says of all its objects: see :meth:`workqueue.cache.wire.WireDecoder.decode`.
        :raises InvalidObject: if it is no JSON.
        """
        if isinstance(body, Mapping):
            return self._picked(body)
        data = bytes(body)
        try:
            found = _object.decode(data)
            metadata, kind, version = bytes(found.metadata), bytes(found.kind), bytes(found.apiVersion)
        except msgspec.MsgspecError:  # say what is wrong with it, if there is anything
            return self._picked(parse_object(body, head=head))
        except RecursionError:  # what is deep is not kept
            parts = members(data)
            metadata, kind, version = (parts.get(name, b"") for name in ("metadata", "kind", "apiVersion"))
        if kind in _NONE and head:
            said = _object.decode(b"{" + head + b'"metadata":{}}')
            kind, version = bytes(said.kind), bytes(said.apiVersion)
        if self._names is not None and (kind in _NONE or kind == _STAND_IN):
            kind, version = self._names
        parts = {"kind": kind, "apiVersion": version, "metadata": metadata}
        return joined({name: part for name, part in parts.items() if part})

    def _picked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        picked = {name: body[name] for name in KEPT if name in body}
        if self._names is not None and picked.get("kind") in (None, "PartialObjectMetadata"):
            picked["kind"], picked["apiVersion"] = map(msgspec.json.decode, self._names)
        return picked
