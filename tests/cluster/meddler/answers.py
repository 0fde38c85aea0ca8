"""Answers of the test's choice in place of the server's: refusals, with the Status object that clients look into.

Words and fields are those of kube-apiserver 1.36.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.deeds import Answer, AnsweringDeed

_TOO_LARGE = "Too large resource version"
_NO_STREAMING = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
#: Reason and message of each status.
_WORDS = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: not allowed"),
    404: ("NotFound", "the server could not find the requested resource"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    410: ("Expired", "The resourceVersion for the provided watch is too old."),
    422: ("Invalid", "the request is invalid"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", f"Timeout: {_TOO_LARGE}: 999999999, current: 1"),
}


def status_object(
    code: int, *, reason: str = "", message: str = "", details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A Status object as it goes over the wire.

    reason, message: the usual ones of the code unless given; details: none unless given.
    """
    usual_reason, usual_message = _WORDS.get(code, ("", "meddled with"))
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or usual_message,
        "reason": reason or usual_reason,
        "code": code,
    }
    if details is not None:
        status["details"] = dict(details)
    return status


def usual_details(code: int, *, retry_after: int | None) -> dict[str, Any] | None:
    """What the Status of a code has beside its words: for 504 the cause that the version is of the future."""
    details: dict[str, Any] = {} if retry_after is None else {"retryAfterSeconds": retry_after}
    if code == 504:
        details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": _TOO_LARGE}]
        details.setdefault("retryAfterSeconds", 1)
    return details or None


@dataclass(frozen=True, kw_only=True)
class AnswerStatus(AnsweringDeed):
    """A status and a Status object.

    retry_after: whole seconds, said in the header Retry-After and in the object's details; None for not at all.
    """

    kind: ClassVar[str] = "status"
    status: int
    reason: str = ""
    message: str = ""
    retry_after: int | None = None

    def answer(self) -> Answer:
        details = usual_details(self.status, retry_after=self.retry_after)
        body = status_object(self.status, reason=self.reason, message=self.message, details=details)
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Answer(status=self.status, body=json.dumps(body).encode(), headers=headers)


@dataclass(frozen=True, kw_only=True)
class ExpireContinue(AnsweringDeed):
    """410 for the next page of a list, as if the snapshot of the first were compacted meanwhile."""

    kind: ClassVar[str] = "expire the continue token"

    def concerns(self, asked: Asked) -> bool:
        return asked.verb == "list" and bool(asked.query.get("continue"))

    def answer(self) -> Answer:
        message = "The provided continue parameter is too old to display a consistent list result."
        return Answer(status=410, body=json.dumps(status_object(410, message=message)).encode())


@dataclass(frozen=True, kw_only=True)
class NoStreamingLists(AnsweringDeed):
    """422 for a watch with sendInitialEvents, as from a server that does not have them (feature gate WatchList)."""

    kind: ClassVar[str] = "no streaming lists"

    def concerns(self, asked: Asked) -> bool:
        return asked.verb == "watch" and "sendInitialEvents" in asked.query

    def answer(self) -> Answer:
        why = f"Forbidden: {_NO_STREAMING}"
        cause = {"reason": "FieldValueForbidden", "message": why, "field": "sendInitialEvents"}
        details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}
        message = f'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: {why}'
        return Answer(status=422, body=json.dumps(status_object(422, message=message, details=details)).encode())
