"""How much is measured: all of it takes twenty minutes; ``BENCH_QUICK=1`` is for trying whether it runs."""

import os
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Scale:
    """sizes: numbers of keys; repeats: turns of each contender; keys: how many pass in one turn at least, so that a
    smaller queue is filled and emptied several times; seconds: how long an idle queue is looked at.
    """

    sizes: tuple[int, ...] = (1_000, 1_000_000)
    repeats: int = 3
    keys: int = 300_000
    seconds: float = 5.0

    def rounds(self, size: int, part: int = 1) -> int:
        """How often a queue of that size is filled; a ``part`` of 3 lets a third of the keys pass."""
        return max(1, self.keys // part // size)


QUICK = Scale(sizes=(1_000, 10_000), repeats=2, keys=20_000, seconds=1.0)


def scale() -> Scale:
    """What the environment asks for: ``BENCH_QUICK=1``, ``BENCH_SIZES=1000,20000``."""
    asked = QUICK if os.environ.get("BENCH_QUICK") else Scale()
    sizes = tuple(int(size) for size in os.environ.get("BENCH_SIZES", "").split(",") if size)
    return replace(asked, sizes=sizes) if sizes else asked
