"""Whether the loop that coroutines run on still turns.

One coroutine that computes, or calls something that blocks, holds up all others, the intake of events
included. So while any run is on the loop, a thread asks it for a sign, again and again; while none
is, nothing runs. A sign that is late is a lag; one that does not come is told once, with the place
where the loop is.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass

from workqueue.base.clock import Clock
from workqueue.control.stacks import stack_of

logger = logging.getLogger("workqueue.control")

#: Seconds between two signs.
PERIOD = 0.25
#: Seconds without one until the loop counts as blocked.
LIMIT = 0.5


@dataclass(frozen=True, slots=True)
class LoopStatistics:
    """A loop at one instant."""

    #: Seconds that the last sign took; while one is awaited, how long already, if that is more.
    lag: float = 0.0
    #: How often it was blocked.
    blocked: int = 0


class WatchedLoop:
    """A loop, looked after while there is something on it."""

    def __init__(self, *, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        """:param clock: where time comes from.
        :param loop: which; this is made in its thread.
        """
        #: What coroutines are run on.
        self.loop = loop
        self._clock = clock
        self._loop_thread = threading.get_ident()
        self._changed = threading.Condition()
        # All below are guarded by the lock of _changed.
        #: Runs on the loop.
        self._runs = 0
        #: When the sign that is awaited was asked for; None if none is.
        self._asked: float | None = None
        self._lag = 0.0
        self._blocked = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def run_began(self) -> None:
        """Something is on the loop from now on."""
        with self._changed:
            self._runs += 1
            if self._closed or self._runs > 1:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="workqueue-loop", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def run_ended(self) -> None:
        """It is not any more."""
        with self._changed:
            self._runs -= 1

    def close(self) -> None:
        """Look after it no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def statistics(self) -> LoopStatistics:
        """The loop at this instant."""
        with self._changed:
            lag = self._lag if self._asked is None else max(self._lag, self._clock.now() - self._asked)
            return LoopStatistics(lag, self._blocked)

    def _watch(self) -> None:
        while self._wait_for_work():
            try:
                self.loop.call_soon_threadsafe(self._sign)
            except RuntimeError:  # the loop is closed
                return
            if not self._wait_for_sign():
                self._tell()
                self._wait_for_sign(for_ever=True)

    def _wait_for_work(self) -> bool:
        """Sleep until the next sign is to be asked for; False once closed."""
        with self._changed:
            until = self._clock.now() + PERIOD
            while not self._closed and (not self._runs or self._clock.now() < until):
                self._clock.wait(self._changed, until if self._runs else None)
            self._asked = self._clock.now()
            return not self._closed

    def _wait_for_sign(self, *, for_ever: bool = False) -> bool:
        """Sleep until it came, which is True, or for as long as it may take."""
        with self._changed:
            while not self._closed and self._asked is not None:
                until = self._asked + LIMIT
                if not for_ever and self._clock.now() >= until:
                    return False
                self._clock.wait(self._changed, None if for_ever else until)
            return True

    def _sign(self) -> None:
        """In the loop."""
        with self._changed:
            if self._asked is not None:
                self._lag = self._clock.now() - self._asked
                self._asked = None
                self._changed.notify_all()

    def _tell(self) -> None:
        with self._changed:
            self._blocked += 1
        task = asyncio.current_task(self.loop)
        logger.warning(
            "the loop has not turned for %g s, and nothing else on it goes on, the intake of events included; %s: %s",
            LIMIT,
            f"it is busy with {task.get_name()}" if task is not None else "no task is to be seen",
            stack_of(self._loop_thread),
        )
