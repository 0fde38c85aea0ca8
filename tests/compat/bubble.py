"""Go's testing/synctest for our side: calls that may block, and a time that moves only when all of them do.

A blocking call runs in a thread of its own, as it would in production, so that a wake-up which is never sent shows as
a call that never comes back. What makes it a matter of no luck is :meth:`Bubble.wait`: it returns only when each call
has either returned or sleeps on a condition and was not woken. And time goes from one instant that somebody waits for
to the next, waking just the one who does.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

#: Seconds of real time until a call that neither sleeps nor returns is an error.
PATIENCE = 20.0
#: The first instant. A power of two, so that sums with the scripts' delays are exact.
BEGIN = 1024.0


class Bubble:
    """A :class:`workqueue.base.clock.Clock`, and the calls that wait on it."""

    def __init__(self) -> None:
        self._now = BEGIN
        #: Who sleeps: the condition and the instant, in the order in which they lay down. Changed under its lock.
        self._sleepers: list[tuple[threading.Condition, float | None]] = []
        #: All conditions that were ever slept on.
        self._conditions: list[threading.Condition] = []
        self._begun = 0
        #: What each call that came back returned or raised, and when; never shorter.
        self._ended: list[tuple[Any, float]] = []
        self._told = 0

    def now(self) -> float:
        """The current instant."""
        return self._now

    def elapsed(self) -> float:
        """Seconds since the first instant."""
        return self._now - BEGIN

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Sleep, as of :class:`workqueue.base.clock.Clock`."""
        if until is not None and until <= self._now:
            return
        if condition not in self._conditions:
            self._conditions.append(condition)
        entry = (condition, until)
        self._sleepers.append(entry)
        try:
            condition.wait()
        finally:
            self._sleepers.remove(entry)

    def call(self, function: Callable[[], Any]) -> None:
        """Begin a call that may block; :meth:`ended` tells when it has come back."""

        def run() -> None:
            try:
                outcome = function()
            except Exception as error:  # an answer like any other
                outcome = error
            self._ended.append((outcome, self._now))

        self._begun += 1
        threading.Thread(target=run, name="compat", daemon=True).start()

    def settle(self) -> None:
        """Return when every call has come back or sleeps with nothing to wake it: synctest.Wait."""
        deadline = None
        while not self._is_settled():
            if deadline is None:
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                raise RuntimeError("a call neither sleeps nor comes back")
            time.sleep(0)

    def _is_settled(self) -> bool:
        # In this order: one who ends after the first look may have woken a sleeper whom the second then misses.
        ended = len(self._ended)
        return ended + sum(len(_asleep(condition)) for condition in self._conditions) == self._begun

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        target = self._now + seconds
        while True:
            self.settle()
            due = min((until for _, until in self._sleepers if until is not None and until <= target), default=None)
            if due is None:
                break
            self._now = due
            for condition in self._conditions:
                self._wake_due(condition)
        self._now = target

    def _wake_due(self, condition: threading.Condition) -> None:
        """Wake those of the condition whose instant has come and no other, as the end of a timed wait does."""
        with condition:
            # All sleep, so both lists have the same threads, in the order in which they lay down.
            sleepers = [until for each, until in self._sleepers if each is condition]
            asleep = list(zip(_asleep(condition), sleepers, strict=True))
            for waiter, until in asleep:
                if until is not None and until <= self._now:
                    _asleep(condition).remove(waiter)
                    waiter.release()

    def ended(self) -> list[tuple[Any, float]]:
        """What came back since this was last asked, and at which instants, counted from the first."""
        new = self._ended[self._told :]
        self._told += len(new)
        return [(outcome, at - BEGIN) for outcome, at in new]

    def pending(self) -> int:
        """How many calls have not come back."""
        return self._begun - len(self._ended)


def _asleep(condition: threading.Condition) -> Any:
    """The locks of those who sleep on a condition and were not woken: CPython's own field, as nothing public tells."""
    return condition._waiters  # type: ignore[attr-defined]
