"""An object's JSON read as a whole, by those who need it so, and told where it is."""

from typing import Any, NamedTuple

import msgspec
import orjson

from workqueue.base.errors import InvalidObject
from workqueue.cache.scanning import members


class Part(NamedTuple):
    """An object's JSON where it is a part of something longer: whoever stores it copies once what is to be kept."""

    data: bytes
    start: int
    end: int

    @classmethod
    def whole(cls, data: bytes) -> "Part":
        """All of it."""
        return cls(data, 0, len(data))

    def __bytes__(self) -> bytes:
        return self.data[self.start : self.end]


#: An object's JSON.
Raw = bytes | Part


class TooDeep(InvalidObject):
    """An object that is nested deeper than anything here can read. An API server takes such."""


def loads(body: bytes) -> dict[str, Any]:
    """An object's JSON as dictionaries."""
    found: dict[str, Any]
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # From Python 3.12 on, msgspec reads what is nested deeper than orjson reads; and by it the object was taken.
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            raise error from None
    return found


def parse_object(raw: Raw, *, head: bytes = b"") -> dict[str, Any]:
    """An object's JSON as dictionaries.

    :param raw: the object.
    :param head: as of :meth:`workqueue.cache.wire.WireDecoder.decode`.
    :raises InvalidObject: if it is no JSON, or no object.
    """
    try:
        body = orjson.loads(bytes(raw))
    except ValueError as error:
        if "depth limit" in str(error):
            raise TooDeep("an object that is nested too deep to be read") from None
        raise InvalidObject(f"an object that is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidObject("object has no meta: it is no JSON object")
    return {**orjson.loads(b"{" + head[:-1] + b"}"), **body} if head else body


def parse_identity(raw: Raw) -> dict[str, Any]:
    """As much of an object as tells which one it is, in which state; of one that is nested too deep as well.

    :param raw: the object.
    :return: the object, or one with ``metadata`` alone, and in that name, namespace, uid and resourceVersion.
    :raises InvalidObject: if it is no JSON, or no object.
    """
    try:
        return parse_object(raw)
    except TooDeep:
        metadata = members(members(bytes(raw)).get("metadata", b""))
        known = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
        try:
            return {"metadata": {name: _text.decode(value) for name, value in known.items()}}
        except msgspec.MsgspecError as error:
            raise InvalidObject(f"an object that is no JSON: {error}") from None


_text = msgspec.json.Decoder(str)
