"""An object's JSON read as a whole, by those who need it so, and told where it is."""

import contextlib
from typing import Any, NamedTuple

import msgspec
import orjson

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import object_key
from workqueue.cache.scanning import member, members, read


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
    """An object's JSON as dictionaries.

    :raises InvalidObject: if it cannot be read.
    """
    found: dict[str, Any]
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # From Python 3.12 on, msgspec reads what is nested deeper than orjson reads; and by it the object was taken.
        try:
            found = read(body)
        except InvalidObject:
            raise InvalidObject(f"{_told(body)} cannot be read: {error}") from None
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
            raise TooDeep(f"{_told(bytes(raw))} is nested too deep to be read") from None
        try:
            body = read(bytes(raw))  # it may be a number beyond all bounds
        except InvalidObject:
            raise InvalidObject(f"{_told(bytes(raw))} is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidObject("object has no meta: it is no JSON object")
    return {**orjson.loads(b"{" + head[:-1] + b"}"), **body} if head and body.get("kind") is None else body


def _told(raw: bytes) -> str:
    """The key of an object that cannot be read as a whole, or what is known instead."""
    try:
        identity = _identity(raw)
    except InvalidObject:
        return "an object whose name cannot be read"
    try:
        return str(object_key({"metadata": identity}))
    except InvalidObject:
        return "an object without a name"


def _identity(raw: bytes) -> dict[str, str]:
    """What tells which object it is, without the rest being read.

    A damaged name in the metadata may be that of the namespace: then nothing is told.

    :raises InvalidObject: if that cannot be read.
    """
    metadata = members(member(raw, "metadata") or b"{}")
    known = {name: metadata.get(name, _NULL) for name in ("name", "namespace", "uid", "resourceVersion")}
    try:
        return {name: _text.decode(value) for name, value in known.items() if value != _NULL}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidObject(f"an object that is no JSON: {error}") from None


def parse_identity(raw: Raw) -> dict[str, Any]:
    """As much of an object as tells which one it is, in which state; of one that cannot be read as a whole as well.

    :param raw: the object.
    :return: the object, or one with ``metadata`` alone, and in that name, namespace, uid and resourceVersion.
    :raises InvalidObject: if it is no JSON, or no object, and its name or another of these cannot be read.
    """
    try:
        return parse_object(raw)
    except InvalidObject:
        metadata: dict[str, str] = {}
        with contextlib.suppress(InvalidObject):  # what is wrong with the whole says more
            metadata = _identity(bytes(raw))
        if "name" not in metadata:
            raise
        return {"metadata": metadata}


_NULL = b"null"
_text = msgspec.json.Decoder(str)
