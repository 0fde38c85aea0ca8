"""A clock for code that runs in the thread of the test: there, whoever sleeps lets the time pass.

On a :class:`FakeClock` alone such a sleep would never end, as nobody is left to move the clock. So
it moves itself, to the instant that is slept for, and says so to whoever looks after deadlines.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workqueue.testing.clock import FakeClock


class PassingClock(FakeClock):
    """A :class:`FakeClock` that is moved by sleeps of its own thread, where that was asked for."""

    def __init__(self, start: float = 0.0, *, moved: Callable[[], None] = lambda: None) -> None:
        """:param start: the first instant, in seconds.
        :param moved: called after each move of time, in the thread that moved it.
        """
        super().__init__(start)
        self._on_move = moved
        #: The threads whose sleeps let time pass; each adds and removes itself.
        self._passing: set[int] = set()

    def _wake(self, due: list[threading.Condition]) -> None:
        super()._wake(due)
        self._on_move()

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """See :meth:`workqueue.base.clock.Clock.wait`.

        :raises RuntimeError: for a sleep without an end in a thread that lets time pass: it would be one for ever.
        """
        if threading.get_ident() not in self._passing:
            super().wait(condition, until)
            return
        if until is None:
            raise RuntimeError("a sleep without an end, in the one thread that could end it")
        if until > self.now():
            condition.release()  # moving the clock wakes others, who may sleep on the same
            try:
                self.step_to(until)
            finally:
                condition.acquire()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While the block runs, sleeps of this thread let time pass."""
        self._passing.add(threading.get_ident())
        try:
            yield
        finally:
            self._passing.discard(threading.get_ident())
