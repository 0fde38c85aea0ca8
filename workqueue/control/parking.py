"""Keys that were given up after their last retry: kept aside, seen, and out of the way.

client-go's example drops such a key and reports it. Then nobody knows which keys these are, and the
next resync runs each of them through all its retries again. Here a key is parked: its last error is
kept, it is counted, and it runs again only when there is something new to it: the object changed or
went, or somebody asks by hand.
"""

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass

from workqueue.base.keys import ObjectKey
from workqueue.base.text import one_line

#: As many keys are parked at most: of more, those that were parked first are let go, as if they had never failed.
MOST = 100_000
#: As many of them, the latest, keep the text of their error.
TOLD = 1_000
#: Characters of it.
LENGTH = 500


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A key that was given up."""

    key: ObjectKey
    #: Its last error in one line; "" if so many others were parked since that it is not kept any more.
    error: str
    #: How often it had run.
    runs: int
    #: When it was parked, an instant of the controller's clock.
    since: float


class Parking:
    """The keys that were given up, and those whose last run is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # All are written under _lock; whether they are empty is looked at without it, which is all that most adds and
        # runs pay for them.
        #: How often each parked key had run, and when it was parked; in the order of that.
        self._parked: OrderedDict[ObjectKey, tuple[int, float]] = OrderedDict()
        #: Their errors, in the same order: of the latest TOLD of them.
        self._errors: OrderedDict[ObjectKey, str] = OrderedDict()
        #: Keys in a run after which they would be parked, none of them in _parked; True once there was news meanwhile.
        self._last: dict[ObjectKey, bool] = {}

    def __len__(self) -> int:
        """How many keys are parked."""
        return len(self._parked)

    def last_run(self, key: ObjectKey) -> None:
        """The run that begins is the key's last if it fails. :meth:`park` or :meth:`run_ended` must follow."""
        with self._lock:
            self._last[key] = False

    def run_ended(self, key: ObjectKey) -> None:
        """A run has ended otherwise than by being given up."""
        if self._last:
            with self._lock:
                self._last.pop(key, None)

    def park(self, key: ObjectKey, *, error: str, runs: int, now: float) -> bool:
        """The last run has failed.

        :param error: what is to be told of it.
        :param runs: how often the key ran.
        :param now: an instant of the controller's clock.
        :return: False if there was news of the key meanwhile: it is queued already, and starts from nothing.
        """
        with self._lock:
            if self._last.pop(key, False):
                return False
            self._remove_locked(key)
            self._parked[key] = (runs, now)
            self._errors[key] = one_line(error, limit=LENGTH)
            if len(self._errors) > TOLD:
                self._errors.popitem(last=False)
            if len(self._parked) > MOST:
                self._remove_locked(next(iter(self._parked)))
            return True

    def admits(self, key: ObjectKey, *, news: bool) -> bool:
        """A key is asked for: whether it is to be queued.

        :param news: there is something new to it; then it is not parked any more.
        """
        if not self._parked and not self._last:
            return True
        with self._lock:
            if not news:
                return key not in self._parked and key not in self._last
            self._remove_locked(key)
            if key in self._last:
                self._last[key] = True
            return True

    def release(self, key: ObjectKey) -> bool:
        """The key is not parked any more: it runs, whatever made it.

        :return: True if it was.
        """
        if not self._parked:
            return False
        with self._lock:
            return self._remove_locked(key)

    def keys(self, *, limit: int) -> list[ParkedKey]:
        """The parked keys, the latest first.

        :param limit: how many at most.
        """
        with self._lock:
            return [
                ParkedKey(key, self._errors.get(key, ""), *self._parked[key])
                for key in itertools.islice(reversed(self._parked), limit)
            ]

    def _remove_locked(self, key: ObjectKey) -> bool:
        self._errors.pop(key, None)
        return self._parked.pop(key, None) is not None
