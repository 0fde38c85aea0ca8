"""What an informer needs and the cluster does not have: said at once, and again every few minutes.

Such a thing may come any time, so it is waited for, and ends nothing. Most often it never comes, as its name has a
typing error: then one line among those of the start is soon out of sight, and the operator does nothing for ever.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from workqueue.base.clock import Clock
from workqueue.base.sleeper import Sleeper

logger = logging.getLogger("workqueue.plugin")

#: Seconds after which a line is said again.
REPEAT = 300.0


class Lack:
    """Of one informer. Told by its lane, in whichever thread that works."""

    def __init__(self, *, waiting: Callable[[], Sequence[str]] = lambda: ()) -> None:
        """:param waiting: the names of the controllers that wait for the informer."""
        self._waiting = waiting
        #: One assignment by the lane, read by the reminder: the problem, and the line about it.
        self._said = ("", "")

    @property
    def problem(self) -> str:
        """What was said last, in a few words; "" if nothing is lacking."""
        return self._said[0]

    def say(self, problem: str, *, hint: Callable[[], str]) -> None:
        """Something is not there: said unless it was the last thing that was.

        :param problem: what, in a few words.
        :param hint: that it is waited for, and what the user may look at; asked if it is said.
        """
        if problem == self.problem:
            return
        names = sorted(self._waiting())
        too = f", and so {'are controllers' if len(names) > 1 else 'is controller'} {', '.join(names)}" if names else ""
        self._said = problem, f"{problem}; {hint()}{too}"
        logger.warning("%s", self._said[1])

    def over(self) -> None:
        """Nothing is lacking."""
        self._said = ("", "")

    def repeat(self) -> None:
        """Say again what is lacking still."""
        if line := self._said[1]:
            logger.warning("%s", line)


class Reminder:
    """A thread that repeats what is lacking, for one run."""

    def __init__(self, lacks: Iterable[Lack], *, clock: Clock) -> None:
        """
        :param lacks: of all informers.
        :param clock: tells when it is time.
        """
        self._lacks = tuple(lacks)
        self._clock = clock
        self._sleeper = Sleeper("workqueue-reminder", self._run, clock=clock)

    def start(self) -> None:
        """Begin."""
        self._next = self._clock.now() + REPEAT
        self._sleeper.start()

    def stop(self) -> None:
        """End the thread."""
        self._sleeper.stop()

    def _run(self) -> None:
        while self._sleeper.sleep(self._next):
            self._next = self._clock.now() + REPEAT
            for lack in self._lacks:
                lack.repeat()
