"""How long to wait before the next try at a watch or a list.

Numbers: client-go's reflector (tools/cache/reflector.go): 0.8 s doubled to 30 s, each with up to as
much again at random. Unlike there it begins anew only after quiet: client-go's begins anew every
two minutes, in the middle of an outage too.
"""

import random

from workqueue.base.clock import Clock

FIRST = 0.8
MAXIMUM = 30.0
#: Seconds without a failure after which the next one is a first one.
QUIET = 120.0
#: Seconds that no server is obeyed beyond: what asks for more has lost its senses, and the watch would be lost with it.
LONGEST = 600.0


class Backoff:
    """The pauses of one watch. Belongs to one thread."""

    def __init__(
        self, *, clock: Clock, first: float = FIRST, maximum: float = MAXIMUM, chance: random.Random | None = None
    ) -> None:
        """
        :param clock: tells how long it was quiet.
        :param first: seconds of the first pause, before chance.
        :param maximum: seconds that no pause exceeds, before chance.
        :param chance: where it comes from.
        """
        self._clock = clock
        self._first = first
        self._maximum = maximum
        self._chance = chance if chance is not None else random.Random()  # noqa: S311 - spreads load, hides nothing
        self._next = first
        #: When the last pause ended, as it was planned.
        self._resumed_at = float("-inf")

    def pause(self, *, at_least: float = 0.0) -> float:
        """Something failed now: seconds to wait.

        :param at_least: as the server asks; no more than LONGEST.
        """
        now = self._clock.now()
        if now - self._resumed_at > QUIET:
            self._next = self._first
        pause = max(self._next * (1 + self._chance.random()), min(LONGEST, at_least))
        self._next = min(self._next * 2, self._maximum)
        self._resumed_at = now + pause
        return pause
