"""What a controller has done so far, in numbers."""

import threading
from dataclasses import dataclass

from workqueue.control.initial import Readiness

#: What is left of the longest run with each run after it: a single outlier is forgotten after some dozens.
FORGETTING = 0.95


@dataclass(frozen=True, slots=True)
class ControllerStatistics:
    """One controller at one instant."""

    name: str
    #: True once the workers were started.
    started: bool
    #: Worker threads alive.
    workers: int
    #: Workers that run a reconcile function now.
    active: int
    #: Runs that ended, by outcome.
    success: int
    requeue: int
    requeue_after: int
    error: int
    #: Of the errors: those that said not to retry.
    terminal: int
    #: Of the errors: those after which the key was given up.
    given_up: int
    #: Keys that were no keys.
    invalid: int
    #: Times a worker's own loop failed and was restarted.
    restarts: int
    #: How far it has come with what existed at the start.
    readiness: Readiness
    #: Keys that the initial list has queued and that have not been reconciled yet.
    initial_keys_left: int


class Tally:
    """Counts, from any worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Guarded by _lock, by their names in ControllerStatistics.
        self._counts = dict.fromkeys(
            ("active", "success", "requeue", "requeue_after", "error", "terminal", "given_up", "invalid", "restarts"), 0
        )
        #: Seconds that the longest of the latest runs took: what is long ago counts less with each run. Written under
        #: _lock, read without it.
        self.longest = 0.0

    def count(self, name: str) -> None:
        """One more.

        :param name: as in :class:`ControllerStatistics`.
        """
        with self._lock:
            self._counts[name] += 1

    def run_ended(self, *, took: float) -> None:
        """A run that was counted as active has ended.

        :param took: seconds.
        """
        with self._lock:
            self._counts["active"] -= 1
            self.longest = max(self.longest * FORGETTING, took)

    def snapshot(self) -> dict[str, int]:
        """All counts at one instant, by their names in :class:`ControllerStatistics`."""
        with self._lock:
            return dict(self._counts)
