"""The key of an object: what queues carry instead of the object itself.

client-go's ``cache.ObjectName`` (tools/cache/object-names.go): namespace and name, with the text
form ``namespace/name``, or ``name`` alone in the cluster scope. Stricter than client-go's
``SplitMetaNamespaceKey``, which lets ``""``, ``"/a"`` and ``"ns/"`` pass: they name no object.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from workqueue.base.errors import InvalidKey, InvalidObject


class ObjectKey(NamedTuple):
    """The identity of an object inside its resource.

    A plain tuple underneath: it hashes and compares at C speed, and ``("ns", "name")`` equals it.
    """

    #: The namespace; "" in the cluster scope, never None.
    namespace: str
    #: The object's name.
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def parse(cls, text: str) -> "ObjectKey":
        """Read ``namespace/name`` or ``name``.

        :raises InvalidKey: for anything else: "", "/a", "ns/", "a/b/c".
        """
        namespace, slash, name = text.rpartition("/")
        if not name or (slash and not namespace) or "/" in namespace:
            raise InvalidKey(f"{text!r} is no key: expected 'namespace/name', or 'name' in the cluster scope")
        return cls(namespace, name)

    @classmethod
    def of(cls, value: object) -> "ObjectKey":
        """Take a key in any of the forms a user may hold it: a key, a pair, a text.

        :raises InvalidKey: if it is none of them, or names no object.
        """
        match value:
            case (str() as namespace, str() as name) if name and "/" not in name and "/" not in namespace:
                return value if type(value) is cls else cls(namespace, name)
            case str():
                return cls.parse(value)
        raise InvalidKey(f"{value!r} is no key: expected an ObjectKey, a (namespace, name) pair or 'namespace/name'")


def object_key(body: Mapping[str, Any]) -> ObjectKey:
    """The key of an object from its metadata.

    Source: ``MetaNamespaceKeyFunc``, client-go tools/cache/store.go.

    :param body: an object as the API server sends it.
    :raises InvalidObject: if it has no metadata, no name, or names that make no key.
    """
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(name, str) or not name:
        raise InvalidObject("object has no meta: no metadata.name to make a key of")
    namespace = metadata.get("namespace") or ""
    if not isinstance(namespace, str) or "/" in namespace or "/" in name:
        raise InvalidObject(f"namespace {namespace!r} with name {name!r} is no key: expected texts without '/'")
    return ObjectKey(namespace, name)
