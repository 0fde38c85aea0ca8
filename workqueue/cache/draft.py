"""Objects that are to replace those of a cache: put together apart from it, and small before they are all there."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from workqueue.base.keys import ObjectKey
from workqueue.cache.batches import Batch, differing
from workqueue.cache.entry import Entry, keep_frame, twin
from workqueue.cache.table import Table


class Change(NamedTuple):
    """What a write did to one key: (None, None) is nothing at all."""

    old: Entry | None
    new: Entry | None


class Changes:
    """What a replacement did: removals first, then what is there, in the order in which it came."""

    def __init__(
        self, gone: list[Entry], came: list[Entry], *, before: Callable[[Entry], Entry | None] = lambda _: None
    ) -> None:
        """
        :param gone: what was there and is no more.
        :param came: what is there.
        :param before: what was there under the key of one that is there.
        """
        self._gone, self._came, self._before = gone, came, before

    def __len__(self) -> int:
        return len(self._gone) + len(self._came)

    def __iter__(self) -> Iterator[Change]:
        for old in self._gone:
            yield Change(old, None)
        for new in self._came:
            yield Change(self._before(new), new)

    def news(self, *, by_content: bool = False) -> "Changes":
        """The same without objects that are at the resourceVersion at which they were before.

        :param by_content: one resourceVersion may be two states: of those, only what says the same is left out.
        """
        before = self._before
        changed: set[Entry] = set()
        if by_content:
            both = ((old, new) for new in self._came if (old := before(new)) is not None and old.is_same_state(new))
            changed.update(new for _, new in differing(both))
        came = [
            new for new in self._came if (old := before(new)) is None or not old.is_same_state(new) or new in changed
        ]
        return Changes(self._gone, came, before=before)


class Draft:
    """Of :meth:`workqueue.cache.Indexer.draft`, for its ``replace``."""

    def __init__(self, table: Table, *, cache: Table, complete: Callable[[Entry], Entry]) -> None:
        """
        :param table: has the indexes of the cache, and no objects.
        :param cache: read without its lock: by its writer's thread.
        :param complete: gives an entry its values in all indexes of the table.
        """
        self.table = table
        self._cache = cache
        self._complete = complete
        self._packer = cache.packer
        self._beside = cache.body_bytes
        self._batch = Batch()
        self._came: list[Entry] = []
        #: Bytes of bodies as they came.
        self._bytes = 0

    def __len__(self) -> int:
        return self.table.count

    def add(self, entry: Entry) -> None:
        """One more, in the place of what is there under its key.

        :param entry: complete, so that it has values in all indexes of the table. If it is the cache's own, it is no
            news: what is there already stays.
        """
        if self._cache.present(entry) is entry:
            if self.table.present(entry) is not None:
                return
            # The cache may give its own more values at any time, and make it small: the table would not know.
            entry = self._complete(twin(entry))
        self.table.put(entry)
        self._came.append(entry)
        if not entry.is_settled:
            self._bytes += len(entry.stored)
            self._packer.see(entry.stored, live=self._beside + self._bytes)
            self._batch.add(entry)
            if self._batch.is_full:
                self.pack()

    def remove(self, key: ObjectKey) -> None:
        """One less."""
        self.table.remove(key)

    def pack(self) -> None:
        """Make small what is not yet, if there is a dictionary."""
        dictionary = self._packer.dictionary
        if dictionary is not None and (entries := self._batch.take()):
            frames = self._packer.pack(dictionary, [entry.stored for entry in entries])
            for entry, frame in zip(entries, frames, strict=True):
                grown = keep_frame(entry, frame, dictionary)
                if self.table.present(entry) is entry:
                    self.table.body_bytes += grown

    def came(self) -> list[Entry]:
        """What there is, in the order in which it came."""
        return [entry for entry in self._came if self.table.present(entry) is entry]

    def replant(self, table: Table) -> None:
        """Have another table, with other indexes, in which all that came is complete."""
        came = self.came()
        for entry in came:
            table.put(entry)
        self.table = table
        self._came = came
