"""How a patch changes a document: merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge patch.

The strategic kind merges lists by the key that Kubernetes' types declare for them. Here the keys
go by the list's name alone (:data:`_MERGE_KEYS`), which is right for the built-in types served;
lists not named there are replaced whole, as atomic lists are. ``$patch: delete`` and ``replace``,
``$deleteFromPrimitiveList`` are understood; ``$setElementOrder`` and ``$retainKeys`` are dropped,
so the order of merged elements is the old one with new ones behind.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from workqueue.testing.apiserver.errors import bad_request, unusable_patch

#: By which field the elements of a list are told apart. Where several fit, the first that an element has.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "addresses": ("type",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "port"),
    "secrets": ("name",),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
#: Lists of plain values that are merged as sets.
_SETS = frozenset({"finalizers"})


def merge_patch(document: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch.

    :param document: is not changed; the result may share parts with it.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge_patch(document: Any, patch: Any, *, name: str = "") -> Any:
    """Apply a strategic merge patch.

    :param document: is not changed; the result may share parts with it.
    :param name: the field that holds the document.
    """
    if isinstance(patch, dict):
        return _merge_objects(document if isinstance(document, dict) else {}, patch)
    if isinstance(patch, list):
        old = document if isinstance(document, list) else []
        if name in _SETS:
            return [*old, *(value for value in patch if value not in old)]
        if name in _MERGE_KEYS and all(isinstance(element, dict) for element in patch):
            return _merge_lists(old, patch, _MERGE_KEYS[name])
    return patch


def _merge_objects(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(document)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [element for element in result.get(field) or [] if element not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_merge_patch(result.get(key), value, name=key)
    return result


def _merge_lists(old: list[Any], patch: list[dict[str, Any]], keys: tuple[str, ...]) -> list[Any]:
    if any(element.get("$patch") == "replace" for element in patch):
        return [element for element in patch if "$patch" not in element]
    result = list(old)
    for element in patch:
        key = next((key for key in keys if key in element), None)
        if key is None:
            raise bad_request(f"map: {element} does not contain declared merge key: {keys[0]}")
        position = next(
            (i for i, other in enumerate(result) if isinstance(other, dict) and other.get(key) == element[key]), None
        )
        if element.get("$patch") == "delete":
            if position is not None:
                del result[position]
        elif position is None:
            result.append(_merge_objects({}, element))
        else:
            result[position] = _merge_objects(result[position], element)
    return result


def json_patch(document: Any, operations: Any) -> Any:
    """Apply an RFC 6902 JSON patch.

    :param document: is not changed.
    :raises ApiError: 400 if it is no JSON patch, 422 if it does not fit the document or a test fails.
    """
    if not isinstance(operations, list) or not all(isinstance(operation, Mapping) for operation in operations):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    result = orjson.loads(orjson.dumps(document))
    for operation in operations:
        try:
            result = _apply(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise unusable_patch() from error
    return result


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, operation["value"])
        case "remove":
            return _remove(document, path)
        case "replace":
            _look(document, path)
            return _add(_remove(document, path) if path else document, path, operation["value"])
        case "move":
            source = _pointer(operation["from"])
            value = _look(document, source)
            return _add(_remove(document, source), path, value)
        case "copy":
            return _add(document, path, orjson.loads(orjson.dumps(_look(document, _pointer(operation["from"])))))
        case "test":
            if _look(document, path) != operation["value"]:
                raise ValueError("test failed")
            return document
        case unknown:
            raise ValueError(f"unknown operation {unknown!r}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _look(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[_index(document, part)]
    return document


def _index(container: Any, part: str) -> Any:
    """A key of an object as it is, a position in a list as a number."""
    if not isinstance(container, list):
        return part
    if not part.isdigit() or int(part) >= len(container):
        raise IndexError(part)
    return int(part)


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _look(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(
            len(parent) if path[-1] == "-" or int(path[-1]) == len(parent) else _index(parent, path[-1]), value
        )
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent = _look(document, path[:-1])
    del parent[_index(parent, path[-1])]
    return document
