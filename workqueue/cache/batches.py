"""Objects that are packed or unpacked together.

zstd gives up Python's lock for each call, and whoever called it waits for its turn after that: one
call for many objects waits once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from workqueue.cache.entry import Entry
from workqueue.cache.packing import MAGIC, Dictionary
from workqueue.cache.parsing import loads

#: Bodies in one go, and the bytes of bodies that are enough for that: milliseconds.
BATCH, BATCH_BYTES = 64, 512 * 1024
#: Pairs of bodies that are compared in one go, while the event loop waits.
PAIRS = 512


class Batch:
    """Objects that are packed together."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """It is worth packing, or takes long enough."""
        return len(self._entries) >= BATCH or self._bytes >= BATCH_BYTES

    def add(self, entry: Entry) -> None:
        """One more."""
        self._entries.append(entry)
        self._bytes += len(entry.stored)

    def take(self) -> list[Entry]:
        """All of them that are to be packed; none is left."""
        entries, self._entries, self._bytes = self._entries, [], 0
        return [entry for entry in entries if not entry.is_settled]


def bodies_of(entries: Sequence[Entry]) -> list[bytes]:
    """Some objects as JSON; those that are packed are unpacked at once."""
    bodies = [each.stored for each in entries]  # once: each may be packed at any time
    packed: dict[int, tuple[Dictionary, list[int]]] = {}
    for at, each in enumerate(entries):
        if (dictionary := each.dictionary) is not None and bodies[at].startswith(MAGIC):
            packed.setdefault(id(dictionary), (dictionary, []))[1].append(at)
    for dictionary, places in packed.values():
        for at, body in zip(places, dictionary.unpack_all([bodies[at] for at in places]), strict=True):
            bodies[at] = body
    return bodies


def differing(pairs: Iterable[tuple[Entry, Entry]]) -> Iterator[tuple[Entry, Entry]]:
    """Those pairs whose objects do not say the same; how they are written may change with the API server.

    Mostly they are frames of one dictionary, and the same: then nothing is unpacked.
    """
    some: list[tuple[Entry, Entry]] = []
    size = 0
    for one, other in pairs:
        if one.dictionary is other.dictionary and one.stored == other.stored:
            continue
        some.append((one, other))
        size += len(one.stored) + len(other.stored)
        if len(some) >= PAIRS or size >= BATCH_BYTES:
            yield from _differing(some)
            some, size = [], 0
    yield from _differing(some)


def _differing(pairs: Sequence[tuple[Entry, Entry]]) -> Iterator[tuple[Entry, Entry]]:
    bodies = bodies_of([entry for pair in pairs for entry in pair])
    for pair, one, other in zip(pairs, bodies[::2], bodies[1::2], strict=True):
        try:
            if one != other and loads(one) != loads(other):
                yield pair
        except RecursionError:  # Python compares what is nested some hundreds of levels deep, and no more
            yield pair


def in_batches(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Objects, each with its JSON; not all of which is there at a time."""
    for start in range(0, len(entries), BATCH):
        some = entries[start : start + BATCH]
        yield from zip(some, bodies_of(some), strict=True)


def decode_all(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Objects, a private copy of each."""
    return [loads(body) for _, body in in_batches(entries)]
