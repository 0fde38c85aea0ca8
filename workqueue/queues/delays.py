"""Keys that wait for their time: at most one instant for each, the earliest one first.

A heap of entries beside a dictionary that says which entry of a key counts. An entry that was
replaced or taken back stays on the heap until it comes up, or until such entries are most of it.
"""

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
#: (instant due, …, key): entries are ordered as tuples, so what lies between makes each of them unlike all others.
E = TypeVar("E", bound=tuple[Any, ...])

#: Entries that do not count any more are let be while they are fewer than this, or than those that count.
SLACK = 64


class Delays(Generic[K, E]):
    """Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("heap", "pending")

    def __init__(self) -> None:
        #: The entry of each key that waits. All are on the heap.
        self.pending: dict[K, E] = {}
        #: Ordered by :mod:`heapq`. Empty exactly if ``pending`` is. Never another list: queues look at it directly.
        self.heap: list[E] = []

    def put(self, key: K, entry: E) -> bool:
        """Let the key wait for this entry, in place of any other; return True if none is due before it."""
        self.pending[key] = entry
        heap = self.heap
        heappush(heap, entry)
        self._trim()
        return self.first() is entry

    def discard(self, key: K) -> None:
        """The key waits no more."""
        del self.pending[key]
        self._trim()

    def first(self) -> E | None:
        """The entry that is due next, None if no key waits."""
        heap, pending = self.heap, self.pending
        while heap:
            entry = heap[0]
            if pending.get(entry[-1]) is entry:
                return entry
            heappop(heap)
        return None

    def due(self, now: float) -> Iterator[E]:
        """Take the entries whose time has come, in their order; each key waits no more as its entry is handed out."""
        heap, pending = self.heap, self.pending
        while heap and heap[0][0] <= now:
            entry = heappop(heap)
            if pending.get(entry[-1]) is entry:
                del pending[entry[-1]]
                self._trim()
                yield entry

    def clear(self) -> list[K]:
        """Let no key wait any more; return those that did, in the order of their times."""
        keys = [entry[-1] for entry in sorted(self.pending.values())]
        self.pending.clear()
        self.heap.clear()
        return keys

    def _trim(self) -> None:
        """Build the heap anew where most of it does not count: rare enough to cost next to nothing for each entry."""
        if not self.pending:
            self.heap.clear()
        elif len(self.heap) > 2 * len(self.pending) + SLACK:
            self.heap[:] = self.pending.values()
            heapify(self.heap)

    def check(self) -> None:
        """Assert every invariant; for tests."""
        heap = self.heap
        assert bool(heap) == bool(self.pending), "entries of no key on the heap"
        entries = set(map(id, heap))
        assert all(id(entry) in entries for entry in self.pending.values()), "a delayed key is not on the heap"
        assert all(entry[-1] == key for key, entry in self.pending.items()), "a delay under a wrong key"
        assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, len(heap))), "the heap is out of order"
        assert len(heap) <= 2 * len(self.pending) + SLACK, "replaced delays pile up"
