"""Lines that a server does not send, or not there, put into a watch; and how the lines of a watch are read."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.cluster.meddler.answers import status_object, usual_details
from tests.cluster.meddler.deeds import WatchDeed, check_count
from tests.cluster.meddler.steps import AfterPieces, Passage, Strike

#: What a balancer's error page looks like to who expects JSON.
NO_JSON = b"<html><body><h1>502 Bad Gateway</h1></body></html>\n"
#: An event without its object.
NO_OBJECT = b'{"type":"MODIFIED"}\n'
#: An event whose object says nothing about itself.
NO_METADATA = b'{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1"}}\n'


def event(kind: str, document: object) -> bytes:
    """A line of a watch; kind: "ADDED", "MODIFIED", "DELETED", "BOOKMARK" or "ERROR"."""
    return json.dumps({"type": kind, "object": document}, separators=(",", ":")).encode() + b"\n"


def error_event(code: int, *, reason: str = "", message: str = "", retry_after: int | None = None) -> bytes:
    """An ERROR event with a Status object; retry_after: its details' retryAfterSeconds."""
    details = usual_details(code, retry_after=retry_after)
    return event("ERROR", status_object(code, reason=reason, message=message, details=details))


def bookmark(resource_version: str, *, kind: str = "Pod", api_version: str = "v1") -> bytes:
    """An ordinary BOOKMARK: without the annotation that closes a streaming list's initial events."""
    metadata = {"resourceVersion": resource_version, "creationTimestamp": None}
    return event("BOOKMARK", {"kind": kind, "apiVersion": api_version, "metadata": metadata})


@dataclass(frozen=True)
class InjectLines(WatchDeed):
    """Put lines into a watch once `after` of the server's have passed; it goes on behind them.

    A real server ends a watch after an ERROR event: for that have a cut or an end behind it in the same meddling, which
    counts these lines too.
    """

    kind: ClassVar[str] = "inject lines"
    lines: tuple[bytes, ...]
    after: int

    def __init__(self, *lines: bytes, after: int = 0) -> None:
        check_count(after=after)
        object.__setattr__(self, "lines", lines)
        object.__setattr__(self, "after", after)

    def passage(self) -> Passage:
        return AfterPieces(self.after, (Strike(self.kind), *self.lines))


class LineSplitter:
    """Puts together the lines of a body that comes in pieces."""

    def __init__(self) -> None:
        self.rest = b""  # of a line that is not yet complete

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that a piece completes, newlines included."""
        if b"\n" not in piece:
            self.rest += piece
            return []
        *lines, rest = (self.rest + piece).split(b"\n")
        self.rest = rest
        return [line + b"\n" for line in lines]


def parse(line: bytes) -> dict[str, Any] | None:
    """An event; None if the line is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("object"), dict) else None


def metadata_of(found: dict[str, Any]) -> dict[str, Any]:
    """The metadata of an event's object; empty if it has none."""
    metadata = found["object"].get("metadata")
    return metadata if isinstance(metadata, dict) else {}
