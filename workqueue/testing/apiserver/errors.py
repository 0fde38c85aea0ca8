"""What the API server refuses, and the exact words it uses: a ``Status`` object for each kind of refusal.

Texts, reasons and codes are kube-apiserver 1.36's, read off a running one.
"""

from collections.abc import Mapping
from typing import Any

from workqueue.base.errors import WorkqueueError


class ApiError(WorkqueueError):
    """A request that the server refuses. The direct calls of ``ApiServer`` raise it, HTTP answers its ``status``."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        token: str = "",
    ) -> None:
        """:param code: the HTTP status.
        :param message: the sentence for people.
        :param reason: the word for programs, e.g. "NotFound"; "" for none.
        :param details: the Status object's details.
        :param token: a continue token to go on with, for expired lists.
        """
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.token = token

    @property
    def status(self) -> dict[str, Any]:
        """The Status object, as it goes over the wire."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.token} if self.token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        body["code"] = self.code
        return body


class PageNotFound(ApiError):
    """A path that no API lives at: the real server answers it in plain text."""

    def __init__(self) -> None:
        super().__init__(404, "404 page not found")


def success(details: Mapping[str, Any]) -> dict[str, Any]:
    """The Status object that answers a deletion."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": dict(details)}


def about(name: str, group: str, kind: str) -> dict[str, Any]:
    """A Status object's details: empty fields are left out.

    :param kind: the plural resource or the Kind, as the refusal at hand has it.
    """
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


def _qualified(word: str, group: str) -> str:
    return f"{word}.{group}" if group else word


def not_found(name: str, group: str, plural: str) -> ApiError:
    """404: there is no such object."""
    return ApiError(
        404, f'{_qualified(plural, group)} "{name}" not found', reason="NotFound", details=about(name, group, plural)
    )


def no_such_resource() -> ApiError:
    """404: the group version exists, the resource in it does not."""
    return ApiError(404, "the server could not find the requested resource", reason="NotFound", details={})


def method_not_allowed() -> ApiError:
    """405: nobody does that with this resource."""
    return ApiError(
        405, "the server does not allow this method on the requested resource", reason="MethodNotAllowed", details={}
    )


def already_exists(name: str, group: str, plural: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(
        409,
        f'{_qualified(plural, group)} "{name}" already exists',
        reason="AlreadyExists",
        details=about(name, group, plural),
    )


def conflict(name: str, group: str, kind: str, why: str) -> ApiError:
    """409: the object is not the one the caller thinks of."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {_qualified(kind, group)} "{name}": {why}',
        reason="Conflict",
        details=about(name, group, kind),
    )


def modified(name: str, group: str, plural: str) -> ApiError:
    """409: the resourceVersion given is not the current one."""
    return conflict(
        name,
        group,
        plural,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def bad_request(message: str) -> ApiError:
    """400: the request makes no sense."""
    return ApiError(400, message, reason="BadRequest")


def internal(message: str) -> ApiError:
    """500 as the real server answers some malformed numbers."""
    return ApiError(500, message)


def bad_version(text: str) -> ApiError:
    """500: a resourceVersion that is no number, as a get or a watch is refused for it."""
    return internal(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


def forbidden(name: str, group: str, plural: str, why: str, causes: list[dict[str, str]] | None = None) -> ApiError:
    """403: understood, and not allowed.

    :param why: what follows "is forbidden: ".
    """
    details = about(name, group, plural)
    if causes:
        details["causes"] = causes
    subject = f'{_qualified(plural, group)} "{name}"' if name else _qualified(plural, group)
    return ApiError(403, f"{subject} is forbidden: {why}", reason="Forbidden", details=details)


def cause(field: str, reason: str, message: str) -> dict[str, str]:
    """One reason among those of an Invalid.

    :param reason: e.g. "FieldValueRequired".
    """
    return {"reason": reason, "message": message, "field": field}


def invalid(name: str, group: str, kind: str, *causes: dict[str, str]) -> ApiError:
    """422: the object breaks a rule."""
    details = about(name, group, kind)
    details["causes"] = list(causes)
    told = [f"{c['field']}: {c['message']}" for c in causes]
    joined = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return ApiError(422, f'{_qualified(kind, group)} "{name}" is invalid: {joined}', reason="Invalid", details=details)


def unusable_patch() -> ApiError:
    """422: a JSON patch that does not fit the object."""
    return ApiError(422, "the server rejected our request due to an error in our request", reason="Invalid", details={})


def unsupported_media_type(accepted: str = "") -> ApiError:
    """415: the body is in no format known here.

    :param accepted: the formats that are.
    """
    if not accepted:
        return ApiError(415, "415: Unsupported Media Type", reason="UnsupportedMediaType", details={})
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, message, reason="UnsupportedMediaType")


def too_large_body() -> ApiError:
    """413: more than the server is willing to read."""
    return ApiError(413, "Request entity too large: limit is 3145728", reason="RequestEntityTooLarge", details={})


def too_large_version(version: int, current: int) -> ApiError:
    """504: a resourceVersion of the future."""
    return ApiError(
        504,
        f"Timeout: Too large resource version: {version}, current: {current}",
        reason="Timeout",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def expired_watch(version: int, oldest: int) -> ApiError:
    """410: what a watch asks for is forgotten."""
    return ApiError(410, f"too old resource version: {version} ({oldest})", reason="Expired")


def expired_list() -> ApiError:
    """410: the state a list asks for is forgotten."""
    return ApiError(410, "The resourceVersion for the provided list is too old.", reason="Expired")


def expired_token(token: str) -> ApiError:
    """410: the pages' snapshot is forgotten.

    :param token: one that goes on with what there is now.
    """
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, message, reason="Expired", token=token)
