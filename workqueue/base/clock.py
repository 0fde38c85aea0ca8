"""Time as every part of this package sees it.

All waiting goes through a :class:`Clock`, so that tests can hold time still and move it by hand
(:class:`workqueue.testing.FakeClock`). Instants are absolute on purpose: a caller that reads the
time, decides how long to sleep and only then sleeps would oversleep whenever time moved in
between; a caller that names the instant cannot.
"""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that a thread can also wait on."""

    def now(self) -> float:
        """Return the current instant in seconds; only differences mean anything, it never goes back."""
        ...

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Sleep until somebody notifies the condition or the instant is reached.

        May return early for no reason, as condition variables do: the caller checks again.

        :param condition: held by the caller; released while sleeping, held again on return.
        :param until: an instant of :meth:`now`; None sleeps until notified, one in the past returns at once.
        """
        ...


class RealClock:
    """The machine's monotonic clock: not moved by a change of the wall clock."""

    __slots__ = ()

    now = staticmethod(time.monotonic)

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """See :meth:`Clock.wait`."""
        if until is None:
            condition.wait()
        else:
            delay = until - time.monotonic()
            if delay > 0:
                condition.wait(min(delay, threading.TIMEOUT_MAX))
