"""Every object that exists, and everything that happened: one rising version for the whole store.

Multi-version as etcd is: a table keeps the present and the events that led to it, so that a list
as of an earlier version (the later pages of a paged list, an exact version) is the present with
the events since then undone, and nothing is pinned or copied while it is not asked for. Events
also are what watches read: each at its own pace, none can hold up a write.

Documents are never changed once stored; whoever wants to change one loads a copy from its bytes.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from workqueue.testing.apiserver import errors


class Entry:
    """One version of one object. Immutable; the bytes are made when first asked for and kept."""

    __slots__ = ("_item", "document", "key", "name", "namespace", "version")

    def __init__(self, namespace: str, name: str, version: int, document: dict[str, Any]) -> None:
        """:param document: the object without kind and apiVersion; belongs to the entry from now on."""
        self.namespace = namespace
        self.name = name
        self.key = key_of(namespace, name)
        self.version = version
        self.document = document
        #: Made by whoever asks first; two threads may both make it, and make the same.
        self._item: bytes | None = None

    @property
    def item(self) -> bytes:
        """The document's JSON, without kind and apiVersion."""
        if self._item is None:
            self._item = orjson.dumps(self.document)
        return self._item

    @property
    def metadata(self) -> dict[str, Any]:
        """The document's metadata, to look at."""
        metadata: dict[str, Any] = self.document["metadata"]
        return metadata

    def copy(self) -> dict[str, Any]:
        """A document of the caller's own."""
        document: dict[str, Any] = orjson.loads(self.item)
        return document


class Event:
    """One change: an object came (no before), changed, or went (no after)."""

    __slots__ = ("_gone", "after", "before", "key", "version")

    def __init__(self, version: int, before: Entry | None, after: Entry | None) -> None:
        self.version = version
        self.before = before
        self.after = after
        entry = after or before
        assert entry is not None, "an event without an object"
        self.key = entry.key
        self._gone: Entry | None = None

    @property
    def gone(self) -> Entry:
        """What a watcher is told goodbye with: the last state, at the version of this event."""
        if self._gone is None:
            assert self.before is not None, "only what was can go"
            document = {
                **self.before.document,
                "metadata": {**self.before.metadata, "resourceVersion": str(self.version)},
            }
            self._gone = Entry(self.before.namespace, self.before.name, self.version, document)
        return self._gone


class Table:
    """The objects of one kind. Every field is guarded by the store's lock."""

    __slots__ = ("dropped", "entries", "forgotten", "history", "lost", "order")

    def __init__(self, version: int) -> None:
        """:param version: the store's, when this kind began to exist: nothing earlier can be asked of it."""
        #: What exists now, by "namespace/name" or "name".
        self.entries: dict[str, Entry] = {}
        #: The keys of ``entries``, sorted: the order of lists.
        self.order: list[str] = []
        #: What happened after ``lost``, oldest first.
        self.history: list[Event] = []
        #: No event up to this version is known any more.
        self.lost = version
        #: Nobody new is told of anything before this version; never older than ``lost``. Watches that are
        #: under way are told what they have not read yet.
        self.forgotten = version
        #: The kind is gone; what happened last can still be read.
        self.dropped = False


def key_of(namespace: str, name: str) -> str:
    """The key of an object in its table: lists are sorted by it, as etcd sorts its paths."""
    return f"{namespace}/{name}" if namespace else name


class Store:
    """Tables of objects under one lock and one version.

    Public methods take the lock themselves; it is reentrant, so that callers can hold it over several.
    """

    def __init__(self, *, history: int) -> None:
        """:param history: how many events of each kind are kept at least; older ones may be forgotten."""
        #: Guards everything below, and every table.
        self.lock = threading.RLock()
        self._keep = history
        #: Guarded by lock. The version of the newest change.
        self._version = 1
        #: Guarded by lock.
        self._tables: dict[str, Table] = {}
        #: Guarded by lock. Told the table's name after each change, under the lock: must not block.
        self.on_change: Callable[[str], None] = lambda _table: None

    @property
    def version(self) -> int:
        """The version of the newest change."""
        with self.lock:
            return self._version

    def add_table(self, name: str) -> None:
        """Let a kind exist; one that exists already stays as it is."""
        with self.lock:
            if name not in self._tables or self._tables[name].dropped:
                self._tables[name] = Table(self._version)

    def drop_table(self, name: str) -> None:
        """Let a kind be gone: its watches end when they have told its last events."""
        with self.lock:
            self._tables[name].dropped = True
            self.on_change(name)

    def get(self, table: str, namespace: str, name: str) -> Entry | None:
        """An object as it is now."""
        with self.lock:
            return self._tables[table].entries.get(key_of(namespace, name))

    def entries(self, table: str, namespace: str = "") -> list[Entry]:
        """The objects that exist now, in order.

        :param namespace: only those in it; "" for all.
        """
        with self.lock:
            return list(self.read(table, namespace=namespace, version=self._version))

    def put(self, table: str, namespace: str, name: str, document: dict[str, Any]) -> Entry:
        """Store a new state of an object, at a new version.

        :param document: without kind and apiVersion; belongs to the store from now on.
        """
        with self.lock:
            rows = self._tables[table]
            self._version += 1
            document["metadata"]["resourceVersion"] = str(self._version)
            entry = Entry(namespace, name, self._version, document)
            before = rows.entries.get(entry.key)
            if before is None:
                insort(rows.order, entry.key)
            rows.entries[entry.key] = entry
            self._record(table, rows, Event(self._version, before, entry))
            return entry

    def remove(self, table: str, entry: Entry) -> Entry:
        """Let an object be gone, at a new version.

        :returns: its last state, at that version.
        """
        with self.lock:
            rows = self._tables[table]
            self._version += 1
            event = Event(self._version, rows.entries.pop(entry.key), None)
            del rows.order[bisect_left(rows.order, entry.key)]
            self._record(table, rows, event)
            return event.gone

    def _record(self, table: str, rows: Table, event: Event) -> None:
        rows.history.append(event)
        if len(rows.history) > 2 * self._keep:
            rows.lost = rows.history[-self._keep - 1].version
            rows.forgotten = max(rows.forgotten, rows.lost)
            del rows.history[: -self._keep]
        self.on_change(table)

    def read(self, table: str, *, namespace: str, version: int, start: str = "") -> Iterator[Entry]:
        """The objects of one version, in order. The caller holds the lock until the iterator is used up.

        :param namespace: only those in it; "" for all.
        :param version: not newer than the store's.
        :param start: the first key wanted.
        :raises ApiError: 410 if that version is forgotten.
        """
        rows = self._tables[table]
        if version < rows.forgotten:
            raise errors.expired_list()
        undone: dict[str, Entry | None] = {}
        position = len(rows.history)
        while position and rows.history[position - 1].version > version:
            position -= 1
            undone[rows.history[position].key] = rows.history[position].before
        prefix = f"{namespace}/" if namespace else ""
        start = max(start, prefix)
        if undone:
            present = (key for key in rows.order[bisect_left(rows.order, start) :] if key not in undone)
            keys = sorted([*present, *(key for key, before in undone.items() if before is not None and key >= start)])
        else:
            keys = rows.order[bisect_left(rows.order, start) :]
        for key in keys:
            if not key.startswith(prefix):
                break
            entry = undone[key] if key in undone else rows.entries[key]
            assert entry is not None, "keys of absent objects were left out above"
            yield entry

    def events(self, table: str, after: int) -> list[Event] | None:
        """What happened after a version, oldest first; None if that is lost."""
        with self.lock:
            rows = self._tables[table]
            if after < rows.lost:
                return None
            return rows.history[bisect_right(rows.history, after, key=lambda event: event.version) :]

    def forgotten(self, table: str) -> int:
        """The oldest version that a table can be listed at or watched from."""
        with self.lock:
            return self._tables[table].forgotten

    def is_dropped(self, table: str) -> bool:
        """Whether a kind is gone."""
        with self.lock:
            return self._tables[table].dropped

    def compact(self) -> None:
        """Forget all history: older versions can be neither listed nor watched from. Watches under way go on."""
        with self.lock:
            for rows in self._tables.values():
                rows.forgotten = self._version
