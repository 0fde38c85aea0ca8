"""What can be wrong with the bookmark that closes the initial events of a streaming list.

Only that one, with the annotation k8s.io/initial-events-end, says that the list is complete; a client that takes any
bookmark for it, or that waits for ever when it does not come, has lost objects or never starts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.cluster.meddler.deeds import StreamingListDeed
from tests.cluster.meddler.lines import bookmark, metadata_of, parse
from tests.cluster.meddler.steps import Passage, Step, Strike

CLOSING = "k8s.io/initial-events-end"


@dataclass(frozen=True, kw_only=True)
class DropClosingBookmark(StreamingListDeed):
    """Do not pass it on; everything else is."""

    kind: ClassVar[str] = "drop the closing bookmark"

    def passage(self) -> Passage:
        return _Dropping()


@dataclass(frozen=True, kw_only=True)
class EarlyBookmark(StreamingListDeed):
    """Put an ordinary bookmark in front of it, with the resourceVersion of the last event; of none, with its own."""

    kind: ClassVar[str] = "early bookmark"

    def passage(self) -> Passage:
        return _Early()


class _Dropping:
    def begin(self) -> Iterator[Step]:
        return iter(())

    def feed(self, piece: bytes) -> Iterator[Step]:
        if _closing(piece) is None:
            yield piece
        else:
            yield Strike(DropClosingBookmark.kind)


class _Early:
    def __init__(self) -> None:
        self._last = b""

    def begin(self) -> Iterator[Step]:
        return iter(())

    def feed(self, piece: bytes) -> Iterator[Step]:
        closing = _closing(piece)
        if closing is not None:
            last = parse(self._last) or closing
            found, version = closing["object"], str(metadata_of(last).get("resourceVersion", ""))
            yield Strike(EarlyBookmark.kind)
            yield bookmark(version, kind=found.get("kind", ""), api_version=found.get("apiVersion", ""))
        self._last = piece
        yield piece


def _closing(line: bytes) -> dict[str, Any] | None:
    """The event, if it is the closing bookmark."""
    if CLOSING.encode() not in line:  # to read every object as JSON would take time
        return None
    found = parse(line)
    if found is None or found.get("type") != "BOOKMARK":
        return None
    return found if (metadata_of(found).get("annotations") or {}).get(CLOSING) == "true" else None
