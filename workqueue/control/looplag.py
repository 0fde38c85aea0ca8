"""Whether the loop that coroutines run on still turns.

One coroutine that computes, or calls something that blocks, holds up all others, the intake of events
included. So while any run is on the loop, a thread asks it for a sign, again and again; while none
is, nothing runs. A sign that is late is a lag; one that does not come is told once, with the place
where the loop is. Whoever waits for something on a loop that was closed under it is told as well.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from workqueue.base.clock import Clock
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line
from workqueue.control.stacks import stack_of

logger = SafeLogger("workqueue.control")

#: Seconds between two signs.
PERIOD = 0.25
#: Seconds without one until the loop counts as blocked.
LIMIT = 0.5


@dataclass(frozen=True, slots=True)
class LoopStatistics:
    """A loop at one instant."""

    #: Seconds that the last sign took; while one is awaited, how long already, if that is more. 0 with nothing on it.
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
        #: The identifier of the thread that it runs in.
        self.thread = threading.get_ident()
        self._clock = clock
        self._changed = threading.Condition()
        # All below are guarded by the lock of _changed.
        #: Of the runs on the loop: who is to be told that it was closed.
        self._runs: set[Callable[[], None]] = set()
        #: When the sign that is awaited was asked for; None if none is.
        self._asked: float | None = None
        self._lag = 0.0
        self._blocked = 0
        self._closed = False
        self._watcher: threading.Thread | None = None

    def run_began(self, lost: Callable[[], None]) -> None:
        """Something is on the loop from now on.

        :param lost: called, in a thread of ours, if the loop is closed before :meth:`run_ended`.
        :raises RuntimeError: if there is no thread to be had; then nothing began.
        """
        with self._changed:
            if self._watcher is None and not self._closed:
                watcher = threading.Thread(target=self._watch, name="workqueue-loop", daemon=True)
                watcher.start()
                self._watcher = watcher
            self._runs.add(lost)
            if len(self._runs) == 1:
                self._lag = 0.0
                self._changed.notify_all()

    def run_ended(self, lost: Callable[[], None]) -> None:
        """It is not any more.

        :param lost: as it was given to :meth:`run_began`.
        """
        with self._changed:
            self._runs.discard(lost)

    def close(self) -> None:
        """Look after it no more."""
        with self._changed:
            self._closed = True
            self._asked = None
            self._changed.notify_all()
            watcher = self._watcher
        if watcher is not None:
            watcher.join()

    def statistics(self) -> LoopStatistics:
        """The loop at this instant."""
        with self._changed:
            if not self._runs:
                return LoopStatistics(0.0, self._blocked)
            lag = self._lag if self._asked is None else max(self._lag, self._clock.now() - self._asked)
            return LoopStatistics(lag, self._blocked)

    def _watch(self) -> None:
        while self._wait_for_work():
            try:
                self.loop.call_soon_threadsafe(self._sign)
            except RuntimeError:  # the loop is closed
                self._tell_closed()
                return
            is_told = False
            while not self._wait_for_sign():
                if self.loop.is_closed():
                    self._tell_closed()
                    return
                if not is_told:
                    is_told = True
                    self._tell_blocked()

    def _wait_for_work(self) -> bool:
        """Sleep until the next sign is to be asked for; False once closed."""
        with self._changed:
            until = self._clock.now() + PERIOD
            while not self._closed and (not self._runs or self._clock.now() < until):
                self._clock.wait(self._changed, until if self._runs else None)
            if not self._closed:
                self._asked = self._clock.now()
            return not self._closed

    def _wait_for_sign(self) -> bool:
        """Sleep until it came, which is True, or for as long as it may take."""
        with self._changed:
            until = self._clock.now() + LIMIT
            while not self._closed and self._asked is not None:
                if self._clock.now() >= until:
                    return False
                self._clock.wait(self._changed, until)
            return True

    def _sign(self) -> None:
        """In the loop."""
        with self._changed:
            if self._asked is not None:
                self._lag = self._clock.now() - self._asked
                self._asked = None
                self._changed.notify_all()

    def _tell_blocked(self) -> None:
        with self._changed:
            self._blocked += 1
        task = asyncio.current_task(self.loop)
        logger.warning(
            "the loop has not turned for %g s, and nothing else on it goes on, the intake of events included; %s: %s",
            LIMIT,
            f"it is busy with {one_line(task.get_name())}" if task is not None else "no task is to be seen",
            stack_of(self.thread) or "nowhere to be seen",
        )

    def _tell_closed(self) -> None:
        with self._changed:
            self._closed = True
            self._asked = None
            runs = list(self._runs)
        for lost in runs:
            lost()
