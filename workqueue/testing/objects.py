"""What an API server fills in, and what it does with a deletion: for objects that never saw one.

Everything is counted and nothing random, so that a test that failed can be had again.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from workqueue.base.errors import ConfigurationError, InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.base.text import told

#: What is slept and waited is counted from here: the wall clock of tests, seconds since 1970. Midnight of 2026 in UTC.
EPOCH = 1_767_225_600


class Numbers:
    """What one cluster hands out: resourceVersions that grow over all its objects, uids, and the time."""

    def __init__(self, now: Callable[[], float]) -> None:
        """:param now: seconds since the test began."""
        self._now = now
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    def version(self) -> str:
        """The next resourceVersion."""
        return str(next(self._versions))

    def uid(self) -> str:
        """The next uid."""
        return f"00000000-0000-4000-8000-{next(self._uids):012}"

    def nanoseconds(self) -> int:
        """The wall clock, since 1970."""
        return int((EPOCH + self._now()) * 10**9)

    def timestamp(self) -> str:
        """The wall clock, as the API server writes it."""
        return datetime.fromtimestamp(self.nanoseconds() // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """The objects of one resource as an API server has them, whoever watches."""

    def __init__(self, numbers: Numbers, *, kind: str | None, api_version: str | None, namespaced: bool | None) -> None:
        """:param numbers: the cluster's.
        :param kind, api_version: what objects are that do not say it; None if the first object is to tell.
        :param namespaced: whether they are in namespaces; None if the first object is to tell.
        """
        self.kind = kind
        self.api_version = api_version
        self.namespaced = namespaced
        self._numbers = numbers
        #: Each is a copy of its own, never handed out without another.
        self._objects: dict[ObjectKey, dict[str, Any]] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._objects

    def all(self) -> list[dict[str, Any]]:
        """Everything that exists, in the order in which it came to be."""
        return list(self._objects.values())

    def get(self, key: ObjectKey) -> dict[str, Any]:
        """One object, a copy.

        :raises LookupError: if there is none.
        """
        if key not in self._objects:
            known = ", ".join(map(str, self._objects)) or "none"
            raise LookupError(f"there is no {self.kind} {key}; there are: {known}")
        return copy.deepcopy(self._objects[key])

    def put(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Create an object, or replace it, with what an API server fills in.

        :param given: the whole object.
        :return: the object; and whether it is anything new. One that has to go, and has no finalizer left, is gone.
        :raises InvalidObject: if it is none, or has no name.
        :raises ConfigurationError: if it is none of this resource.
        """
        if not isinstance(given, Mapping):
            raise InvalidObject(f"{told(given)[:100]} is no object: expected its body, a mapping with metadata.name")
        body = copy.deepcopy(dict(given))
        key = object_key(body)
        self._learn(body, key)
        body = {"apiVersion": self.api_version, "kind": self.kind, **body}
        if (body["apiVersion"], body["kind"]) != (self.api_version, self.kind):
            raise ConfigurationError(
                f"{key} is a {body['kind']} of {body['apiVersion']}, and here are objects of kind {self.kind} of "
                f"{self.api_version}: make an informer for the others"
            )
        if bool(key.namespace) != self.namespaced:
            wanted = "needs a namespace" if self.namespaced else "is of the cluster scope and has no namespace"
            raise ConfigurationError(f"{self.kind} {key}: it {wanted}")
        metadata = body["metadata"] = dict(body["metadata"])
        former = self._objects.get(key)
        if former is not None and metadata.get("uid") in (None, former["metadata"]["uid"]):
            self._follow(body, former)
            if _without_version(body) == _without_version(former):
                return copy.deepcopy(former), False
        else:
            metadata.setdefault("uid", self._numbers.uid())
            metadata.setdefault("generation", 1)
            metadata.setdefault("creationTimestamp", self._numbers.timestamp())
            self._objects.pop(key, None)  # the successor is the last of all
        metadata["resourceVersion"] = self._numbers.version()
        self._objects[key] = body
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            del self._objects[key]
        return copy.deepcopy(body), True

    def _learn(self, body: Mapping[str, Any], key: ObjectKey) -> None:
        if self.kind is None or self.api_version is None:
            if not body.get("kind") or not body.get("apiVersion"):
                raise ConfigurationError(f"{key}: give it kind and apiVersion, as nothing else says what it is")
            self.kind, self.api_version = str(body["kind"]), str(body["apiVersion"])
        if self.namespaced is None:
            self.namespaced = bool(key.namespace)

    def delete(self, key: ObjectKey) -> dict[str, Any]:
        """Have an object deleted: it goes at once, or once it has no finalizer any more.

        :return: its last state, or the one in which it waits for its finalizers.
        :raises LookupError: if there is none.
        """
        body = self.get(key)
        metadata = body["metadata"]
        if not metadata.get("finalizers"):
            return self.end(key)
        if "deletionTimestamp" not in metadata:  # else it waits already
            metadata["resourceVersion"] = self._numbers.version()
            metadata["deletionTimestamp"] = self._numbers.timestamp()
            metadata["deletionGracePeriodSeconds"] = 0
            metadata["generation"] += 1
        self._objects[key] = copy.deepcopy(body)
        return body

    def end(self, key: ObjectKey) -> dict[str, Any]:
        """An object goes, whatever it should wait for.

        :return: its last state.
        :raises LookupError: if there is none.
        """
        body = self.get(key)
        body["metadata"]["resourceVersion"] = self._numbers.version()
        del self._objects[key]
        return body

    @staticmethod
    def _follow(body: dict[str, Any], former: Mapping[str, Any]) -> None:
        """A change of an object: what nobody can change stays, and the generation counts changes of what is wanted."""
        metadata, before = body["metadata"], former["metadata"]
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if field in before:
                metadata[field] = before[field]
        changed = _wanted(body) != _wanted(former)
        metadata["generation"] = before["generation"] + changed


def checked_objects(existing: object, *, what: str) -> list[Mapping[str, Any]]:
    """Several objects, as a test gives them.

    :param existing: the objects.
    :param what: where they were given, for the error.
    :raises ConfigurationError: if that is no list of objects, such as one object alone.
    """
    if isinstance(existing, Mapping | str | bytes) or not isinstance(existing, Iterable):
        raise ConfigurationError(f"{what}={told(existing)[:100]}: expected objects in a list")
    return list(existing)


def _wanted(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("metadata", "status")}


def _without_version(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
    return {**body, "metadata": metadata}
