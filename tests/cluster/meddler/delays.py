"""Answers that come late."""

import math
from dataclasses import dataclass
from typing import ClassVar

from tests.cluster.meddler.deeds import HeadDeed


@dataclass(frozen=True, kw_only=True)
class DelayHead(HeadDeed):
    """Ask the server at once, but hold back its answer, head and all, for so many seconds; `heal()` lets it go."""

    kind: ClassVar[str] = "delay"
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"a delay is 0 or more seconds, not {self.seconds!r}")

    def pause(self) -> float:
        return self.seconds
