"""What one flow asks of the loop: to be called when it can read, when it can write, and at an instant."""

import asyncio
import socket
from collections.abc import Callable

Run = Callable[[Callable[[], None]], None]


class Asking:
    """Keeps the loop's registrations equal to what was asked for last. Belongs to the loop's thread.

    Sockets must be let go of here before they are closed.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, run: Run, on_readable: Callable[[], None], go_on: Callable[[], None]
    ) -> None:
        """:param run: what runs the two others.
        :param on_readable: called when the source can be read.
        :param go_on: called when the sink can be written, and when it is time.
        """
        self._loop = loop
        self._run = run
        self._on_readable = on_readable
        self._go_on = go_on
        self._read: socket.socket | None = None
        self._write: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, *, read: socket.socket | None, write: socket.socket | None, at: float | None) -> None:
        """Ask for this and nothing else; `at` is an instant of the loop's clock."""
        if read is not self._read:
            if self._read is not None:
                self._loop.remove_reader(self._read)
            if read is not None:
                self._loop.add_reader(read, self._run, self._on_readable)
            self._read = read
        if write is not self._write:
            if self._write is not None:
                self._loop.remove_writer(self._write)
            if write is not None:
                self._loop.add_writer(write, self._run, self._go_on)
            self._write = write
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._loop.call_at(at, self._run, self._go_on)
