"""Faults that a real server cannot be made to produce, scripted; and a record of what was asked."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request that reached the server, answered well or not."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    #: The forms in which the answer may come.
    accept: str = ""

    @property
    def writes(self) -> bool:
        """Whether it meant to change something (a review of access or of oneself changes nothing)."""
        return self.method not in {"GET", "HEAD", "OPTIONS"} and "/selfsubject" not in self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What shall go wrong, and with which requests.

    One of: a chosen answer (``status``), no answer ever (``hang``), or a real answer that is
    spoilt (``inject``, ``cut_after_events``, ``cut_after_bytes``; of a watch also ``hang`` with
    ``after_events``). "Cut" closes the connection with the answer incomplete.
    """

    #: E.g. "GET"; "*" for any.
    method: str = "*"
    #: A pattern as of fnmatch for the whole path, e.g. "/api/v1/*pods".
    path: str = "*"
    #: Asked with the query's parameters; None for any query.
    query: Callable[[Mapping[str, str]], bool] | None = None
    #: How many requests it hits; None for every one.
    times: int | None = 1
    #: The status of a chosen answer; 0 for the real answer.
    status: int = 0
    #: The body of a chosen answer: an object is sent as JSON; None for a Status object that fits the status.
    body: Mapping[str, Any] | bytes | None = None
    #: Headers of a chosen answer, e.g. {"Retry-After": "1"}.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Say nothing more: at once, or in a watch once ``after_events`` lines were sent. The connection stays open.
    hang: bool = False
    #: Lines to put into a watch, newlines included, once ``after_events`` lines were sent.
    inject: tuple[bytes, ...] = ()
    #: How many lines of a watch, bookmarks included, go out before ``inject`` and ``hang``.
    after_events: int = 0
    #: Cut a watch once so many real lines were sent, and what is to be injected by then.
    cut_after_events: int | None = None
    #: Cut any answer once so many bytes of its body were sent.
    cut_after_bytes: int | None = None

    def fits(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether a request is one it hits."""
        return (
            self.method in {"*", method} and fnmatchcase(path, self.path) and (self.query is None or self.query(query))
        )


class FaultBook:
    """The faults that are scripted now."""

    def __init__(self) -> None:
        #: Guards _faults.
        self._lock = threading.Lock()
        #: Guarded by _lock. In the order they were scripted: how often each may still hit, None for ever.
        self._faults: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Script a fault, behind those scripted before."""
        with self._lock:
            self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str, query: Mapping[str, str]) -> Fault | None:
        """The first fault that fits a request, used up once; None if none does."""
        with self._lock:
            for index, (fault, left) in enumerate(self._faults):
                if fault.fits(method, path, query):
                    if left is not None and left <= 1:
                        del self._faults[index]
                    elif left is not None:
                        self._faults[index] = (fault, left - 1)
                    return fault
            return None


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self, *, size: int) -> None:
        """:param size: how many are remembered."""
        #: Guards _requests.
        self._lock = threading.Lock()
        #: Guarded by _lock.
        self._requests: deque[RecordedRequest] = deque(maxlen=size)

    def add(self, request: RecordedRequest) -> None:
        """Remember a request."""
        with self._lock:
            self._requests.append(request)

    def all(self) -> list[RecordedRequest]:
        """What is remembered, a list of the caller's own."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._requests.clear()
