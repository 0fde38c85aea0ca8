"""What the cache keeps of one object: a few fields to decide by, and the body as bytes.

The body is JSON, or that packed, decoded anew for whoever asks, so that no caller can change the
cache through what it was given. ``metadata.managedFields`` is dropped: nobody reconciles by it, and
it is often half of an object.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import orjson
from msgspec.structs import force_setattr, replace

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache.indexes import Values, as_text
from workqueue.cache.packing import MAGIC, Dictionary
from workqueue.cache.parsing import loads

#: How uids are written, all but those of some aggregated APIs; and versions. As numbers they need half the memory.
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
#: A version of any length that is a number.
_NUMBER = re.compile(r"0|[1-9][0-9]*")


def compact_uid(uid: str) -> int | str:
    """A uid as a number above 0 if it is written as they are; else as it is."""
    return (_UID.fullmatch(uid) and int(uid.replace("-", ""), 16)) or uid


def compact_version(version: str) -> int | str:
    """A resourceVersion as a number if it is one; else as it is."""
    return int(version) if _VERSION.fullmatch(version) else version


class Entry(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One object as it was at one resourceVersion. What it says never changes; its body may be packed once.

    The garbage collector need not look at it: nothing that it holds leads back to it. It is frozen, since readers are
    given the cache's own.
    """

    #: "" in the cluster scope.
    namespace: str
    name: str
    #: As of :func:`compact_uid`; "" where the API server gives none (some aggregated APIs).
    compact_uid: int | str
    #: As of :func:`compact_version`; "" if there is none.
    compact_version: int | str
    #: Cannot be changed.
    labels: Mapping[str, str]
    #: The object as JSON, or a frame of :attr:`dictionary`, by which it is replaced at any time.
    stored: bytes
    #: What it is found under in the cache's indexes, in their order; empty while that is not known. More may be added
    #: at any time: whoever uses them goes by the indexes.
    values: Values = ()
    #: Set before :attr:`stored` is a frame of it, and never again.
    dictionary: Dictionary | None = None

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return ObjectKey(self.namespace, self.name)

    @property
    def uid(self) -> str:
        """As the API server wrote it; "" where it gave none."""
        uid = self.compact_uid
        if isinstance(uid, str):
            return uid
        digits = f"{uid:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    @property
    def resource_version(self) -> str:
        """Opaque text, "" if there is none."""
        return str(self.compact_version)

    @property
    def body(self) -> bytes:
        """The object as JSON."""
        stored = self.stored
        if self.dictionary is None or not stored.startswith(MAGIC):
            return stored
        return self.dictionary.unpack(stored)

    @property
    def is_settled(self) -> bool:
        """True if the body is packed, or was to be and is not worth it."""
        return self.dictionary is not None

    def decode(self) -> dict[str, Any]:
        """The object, a private copy at each call."""
        return loads(self.body)

    def is_same_object(self, other: "Entry") -> bool:
        """False if the uids tell that one is a recreation of the other under its name; a missing uid tells nothing."""
        mine, others = self.compact_uid, other.compact_uid
        return not (mine and others and mine != others)

    def is_same_state(self, other: "Entry") -> bool:
        """True if both are one object at one resourceVersion; a missing one tells nothing."""
        version = self.compact_version
        return bool(version) and version == other.compact_version and self.compact_uid == other.compact_uid

    def is_older_than(self, other: "Entry") -> bool:
        """True if the resourceVersions say so; those that are no numbers are opaque and say nothing."""
        mine, theirs = self.compact_version, other.compact_version
        if isinstance(mine, int) and isinstance(theirs, int):
            return mine < theirs
        mine, theirs = str(mine), str(theirs)
        if not (_NUMBER.fullmatch(mine) and _NUMBER.fullmatch(theirs)):
            return False
        return (len(mine), mine) < (len(theirs), theirs)  # no text is too long for that


# For the cache alone: who is given an entry finds no verb in it that changes the cache.


def keep_frame(entry: Entry, frame: bytes, dictionary: Dictionary) -> int:
    """Keep an entry's body as a frame from now on; only once.

    :param frame: of that dictionary, or the body as it is.
    :return: bytes more that it needs, mostly below 0.
    """
    if entry.dictionary is not None:
        return 0
    before = len(entry.stored)
    force_setattr(entry, "dictionary", dictionary)
    force_setattr(entry, "stored", frame)
    return len(frame) - before


def twin(entry: Entry) -> Entry:
    """Another entry that says the same, and shares the body. What is kept in one of them is not in the other."""
    return replace(entry)


def keep_values(entry: Entry, values: Values) -> None:
    """Say from now on that an entry is found under these values; whoever calls sees to it that it is."""
    force_setattr(entry, "values", values)


def keep_name(entry: Entry, name: str) -> None:
    """Keep this text, which is the same as the entry's name, in its place: it is there anyway."""
    force_setattr(entry, "name", name)


def encode(body: Mapping[str, Any]) -> Entry:
    """Make an entry of an object as the API server sends it.

    :param body: the object; not kept and not changed.
    :raises InvalidObject: if it has no name, or is nothing that JSON can hold; the message names the key.
    """
    key = object_key(body)
    metadata = body["metadata"]
    if "managedFields" in metadata:
        body = {**body, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}
    return describe(body, _dumps(body, key))


def _dumps(body: Mapping[str, Any], key: ObjectKey) -> bytes:
    try:
        raw = orjson.dumps(body, default=_plain)
    except TypeError as error:
        if "ecursion" not in str(error):
            raise InvalidObject(f"{key} cannot be stored as JSON: {error}") from error
        try:  # Python's own goes deeper
            raw = json.dumps(body, default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as deeper:
            raise InvalidObject(f"{key} cannot be stored as JSON: {deeper}") from deeper
    if b"null" in raw and not _is_finite(body):
        raise InvalidObject(f"{key} cannot be stored as JSON: not a number, or an infinite one")
    return raw


def _is_finite(value: object) -> bool:
    """False for what orjson writes as null though it is a number."""
    left = [value]
    while left:
        match left.pop():
            case float() as number if not math.isfinite(number):
                return False
            case Mapping() as mapping:
                left.extend(mapping.values())
            case list() | tuple() as elements:
                left.extend(elements)
    return True


def describe(body: Mapping[str, Any], raw: bytes) -> Entry:
    """Make an entry of an object that is JSON already.

    :param body: the object.
    :param raw: the same, without its managed fields.
    :raises InvalidObject: if it has no name.
    """
    metadata = body["metadata"]
    key = object_key(body)
    return Entry(
        namespace=as_text(key.namespace),
        name=as_text(key.name),
        compact_uid=compact_uid(str(metadata.get("uid") or "")),
        compact_version=compact_version(str(metadata.get("resourceVersion") or "")),
        labels=MappingProxyType(_labels(metadata.get("labels"))),
        stored=raw,
    )


def _labels(given: object) -> dict[str, str]:
    """Labels are texts by texts; what is not cannot be selected by, and stays in the body."""
    if not isinstance(given, Mapping):
        return {}
    texts = ((name, value) for name, value in given.items() if isinstance(name, str) and isinstance(value, str))
    return {as_text(name): as_text(value) for name, value in texts}


def _plain(value: object) -> object:
    """Kopf's bodies are mapping views: JSON wants the dictionaries in them."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class Body(Mapping[str, Any]):
    """An object that is decoded when somebody touches it, and not before."""

    __slots__ = ("_decoded", "_entry")

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._decoded: dict[str, Any] | None = None

    def _touch(self) -> dict[str, Any]:
        if self._decoded is None:
            self._decoded = self._entry.decode()
        return self._decoded

    def __getitem__(self, name: str) -> Any:
        return self._touch()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._touch())

    def __len__(self) -> int:
        return len(self._touch())

    def __repr__(self) -> str:
        return f"<{self._entry.key} at {self._entry.resource_version or 'no resourceVersion'}>"
