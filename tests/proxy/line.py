"""Both ends of connections through the proxy, held by one thread."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.cluster.proxy import Proxy

PATIENCE = 30.0
#: Seconds that nothing must come for.
SILENCE = 0.2


class Line:
    """A target that only listens, the proxy before it, and all sockets of the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        self.listener.settimeout(PATIENCE)
        self.proxy = stack.enter_context(Proxy("127.0.0.1", self.listener.getsockname()[1]))

    def dial(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A client's connection to the proxy."""
        client = self._stack.enter_context(socket.socket())
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.proxy.port))
        return client

    def fate(self) -> str:
        """How a client's connection to the proxy ends of which the proxy makes nothing."""
        try:
            return end_of(self.dial())
        except ConnectionResetError:  # so soon that connect() has seen it
            return "reset"

    def accept(self) -> socket.socket:
        """The target's side of the next connection that reaches it."""
        target = self._stack.enter_context(self.listener.accept()[0])
        target.settimeout(PATIENCE)
        return target

    def connect(self, *, receive_buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection."""
        return self.dial(receive_buffer=receive_buffer), self.accept()

    def target_was_reached(self) -> bool:
        """Whether a connection waits to be accepted."""
        return bool(select.select([self.listener], [], [], 0)[0])


def read(connection: socket.socket, count: int) -> bytes:
    """Exactly so many bytes, or fewer if the end came."""
    data = bytearray()
    while len(data) < count and (part := connection.recv(min(count - len(data), 1 << 20))):
        data += part
    return bytes(data)


def end_of(connection: socket.socket) -> str:
    """How the stream ends, of which nothing but the end must be left."""
    try:
        data = connection.recv(1000)
    except ConnectionResetError:
        return "reset"
    assert data == b""
    return "fin"


def is_silent(connection: socket.socket) -> bool:
    """True if nothing comes for a while, an end neither."""
    return not select.select([connection], [], [], SILENCE)[0]


def pass_through(sender: socket.socket, receiver: socket.socket, data: bytes = b"still here") -> None:
    """Send, and see it come: what was sent before it has been seen by the proxy too."""
    sender.sendall(data)
    assert read(receiver, len(data)) == data


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def in_thread(run: Callable[[], Any]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive()


def ends(line: Line, direction: str, **options: Any) -> tuple[socket.socket, socket.socket]:
    """A connection's sender and receiver of a direction."""
    client, target = line.connect(**options)
    return (target, client) if direction == "to_client" else (client, target)


both_directions = pytest.mark.parametrize("direction", ["to_client", "to_target"])
