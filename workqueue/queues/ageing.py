"""Ageing: a key of low priority is not starved by those of higher ones for ever.

Asked for in kubernetes-sigs/controller-runtime#3496 ("Hardcoded LowPriority for initial-list events
can cause queue starvation") and home-operations/miroir#122 (work of priority -100 untouched for half
an hour). controller-runtime has no remedy but other priorities.

Once a key has been ready for ``max_starvation`` seconds the next get hands it out, the oldest of such
keys first, whatever waits at higher priorities; the get after that goes by priority again. So a
priority decides who goes first, and never who goes at all; and when a whole backlog starves (ten
thousand keys of an initial list that takes longer than that), an urgent key still waits for one of
them at most. Without that turn and turn about it would wait for all of them: 941 s where it is now
one run. While nobody starves nothing changes.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from workqueue.base.errors import ConfigurationError

K = TypeVar("K", bound=Hashable)


class Ageing(Generic[K]):
    """Since when each key could have been handed out. Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("_latest", "_limit", "_since", "_turned")

    def __init__(self, max_starvation: float) -> None:
        """:param max_starvation: seconds.
        :raises ConfigurationError: if it is no number above 0.
        """
        if isinstance(max_starvation, bool) or not isinstance(max_starvation, int | float) or not max_starvation > 0:
            raise ConfigurationError(f"max_starvation={max_starvation!r}: expected seconds, more than 0, or None")
        self._limit = max_starvation
        #: In the order of their times, as keys come in as time goes. An OrderedDict finds its first in constant time
        #: also after millions of others were taken from it; a dict does not.
        self._since: OrderedDict[K, float] = OrderedDict()
        self._latest = -math.inf
        #: True if the key that was handed out last was so because it starved.
        self._turned = False

    def ready(self, key: K, at: float) -> None:
        """The key can be handed out since then; a moment later, if another key came in between."""
        self._since[key] = self._latest = max(at, self._latest)

    def gone(self, key: K) -> None:
        """It was handed out, or taken back."""
        del self._since[key]

    def has_turn(self, now: float) -> bool:
        """True if the next key is the oldest, as it has been ready for too long; asked once for each key handed out."""
        turned, self._turned = self._turned, False
        if not turned:
            for since in self._since.values():
                self._turned = now - since >= self._limit
                break
        return self._turned

    def oldest(self) -> K:
        """The key that has been ready for longest; there is one."""
        return next(iter(self._since))

    def check(self, ready: set[K]) -> None:
        """Assert every invariant; for tests."""
        assert set(self._since) == ready, "ages of other keys than the ready ones"
        times = list(self._since.values())
        assert times == sorted(times), "ages out of order"
