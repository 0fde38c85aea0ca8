"""A watch that is closed by us: what it held is let go."""

import asyncio
import gc
import weakref

import aiohttp
import kopf

from workqueue.plugin import internals
from workqueue.plugin.kopf_source import KopfSource

PODS = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"


def test_a_watch_that_was_closed_while_it_was_read_is_kept_by_nobody(monkeypatch):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"3\r\n{}\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def watch():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, aiohttp.ClientSession() as session:

            async def request(_, *, accept, settings, timeout):
                return await session.get(url, timeout=timeout)

            monkeypatch.setattr(internals, "request", request)
            source = KopfSource(settings=kopf.OperatorSettings(), resource=PODS, namespace=None)
            read = []
            async with source.watch(since="1") as stream:
                async for chunk in stream:
                    read.append(chunk)
                    asyncio.get_running_loop().call_soon(stream.close)
            return read, weakref.ref(stream), weakref.ref(source)

    read, *held = asyncio.run(watch())
    gc.collect()
    assert read == [b"{}\n"]
    assert [each() for each in held] == [None, None]
