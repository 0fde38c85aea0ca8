"""What the random runs have found: Kopf closes a session while somebody else reads an answer in it, who then hangs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import kopf
import pytest

from workqueue.informer import Interrupted
from workqueue.plugin import internals
from workqueue.plugin.kopf_source import KopfSource

PODS = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
HEAD = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n"


@contextlib.asynccontextmanager
async def half_an_answer() -> AsyncIterator[str]:
    """A server that sends the head of a 401 and keeps its body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def test_an_answer_whose_session_is_closed_meanwhile_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = kopf.OperatorSettings()
    settings.watching.inactivity_timeout, settings.watching.connect_timeout = 0.4, 0.1

    async def ask() -> None:
        async with half_an_answer() as url, aiohttp.ClientSession() as session:

            async def request(
                _: str, *, accept: str, settings: object, timeout: aiohttp.ClientTimeout
            ) -> aiohttp.ClientResponse:
                response = await session.get(url, timeout=timeout)
                asyncio.get_running_loop().call_soon(lambda: closing.append(asyncio.ensure_future(session.close())))
                await response.read()
                raise AssertionError("there is no more to read")

            closing: list[asyncio.Future[None]] = []
            monkeypatch.setattr(internals, "request", request)
            source = KopfSource(settings=settings, resource=PODS, namespace=None)
            with pytest.raises(Interrupted, match="no answer in time"):
                await asyncio.wait_for(source.list(limit=1), 10)
            await asyncio.gather(*closing)

    asyncio.run(ask())
