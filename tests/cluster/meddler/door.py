"""The port on which the meddler listens, and on which, when a test says so, nothing does."""

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from tests.cluster.meddler.forwarding import Forwarding
from tests.cluster.proxy import sockets

#: More than the largest body that an API server takes.
_MAX_BODY = 16 * 1024 * 1024


class Door:
    """Belongs to the meddler's loop from its making to `close()`, which has to be awaited."""

    def __init__(self, address: tuple[str, int], forwarding: Forwarding) -> None:
        """:param address: reserved, see `sockets.reserve`."""
        self._address = address
        self._forwarding = forwarding
        self._busy: set[RequestHandler] = set()
        self._server = web.Server(
            self._answer,
            request_factory=_request,
            access_log=None,
            keepalive_timeout=300.0,
            handler_cancellation=True,  # a client that goes away ends its watch at the server
            max_line_size=65536,
            max_field_size=65536,
        )
        self._listener: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; harmless when it does."""
        if self._listener is None:
            listener = sockets.listen(self._address)
            self._listener = await asyncio.get_running_loop().create_server(self._server, sock=listener)

    def shut(self) -> None:
        """Listen no more, and let no open connection bring another request; answers that have begun go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            for each in self._server.connections:
                each.close()  # once its answer is over
                if each not in self._busy:
                    each.force_close()

    async def close(self) -> None:
        """Shut, and end all connections."""
        self.shut()
        transports = [each.transport for each in self._server.connections if each.transport is not None]
        await self._server.shutdown(timeout=0.1)
        for each in transports:  # aiohttp lets one whose client does not read wait for ever
            each.abort()
        await asyncio.sleep(0)  # for the sockets to be closed

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._busy.add(connection)
        try:
            return await self._forwarding.answer(request)
        finally:
            self._busy.discard(connection)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: "RequestHandler",
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY)
