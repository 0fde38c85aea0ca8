"""The listening port and all its connections: what is ordered reaches the open ones here, and those to come later."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from tests.cluster.proxy import sockets
from tests.cluster.proxy.connection import Connection
from tests.cluster.proxy.faults import Answer, Conduct, Connections, How, Side, Splice, Way
from tests.cluster.proxy.tally import Statistics, Tally


class Exchange:
    """Belongs to the loop's thread. Nothing in it waits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        address: tuple[str, int],
        target: tuple[str, int],
        family: socket.AddressFamily,
        on_change: Callable[[], None],
    ) -> None:
        """:param address: where to listen; it is reserved for us.
        :param target: an address, no name.
        :param family: of the target's address.
        :param on_change: called when there may be something new to count.
        """
        self._loop = loop
        self._address = address
        self._target = target
        self._family = family
        self.changed = on_change
        #: What went wrong that no network can cause.
        self.errors: list[Exception] = []
        self._tally = Tally()
        self._listener: socket.socket | None = None
        self._open: set[Connection] = set()
        # The rest is what connections to come will learn.
        self._conduct: dict[Way, Conduct] = {"to_client": Conduct(), "to_target": Conduct()}
        self._splices: list[tuple[Way, Splice]] = []
        self._answers: list[Answer] = []
        self._cut: tuple[How, Side | None] | None = None

    # -- orders

    def listen(self) -> None:
        """Open the port, if it is not open."""
        if self._listener is None:
            self._listener = sockets.listen(self._address)
            self._loop.add_reader(self._listener, self.take_in)

    def refuse(self) -> None:
        """Close the port, if it is open."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def cut(self, how: How, *, side: Side | None, connections: Connections) -> None:
        """See Connection.cut; those to come are cut at once."""
        for each in self._chosen(connections):
            each.cut(how, side=side)
        if connections != "open":
            self._cut = (how, side)

    def behave(self, ways: Sequence[Way], connections: Connections, **changes: Any) -> None:
        """Change fields of the conduct of these ways."""
        for way in ways:
            for each in self._chosen(connections):
                flow = each.flow(way)
                flow.behave(replace(flow.conduct, **changes))
            if connections != "open":
                self._conduct[way] = replace(self._conduct[way], **changes)
        self.answered()

    def splice(self, splice: Splice, *, way: Way, connections: Connections) -> None:
        """Let something happen at a byte."""
        for each in self._chosen(connections):
            each.flow(way).splice(splice)
        if connections != "open":
            self._splices.append((way, splice))

    def answer(self, answer: Answer, *, connections: Connections) -> None:
        """Let something be answered."""
        for each in self._chosen(connections):
            each.answer(answer)
        if connections != "open":
            self._answers.append(answer)

    def heal(self) -> None:
        """Forget all that was ordered."""
        self._splices.clear()
        self._answers.clear()
        self._cut = None
        for each in self._chosen("open"):
            each.forget()
        self.behave(("to_client", "to_target"), "all", stalled=False, delay=0.0, rate=None, half_closed=False)
        self.listen()

    def close(self) -> None:
        """Reset all connections and close the port."""
        self.refuse()
        for each in self._chosen("open"):
            each.close("reset")

    # -- the rest

    def statistics(self) -> Statistics:
        """What was counted."""
        held = sum(each.to_client.held + each.to_target.held for each in self._open)
        return Statistics(open=len(self._open), held=held, **asdict(self._tally))

    def take_in(self) -> None:
        """Accept all that have connected until now."""
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
                connection = self._connection(client)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # such as too many open files
                self.errors.append(error)
                self.refuse()
                return
            self._tally.accepted += 1
            self._open.add(connection)
            connection.run(connection.start)

    def _connection(self, client: socket.socket) -> Connection:
        try:
            connection = Connection(
                client, target=self._target, family=self._family, loop=self._loop, tally=self._tally, host=self
            )
        except BaseException:
            client.close()
            raise
        return connection

    def _chosen(self, connections: Connections) -> Sequence[Connection]:
        return () if connections == "new" else tuple(self._open)

    # -- what the connections say

    def welcome(self, connection: Connection) -> None:
        if self._cut is not None:
            connection.cut(self._cut[0], side=self._cut[1])
        for answer in self._answers:
            connection.answer(answer)
        for way, conduct in self._conduct.items():
            connection.flow(way).behave(conduct)
        for way, splice in self._splices:
            connection.flow(way).splice(splice)

    def connection_over(self, connection: Connection) -> None:
        self._open.discard(connection)

    def connection_failed(self, connection: Connection, error: Exception) -> None:
        self.errors.append(error)
        with contextlib.suppress(Exception):
            connection.close("reset")
        self._open.discard(connection)

    def answered(self) -> None:
        for each in self._chosen("open"):
            each.run(each.look)
