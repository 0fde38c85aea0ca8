"""The few things that TCP can do and Python's sockets have no verb for."""

import contextlib
import fcntl
import socket
import struct
import sys
import termios

_TCP_CLOSE = 7  # the state of a socket whose connection is over, in Linux' TCP_INFO


def reserve(host: str) -> socket.socket:
    """A socket bound to a free port, never to listen: who connects there is refused, unless another socket listens.

    As long as it is open the port is nobody else's, and the kernel does not give it to outgoing connections either.
    Without that, a client that tries to reach a refusing port often enough is in the end connected to itself.
    """
    reserved = socket.socket()
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, 0))
    except BaseException:
        reserved.close()
        raise
    return reserved


def listen(address: tuple[str, int]) -> socket.socket:
    """A socket that listens on a reserved address, and does not block."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def reset(connection: socket.socket) -> None:
    """Close with RST: the peer gets ECONNRESET, and what it has not yet got is lost."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def close(connection: socket.socket) -> None:
    """Close with FIN: the peer reads to the end.

    A plain close() sends RST if something was left unread, and what the peer has not yet got is lost with it.
    """
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        for _ in range(256):  # 16 MiB: more than a kernel holds back, and an end even if somebody sends all the time
            if not connection.recv(65536):
                break
    connection.close()


def all_taken(connection: socket.socket) -> bool:
    """True when the peer's kernel has every byte that was written, so that a reset cannot take it back.

    Nothing tells when this becomes true, so it has to be asked again. Where it cannot be asked (not Linux) it is True.
    """
    if sys.platform != "linux":
        return True
    if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
        return True  # the peer has reset it, and will take nothing any more
    (waiting,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
    return bool(waiting == 0)
