"""A map in pieces: whatever is done to it touches few entries, and all of it can be had at one instant.

A dictionary of a million entries takes tens of milliseconds to grow and as many to copy, and Python
runs nothing else meanwhile. Here they lie in dictionaries of some thousand: one more of those is made
at a time (linear hashing, Litwin 1980), and whoever wants all of them is given the dictionaries
themselves, which are never changed after that: who writes then copies the one that it is about to change.
"""

from workqueue.cache.entry import Entry, keep_name

#: Entries in a piece, on average at most.
PIECE = 2048

#: Pieces that are looked at for some of the entries.
SEVERAL = 16

#: A piece that nobody changes any more.
Piece = dict[str, Entry]


class Pieces:
    """The objects of one namespace, by their names. Whoever calls a method holds the table's lock."""

    __slots__ = ("_half", "_mine", "_parts", "_split", "count")

    def __init__(self) -> None:
        self._parts: list[Piece] = [{}]
        #: For each of them: it was given to nobody, and may be changed.
        self._mine = [True]
        #: Before the present doubling there were so many, a power of two; of those so many have been split.
        self._half, self._split = 1, 0
        self.count = 0

    def _place(self, name: str) -> int:
        hashed = hash(name)
        place = hashed & (self._half - 1)
        return hashed & (2 * self._half - 1) if place < self._split else place

    def get(self, name: str) -> Entry | None:
        """What is stored under a name."""
        if len(self._parts) == 1:
            return self._parts[0].get(name)
        return self._parts[self._place(name)].get(name)

    def put(self, entry: Entry) -> Entry | None:
        """Store an entry; returns what was there."""
        part = self._writable(self._place(entry.name))
        before = part.get(entry.name)
        part[entry.name] = entry
        if before is not None:
            keep_name(entry, before.name)  # a dictionary keeps the key that it has
        else:
            self.count += 1
            if self.count > PIECE * len(self._parts):
                self._grow()
        return before

    def some(self, number: int) -> list[Entry]:
        """Some entries from all over, about that many."""
        parts = self._parts[:: -(-len(self._parts) // min(number, SEVERAL))]
        each = -(-number // len(parts))
        found = []
        for part in parts:
            entries = list(part.values())
            found += entries[:: -(-len(entries) // each) or 1]
        return found

    def remove(self, name: str) -> Entry | None:
        """Remove what is stored under a name; returns it."""
        place = self._place(name)
        if name not in self._parts[place]:
            return None
        self.count -= 1
        return self._writable(place).pop(name)

    def freeze(self) -> list[Piece]:
        """All of it at this instant, for as long as the caller likes."""
        self._mine = [False] * len(self._parts)
        return self._parts.copy()

    def _writable(self, place: int) -> Piece:
        if not self._mine[place]:
            self._parts[place] = self._parts[place].copy()
            self._mine[place] = True
        return self._parts[place]

    def _grow(self) -> None:
        """Split the next piece in two; there are never fewer again: a namespace that was large may be so again."""
        before = self._parts[self._split]
        place, bits = self._split, 2 * self._half - 1
        self._parts[place] = {name: entry for name, entry in before.items() if hash(name) & bits == place}
        self._parts.append({name: entry for name, entry in before.items() if hash(name) & bits != place})
        self._mine[place] = True
        self._mine.append(True)
        self._split += 1
        if self._split == self._half:
            self._half, self._split = 2 * self._half, 0
