"""A clock that stands still until a test moves it."""

import threading


class FakeClock:
    """A :class:`workqueue.base.clock.Clock` whose time moves only by :meth:`step`.

    Threads that wait on it sleep for real, so what is tested is the code that runs in production;
    only the passing of time is decided by the test.
    """

    def __init__(self, start: float = 1000.0) -> None:
        """:param start: the first instant, in seconds."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        #: Guarded by _lock.
        self._now = start
        #: Guarded by _lock. One entry for each thread inside wait(): its condition and its instant.
        self._waiting: list[tuple[threading.Condition, float | None]] = []

    def now(self) -> float:
        """Return the current instant."""
        return self._now

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """See :meth:`workqueue.base.clock.Clock.wait`."""
        entry = (condition, until)
        with self._lock:
            if until is not None and until <= self._now:
                return
            self._waiting.append(entry)
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._lock:
                self._waiting.remove(entry)
                self._changed.notify_all()

    def step(self, seconds: float) -> None:
        """Move time forward and wake every thread whose instant is reached.

        :param seconds: by how much; not negative.
        :raises ValueError: if it is negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: step({seconds})")
        with self._lock:
            due = self._move_locked(self._now + seconds)
        self._wake(due)

    def step_to(self, instant: float) -> None:
        """:meth:`step`, to an instant: exactly there, which no sum of floats promises.

        :param instant: one of :meth:`now`, not in the past.
        :raises ValueError: if it is in the past.
        """
        with self._lock:
            if instant < self._now:
                raise ValueError(f"time does not go back: step_to({instant}) at {self._now}")
            due = self._move_locked(instant)
        self._wake(due)

    def _move_locked(self, instant: float) -> list[threading.Condition]:
        """It is that instant; returns what those sleep on whose instant is reached."""
        self._now = instant
        return list({id(c): c for c, until in self._waiting if until is not None and until <= instant}.values())

    def _wake(self, due: list[threading.Condition]) -> None:
        for condition in due:
            with condition:
                condition.notify_all()

    def waiters(self) -> int:
        """How many threads sleep on this clock now."""
        with self._lock:
            return len(self._waiting)

    def wait_for_waiters(self, count: int, *, timeout: float = 30.0) -> None:
        """Block until at least that many threads sleep on this clock.

        :param count: how many.
        :param timeout: seconds of real time until the test is given up.
        :raises TimeoutError: if it takes longer.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) >= count, timeout):
                raise TimeoutError(f"{len(self._waiting)} threads wait on the clock, expected {count}")
