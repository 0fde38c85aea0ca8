"""What an API server sends, as bytes: a watch is lines, a line is an event, a list is items.

Nothing here decodes an object: where an event's object is in its line is told, a list's items are
cut out of its page.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from workqueue.base.errors import InvalidObject
from workqueue.cache import Part
from workqueue.cache.scanning import elements, members

#: A line longer than this is no event: etcd takes no object over 1.5 MB, and aggregated servers hardly more.
MAXIMUM_LINE = 64 * 1024 * 1024

#: Marks the bookmark that ends the initial events of a streaming list (KEP-3157).
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


_SPACE = ord(" ")


class Malformed(Exception):
    """Bytes that are no answer of an API server."""


#: What reading them raises. Whoever may write objects may nest them deeper than anybody here can read.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Lines:
    """Cuts a stream of bytes into lines, however they come."""

    def __init__(self) -> None:
        #: The parts of a line whose end has not come yet.
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[Part]:
        """The lines that are whole now, without their line ends, and without those that are blank.

        :raises Malformed: if a line does not end, once all before it are through.
        """
        start = 0
        # bytes.split looks at each byte, find at many at a time.
        while (end := data.find(b"\n", start)) >= 0:
            line = Part(data, start, end)
            start = end + 1
            if self._parts:
                self._parts.append(bytes(line))
                line = Part.whole(b"".join(self._parts))
                self._parts, self._length = [], 0
            if line.start < line.end and not (line.data[line.start] <= _SPACE and bytes(line).isspace()):
                yield line
        if start < len(data):
            self._parts.append(data[start:])
            self._length += len(data) - start
            if self._length > MAXIMUM_LINE:
                raise Malformed(f"a line of more than {MAXIMUM_LINE} bytes")


class Event(NamedTuple):
    """One line of a watch."""

    type: str
    #: The object's JSON.
    object: Part

    @property
    def raw(self) -> bytes:
        """The same, by itself."""
        return bytes(self.object)


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_line = msgspec.json.Decoder(_Line)

#: How a kube-apiserver begins the lines of each type. What begins otherwise is decoded.
_BEGINNINGS = tuple(
    (kind, b'{"type":"%s","object":' % kind.encode()) for kind in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
)


def parse_line(line: Part) -> Event:
    """Find an event's object in its line.

    :param line: without its end.
    :raises Malformed: if it is no event.
    """
    data, start, end = line
    for kind, beginning in _BEGINNINGS:
        # The last character belongs to the event, all before it to the object; an object that is cut off is found out
        # when it is decoded.
        if data.startswith(beginning, start, end) and data.endswith(b"}}", start, end):
            return Event(kind, Part(data, start + len(beginning), end - 1))
    try:
        found = _line.decode(memoryview(data)[start:end])
    except _UNREADABLE as error:
        raise Malformed(f"an event that is none: {error}") from None
    return Event(found.type, Part.whole(bytes(found.object)))


class _BookmarkMetadata(msgspec.Struct, gc=False):
    resourceVersion: str = ""  # noqa: N815
    annotations: dict[str, str] | None = None


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _BookmarkMetadata


_bookmark = msgspec.json.Decoder(_Bookmark)


class Bookmark(NamedTuple):
    """How far a watch has come."""

    resource_version: str
    #: It is the one that ends the initial events of a streaming list.
    ends_initial_events: bool


def parse_bookmark(raw: bytes) -> Bookmark:
    """Read a bookmark's object.

    :raises Malformed: if it is none.
    """
    try:
        metadata = _bookmark.decode(raw).metadata
    except _UNREADABLE as error:
        raise Malformed(f"a bookmark that is none: {error}") from None
    ends = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
    return Bookmark(metadata.resourceVersion, ends)


class _Cause(msgspec.Struct, gc=False):
    reason: str = ""


class _Details(msgspec.Struct, gc=False):
    causes: list[_Cause] | None = None
    retryAfterSeconds: float | None = None  # noqa: N815


class _Status(msgspec.Struct, gc=False):
    code: int = 0
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None


_status = msgspec.json.Decoder(_Status)


class Refused(Exception):
    """The API server says no, by a status or by an ERROR event. Its text is the server's sentence."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        """
        :param message: the server's.
        :param code: of HTTP.
        :param reason: the Status object's, such as "Expired".
        :param causes: the reasons of its details' causes.
        :param retry_after: seconds that the server asks to wait.
        """
        super().__init__(message or reason or f"status {code}")
        self.code = code
        self.reason = reason
        self.causes = causes
        self.retry_after = retry_after

    @property
    def kind(self) -> Literal["expired", "busy", "unsupported", "other"]:
        """What it means for a watch or a list.

        "expired": what was asked for is no more, or not yet: list anew. "busy": ask again later. "unsupported": it
        cannot do that, or the user may not.
        """
        if self.code == 410 or self.reason in ("Expired", "Gone") or self.is_too_large:
            return "expired"
        if self.code == 429:
            return "busy"
        return "unsupported" if self.code in (400, 422) else "other"

    @property
    def is_too_large(self) -> bool:
        """The resourceVersion is of the future. Older servers say so in words only: client-go, reflector.go."""
        return "ResourceVersionTooLarge" in self.causes or "Too large resource version" in str(self)


def parse_status(raw: bytes) -> Refused:
    """Read a Status object, such as an ERROR event's.

    :param raw: what cannot be read is an error of no code.
    """
    try:
        status = _status.decode(raw)
    except _UNREADABLE:
        return Refused(f"an error that says nothing: {raw[:200]!r}", code=0)
    details = status.details or _Details()
    return Refused(
        status.message or "",
        code=status.code,
        reason=status.reason or "",
        causes=tuple(cause.reason for cause in details.causes or ()),
        retry_after=details.retryAfterSeconds,
    )


class _ListMetadata(msgspec.Struct, gc=False):
    resourceVersion: str = ""  # noqa: N815
    continue_: str | None = msgspec.field(name="continue", default=None)


class _Page(msgspec.Struct, gc=False):
    metadata: _ListMetadata
    kind: str = ""
    apiVersion: str = ""  # noqa: N815
    items: list[msgspec.Raw] | None = None


_page = msgspec.json.Decoder(_Page)


class Page(NamedTuple):
    """A list, or a part of one."""

    resource_version: str
    #: What to ask the next page by; "" if this is the last.
    continue_: str
    #: What the list says of its items once for all, as :meth:`workqueue.cache.Indexer.prepare` wants it.
    head: bytes
    items: Sequence[msgspec.Raw | bytes]


def parse_page(raw: bytes) -> Page:
    """Cut a list into its items.

    :raises Malformed: if it is no list.
    """
    items: Sequence[msgspec.Raw | bytes]
    try:
        try:
            page = _page.decode(raw)
            items = page.items or ()
        except RecursionError:  # one of the items is nested deeper than can be read: the others can be
            parts = members(raw)
            items = elements(parts.pop("items", b"[]"))
            rest = b",".join(msgspec.json.encode(name) + b":" + part for name, part in parts.items())
            page = _page.decode(b"{" + rest + b"}")
    except (*_UNREADABLE, InvalidObject) as error:
        raise Malformed(f"a list that is none: {error}") from None
    head = b""
    if page.kind.endswith("List") and page.kind != "List" and page.apiVersion:
        kind, version = msgspec.json.encode(page.kind.removesuffix("List")), msgspec.json.encode(page.apiVersion)
        head = b'"kind":%s,"apiVersion":%s,' % (kind, version)
    return Page(page.metadata.resourceVersion, page.metadata.continue_ or "", head, items)


def raw_items(page: Page) -> Iterator[bytes]:
    """The items, each as bytes of its own: a part of the page would keep all of it."""
    for item in page.items:
        yield bytes(item)
