"""What the label sets of a cache need: worked out from some of its objects.

How many objects share a set, and how many sets a text, nobody counts: it would have to be counted at
each event. Python knows how many hold each thing, and so a few objects tell: each has its part of what it
holds with others.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import chain

from workqueue.cache.entry import Entry
from workqueue.cache.pieces import Pieces
from workqueue.cache.shared import SharedLabels
from workqueue.cache.table import Table

#: Objects that are looked at: a millisecond.
SAMPLE = 256
#: Python's allocator gives memory in steps of so many bytes.
STEP = 16


def label_bytes(table: Table) -> int:
    """Bytes of the label sets of all objects; holds the table's lock for a moment at a time."""
    with table.lock:
        spaces, shared = list(table.objects.values()), table.labels
    entries: list[Entry] = []
    for space, number in _spread(spaces):
        with table.lock:
            entries += space.some(number)
    return round(sum(space.count for space in spaces) * _mean(entries, shared)) if entries else 0


def _spread(spaces: Sequence[Pieces]) -> list[tuple[Pieces, int]]:
    """As many of each namespace as are its part of all."""
    distance = max(1.0, sum(space.count for space in spaces) / SAMPLE)
    wanted, passed, following = [], 0, 0.0
    for space in spaces:
        passed += space.count
        if passed > following:
            number = math.ceil((passed - following) / distance)
            following += number * distance
            wanted.append((space, number))
    return wanted


def _mean(entries: Sequence[Entry], shared: SharedLabels) -> float:
    """Bytes of labels for each of some objects."""
    sets = _holders((entry.labels for entry in entries), but=shared.values())
    texts = _holders(
        (text for entry in entries for text in chain(*entry.labels.items())),
        but=chain(shared.names.values(), shared.texts.values()),
    )
    known: dict[int, float] = {}
    total = 0.0
    for entry in entries:
        labels = entry.labels
        if id(labels) not in known:
            own = sum(_size(text) / texts[id(text)] for text in chain(*labels.items()))
            known[id(labels)] = (_size(labels) + _size(dict(labels)) + own) / sets[id(labels)]
        total += known[id(labels)]
    return total / len(entries)


def _holders(things: Iterable[object], *, but: Iterable[object]) -> dict[int, int]:
    """How many hold each of some things, at least one, by its id.

    :param but: what is remembered for those to come: that holds each of these, and does not count.
    """
    each = list({id(thing): thing for thing in things}.values())
    remembered = set(map(id, list(but)))
    counts = list(map(sys.getrefcount, each))
    [mine] = map(sys.getrefcount, [object()])  # of the list, and of whoever counts
    return {
        id(thing): max(1, count - mine - (id(thing) in remembered)) for thing, count in zip(each, counts, strict=True)
    }


def _size(thing: object) -> int:
    return -(-sys.getsizeof(thing) // STEP) * STEP
