"""Ready keys by rank: the highest priority first, and within one priority in the order of their turns.

A turn is a number given to a key when it is first asked for, or when its time comes; it is what
controller-runtime calls the added counter (pkg/controller/priorityqueue/priorityqueue.go). Priority
and turn together are one number, the rank: the smaller, the sooner.

controller-runtime keeps the keys in a B-tree; here each priority has a deque, to whose end nearly
every key goes, and a heap for the few that come back with an older turn. So a key costs the same
whether there are a hundred or a million.
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

#: Bits of a rank that are the turn: a queue that gives a million turns a second has enough for thirty thousand years.
TURN_BITS = 60

#: What does not count any more is let be while it is less than this, or than what counts.
SLACK = 64


def rank_of(priority: int, turn: int) -> int:
    """One number that orders keys: smaller for a higher priority, and then for an earlier turn."""
    return turn - (priority << TURN_BITS) if priority else turn


def priority_of(rank: int) -> int:
    """The priority in a rank."""
    return -(rank >> TURN_BITS)


class Level(Protocol[K]):
    """The ready keys of one priority. ``ranks`` holds the rank of every ready key, of any priority."""

    def push(self, key: K) -> None:
        """The key becomes ready, with the latest turn of all."""
        ...

    def push_late(self, key: K, rank: int) -> None:
        """The key becomes ready, with a turn from before."""
        ...

    def pop(self, ranks: Mapping[K, int]) -> K:
        """Take the next key; there is one."""
        ...

    def remove(self, key: K, rank: int) -> None:
        """Take this key out of turn."""
        ...

    def __len__(self) -> int:
        """How many keys are ready."""
        ...

    def check(self) -> None:
        """Assert every invariant; for tests."""
        ...


class FifoLevel(Generic[K]):
    """First come, first served."""

    __slots__ = ("_fifo", "_late", "_late_ranks", "_removed", "_stale", "push")

    def __init__(self) -> None:
        #: In the order of their turns.
        self._fifo: deque[K] = deque()
        #: Keys of _fifo that were removed: of each so many places, its first ones, do not count any more.
        self._stale: dict[K, int] = {}
        #: The sum of these.
        self._removed = 0
        #: A heap of (rank, key), of which those count whose ranks are in _late_ranks.
        self._late: list[tuple[int, K]] = []
        self._late_ranks: set[int] = set()
        #: See :meth:`Level.push`. The deque's own method: one call less for each key.
        self.push = self._fifo.append

    def push_late(self, key: K, rank: int) -> None:
        """See :meth:`Level.push_late`."""
        heappush(self._late, (rank, key))
        self._late_ranks.add(rank)

    def pop(self, ranks: Mapping[K, int]) -> K:
        """See :meth:`Level.pop`.

        :raises IndexError: if no key is ready.
        """
        fifo = self._fifo
        if self._stale:
            while fifo and self._is_stale(fifo[0]):
                fifo.popleft()
            self._trim()
        if self._late:
            late = self._late
            while late and late[0][0] not in self._late_ranks:
                heappop(late)
            if late and (not fifo or late[0][0] < ranks[fifo[0]]):
                rank, key = heappop(late)
                self._late_ranks.remove(rank)
                self._trim_late()
                return key
        return fifo.popleft()

    def remove(self, key: K, rank: int) -> None:
        """See :meth:`Level.remove`. Its place is let be until it comes up, or until such places are most of all."""
        if rank in self._late_ranks:
            self._late_ranks.remove(rank)
            self._trim_late()
            return
        self._stale[key] = self._stale.get(key, 0) + 1
        self._removed += 1
        self._trim()

    def __len__(self) -> int:
        """See :meth:`Level.__len__`."""
        return len(self._fifo) - self._removed + len(self._late_ranks)

    def _trim(self) -> None:
        """Leave the places out that do not count, if they are most of all."""
        if self._removed > len(self._fifo) - self._removed + SLACK:
            kept = [each for each in self._fifo if not self._is_stale(each)]
            self._fifo.clear()
            self._fifo.extend(kept)

    def _trim_late(self) -> None:
        if len(self._late) > 2 * len(self._late_ranks) + SLACK:
            self._late = [entry for entry in self._late if entry[0] in self._late_ranks]
            heapify(self._late)

    def _is_stale(self, key: K) -> bool:
        """Whether the next place of the key does not count; asked once for each place."""
        places = self._stale.get(key)
        if places is None:
            return False
        self._removed -= 1
        if places == 1:
            del self._stale[key]
        else:
            self._stale[key] = places - 1
        return True

    def check(self) -> None:
        """See :meth:`Level.check`."""
        assert sum(self._stale.values()) == self._removed <= len(self._fifo), "a wrong count of the removed keys"
        assert self._removed <= len(self._fifo) - self._removed + SLACK + 1, "places of removed keys pile up"
        assert self._late_ranks <= {rank for rank, _ in self._late}, "a late key that is never looked at"
        assert len(self._late) <= 2 * len(self._late_ranks) + SLACK, "entries of removed late keys pile up"


class Levels(Generic[K]):
    """All ready keys. Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("_levels", "_make", "_none", "_order", "_top_priority", "ranks", "top")

    def __init__(self, make: Callable[[], Level[K]] = FifoLevel) -> None:
        """:param make: makes the level of a priority."""
        #: The rank of each ready key. Never another dictionary: queues look at it directly.
        self.ranks: dict[K, int] = {}
        #: The levels that hold ready keys, and at most one that does not any more: the top.
        self._levels: dict[int, Level[K]] = {}
        #: A heap of their priorities, each negated so that the highest comes first; and some of levels that are gone.
        self._order: list[int] = []
        #: Stands for a top that has to be looked for.
        self._none: Level[K] = FifoLevel()
        #: The level of the highest priority, and which one that is.
        self.top: Level[K] = self._none
        self._top_priority: int | None = None
        self._make = make

    def push(self, key: K, rank: int, priority: int) -> None:
        """The key is ready, with the latest turn of all.

        :param rank: of that turn and that priority.
        """
        self.ranks[key] = rank
        level = self._levels.get(priority)
        if level is None:
            level = self._open(priority)
        try:
            level.push(key)
        except BaseException:
            self._take_back(key, priority)
            raise

    def push_late(self, key: K, rank: int) -> None:
        """The key is ready, with a turn from before."""
        self.ranks[key] = rank
        priority = priority_of(rank)
        level = self._levels.get(priority)
        if level is None:
            level = self._open(priority)
        try:
            level.push_late(key, rank)
        except BaseException:
            self._take_back(key, priority)
            raise

    def pop(self) -> K:
        """The next key, which is left in ``ranks``: the caller takes it out. There must be one."""
        while True:
            try:
                return self.top.pop(self.ranks)
            except IndexError:
                self._find_top()

    def remove(self, key: K) -> int:
        """Take this key out of turn; return its rank."""
        rank = self.ranks.pop(key)
        priority = priority_of(rank)
        level = self._levels[priority]
        level.remove(key, rank)
        if not level and level is not self.top:
            self._close(priority)
        return rank

    def counts(self) -> dict[int, int]:
        """How many keys are ready of each priority."""
        return {priority: len(level) for priority, level in self._levels.items() if level}

    def _open(self, priority: int) -> Level[K]:
        """A level for a priority that has none."""
        if self._top_priority is not None and not self.top:
            self._close(self._top_priority)
        level = self._levels[priority] = self._make()
        heappush(self._order, -priority)
        self.top, self._top_priority = self._none, None
        return level

    def _find_top(self) -> None:
        """The top holds no key (any more): look for the level of the highest priority that does."""
        if self._top_priority is not None:
            self._close(self._top_priority)
        order = self._order
        while (level := self._levels.get(-order[0])) is None:
            heappop(order)
        self.top, self._top_priority = level, -order[0]

    def _close(self, priority: int) -> None:
        """The level of this priority holds no key any more."""
        del self._levels[priority]
        if len(self._order) > 2 * len(self._levels) + SLACK:
            self._order[:] = [-each for each in self._levels]
            heapify(self._order)

    def _take_back(self, key: K, priority: int) -> None:
        """A level would not have the key: its tenant, say, cannot be compared with others."""
        del self.ranks[key]
        level = self._levels[priority]
        if not level and level is not self.top:
            self._close(priority)

    def check(self) -> None:
        """Assert every invariant; for tests."""
        order = self._order
        assert sum(self.counts().values()) == len(self.ranks), "ready keys without a level, or the other way round"
        empty = [level for level in self._levels.values() if not level]
        assert not empty or empty == [self.top], "levels without a key pile up"
        assert {-priority for priority in self._levels} <= set(order), "a level that is never looked at"
        assert all(order[(i - 1) // 2] <= order[i] for i in range(1, len(order))), "the priorities are out of order"
        assert len(order) <= 2 * len(self._levels) + SLACK + 1, "priorities of levels that are gone pile up"
        for level in self._levels.values():
            level.check()
