"""How long a run may go on: its own time limit, and the end of its controller.

A thread cannot be made to stop; code in it can be asked to. What a reconcile function sees of this
is ``request.deadline``, ``request.stopping`` and ``request.wait``.
"""

import threading

from workqueue.base.clock import Clock


class Ending:
    """The end of a controller, as all its runs see it."""

    def __init__(self, clock: Clock) -> None:
        """:param clock: where time comes from."""
        self.clock = clock
        #: Those who wait during a run sleep here.
        self.changed = threading.Condition()
        # Both are written under the lock of changed, and read without it.
        #: True from when a stop began.
        self.begun = False
        #: The instant at which the grace of a stop is over, the earliest of several; None before.
        self.deadline: float | None = None

    def begin(self, grace: float) -> float:
        """A stop begins.

        :param grace: seconds.
        :return: the instant at which all must be over.
        """
        with self.changed:
            deadline = self.clock.now() + grace
            self.deadline = deadline if self.deadline is None else min(deadline, self.deadline)
            self.begun = True
            self.changed.notify_all()
            return self.deadline


class Lifetime:
    """The time that one run has."""

    __slots__ = ("_ending", "_until")

    def __init__(self, ending: Ending, *, until: float | None = None) -> None:
        """:param ending: the controller's.
        :param until: the instant at which the run's own time is over; None for a run that has no limit.
        """
        self._ending = ending
        self._until = until

    @property
    def deadline(self) -> float | None:
        """The instant at which the run should be over, on the controller's clock; None if there is none yet."""
        if self._until is None or self._ending.deadline is None:
            return self._ending.deadline if self._until is None else self._until
        return min(self._until, self._ending.deadline)

    @property
    def is_over(self) -> bool:
        """True once the run should come to its end: its time is over, or the controller stops."""
        return self._ending.begun or (self._until is not None and self._ending.clock.now() >= self._until)

    def wait(self, seconds: float) -> bool:
        """Sleep, no longer than the run should go on.

        :param seconds: how long.
        :return: True if the run should end now.
        """
        ending = self._ending
        until = ending.clock.now() + seconds
        if self._until is not None:
            until = min(until, self._until)
        with ending.changed:
            while not ending.begun and ending.clock.now() < until:
                ending.clock.wait(ending.changed, until)
        return self.is_over
