"""Objects as the API server sends them: a few fields are taken out, the rest stays bytes.

Making dictionaries of an object costs more than everything else that happens to it, and most
objects are never looked at. So its key, uid, version, labels and the fields that indexes want are
taken by a decoder that skips the rest (msgspec, which still checks it to be JSON), and
``metadata.managedFields`` is left out of the bytes. What does not have the shape that an API server
gives its objects goes the long way, through :func:`workqueue.cache.entry.encode`.
"""

import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import object_key
from workqueue.cache.entry import Entry, compact_uid, compact_version, describe, encode
from workqueue.cache.indexes import FieldIndex, IndexFunc, NamespaceIndex, NoIndex, OwnerIndex, Values, text_values
from workqueue.cache.parsing import Part, Raw, parse_object
from workqueue.cache.scanning import joined, members
from workqueue.cache.shared import NO_LABELS, SharedCombinations, SharedLabels, SharedValues

_MANAGED = b'"managedFields":'
_STAND_IN = b"0"
_COMMA = ord(",")

_Getter = Callable[[Any], Any]


class WireDecoder:
    """Takes out what one set of indexes needs."""

    def __init__(self, indexers: Mapping[str, IndexFunc], *, labels: SharedLabels | None = None) -> None:
        """
        :param indexers: by name; of values in all of them, if none is a function of the user's.
        :param labels: those of the cache that the objects are for.
        """
        places = {name: place for place, name in enumerate(indexers)}
        fields = {name: index.path for name, index in indexers.items() if isinstance(index, FieldIndex)}
        tags = {name: path[2] for name, path in fields.items() if len(path) == 3 and path[:2] == _LABELS}
        notes = {name: path[2] for name, path in fields.items() if len(path) == 3 and path[:2] == _ANNOTATIONS}
        others = {name: path for name, path in fields.items() if path[0] != "metadata"}
        paths = _apart({name: path for name, path in others.items() if _ODD.search("".join(path)) is None})
        owners = [name for name, index in indexers.items() if isinstance(index, OwnerIndex)]
        without = [name for name, index in indexers.items() if isinstance(index, NamespaceIndex | NoIndex)]
        #: All values can be found without the rest of the object.
        self._knows_all = len(tags) + len(notes) + len(paths) + len(owners) + len(without) == len(indexers)
        if not self._knows_all:
            tags, notes, paths, owners = {}, {}, {}, []
        #: A field that an index wants may be said by the list's head.
        self._wants_head = any(path[0] in ("kind", "apiVersion") for path in paths.values())
        # Where in the values those of each index belong.
        self._owners = [places[name] for name in owners]
        self._labels = [(places[name], key) for name, key in tags.items()]
        self._annotations = [(places[name], key) for name, key in notes.items()]
        tree, attributes = _tree(paths)
        self._fields: list[tuple[int, _Getter]] = [(places[name], attrgetter(at)) for name, at in attributes.items()]
        self._none: Values = ((),) * len(indexers)
        self._shared_labels = labels if labels is not None else SharedLabels()
        self._shared_values = SharedValues()
        self._shared_combinations = SharedCombinations()
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_struct({**tree, "metadata": self._metadata()}))

    def _metadata(self) -> type[msgspec.Struct]:
        """The metadata's type: no field is read that nobody asks for."""
        more: list[tuple[str, Any, Any]] = []
        if self._annotations:
            more.append(("annotations", dict[str, str] | None, None))
        if self._owners:
            more.append(("ownerReferences", list[_Owner] | None, None))
        return msgspec.defstruct("Metadata", more, bases=(_Metadata,), gc=False) if more else _Metadata

    def decode(self, raw: Raw, *, head: bytes = b"") -> Entry:
        """Make an entry of an object's JSON.

        :param raw: the object; bytes are kept, unless there is something to leave out.
        :param head: what its list says of all its objects, such as ``b'"kind":"Pod","apiVersion":"v1",'``; put in
            front of an object that does not say so itself.
        :return: the entry, with no values if they cannot be found so.
        :raises InvalidObject: if it has no name, or is no JSON.
        """
        part = raw if isinstance(raw, Part) else Part.whole(raw)
        data, start, end = part
        view = memoryview(data)[start:end]
        try:
            found = self._decoder.decode(view)
            metadata = found.metadata
            name, space = metadata.name, metadata.namespace or ""
            labels = self._shared_labels[raw_labels] if (raw_labels := bytes(metadata.labels)) else NO_LABELS
            managed = memoryview(metadata.managedFields)
            at, to = _find(part, managed) if managed.nbytes else (end, end)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._long_way(raw, head)
        if at < 0 or not name or "/" in name or "/" in space or (head and data[start : start + 1] != b"{"):
            return self._long_way(raw, head)
        if head and getattr(found, _KIND) is None:
            if self._wants_head:
                return self._long_way(raw, head)
            body = b"".join((b"{", head, view[1 : at - start], view[to - start :]))
        elif part is not raw and at == to:
            body = data
        else:
            body = b"".join((view[: at - start], view[to - start :]))
        if not (body.isascii() and data[at:to].isascii()) and not _is_text(bytes(part)):
            return self._long_way(raw, head)
        shared = self._shared_values
        values = list(self._none)
        for place, key in self._labels:
            if value := labels.get(key):
                values[place] = shared[value]
        for place, key in self._annotations:
            if metadata.annotations and (value := metadata.annotations.get(key)):
                values[place] = shared[value]
        for place in self._owners:
            uids = dict.fromkeys(each.uid for each in metadata.ownerReferences or () if each.uid)
            values[place] = shared[next(iter(uids))] if len(uids) == 1 else tuple(uids)
        for place, getter in self._fields:
            try:
                value = getter(found)
            except AttributeError:  # something on the way to it is not there
                continue
            values[place] = (shared[value] if value else ()) if type(value) is str else text_values(value)
        return Entry(
            namespace=shared[space][0],
            name=name,
            compact_uid=compact_uid(metadata.uid or ""),
            compact_version=compact_version(metadata.resourceVersion or ""),
            labels=labels,
            stored=body,
            values=self._shared_combinations[tuple(values)] if self._knows_all else (),
        )

    def _long_way(self, raw: Raw, head: bytes) -> Entry:
        body = parse_object(raw, head=head)
        try:
            return encode(body)
        except InvalidObject:
            # Too deep to be written anew, or a number is too large: leave out of its bytes what is not kept.
            object_key(body)
            parts = members(b"{" + head[:-1] + b"}") | members(bytes(raw))
            parts["metadata"] = joined({k: v for k, v in members(parts["metadata"]).items() if k != "managedFields"})
            return describe(body, joined(parts))


class _Metadata(msgspec.Struct, gc=False):
    name: str
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None  # noqa: N815
    labels: msgspec.Raw = msgspec.Raw()
    managedFields: msgspec.Raw = msgspec.Raw()  # noqa: N815


class _Owner(msgspec.Struct, gc=False):
    uid: str | None = None


class _MetadataBeginning(msgspec.Struct, gc=False):
    managedFields: msgspec.Raw = msgspec.Raw()  # noqa: N815


class _Beginning(msgspec.Struct, gc=False):
    metadata: _MetadataBeginning


_beginning = msgspec.json.Decoder(_Beginning)

_LABELS, _ANNOTATIONS = ("metadata", "labels"), ("metadata", "annotations")

#: What msgspec takes in no field's name.
_ODD = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')


def _find(part: Part, value: memoryview) -> tuple[int, int]:
    """Where an object's managed fields begin and end, with a comma; below 0 if that is not sure.

    Their name may be that of another field, too. It is the right one if the object would have them in its metadata if
    all behind the name were cut off, and two braces closed. Where a name comes twice, which no API server writes, one
    of two may be left.
    """
    data, start, end = part
    at = data.find(_MANAGED, start, end)
    begin = at + len(_MANAGED)
    if at <= start or not data.startswith(value, begin):
        return -1, -1
    found = _beginning.decode(data[start:begin] + _STAND_IN + b"}}").metadata.managedFields
    if bytes(found) != _STAND_IN or value == _STAND_IN:
        return -1, -1
    to = begin + value.nbytes
    if data[to] != _COMMA:  # the last field, as an API server has it in what it knows itself
        return (at - 1, to) if data[at - 1] == _COMMA else (-1, -1)
    # The fields of a custom resource's metadata are sorted: name, uid and others follow.
    return (at, to + 1) if data.find(_MANAGED, to, end) < 0 else (-1, -1)


def _is_text(raw: bytes) -> bool:
    """Texts that are skipped are not looked at: whoever reads the object later would fail."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _apart(paths: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those paths of which none leads through the end of another: a field cannot be both a value and a way."""
    ends = set(paths.values())
    ways = {path[:length] for path in ends for length in range(1, len(path))}
    return {name: path for name, path in paths.items() if path not in ways}


def _tree(paths: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The struct types that lead to some fields, by the names of the top ones; and each field's way in attributes."""
    types: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    for first in dict.fromkeys(path[0] for path in paths.values()):
        below = {name: path[1:] for name, path in paths.items() if path[0] == first}
        if any(not path for path in below.values()):
            types[first] = Any
            attributes.update(dict.fromkeys(below, _attribute(first)))
        else:
            inner, ways = _tree(below)
            types[first] = _struct(inner)
            attributes.update({name: f"{_attribute(first)}.{way}" for name, way in ways.items()})
    return types, attributes


def _attribute(name: str) -> str:
    """An attribute for a field of any name. That of the metadata keeps its own."""
    return name if name == "metadata" else "f_" + name.encode().hex()


_KIND = _attribute("kind")


def _struct(fields: Mapping[str, Any]) -> type[msgspec.Struct]:
    definitions: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    names = {}
    for name, kind in fields.items():
        definitions.append((_attribute(name), kind) if name == "metadata" else (_attribute(name), kind | None, None))
        names[_attribute(name)] = name
    if "metadata" in fields and "kind" not in fields:
        definitions.append((_KIND, Any, None))
        names[_KIND] = "kind"
    return msgspec.defstruct("Partial", definitions, rename=names, gc=False, kw_only=True)
