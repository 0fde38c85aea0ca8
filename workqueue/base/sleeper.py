"""A thread that does something every now and then: it sleeps by a clock, and ends when it is told."""

import threading
from collections.abc import Callable

from workqueue.base.clock import Clock

#: Seconds that a stop waits for what the thread is at; it is a daemon.
JOIN_TIMEOUT = 1.0


class Sleeper:
    """A thread of one's own that may sleep. It is started once, and stopped once or never."""

    def __init__(self, name: str, run: Callable[[], None], *, clock: Clock) -> None:
        """
        :param name: of the thread.
        :param run: what it does: as long as :meth:`sleep` says so.
        :param clock: by which it sleeps.
        """
        self._clock = clock
        self._changed = threading.Condition()
        #: Written under the lock of _changed, read without it; never False again.
        self._stopped = False
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    @property
    def is_stopped(self) -> bool:
        """True from when it was told to end."""
        return self._stopped

    @property
    def is_alive(self) -> bool:
        """True while there is a thread."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin.

        :raises RuntimeError: if there is no thread to be had.
        """
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it is at now is waited for a moment, unless it is that which asks. Again: nothing."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT)

    def sleep(self, until: float) -> bool:
        """Sleep; in the thread.

        :param until: an instant of the clock.
        :return: False once it is to end, which wakes it.
        """
        with self._changed:
            while not self._stopped and self._clock.now() < until:
                self._clock.wait(self._changed, until)
            return not self._stopped
