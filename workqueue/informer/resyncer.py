"""Resync: every cached object delivered again from time to time, from the cache alone.

client-go: resyncPeriod of a shared informer. For controllers that reconcile against something
that sends no events; most need none, and it is off by default.
"""

from workqueue.base.errors import ConfigurationError
from workqueue.base.sleeper import Sleeper
from workqueue.informer.informer import Informer

#: client-go's minimumResyncPeriod, in seconds (tools/cache/shared_informer.go).
MINIMUM_PERIOD = 1.0


class Resyncer:
    """A thread that sleeps, resyncs one informer, and sleeps again."""

    def __init__(self, informer: Informer, *, period: float) -> None:
        """
        :param informer: what to resync, once it is synced.
        :param period: seconds from one resync to the next.
        :raises ConfigurationError: if it is shorter than a second.
        """
        if isinstance(period, bool) or not isinstance(period, int | float) or not period >= MINIMUM_PERIOD:
            raise ConfigurationError(f"resync={period!r}: expected at least {MINIMUM_PERIOD:.0f} second, or 0 for none")
        self._informer = informer
        self._period = period
        self._sleeper = Sleeper(f"workqueue-resync-{informer.name}", self._run, clock=informer.clock)

    def start(self) -> None:
        """Count from now."""
        self._next = self._informer.clock.now() + self._period
        self._sleeper.start()

    def stop(self) -> None:
        """End the thread; a resync under way ends with the handler it is in."""
        self._sleeper.stop()

    def _run(self) -> None:
        clock = self._informer.clock
        while self._sleeper.sleep(self._next):
            while self._next <= clock.now():  # the period is exact; a resync that was missed is not made up for
                self._next += self._period
            if self._informer.has_synced:
                self._informer.resync(stopped=lambda: self._sleeper.is_stopped)
