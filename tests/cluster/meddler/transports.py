"""How a client's connection is broken off."""

import asyncio
import socket
import struct

from tests.cluster.proxy.sockets import all_taken

#: Seconds that a reset waits for what was sent before it; a client that does not read loses it then.
_PATIENCE = 1.0
_PAUSE = 0.0005


async def reset(transport: asyncio.Transport | None) -> None:
    """Close with RST, once the client's kernel has what was written before."""
    if transport is None or transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while not _is_sent(transport, connection) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_PAUSE)
    if not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def close(transport: asyncio.Transport | None) -> None:
    """Close with FIN, behind what was written before."""
    if transport is not None:
        transport.close()


def _is_sent(transport: asyncio.Transport, connection: socket.socket) -> bool:
    if transport.is_closing():
        return True
    return transport.get_write_buffer_size() == 0 and all_taken(connection)
