"""Answers that end too early: between events, inside one, in the middle of a list; and watches that end well."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.deeds import BodyDeed, WatchDeed, check_count
from tests.cluster.meddler.steps import AfterPieces, Break, End, Passage, Step, Strike


@dataclass(frozen=True, kw_only=True)
class CutBetweenEvents(WatchDeed):
    """Break a watch's connection as soon as `after` lines, bookmarks included, have arrived."""

    kind: ClassVar[str] = "cut between events"
    after: int = 0
    how: Break = "reset"

    def __post_init__(self) -> None:
        check_count(after=self.after)

    def passage(self) -> Passage:
        return AfterPieces(self.after, (Strike(self.kind), End(self.how)))


@dataclass(frozen=True, kw_only=True)
class EndWatch(WatchDeed):
    """End a watch after `after` lines as the server does when its time is over: complete, the connection stays."""

    kind: ClassVar[str] = "clean end"
    after: int = 0

    def __post_init__(self) -> None:
        check_count(after=self.after)

    def passage(self) -> Passage:
        return AfterPieces(self.after, (Strike(self.kind), End("end")))


@dataclass(frozen=True, kw_only=True)
class CutInsideEvent(WatchDeed):
    """Break a watch's connection once `after` lines and the first `keep` bytes of the next have arrived.

    Of a line that is not longer than that all but the newline.
    """

    kind: ClassVar[str] = "cut inside an event"
    after: int = 0
    keep: int = 20
    how: Break = "reset"

    def __post_init__(self) -> None:
        check_count(after=self.after, keep=self.keep)

    def passage(self) -> Passage:
        return _Inside(self)


class _Inside:
    def __init__(self, deed: CutInsideEvent) -> None:
        self._deed = deed
        self._seen = 0

    def begin(self) -> Iterator[Step]:
        return iter(())

    def feed(self, piece: bytes) -> Iterator[Step]:
        if self._seen < self._deed.after:
            self._seen += 1
            yield piece
            return
        yield piece[: min(self._deed.keep, len(piece) - 1)]
        yield Strike(self._deed.kind)
        yield End(self._deed.how)


@dataclass(frozen=True, kw_only=True)
class CutBody(BodyDeed):
    """Break the connection once `after` bytes of an answer's body have arrived, if there are more. Not of watches.

    The bytes are those on the wire: of a compressed body compressed ones.
    """

    kind: ClassVar[str] = "cut a list midway"
    after: int = 0
    how: Break = "reset"

    def __post_init__(self) -> None:
        check_count(after=self.after)

    def concerns(self, asked: Asked) -> bool:
        return asked.verb != "watch"

    def passage(self) -> Passage:
        return _Midway(self)


class _Midway:
    def __init__(self, deed: CutBody) -> None:
        self._deed = deed
        self._left = deed.after

    def begin(self) -> Iterator[Step]:
        return iter(())

    def feed(self, piece: bytes) -> Iterator[Step]:
        if len(piece) <= self._left:
            self._left -= len(piece)
            yield piece
            return
        yield piece[: self._left]
        yield Strike(self._deed.kind)
        yield End(self._deed.how)
