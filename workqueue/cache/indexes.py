"""Ready-made index functions: what most controllers look objects up by.

An index function maps an object to the values it is found under: none, one or several. client-go:
``IndexFunc``, tools/cache/index.go. A function of your own takes the object as a dictionary.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.base.errors import ConfigurationError, IndexConflict
from workqueue.base.functions import name_of, wrong_shape
from workqueue.base.text import told
from workqueue.cache.parsing import loads

#: How the index by namespace is called: ``NamespaceIndex``, tools/cache/index.go.
NAMESPACE_INDEX = "namespace"

#: Takes an object, returns the values it is indexed under.
IndexFunc = Callable[[Mapping[str, Any]], Iterable[str]]


#: What one object is found under in each index, in their order; None where the index function raised. Under its
#: namespace it is found without: see :class:`NamespaceIndex`.
Values = tuple[tuple[str, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class FieldIndex:
    """Indexes by one field; see :func:`field`."""

    path: tuple[str, ...]

    def __call__(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of one object: one, or none."""
        value: Any = body
        for name in self.path:
            if not isinstance(value, Mapping) or name not in value:
                return ()
            value = value[name]
        return text_values(value)


def text_values(value: object) -> tuple[str, ...]:
    """What a field's value is found under: see :func:`field`."""
    match value:
        case str():
            return (value,) if value else ()
        case bool():
            return ("true" if value else "false",)
        case int() if not -(2**63) <= value < 2**64:
            try:
                return (str(float(value)),)  # as whoever decodes the whole object gets it
            except OverflowError:  # which is a number beyond all bounds
                return ()
        case int():
            return (str(value),)
        case float():
            return (str(value),) if math.isfinite(value) else ()
    return ()


def field(path: str) -> FieldIndex:
    """Index by a field, such as ``field("spec.nodeName")``.

    Objects without the field, or with an empty one, are found under no value. Numbers and booleans
    are indexed by their JSON text; lists, objects and numbers beyond what a double can hold not at all.

    :param path: names from the top of the object, joined by dots. Labels may hold dots: use :func:`label`.
    :raises ConfigurationError: if it is empty, has an empty name in it, or is no text.
    """
    names = tuple(path.split(".")) if isinstance(path, str) else ()
    if not names or not all(names):
        raise ConfigurationError(f"field({path!r}): expected names joined by dots, such as 'spec.nodeName'")
    return FieldIndex(names)


def label(name: str) -> FieldIndex:
    """Index by the value of a label, such as ``label("app.kubernetes.io/name")``.

    :param name: the label's key.
    :raises ConfigurationError: if it is empty, or no text.
    """
    if not name or not isinstance(name, str):
        raise ConfigurationError(f"label({name!r}): expected the key of a label")
    return FieldIndex(("metadata", "labels", name))


def annotation(name: str) -> FieldIndex:
    """Index by the value of an annotation, such as ``annotation("example.com/tenant")``.

    :param name: the annotation's key.
    :raises ConfigurationError: if it is empty, or no text.
    """
    if not name or not isinstance(name, str):
        raise ConfigurationError(f"annotation({name!r}): expected the key of an annotation")
    return FieldIndex(("metadata", "annotations", name))


@dataclass(frozen=True, slots=True)
class OwnerIndex:
    """Indexes by owners; see :func:`owner_uid`."""

    def __call__(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of one object."""
        references = body["metadata"].get("ownerReferences")
        if not isinstance(references, list):
            return ()
        uids = (each.get("uid") for each in references if isinstance(each, Mapping))
        return tuple(dict.fromkeys(uid for uid in uids if isinstance(uid, str) and uid))


def owner_uid() -> OwnerIndex:
    """Index by the uids of an object's owners, the controller among them: what it made is found by its uid."""
    return OwnerIndex()


@dataclass(frozen=True, slots=True)
class NamespaceIndex:
    """Indexes by namespace; see :func:`namespace`."""

    def __call__(self, body: Mapping[str, Any]) -> tuple[str]:
        """The value of one object."""
        return (body["metadata"].get("namespace") or "",)


def namespace() -> NamespaceIndex:
    """Index by namespace, "" for the cluster scope: ``MetaNamespaceIndexFunc``, client-go tools/cache/index.go."""
    return NamespaceIndex()


@dataclass(frozen=True, slots=True)
class NoIndex:
    """Stands where an index was that could not be added."""

    def __call__(self, body: Mapping[str, Any]) -> tuple[()]:
        """Nothing is found by it."""
        del body
        return ()


#: Those of this module: they change nothing of what they are given, and most of them need no decoded object.
ReadyMade = FieldIndex | NamespaceIndex | NoIndex | OwnerIndex


def named_indexers(indexers: object, *, what: str) -> dict[str, IndexFunc]:
    """Indexes by their names, and the one by namespace, which is always there.

    :param indexers: what a user gave; None is none.
    :param what: where it was given, for the error.
    :raises ConfigurationError: if they have no names.
    :raises IndexConflict: if one is called as that.
    """
    if not isinstance(indexers, Mapping | None):
        raise ConfigurationError(
            f"{what}={told(indexers)[:100]}: expected index functions by their names, such as "
            "{'node': field('spec.nodeName')}"
        )
    if indexers and NAMESPACE_INDEX in indexers:
        raise IndexConflict(f"indexer conflict: {NAMESPACE_INDEX} exist already")
    return {NAMESPACE_INDEX: namespace(), **(indexers or {})}


def check_index(name: object, function: object) -> None:
    """An index of the wrong shape is found before there is an object.

    :param name: what it is to be found by.
    :param function: see :data:`IndexFunc`.
    :raises ConfigurationError: if it cannot be.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"index {name!r}: expected a text as its name")
    if not callable(function):
        raise ConfigurationError(
            f"index {name!r} is {function!r}, expected a function, or such as field('spec.nodeName')"
        )
    if not isinstance(function, ReadyMade) and (why := wrong_shape(function, argument="the object")):
        raise ConfigurationError(f"index {name!r} is {name_of(function)}: {why}")


def as_text(value: str) -> str:
    """The same as a text of Python's own.

    What inherits from those, such as an enumeration's member, runs its author's code wherever it is hashed or compared:
    in the cache that would be with the lock held.
    """
    return value if type(value) is str else str.__str__(value)


def index_values(function: IndexFunc, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Call an index function.

    A lone text is one value: iterating it would index by letters. All are texts of Python's own.

    :raises TypeError: if it returns something else than texts; and whatever the function raises.
    """
    values = function(body)
    if isinstance(values, str):
        return (as_text(values),)
    try:
        found = tuple(values)
    except TypeError:
        if isinstance(values, Iterable):
            raise  # by a generator of the user's
        raise TypeError(f"the index function returned {values!r}, expected texts") from None
    if not all(isinstance(value, str) for value in found):
        raise TypeError(f"the index function returned {found!r}, expected texts")
    return tuple(dict.fromkeys(map(as_text, found)))


def compute(raw: bytes, indexers: Mapping[str, IndexFunc], *, failed: Callable[[str, BaseException], None]) -> Values:
    """What an object is found under, each index function on its own so that one cannot harm another.

    :param raw: the object's JSON.
    :param indexers: by name.
    :param failed: called with the name of each that raises, and what it raised.
    """
    found: dict[str, tuple[str, ...] | None] = dict.fromkeys(indexers)
    body: dict[str, Any] | None = None
    # A function of the user's may change what it is given: each gets a body of its own, and comes after ours.
    for name in sorted(indexers, key=lambda name: not isinstance(indexers[name], ReadyMade)):
        function = indexers[name]
        if isinstance(function, NamespaceIndex | NoIndex):
            found[name] = ()
            continue
        try:
            if body is None:
                body = loads(raw)
            found[name] = index_values(function, body)
        except BaseException as error:
            failed(name, error)
        if not isinstance(function, ReadyMade):
            body = None
    return tuple(found.values())
