"""Why each key is wanted, from its add to its next run."""

import threading

from workqueue.base.keys import ObjectKey

NONE: frozenset[str] = frozenset()


class Reasons:
    """The reasons of the keys that were asked for and did not run since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Both are guarded by _lock.
        self._reasons: dict[ObjectKey, frozenset[str]] = {}
        #: Sets by what they are made of, each once: there are few reasons, and a million keys.
        self._unions: dict[tuple[frozenset[str], str], frozenset[str]] = {}

    def add(self, key: ObjectKey, reason: str) -> None:
        """The key is about to be asked for. To be said before it is queued: it may run at once."""
        with self._lock:
            before = self._reasons.get(key, NONE)
            together = self._unions.get((before, reason))
            if together is None:
                together = self._unions[before, reason] = before | {reason}
            self._reasons[key] = together

    def take(self, key: ObjectKey) -> frozenset[str]:
        """The key runs: why."""
        if not self._reasons:
            return NONE
        with self._lock:
            found = self._reasons.pop(key, NONE)
            if not self._reasons:
                self._reasons = {}  # one that was large keeps what it has grown to
            return found
