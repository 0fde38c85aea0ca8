"""The watches that are open now, by their paths."""

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase

from tests.cluster.meddler.steps import How
from tests.cluster.meddler.stream import Stream
from tests.cluster.meddler.tally import Tally

#: The kinds under which is counted what is done to watches that are open: one for each watch.
OPEN_CUT = "open watch cut"
OPEN_STALLED = "open watch stalled"
OPEN_INJECTED = "open watch injected"


class Streams:
    """Belongs to the meddler's loop."""

    def __init__(self, tally: Tally) -> None:
        self._open: set[Stream] = set()
        self._tally = tally

    def add(self, stream: Stream) -> None:
        """A watch has begun."""
        self._open.add(stream)
        self._tally.count(watches=1, open_watches=1)

    def discard(self, stream: Stream) -> None:
        """It is over."""
        self._open.discard(stream)
        self._tally.count(open_watches=-1)

    async def cut(self, path: str, how: How) -> int:
        """End those of a path now; returns how many, when their clients have it."""
        chosen = self._of(path, lambda _: True)
        for each in chosen:
            self._tally.strike(OPEN_CUT)
            each.order(how)
        await asyncio.gather(*(each.over.wait() for each in chosen))
        return len(chosen)

    async def stall(self, path: str) -> int:
        """Stall those of a path that are not yet; returns how many."""
        chosen = self._of(path, lambda stream: not stream.is_stalled)
        for each in chosen:
            self._tally.strike(OPEN_STALLED)
            each.order("stall")
        await asyncio.gather(*(each.silent.wait() for each in chosen))
        return len(chosen)

    async def inject(self, path: str, lines: tuple[bytes, ...]) -> int:
        """Put lines into those of a path that are not stalled; returns into how many."""
        chosen = self._of(path, lambda stream: not stream.is_stalled)
        for each in chosen:
            self._tally.strike(OPEN_INJECTED)
            await each.inject(lines)
        return len(chosen)

    async def heal(self) -> None:
        """Let each forget what was ordered; returns when the stalled ones are cut."""
        stalled = self._of("*", lambda stream: stream.is_stalled)
        for each in self._open:
            each.heal()
        await asyncio.gather(*(each.over.wait() for each in stalled))

    def _of(self, path: str, condition: Callable[[Stream], bool]) -> list[Stream]:
        return [each for each in self._open if fnmatchcase(each.path, path) and condition(each)]
