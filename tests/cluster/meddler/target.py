"""The way to the API server: one session, TLS if its URL says so."""

import asyncio
import contextlib
import socket
import ssl
from contextlib import AbstractAsyncContextManager

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

#: About one connection, so not passed on; and what is said anew on each.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
_SAID_ANEW = frozenset({"host", "content-length", "expect"})
_PATIENCE = 5.0
#: What aiohttp would add of its own.
_NO_HEADERS_OF_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Target:
    """Belongs to the meddler's loop from its making to `close()`, which has to be awaited."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None) -> None:
        """:param context: to verify the server by; None for plain HTTP."""
        self._url = url.rstrip("/")
        self.context = context
        self._sockets: set[socket.socket] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=self._make_socket),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NO_HEADERS_OF_OURS,
            max_line_size=65536,
            max_field_size=65536,
        )

    def ask(self, request: web.BaseRequest, body: bytes) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a client's request on; the answer's body is not read yet."""
        headers = passed_on(request.headers, but=_SAID_ANEW)
        return self._session.request(
            request.method,
            URL(self._url + request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            ssl=self.context or True,
        )

    async def close(self) -> None:
        """Close all connections to the server; returns when they are closed.

        One that was left in the middle of an answer says goodbye as TLS has it and waits for the server to do so, but
        aiohttp does not wait for that: the loop would be gone before, and the socket left open.
        """
        await self._session.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):  # closed
                each.shutdown(socket.SHUT_RDWR)
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while any(map(_is_open, self._sockets)) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.001)

    def _make_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        self._sockets = {each for each in self._sockets if _is_open(each)}
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made


def _is_open(one: socket.socket) -> bool:
    return one.fileno() != -1


def passed_on(headers: CIMultiDictProxy[str], *, but: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    """The headers that belong to a message and not to its connection."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | but)
