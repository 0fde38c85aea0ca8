"""One answer's body on its way from the server to a client; of a watch it can be spoilt from outside, too."""

import asyncio
import contextlib
from collections.abc import Iterable

import aiohttp
from aiohttp import web

from tests.cluster.meddler import transports
from tests.cluster.meddler.book import Job
from tests.cluster.meddler.lines import LineSplitter
from tests.cluster.meddler.steps import End, How, Step, Strike, Way
from tests.cluster.meddler.tally import Tally

_COMPLETE = End("end")
_BROKEN = End("close")  # by the server
_LOST = End("close")  # by the client


class Stream:
    """Belongs to the meddler's loop; `run()` is its life."""

    def __init__(
        self, request: web.BaseRequest, response: web.StreamResponse, way: Way, *, job: Job, tally: Tally
    ) -> None:
        """:param response: whose head is sent."""
        self.path = request.path
        self.is_stalled = False
        #: Set when the client has got its end.
        self.over = asyncio.Event()
        #: Set when it gets nothing any more.
        self.silent = asyncio.Event()
        self._transport = request.transport
        self._response = response
        self._way = way
        self._job = job
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._order: asyncio.Future[End] = self._loop.create_future()

    # -- from outside

    def order(self, how: How) -> None:
        """Let it end here and now, or stall."""
        if not self._order.done():
            self._order.set_result(End(how))

    def heal(self) -> None:
        """Forget what was ordered; a stalled one cannot go on, so it is cut."""
        self._way = Way()
        if self.is_stalled:
            self.order("reset")

    async def inject(self, lines: tuple[bytes, ...]) -> None:
        """Put lines between its own; nothing if the client is gone."""
        with contextlib.suppress(ConnectionError):
            await self._response.write(b"".join(lines))

    # -- its life

    async def run(self, content: aiohttp.StreamReader, *, by_line: bool) -> None:
        """Pass the body on until it ends, one way or the other.

        by_line: whether it consists of lines, each of them a piece on the way.
        """
        try:
            end = await self._pump_until_ordered(content, by_line=by_line)
            if end.how == "stall":
                end = await self._stall()
            await self._end(end.how)
        finally:
            self.silent.set()
            self.over.set()

    async def _stall(self) -> End:
        self._order = self._loop.create_future()  # the next order is the last
        self.is_stalled = True
        self.silent.set()
        self._tally.count(stalled_watches=1)
        try:
            return await self._order
        finally:
            self._tally.count(stalled_watches=-1)

    async def _pump_until_ordered(self, content: aiohttp.StreamReader, *, by_line: bool) -> End:
        pump = self._loop.create_task(self._pump(content, by_line=by_line))
        try:
            await asyncio.wait({pump, self._order}, return_when=asyncio.FIRST_COMPLETED)
            return self._order.result() if self._order.done() else pump.result()
        finally:
            pump.cancel()
            await asyncio.wait({pump})

    async def _pump(self, content: aiohttp.StreamReader, *, by_line: bool) -> End:
        """Returns how it ended, which the client has yet to see."""
        splitter = LineSplitter() if by_line else None
        try:
            if end := await self._pass(self._way.begin()):
                return end
            while piece := await _next(content):
                pieces = splitter.feed(piece) if splitter else [piece]
                if end := await self._pass(step for each in pieces for step in self._way.feed(each)):
                    return end
            if splitter:
                await self._pass([splitter.rest])  # of a line that the server has not sent to its end
        except ConnectionError:
            return _LOST
        if piece is None:
            self._tally.count(broken=1)
            return _BROKEN
        return _COMPLETE

    async def _pass(self, steps: Iterable[Step]) -> End | None:
        """Write what is to be written, all at once; returns the end, if there is one."""
        data: list[bytes] = []
        end = None
        for step in steps:
            if isinstance(step, bytes):
                data.append(step)
            elif isinstance(step, Strike):
                self._job.strike(step.kind)
            else:
                end = step
                break
        if written := b"".join(data):
            await self._response.write(written)
        return end

    async def _end(self, how: How) -> None:
        if how == "end":
            await self._response.write_eof()
        elif how == "reset":
            await transports.reset(self._transport)
        else:
            transports.close(self._transport)


async def _next(content: aiohttp.StreamReader) -> bytes | None:
    """What comes next, at once; nothing at the end, None if it has broken off."""
    try:
        return await content.readany()
    except (aiohttp.ClientError, OSError):
        return None
