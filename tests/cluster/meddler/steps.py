"""The way of an answer's body through what was ordered: pieces go in, steps come out. No input or output here.

A piece is a line of a watch, its newline included, or what came at once of any other body. Several orders for one
answer are passages one behind the other; each sees what the one before has let through, and counts that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: RST; FIN with the body incomplete; a body that is complete; nothing more and no end.
How = Literal["reset", "close", "end", "stall"]
#: How a connection may break.
Break = Literal["reset", "close"]


@dataclass(frozen=True)
class Strike:
    """A deed is done from here on; to be counted under its kind."""

    kind: str


@dataclass(frozen=True)
class End:
    """Nothing follows; how it ends."""

    how: How


Step = bytes | Strike | End


class Passage(Protocol):
    """What one deed makes of one answer's body."""

    def begin(self) -> Iterable[Step]:
        """Steps before the first piece."""
        ...

    def feed(self, piece: bytes) -> Iterable[Step]:
        """Steps instead of a piece."""
        ...


class AfterPieces:
    """A passage that lets so many pieces through and then adds steps, once: at once, not when the next piece comes."""

    def __init__(self, count: int, steps: Sequence[Step]) -> None:
        self._left = count
        self._steps = steps

    def begin(self) -> Iterator[Step]:
        if self._left == 0:
            yield from self._steps

    def feed(self, piece: bytes) -> Iterator[Step]:
        yield piece
        self._left -= 1
        if self._left == 0:
            yield from self._steps


class Way:
    """Passages one behind the other."""

    def __init__(self, passages: Sequence[Passage] = ()) -> None:
        self._passages = tuple(passages)

    def begin(self) -> Iterator[Step]:
        """Steps before the first piece."""
        for index, passage in enumerate(self._passages):
            yield from _through(self._passages[index + 1 :], passage.begin())

    def feed(self, piece: bytes) -> Iterator[Step]:
        """Steps instead of a piece."""
        return _through(self._passages, [piece])


def _through(passages: Sequence[Passage], steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        if passages and isinstance(step, bytes):
            yield from _through(passages[1:], passages[0].feed(step))
        else:
            yield step
