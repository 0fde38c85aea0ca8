"""From where a reflector goes on, and whether that can be trusted: what each thing that goes wrong means for it.

Semantics: client-go tools/cache/reflector.go (isLastSyncResourceVersionUnavailable, the answers to
a list and a watch). It decides and remembers; the reflector asks, waits and tells.
"""

from typing import Literal, NamedTuple

from workqueue.informer.source import Silent
from workqueue.informer.wire import Malformed, Refused

#: Watched from if a list has no version, as some aggregated API servers': whatever there is, and what comes.
NO_VERSION = "0"
#: So many streaming lists may fail between two lists that work; then pages are tried.
STREAMS = 2


class NoClosingBookmark(Exception):
    """A streaming list has not ended, and nothing more comes. Its text says for how long."""


class Verdict(NamedTuple):
    """What to do after something went wrong."""

    why: str
    #: Whether to go on without a pause: "if steady" is if the view was good for a while before, "if live" is if it was
    #: live until now as well.
    at_once: Literal["always", "if steady", "if live", "never"]
    #: Seconds that the server asks to wait.
    at_least: float = 0.0


class Position:
    """Of one reflector; belongs to the thread of its event loop."""

    def __init__(self) -> None:
        #: The resourceVersion to watch on from; None if only a list helps.
        self.since: str | None = None
        #: Why somebody wants a list, if so.
        self.wanted = ""
        #: A page expired midway: the next list is one page.
        self.whole = False
        #: Ask whether the storage went back in time before watching on.
        self.is_doubtful = False
        #: Nobody knows what happened to the storage meanwhile.
        self.is_blind = False
        #: It went back in time, or may have: resourceVersions begin anew with the next list.
        self._went_back = False
        #: Streaming lists that failed since the last list that worked.
        self._failed_streams = 0
        #: The server has no streaming lists.
        self._pages_only = False

    @property
    def wants_pages(self) -> bool:
        """A list is needed, and streaming it has not worked."""
        return self.since is None and (self._pages_only or self._failed_streams >= STREAMS)

    @property
    def versions(self) -> Literal["go on", "begin anew"]:
        """Whether one resourceVersion can be two states in the next list and before it."""
        return "begin anew" if self._went_back or self.is_doubtful else "go on"

    # What happens.

    def want_list(self, why: str) -> None:
        """Somebody doubts the view."""
        self.wanted, self._went_back = why, True

    def reached(self, version: str) -> None:
        """An event or a bookmark told how far it is; "" tells nothing."""
        self.since = version or self.since

    def listed(self, version: str) -> None:
        """A list is whole: nothing of what was before matters any more."""
        self.since, self.wanted = version or NO_VERSION, ""
        self.whole = self._went_back = self.is_doubtful = self.is_blind = False
        self._failed_streams = 0

    def streams_list(self) -> None:
        """A streaming list begins: it has failed until it is whole."""
        self._failed_streams += 1

    def lost(self) -> None:
        """The storage is another one, or may be."""
        self.since, self._went_back = None, True

    def is_ahead_of(self, version: str) -> bool:
        """The storage is at that version now, and has not come to what was seen: it went back in time."""
        seen = self.since or ""
        return version.isdecimal() and seen.isdecimal() and (len(version), version) < (len(seen), seen)

    def answered(self, error: Refused) -> None:
        """An ERROR event ends a watch."""
        if error.kind != "busy":
            self.since = None  # 410; or an object that cannot be read, say: only a list helps

    def failed(self, error: Exception) -> Verdict:
        """A list, a watch or the question before it failed."""
        match error:
            case NoClosingBookmark():
                self._pages_only = True
                return Verdict(f"{error}, listing in pages from now on", "if steady")
            case Malformed():
                self.since = None
                return Verdict(str(error), "never")
            case Refused(kind="expired"):
                self._went_back = self._went_back or error.is_too_large
                self.since = None
                return Verdict(str(error), "if steady")
            case Refused(kind="unsupported") if self._failed_streams and not self._pages_only:
                self._pages_only = True
                return Verdict(str(error), "always")  # the answer to a question
            case Refused():
                self.is_doubtful = self.is_doubtful or error.code >= 500  # its storage may be away, and come back older
                return Verdict(str(error), "never", error.retry_after or 0.0)
        self.is_doubtful = True
        self.is_blind = self.is_blind or isinstance(error, Silent)
        return Verdict(str(error) or type(error).__name__, "if live")
