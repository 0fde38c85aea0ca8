"""Debounce: a burst of changes to one object is one run, and a burst without end is a run now and then.

Asked for in kube-rs/kube#318 and #1247, controller-runtime#857 ("Add reconciliation buffer to reduce
load"), envoyproxy/gateway#9803. kube-rs's own debounce has a quiet period only, so that a key that
changes often enough never runs at all; here a maximum wait bounds it.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from workqueue.base.errors import ConfigurationError

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Debounce:
    """How long plain adds of a key are gathered before the key is ready: ``PriorityQueue(debounce=Debounce(0.5, 5))``.

    Adds with a delay, rate limited ones included, are not gathered: who says when knows when.
    """

    #: Seconds without a further add after which the key is ready.
    quiet: float
    #: Seconds after the first add at which it is ready at the latest.
    max_wait: float

    def __post_init__(self) -> None:
        """:raises ConfigurationError: if they are no seconds, or the quiet period is the longer one."""
        numbers = all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in (self.quiet, self.max_wait)
        )
        if not numbers or not 0 < self.quiet <= self.max_wait < math.inf:
            raise ConfigurationError(f"{self}: expected seconds, 0 < quiet <= max_wait")


class Bursts(Generic[K]):
    """The bursts that go on now. Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("_bursts", "_debounce")

    def __init__(self, debounce: Debounce) -> None:
        """:param debounce: how long a burst lasts."""
        self._debounce = debounce
        #: Of each key: the instant of its first add, and the earliest instant that was asked for in another way.
        #: Exactly those keys wait for their time because of a burst.
        self._bursts: dict[K, tuple[float, float]] = {}

    def added(self, key: K, now: float, pending: float) -> float:
        """One more add; return when the key is ready if it stays the last.

        :param pending: the instant the key waits for, infinite if it does not wait.
        """
        first, asked = self._bursts.setdefault(key, (now, pending))
        return min(now + self._debounce.quiet, first + self._debounce.max_wait, asked)

    def asked(self, key: K, due: float) -> None:
        """Somebody asked for an instant: the key is ready then, whatever else is added."""
        burst = self._bursts.get(key)
        if burst is not None and due < burst[1]:
            self._bursts[key] = (burst[0], due)

    def over(self, key: K) -> None:
        """The key is ready, or was taken back."""
        self._bursts.pop(key, None)

    def clear(self) -> None:
        """No burst goes on any more."""
        self._bursts.clear()

    def check(self, waiting: set[K]) -> None:
        """Assert every invariant; for tests."""
        assert set(self._bursts) <= waiting, "a burst of a key that does not wait"
