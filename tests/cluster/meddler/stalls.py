"""Watches that fall silent without an end, as when a router on the way has forgotten the connection."""

from dataclasses import dataclass
from typing import ClassVar

from tests.cluster.meddler.deeds import WatchDeed, check_count
from tests.cluster.meddler.steps import AfterPieces, End, Passage, Strike


@dataclass(frozen=True, kw_only=True)
class StallWatch(WatchDeed):
    """Let no byte pass, and no end, once `after` lines were sent; until `heal()`, which cuts it.

    The client's kernel has a peer that acknowledges, so TCP keepalive does not notice; what a client's own time limit
    for reading does is what such a test is about.
    """

    kind: ClassVar[str] = "stall"
    after: int = 0

    def __post_init__(self) -> None:
        check_count(after=self.after)

    def passage(self) -> Passage:
        return AfterPieces(self.after, (Strike(self.kind), End("stall")))
