"""Request bodies: from bytes to documents, patches and options, or a refusal in the server's words."""

from collections.abc import Mapping
from typing import Any

import orjson

from workqueue.testing.apiserver import errors
from workqueue.testing.apiserver.cluster import PatchType
from workqueue.testing.apiserver.deletion import DeleteOptions
from workqueue.testing.apiserver.registry import Resource


def document(body: bytes, resource: Resource, content_type: str) -> dict[str, Any]:
    """An object.

    :raises ApiError: 400 if it is none, 415 if it is in protobuf, which kubectl's generators send.
    """
    if "protobuf" in content_type or "yaml" in content_type:
        raise errors.unsupported_media_type("application/json")
    try:
        found = orjson.loads(body)
        if not isinstance(found, dict):
            raise TypeError("json: cannot unmarshal into Go value")
    except (ValueError, TypeError) as error:
        shown = body[:64].hex() or "<empty>"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"couldn't get version/kind; json parse error: {error} ({shown})"
        ) from error
    return found


def patch(body: bytes) -> Any:
    """A patch of any kind.

    :raises ApiError: 400 if it is no JSON.
    """
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from error


def patch_type(resource: Resource, content_type: str) -> PatchType:
    """How the body of a PATCH is to be read.

    :raises ApiError: 415 if it cannot be.
    """
    try:
        kind = PatchType(content_type.partition(";")[0].strip())
    except ValueError:
        raise errors.unsupported_media_type() from None
    if kind is PatchType.STRATEGIC and resource.custom:
        raise errors.unsupported_media_type(", ".join(k.value for k in PatchType if k is not PatchType.STRATEGIC))
    return kind


def delete_options(body: bytes, query: Mapping[str, str]) -> DeleteOptions:
    """The options of a DELETE, in its body or its query.

    :raises ApiError: 400 if they make no sense.
    """
    try:
        found = orjson.loads(body) if body.strip() else {}
        if not isinstance(found, dict):
            raise TypeError("json: cannot unmarshal into Go value")
    except (ValueError, TypeError) as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    return DeleteOptions.parse(found, query)
