"""Whether a view is live, since when it is not, and the lines that tell: one when it fails, one when it is over."""

import asyncio
import logging
from collections.abc import Callable

from workqueue.base.clock import Clock

logger = logging.getLogger("workqueue.informer")

#: Seconds for an error that follows right after a watch was accepted; then the view counts as live again.
SETTLING = 0.5
#: A view that was live for so many seconds is mended at once when it breaks; with less, after a pause.
STEADY = 10.0


class Liveness:
    """Of one reflector's view. Belongs to the thread of its event loop; what is public can be read from any."""

    def __init__(self, name: str, *, clock: Clock, changed: Callable[[], None]) -> None:
        """
        :param name: of the reflector, for logs.
        :param clock: tells how long things took.
        :param changed: called when the view becomes live, or not, or not for another reason.
        """
        self._name = name
        self._clock = clock
        self._changed = changed
        #: Why the view is not live; "" if it is.
        self.problem = "not listed yet"
        #: Failures since it was live.
        self.failures = 0
        #: When it ceased to be live, and why.
        self._outage: tuple[float, str] | None = None
        #: When it became live.
        self._live_at = float("-inf")
        #: A warning told of the outage.
        self._warned = False
        self._settling: asyncio.TimerHandle | None = None

    @property
    def is_live(self) -> bool:
        """True while the informers follow, as far as anybody can know."""
        return not self.problem

    @property
    def is_steady(self) -> bool:
        """True if it was live for a good while, or never yet: what breaks it now is no habit."""
        return not self.is_live or self._clock.now() - self._live_at >= STEADY

    @property
    def away(self) -> float:
        """Seconds since it ceased to be live; 0 if it is."""
        return 0.0 if self._outage is None else self._clock.now() - self._outage[0]

    def stale(self, why: str) -> None:
        """It is not live.

        :param why: in a few words.
        """
        self.stop_settling()
        if self._outage is None:
            self._outage = (self._clock.now(), why)
        if self.problem != why:
            self.problem = why
            self._changed()

    def warn(self, why: str, *, pause: float) -> None:
        """Tell of an outage that is not over at once; only once of each.

        :param why: in a few words.
        :param pause: seconds until the next try.
        """
        if not self._warned:
            self._warned = True
            logger.warning("informer %s: interrupted, next try in %.1f s: %s", self._name, pause, why)

    def settle(self) -> None:
        """A watch was accepted; if nothing goes wrong at once, the view is live."""
        if not self.is_live:
            self._settling = asyncio.get_running_loop().call_later(SETTLING, self.live, "watching on where it was")

    def stop_settling(self) -> None:
        """The watch is over."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def live(self, how: str) -> None:
        """It is live.

        :param how: it came about, for the line at the end of an outage.
        """
        self._settling = None
        self.failures = 0
        self._warned = False
        outage, self._outage = self._outage, None
        if self.problem:
            self.problem = ""
            self._live_at = self._clock.now()
            self._changed()
        if outage is not None:
            since, why = outage
            logger.info(
                "informer %s: live again after %.2f s (%s), %s", self._name, self._clock.now() - since, why, how
            )
