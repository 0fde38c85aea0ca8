"""How much is measured: all of it takes three quarters of an hour; ``BENCH_QUICK=1`` is for trying whether it runs."""

import os
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Scale:
    """sizes: numbers of keys; repeats: turns of each contender; keys: how many pass in one turn at least, so that a
    smaller queue is filled and emptied several times; seconds: how long an idle queue is looked at.

    Of the intake: pods: how many are listed; events: how many changes follow; rate, lasting: how many come a second,
    and for how many seconds, where they come at a rate; total: how many come where memory is looked at; million: pods
    of the largest cache.
    """

    sizes: tuple[int, ...] = (1_000, 1_000_000)
    repeats: int = 3
    keys: int = 300_000
    seconds: float = 5.0
    pods: int = 10_000
    events: int = 10_000
    rate: int = 2_000
    lasting: int = 10
    total: int = 1_000_000
    million: int = 1_000_000

    def rounds(self, size: int, part: int = 1) -> int:
        """How often a queue of that size is filled; a ``part`` of 3 lets a third of the keys pass."""
        return max(1, self.keys // part // size)


QUICK = Scale(
    sizes=(1_000, 10_000),
    repeats=2,
    keys=20_000,
    seconds=1.0,
    pods=300,
    events=300,
    rate=100,
    lasting=3,
    total=20_000,
    million=3_000,
)
#: What can be chosen by an option of the command and by a variable of the environment: ``--pods``, ``BENCH_PODS``.
CHOSEN = ("repeats", "pods", "events", "rate", "lasting", "total", "million")


def scale() -> Scale:
    """What the environment asks for: ``BENCH_QUICK=1``, ``BENCH_SIZES=1000,20000``, ``BENCH_PODS=300``."""
    asked = QUICK if os.environ.get("BENCH_QUICK") else Scale()
    sizes = tuple(int(size) for size in os.environ.get("BENCH_SIZES", "").split(",") if size)
    numbers = {name: int(text) for name in CHOSEN if (text := os.environ.get(f"BENCH_{name.upper()}"))}
    return replace(asked, **({"sizes": sizes} if sizes else {}), **numbers)
