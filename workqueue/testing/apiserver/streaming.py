"""Answers that take their time: watches, and answers that a fault spoils.

Everything here runs on the server's own event loop.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterable

from aiohttp import web

from workqueue.testing.apiserver import rendering
from workqueue.testing.apiserver.errors import ApiError
from workqueue.testing.apiserver.faults import Fault
from workqueue.testing.apiserver.store import Store
from workqueue.testing.apiserver.watching import Watch

#: Seconds before a watch's own timeout at which it gets a last bookmark.
_LAST_BOOKMARK = 2.0


class Cut(Exception):
    """The connection was closed with the answer incomplete, as a fault has it."""


class Bell:
    """Wakes the watches of a table when something in it changed. Rung from any thread, cheaply."""

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store) -> None:
        """:param loop: the server's."""
        self._loop = loop
        self._store = store
        #: Guarded by the store's lock. The tables that changed since the loop last looked.
        self._changed: set[str] = set()
        #: Belongs to the loop. The watches that wait, by table.
        self._waiting: dict[str, set[asyncio.Event]] = {}
        #: Belongs to the loop. Set for good when all watches shall end.
        self.stopped = asyncio.Event()
        #: Belongs to the loop. Changes whenever all connections of watches shall be closed.
        self.disconnects = 0

    def ring(self, table: str) -> None:
        """Something changed. The store's lock is held by the caller, so this comes for every change, in order."""
        if not self._changed:
            self._loop.call_soon_threadsafe(self._wake)
        self._changed.add(table)

    def _wake(self) -> None:
        with self._store.lock:
            changed, self._changed = self._changed, set()
        for table in changed:
            self.wake(table)

    def wake(self, table: str | None = None) -> None:
        """Let the watches of a table look again; None for all. On the loop."""
        for name, events in self._waiting.items():
            if table in {None, name}:
                for event in events:
                    event.set()

    def listen(self, table: str) -> asyncio.Event:
        """An event that is set after each change of a table. On the loop."""
        event = asyncio.Event()
        self._waiting.setdefault(table, set()).add(event)
        return event

    def leave(self, table: str, event: asyncio.Event) -> None:
        """Listen no longer. On the loop."""
        self._waiting[table].discard(event)


class Outlet:
    """The way out for one answer's body, and the place where a fault spoils it."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse, fault: Fault | None, bell: Bell) -> None:
        self._request = request
        self._response = response
        self._fault = fault
        self._bell = bell
        self._lines = 0
        self._bytes = 0
        self._injected = False

    async def begin(self) -> None:
        """Send the head."""
        await self._response.prepare(self._request)
        if self._fault is not None:
            await self._spoil(self._fault)

    async def lines(self, lines: Iterable[bytes]) -> None:
        """Send lines of a watch.

        :raises Cut: if a fault has closed the connection.
        """
        if self._fault is None:
            if text := b"".join(lines):
                await self._response.write(text)
            return
        for line in lines:
            await self._spoil(self._fault)
            await self.data(line)
            self._lines += 1
            await self._spoil(self._fault)

    async def data(self, data: bytes) -> None:
        """Send bytes.

        :raises Cut: if a fault has closed the connection.
        """
        limit = None if self._fault is None else self._fault.cut_after_bytes
        if limit is not None and self._bytes + len(data) >= limit:
            await self._response.write(data[: limit - self._bytes])
            self.cut()
        self._bytes += len(data)
        await self._response.write(data)

    def cut(self) -> None:
        """Close the connection as it is.

        :raises Cut: always.
        """
        if self._request.transport is not None:
            self._request.transport.close()
        raise Cut

    async def _spoil(self, fault: Fault) -> None:
        if self._lines >= fault.after_events and not self._injected:
            self._injected = True
            for line in fault.inject:
                await self._response.write(line)
            if fault.hang:
                await self._bell.stopped.wait()
                self.cut()
        if fault.cut_after_events is not None and self._lines >= fault.cut_after_events and self._injected:
            self.cut()


async def serve_watch(watch: Watch, outlet: Outlet, bell: Bell, *, interval: float) -> None:
    """Send a watch's lines until its time is over, its history is lost, or all shall end.

    :param interval: seconds between bookmarks.
    :raises Cut: if its connection was closed, by a fault or by ``disconnect_watches``.
    """
    clock = asyncio.get_running_loop().time
    options = watch.options
    end = math.inf if options.timeout is None else clock() + options.timeout
    last_bookmark = end - _LAST_BOOKMARK if options.bookmarks and end - _LAST_BOOKMARK > clock() else math.inf
    next_bookmark = min(clock() + interval, last_bookmark) if options.bookmarks else math.inf
    disconnects = bell.disconnects
    changed = bell.listen(watch.table)
    try:
        try:
            await outlet.lines(watch.begin())
        except ApiError as error:
            await outlet.lines([rendering.error_line(error)])
            return
        while not (watch.over or bell.stopped.is_set()):
            if bell.disconnects != disconnects:
                outlet.cut()
            changed.clear()
            await outlet.lines(watch.next())
            now = clock()
            if now >= end:
                return
            if now >= next_bookmark:
                next_bookmark = min(now + interval, last_bookmark if now < last_bookmark else math.inf)
                await outlet.lines([watch.bookmark()])
            soonest = min(end, next_bookmark)
            await _wait(changed, None if soonest == math.inf else soonest - clock())
    finally:
        bell.leave(watch.table, changed)
    if not watch.over:
        outlet.cut()


async def _wait(event: asyncio.Event, timeout: float | None) -> None:
    """Until it is set, or the time is over.

    :param timeout: seconds; None for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await event.wait()
