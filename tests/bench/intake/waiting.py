"""How long changes waited: from their write into the socket until a run saw them.

A run says when it began and which version of the object it saw. That run is the one of each earlier change of the
object, too, that no run saw before: so nothing that was merged with a later change is lost, or looks quick.
"""

import bisect
import itertools
from collections import deque
from collections.abc import Iterable, Sequence

from tests.bench.intake.replayed import Sent


def waits(sent: Sent, objects: int, runs: Iterable[Sequence[float]]) -> tuple[list[float], list[int]]:
    """Seconds that each change waited, in order of length, and the numbers of those that have not been seen.

    :param objects: how many there are; they change in turn.
    :param runs: pairs of the instant at which a run began and the version that it saw.
    """
    unseen: dict[int, deque[int]] = {number: deque() for number in range(objects)}
    for number in range(len(sent.written)):
        unseen[(sent.first + number) % objects].append(number)
    found: list[float] = []
    for began, version in sorted(runs):
        mine, last = unseen[int(version) % objects], int(version) - sent.first
        # What was written after the run began is left to the next run, which a queue grants it.
        while mine and mine[0] <= last and sent.written[mine[0]] <= began:
            found.append(began - sent.written[mine.popleft()])
    return sorted(found), sorted(itertools.chain(*unseen.values()))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least of the numbers that so large a share of them does not exceed; the numbers are in order."""
    positions = range(1, len(ordered) + 1)
    return ordered[bisect.bisect_left(positions, share * len(ordered))]
