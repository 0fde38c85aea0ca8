"""What the meddler counts, and how a test waits for it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One instant's counts."""

    requests: int = 0  # that reached the meddler, since the start
    watches: int = 0  # of these, watches that were answered by 200
    open_watches: int = 0  # of these, how many are not over; stalled ones are not
    stalled_watches: int = 0  # of these, how many get nothing any more
    unreachable: int = 0  # requests that were reset because the server did not answer them
    broken: int = 0  # answers that the server itself did not send to the end
    #: How often each kind of deed was done; 0 for one that never was.
    faults: Mapping[str, int] = field(default_factory=lambda: MappingProxyType(Counter()))


class Tally:
    """The counts now. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = Statistics()  # guarded by _changed
        self._faults: Counter[str] = Counter()  # guarded by _changed
        self._is_over = False  # guarded by _changed

    def count(self, **changes: int) -> None:
        """Add to fields of the statistics."""
        with self._changed:
            self._now = replace(self._now, **{name: getattr(self._now, name) + by for name, by in changes.items()})
            self._changed.notify_all()

    def strike(self, kind: str) -> None:
        """A deed was done."""
        with self._changed:
            self._faults[kind] += 1
            self._now = replace(self._now, faults=MappingProxyType(Counter(self._faults)))
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is counted any more: whoever waits has waited in vain."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def statistics(self) -> Statistics:
        """What was counted until now."""
        with self._changed:
            return self._now

    def wait_for(self, condition: Callable[[Statistics], bool], *, timeout: float) -> Statistics:
        """Wait until the statistics fulfil a condition, and return them. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition(self._now):
                if self._is_over:
                    raise TimeoutError(f"not so before the meddler stopped; last seen: {self._now}")
                if not self._changed.wait(deadline - time.monotonic()) and not condition(self._now):
                    raise TimeoutError(f"not so within {timeout:g} s; last seen: {self._now}")
            return self._now
