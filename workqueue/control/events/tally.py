"""What has become of all events so far, in numbers."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

#: Why an event was dropped before it was sent: it was none; too many waited; the recorder was closed before, or while
#: it waited; there was no thread to be had.
Why = Literal["invalid", "full", "closed", "shutdown", "no thread"]
#: What became of one that was not dropped: created, counted in one that exists, one too many, refused or given up.
Fate = Literal["sent", "patched", "filtered", "failed"]


@dataclass(frozen=True, slots=True)
class EventStatistics:
    """All recorders of an operator at one instant.

    Those recorded are those sent, patched, filtered, failed, dropped and pending.
    """

    #: Calls of ``event``.
    recorded: int
    #: Created on the API server.
    sent: int
    #: Counted in an event that exists there.
    patched: int
    #: One too many for its object.
    filtered: int
    #: Refused by the API server, or given up after many tries.
    failed: int
    #: Never sent, by why.
    dropped: Mapping[Why, int]
    #: On their way.
    pending: int


class EventTally:
    """Counts, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Guarded by _lock, as all below.
        self._recorded = 0
        self._fates: dict[Fate, int] = dict.fromkeys(get_args(Fate), 0)
        self._dropped: dict[Why, int] = dict.fromkeys(get_args(Why), 0)

    def recorded(self) -> None:
        """An event is to be recorded."""
        with self._lock:
            self._recorded += 1

    def settled(self, fate: Fate) -> None:
        """What became of one."""
        with self._lock:
            self._fates[fate] += 1

    def dropped(self, why: Why, *, count: int = 1) -> None:
        """So many are dropped."""
        with self._lock:
            self._dropped[why] += count

    def snapshot(self) -> EventStatistics:
        """All counts at one instant."""
        with self._lock:
            over = sum(self._fates.values()) + sum(self._dropped.values())
            return EventStatistics(
                recorded=self._recorded,
                dropped=MappingProxyType(dict(self._dropped)),
                pending=self._recorded - over,
                **self._fates,
            )
