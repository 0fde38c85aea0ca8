"""Resync: every cached object delivered again from time to time, from the cache alone.

client-go: resyncPeriod of a shared informer. For controllers that reconcile against something
that sends no events; most need none, and it is off by default.
"""

import threading

from workqueue.base.errors import ConfigurationError
from workqueue.informer.informer import Informer

#: client-go's minimumResyncPeriod, in seconds (tools/cache/shared_informer.go).
MINIMUM_PERIOD = 1.0
#: Seconds that a stop waits for a handler that is being called; the thread is a daemon.
JOIN_TIMEOUT = 1.0


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
        self._stopping = threading.Condition()
        #: Guarded by _stopping.
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"workqueue-resync-{informer.name}", daemon=True)

    def start(self) -> None:
        """Count from now."""
        self._next = self._informer.clock.now() + self._period
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a resync under way ends with the handler it is in."""
        with self._stopping:
            self._stopped = True
            self._stopping.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT)

    def _run(self) -> None:
        clock = self._informer.clock
        while True:
            with self._stopping:
                while not self._stopped and clock.now() < self._next:
                    clock.wait(self._stopping, self._next)
                if self._stopped:
                    return
            while self._next <= clock.now():  # the period is exact; a resync that was missed is not made up for
                self._next += self._period
            if self._informer.has_synced:
                self._informer.resync(stopped=lambda: self._stopped)
