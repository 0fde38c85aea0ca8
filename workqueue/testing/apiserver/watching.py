"""Watches: what one asks for, and which lines it is owed. No input or output here: see ``streaming``."""

from collections.abc import Mapping
from dataclasses import dataclass

from workqueue.testing.apiserver import errors, rendering
from workqueue.testing.apiserver.listing import is_true, parse_selection, refused_option
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.rendering import View
from workqueue.testing.apiserver.selectors import Selection
from workqueue.testing.apiserver.store import Entry, Event, Store


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch asks for."""

    selection: Selection
    #: After which version; 0 for "what there is now".
    version: int = 0
    #: Whether what there is comes first, as ADDED events.
    initial_events: bool = False
    #: Whether a bookmark closes them: a streaming list.
    streaming_list: bool = False
    #: Whether bookmarks are welcome.
    bookmarks: bool = False
    #: Seconds after which the server ends it; None for never.
    timeout: float | None = None

    @classmethod
    def parse(cls, resource: Resource, namespace: str, query: Mapping[str, str]) -> "WatchOptions":
        """Read a query.

        :raises ApiError: 400, 422 or 500 if it makes no sense.
        """
        text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        asked = "sendInitialEvents" in query
        if match and not asked:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            raise refused_option("resourceVersionMatch", why)
        if asked and match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            raise refused_option("resourceVersionMatch", why)
        if text and not text.isdigit():
            raise errors.bad_version(text)
        seconds = query.get("timeoutSeconds") or "0"
        if not seconds.isdigit():
            raise errors.bad_request(f'strconv.ParseInt: parsing "{seconds}": invalid syntax')
        version = int(text or 0)
        streaming = is_true(query, "sendInitialEvents")
        return cls(
            parse_selection(resource, namespace, query),
            version=version,
            initial_events=streaming or (not asked and version == 0),
            streaming_list=streaming,
            bookmarks=is_true(query, "allowWatchBookmarks"),
            timeout=float(seconds) or None,
        )


class Watch:
    """One watch's place in the history. Belongs to the one coroutine that serves it."""

    def __init__(self, store: Store, resource: Resource, options: WatchOptions, view: View) -> None:
        self._store = store
        self._resource = resource
        self.options = options
        self._view = view
        #: Whose events it gets.
        self.table = resource.storage
        #: Everything up to this version is seen.
        self.version = 0
        #: Whether there is nothing more to come: the history went on without it, or the kind is gone.
        self.over = False

    def begin(self) -> list[bytes]:
        """The first lines: the present state, if it is asked for.

        :raises ApiError: 410 or 504, to be sent as an ERROR event: the version is forgotten, or of the future.
        """
        options, store = self.options, self._store
        with store.lock:
            current = store.version
            if not options.initial_events:
                self.version = options.version or current
                if self.version < (oldest := store.forgotten(self.table)):
                    raise errors.expired_watch(self.version, oldest)
                return []
            if options.version > current:
                raise errors.too_large_version(options.version, current)
            self.version = current
            entries = store.entries(self.table, options.selection.namespace)
        lines = [self._line("ADDED", entry) for entry in entries if options.selection.matches(entry.document)]
        if options.streaming_list and options.bookmarks:
            lines.append(self.bookmark(ends_initial_events=True))
        return lines

    def next(self) -> list[bytes]:
        """The lines for what has happened since.

        Events are looked up here, at the watch's own pace: a watch that falls behind holds nobody up,
        and is over once the history has moved on without it.
        """
        with self._store.lock:
            events = self._store.events(self.table, self.version)
            current = self._store.version
            self.over = events is None or self._store.is_dropped(self.table)
        # A watch may have begun in the future: it stays blind until the store gets there.
        self.version = max(self.version, current)
        return [line for event in events or () if (line := self._event(event))]

    def bookmark(self, *, ends_initial_events: bool = False) -> bytes:
        """A line that says how far this watch has come."""
        return rendering.bookmark_line(
            self._resource, self.version, self._view, ends_initial_events=ends_initial_events
        )

    def _line(self, kind: str, entry: Entry) -> bytes:
        return rendering.event_line(self._resource, kind, entry, self._view)

    def _selected(self, entry: Entry | None) -> bool:
        return entry is not None and self.options.selection.matches(entry.document)

    def _event(self, event: Event) -> bytes:
        """The line for one event; empty if it is none of this watch's business."""
        namespace = self.options.selection.namespace
        if namespace and not event.key.startswith(f"{namespace}/"):
            return b""
        was, now = self._selected(event.before), self._selected(event.after)
        if now and event.after is not None:
            return self._line("MODIFIED" if was else "ADDED", event.after)
        return self._line("DELETED", event.gone) if was else b""
