"""How often each failing key was tried.

A limiter knows how long a key should wait, and not always how often it has failed: a bucket counts
nothing, and an error that says itself when to try again never asks it.
"""

import threading
from dataclasses import dataclass

from workqueue.base.keys import ObjectKey


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    requeues: int = 0


class Attempts:
    """Counts for the keys that are not through, and for no others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Written under _lock, looked into without it: of each key that failed or was requeued since its last success.
        self._tries: dict[ObjectKey, _Tries] = {}

    def retry(self, key: ObjectKey) -> int:
        """Failures and rate-limited requeues since the last success: what a request tells."""
        tries = self._tries.get(key)
        return 0 if tries is None else tries.failures + tries.requeues

    def failures(self, key: ObjectKey) -> int:
        """Failures since the last success: what ``max_retries`` limits."""
        tries = self._tries.get(key)
        return 0 if tries is None else tries.failures

    def failed(self, key: ObjectKey) -> None:
        """One more failure."""
        with self._lock:
            self._tries.setdefault(key, _Tries()).failures += 1

    def requeued(self, key: ObjectKey) -> None:
        """One more rate-limited requeue."""
        with self._lock:
            self._tries.setdefault(key, _Tries()).requeues += 1

    def forget(self, key: ObjectKey) -> None:
        """The key is through, for good or ill."""
        if key in self._tries:
            with self._lock:
                self._tries.pop(key, None)
