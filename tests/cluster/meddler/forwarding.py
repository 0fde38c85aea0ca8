"""From a client's request to the server's answer, or what was ordered in its place."""

import asyncio
import contextlib

import aiohttp
from aiohttp import web

from tests.cluster.meddler import transports
from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.book import Book, Job
from tests.cluster.meddler.deeds import AnsweringDeed, BodyDeed, HeadDeed, WatchDeed
from tests.cluster.meddler.steps import Way
from tests.cluster.meddler.stream import Stream
from tests.cluster.meddler.streams import Streams
from tests.cluster.meddler.tally import Tally
from tests.cluster.meddler.target import Target, passed_on


class Forwarding:
    """Answers every request. Belongs to the meddler's loop."""

    def __init__(self, target: Target, *, book: Book, streams: Streams, tally: Tally) -> None:
        self._target = target
        self._book = book
        self._streams = streams
        self._tally = tally
        self._healed = asyncio.Event()
        #: What should not have happened.
        self.errors: list[Exception] = []

    def heal(self) -> None:
        """Let go of what is held back."""
        self._healed.set()
        self._healed = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._tally.count(requests=1)
        try:
            asked = Asked(method=request.method, path=request.path, query=dict(request.query))
            job = self._book.open(asked)
            try:
                return await self._answer(request, asked, job)
            finally:
                self._book.close(job)
        except ConnectionError:  # the client is gone, or was cut off
            return web.Response(status=500)  # goes nowhere
        except Exception as error:
            self.errors.append(error)
            await transports.reset(request.transport)
            return web.Response(status=500)

    async def _answer(self, request: web.BaseRequest, asked: Asked, job: Job) -> web.StreamResponse:
        body = await request.read()
        if job.deeds(AnsweringDeed):
            await self._hold(job)
        for each in job.deeds(AnsweringDeed):  # unless it was healed meanwhile
            job.strike(each.kind)
            answer = each.answer()
            headers = {"Content-Type": "application/json", **answer.headers}
            return web.Response(status=answer.status, body=answer.body, headers=headers)
        async with contextlib.AsyncExitStack() as stack:
            try:
                upstream = await stack.enter_async_context(self._target.ask(request, body))
            except (aiohttp.ClientError, OSError, TimeoutError):
                self._tally.count(unreachable=1)
                await transports.reset(request.transport)
                return web.Response(status=500)  # goes nowhere
            await self._hold(job)
            return await self._pass_on(request, upstream, asked=asked, job=job)

    async def _hold(self, job: Job) -> None:
        for each in job.deeds(HeadDeed):
            job.strike(each.kind)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(each.pause()):
                    await self._healed.wait()

    async def _pass_on(
        self, request: web.BaseRequest, upstream: aiohttp.ClientResponse, *, asked: Asked, job: Job
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            status=upstream.status, reason=upstream.reason, headers=passed_on(upstream.headers)
        )
        await response.prepare(request)
        is_watch = asked.verb == "watch" and upstream.status == 200
        by_line = is_watch and upstream.content_type == "application/json"
        deeds = [each for each in job.deeds(BodyDeed) if by_line or not isinstance(each, WatchDeed)]
        stream = Stream(request, response, Way([each.passage() for each in deeds]), job=job, tally=self._tally)
        if is_watch:
            self._streams.add(stream)
        try:
            await stream.run(upstream.content, by_line=by_line)
        finally:
            if is_watch:
                self._streams.discard(stream)
        return response
