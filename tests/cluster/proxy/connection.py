"""One connection of a client, its connection to the target, and how the two end."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from tests.cluster.proxy import sockets
from tests.cluster.proxy.faults import Answer, How, Side, Way
from tests.cluster.proxy.flow import Flow
from tests.cluster.proxy.tally import Tally


class Host(Protocol):
    """Who has many connections, as each of them knows it."""

    def welcome(self, connection: "Connection") -> None:
        """Tell a connection that has not begun what is to happen to it."""

    def connection_over(self, connection: "Connection") -> None:
        """Both its sockets are closed."""

    def connection_failed(self, connection: "Connection", error: Exception) -> None:
        """A step of it raised what no network can cause: the proxy has a bug."""

    def answered(self) -> None:
        """An answer was given, maybe for the last time."""

    def changed(self) -> None:
        """There may be something new to count."""


class Connection:
    """Two sockets and the two flows between them. Belongs to the loop's thread.

    The target is connected to when bytes may flow at all: a connection that is stalled from its first moment, or that
    will be answered, does not reach it.
    """

    def __init__(
        self,
        client: socket.socket,
        *,
        target: tuple[str, int],
        family: socket.AddressFamily,
        loop: asyncio.AbstractEventLoop,
        tally: Tally,
        host: Host,
    ) -> None:
        """:param target: its address, no name.
        :param family: of that address.
        """
        self._address = target
        self._loop = loop
        self._tally = tally
        self._host = host
        self._client = client
        self._target_state: Literal["new", "connecting", "connected", "closed"] = "new"
        self._client_closed = False
        self._was_cut = False
        self._answers: list[Answer] = []
        self.to_client = Flow("to_client", loop=loop, tally=tally, owner=self)
        self.to_target = Flow("to_target", loop=loop, tally=tally, owner=self)
        self._target = socket.socket(family)
        for each in (self._client, self._target):
            each.setblocking(False)
            with contextlib.suppress(OSError):  # a client that has reset its connection is found out when it is read
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Learn what is to happen, then let bytes flow."""
        self._host.welcome(self)
        if not self._client_closed:
            self.to_client.connect(sink=self._client)
            self.to_target.connect(source=self._client)
            self.look()

    # -- what the host says

    def flow(self, way: Way) -> Flow:
        """One direction."""
        return self.to_client if way == "to_client" else self.to_target

    def answer(self, answer: Answer) -> None:
        """Answer the next bytes of the client."""
        self._answers.append(answer)

    def forget(self) -> None:
        """Let nothing happen that was ordered for bytes to come."""
        self._answers.clear()
        self.to_client.forget_splices()
        self.to_target.forget_splices()

    def look(self) -> None:
        """Connect to the target if it is time to. To be called whenever something has changed."""
        stalled = self.to_client.conduct.stalled and self.to_target.conduct.stalled
        if self._target_state == "new" and not stalled and self._next_answer() is None and not self._client_closed:
            self._connect()

    def cut(self, how: How, *, side: Side | None = None) -> None:
        """Close at once.

        :param side: who is to notice it. To the other one it stays open; what that one still sends is dropped.
        """
        if not self._was_cut:
            self._was_cut = True
            self._tally.cut += 1
        if side is None:
            self.close(how)
        else:
            self._hang_up(side, how)

    def close(self, how: How) -> None:
        """Close both sides at once, as nobody's fault."""
        if self._target_state == "closed" and self._client_closed:
            return
        self.to_client.stop()
        self.to_target.stop()
        self._close_client(how)
        self._close_target(how)
        self._host.connection_over(self)

    # -- what the flows say

    def run(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # a bug is not to become a fault of other connections
            self._host.connection_failed(self, error)
        self._host.changed()

    def intercepts(self, flow: Flow) -> bool:
        answer = self._next_answer() if flow is self.to_target else None
        if answer is None:
            return False
        answer.times.take()
        self._answers.clear()
        self._tally.answered += 1
        self.to_target.lose_sink()
        self.to_client.lose_source()
        self._close_target("close")
        self.to_client.replace_source(answer.data, answer.end)
        self._host.answered()
        return True

    def sink_lost(self, flow: Flow) -> None:
        (self.to_target if flow is self.to_client else self.to_client).break_source()
        flow.lose_sink()

    def stall(self) -> None:
        for each in (self.to_client, self.to_target):
            each.behave(replace(each.conduct, stalled=True))

    def pass_on_reset(self) -> None:
        self.close("reset")

    def flow_finished(self) -> None:
        if self.to_client.finished and self.to_target.finished:
            self.close("close")

    # -- the two sockets

    def _next_answer(self) -> Answer | None:
        return next((each for each in self._answers if not each.times.spent), None)

    def _connect(self) -> None:
        code = self._target.connect_ex(self._address)
        if code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
            self._target_state = "connecting"
            self._loop.add_writer(self._target, self.run, self._on_connected)
        else:
            self._connected(code)

    def _on_connected(self) -> None:
        if self._target_state == "connecting":  # else it was closed in the same round of the loop
            self._loop.remove_writer(self._target)
            code = self._target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code in {errno.ECONNRESET, errno.EPIPE}:  # it was connected, and is reset already: an end as any other
                self.to_client.break_source()
                code = 0
            self._connected(code)

    def _connected(self, code: int) -> None:
        if code:
            self._tally.unreachable += 1
            self.close("reset")
            return
        self._target_state = "connected"
        self.to_target.connect(sink=self._target)
        self.to_client.connect(source=self._target)

    def _hang_up(self, side: Side, how: How) -> None:
        reading, writing = (self.to_target, self.to_client) if side == "client" else (self.to_client, self.to_target)
        reading.lose_source()
        writing.lose_sink()
        if side == "client":
            self._close_client(how)
        else:
            self._close_target(how)
        writing.go_on()
        if self._target_state == "new" and self._client_closed:
            self.close(how)  # nobody else is there
        else:
            self.flow_finished()

    def _close_client(self, how: How) -> None:
        if not self._client_closed:
            self._client_closed = True
            (sockets.reset if how == "reset" else sockets.close)(self._client)

    def _close_target(self, how: How) -> None:
        if self._target_state == "connecting":
            self._loop.remove_writer(self._target)
        if self._target_state != "closed":
            self._target_state = "closed"
            (sockets.reset if how == "reset" else sockets.close)(self._target)
