"""Keys that wait for their time: at most one instant for each, the earliest one first.

A dictionary says which entry of a key counts. The entries themselves stand in slots of time, an
eighth of a second each: a list for each slot in which a key is due, and a heap of these slots. Only
the first slot is kept in order, as a heap of its own. One heap of a million entries would be some
twenty steps deep, each of them a memory access that no processor cache has; a slot is small.

An entry that was replaced or taken back stays where it is until it comes up, or until such entries
are most of all.
"""

import math
from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
#: (instant due, …, key): entries are ordered as tuples, so what lies between makes each of them unlike all others.
E = TypeVar("E", bound=tuple[Any, ...])

#: Slots of time a second.
SLOTS = 8
#: Instants from here on, infinity among them, are one slot, the last: there are no whole numbers that far.
FAR = 1e300
#: Entries that do not count any more are let be while they are fewer than this, or than those that count.
SLACK = 64


class Delays(Generic[K, E]):
    """Guarded by the lock of its queue, like everything in it."""

    __slots__ = ("_heaps", "_order", "_slots", "_stale", "pending")

    def __init__(self) -> None:
        #: The entry of each key that waits. All are in _slots. Never another dictionary: queues look at it directly.
        self.pending: dict[K, E] = {}
        #: The entries by slot, none of which is empty.
        self._slots: dict[float, list[E]] = {}
        #: The slots, as a heap.
        self._order: list[float] = []
        #: The slots that were looked at once: their entries are heaps.
        self._heaps: set[float] = set()
        #: Entries in _slots that do not count any more.
        self._stale = 0

    def put(self, key: K, entry: E) -> bool:
        """Let the key wait for this entry, in place of any other; return True if none is due before it."""
        pending = self.pending
        if key in pending:
            self._stale += 1
        pending[key] = entry
        self._insert(entry)
        self._trim()
        return self.first() is entry

    def discard(self, key: K) -> None:
        """The key waits no more."""
        del self.pending[key]
        self._stale += 1
        self._trim()

    def first(self) -> E | None:
        """The entry that is due next, None if no key waits."""
        pending, order = self.pending, self._order
        while order:
            slot = order[0]
            entries = self._slots[slot]
            if slot not in self._heaps:
                heapify(entries)
                self._heaps.add(slot)
            while entries:
                entry = entries[0]
                if pending.get(entry[-1]) is entry:
                    return entry
                heappop(entries)
                self._stale -= 1
            self._close_first()
        return None

    def due(self, now: float) -> Iterator[E]:
        """Take the entries whose time has come, in their order; each key waits no more as its entry is handed out."""
        while (entry := self.first()) is not None and entry[0] <= now:
            entries = self._slots[self._order[0]]
            heappop(entries)
            if not entries:
                self._close_first()
            del self.pending[entry[-1]]
            yield entry
        self._trim()

    def clear(self) -> list[K]:
        """Let no key wait any more; return those that did, in the order of their times."""
        keys = [entry[-1] for entry in sorted(self.pending.values())]
        self.pending.clear()
        self._rebuild()
        return keys

    def _insert(self, entry: E) -> None:
        due = entry[0]
        slot = due * SLOTS // 1 if due < FAR else math.inf
        entries = self._slots.get(slot)
        if entries is None:
            self._slots[slot] = [entry]
            heappush(self._order, slot)
        elif slot in self._heaps:
            heappush(entries, entry)
        else:
            entries.append(entry)

    def _close_first(self) -> None:
        """The first slot has no entry any more."""
        slot = heappop(self._order)
        del self._slots[slot]
        self._heaps.discard(slot)

    def _trim(self) -> None:
        """Build the slots anew where most entries do not count: rare enough to cost next to nothing for each entry."""
        if self._stale > (len(self.pending) + SLACK if self.pending else 0):
            self._rebuild()

    def _rebuild(self) -> None:
        self._slots.clear()
        self._order.clear()
        self._heaps.clear()
        self._stale = 0
        for entry in self.pending.values():
            self._insert(entry)

    def size(self) -> int:
        """How many entries are kept, those that do not count included; for tests."""
        return sum(len(entries) for entries in self._slots.values())

    def check(self) -> None:
        """Assert every invariant; for tests."""
        entries = [entry for each in self._slots.values() for entry in each]
        kept = set(map(id, entries))
        assert all(id(entry) in kept for entry in self.pending.values()), "a delayed key is in no slot"
        assert all(entry[-1] == key for key, entry in self.pending.items()), "a delay under a wrong key"
        assert len(entries) - len(self.pending) == self._stale, "a wrong count of entries that do not count"
        assert self._stale <= (len(self.pending) + SLACK if self.pending else 0), "replaced delays pile up"
        assert sorted(self._order) == sorted(self._slots), "a slot that is never looked at"
        assert all(self._slots.values()), "an empty slot"
        assert self._heaps <= set(self._slots), "slots that are gone are remembered"
        heaps: list[list[Any]] = [self._order, *(self._slots[slot] for slot in self._heaps)]
        assert all(heap[(i - 1) // 2] <= heap[i] for heap in heaps for i in range(1, len(heap))), "a heap out of order"
