"""The proxy as a test holds it: started, told what is to go wrong, watched, stopped."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, get_args

from tests.cluster.proxy import kubeconfig, sockets
from tests.cluster.proxy.exchange import Exchange
from tests.cluster.proxy.faults import Answer, Connections, Direction, End, How, Side, Splice, Then, Times, Way
from tests.cluster.proxy.tally import Statistics

_T = TypeVar("_T")
_HOST = "127.0.0.1"
_SIDES: dict[Direction, Side | None] = {"both": None, "to_client": "client", "to_target": "target"}
_WAYS: dict[Direction, tuple[Way, ...]] = {
    "both": ("to_client", "to_target"),
    "to_client": ("to_client",),
    "to_target": ("to_target",),
}


class Proxy:
    """Forwards a free loopback port to a target, from the constructor's return until :meth:`stop`.

    All methods may be called from any thread. What one orders is in force when it returns: after :meth:`stall` not
    another byte passes, after :meth:`cut` the sockets are closed, after :meth:`refuse` the next connection is refused.

    Most faults take two arguments. `direction`: "to_client" (what the target sends), "to_target" or "both".
    `connections`: "open" (those that exist now, those included that the proxy has not yet seen), "new" (those to come)
    or "all". Faults add up, and last until they are taken back one by one, or all by :meth:`heal`.
    """

    def __init__(self, host: str, port: int) -> None:
        """:param host: the target's name or address; of several addresses an IPv4 one is taken.
        :param port: the target's port.
        """
        family, address = _resolve(host, port)
        self._target = (address, port)
        self._target_hosts = {host, address}
        self._reserved = sockets.reserve(_HOST)
        #: Where it listens, on 127.0.0.1.
        self.port: int = self._reserved.getsockname()[1]
        self._changed = threading.Condition()
        self._version = 0  # guarded by _changed; grows when there may be something new to count
        self._gate = threading.Lock()
        self._stopping = False  # guarded by _gate; nothing is given to the loop any more
        self._last = Statistics()  # the last ones, once the thread has ended
        self._loop = asyncio.new_event_loop()
        self._exchange = Exchange(
            self._loop, address=(_HOST, self.port), target=self._target, family=family, on_change=self._on_change
        )
        self._loop.set_exception_handler(self._on_loop_error)
        self._thread = threading.Thread(target=self._run, name=f"workqueue-proxy-{self.port}", daemon=True)
        self._thread.start()
        try:
            self.accept()
        except BaseException:
            self.stop()
            raise

    # -- life

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except RuntimeError as own:
            if error is None:
                raise
            error.add_note(str(own))  # what the test has found comes first

    def stop(self) -> None:
        """Reset all connections, free the port, end the thread. Again: nothing.

        Raises RuntimeError if anything failed inside the proxy, since then a test has seen faults that nobody ordered.
        """
        again = self._stopping
        with contextlib.suppress(_StoppedError):
            self._on_loop(self._end, last=True)
        self._thread.join()
        if self._exchange.errors and not again:
            first = self._exchange.errors[0]
            raise RuntimeError(f"the proxy has failed: {first!r}") from first

    # -- watching

    def statistics(self) -> Statistics:
        """What was counted until now."""
        try:
            return self._on_loop(self._exchange.statistics)
        except _StoppedError:
            self._thread.join()
            return self._last

    def wait_until(self, condition: Callable[[Statistics], bool], *, timeout: float = 30.0) -> Statistics:
        """Wait until the statistics fulfil a condition, and return them. Raises TimeoutError."""
        deadline = self._loop.time() + timeout
        while True:
            with self._changed:
                version = self._version
            now = self.statistics()
            if condition(now):
                return now
            with self._changed:
                while self._version == version:
                    if not self._thread.is_alive():
                        raise TimeoutError(f"not so before the proxy stopped; last seen: {now}")
                    if not self._changed.wait(deadline - self._loop.time()):
                        raise TimeoutError(f"not so within {timeout:g} s; last seen: {now}")

    def wait_for_connections(self, count: int, *, timeout: float = 30.0) -> Statistics:
        """Wait until so many connections were accepted since the start. Raises TimeoutError."""
        return self.wait_until(lambda now: now.accepted >= count, timeout=timeout)

    def kubeconfig(self, path: str | Path, *, into: str | Path) -> Path:
        """Write a copy of a kubeconfig in which the clusters at the target are at the proxy.

        Their certificate has to be good for 127.0.0.1. Raises ValueError when no cluster is at the target.

        :returns: `into`, as a path. It can only be read by its owner.
        """
        return kubeconfig.redirect(
            Path(path),
            into=Path(into),
            hosts=self._target_hosts,
            port=self._target[1],
            netloc=f"{_HOST}:{self.port}",
        )

    # -- connections

    def refuse(self) -> None:
        """Close the port: who connects is refused. Open connections go on."""
        self._on_loop(self._exchange.refuse)

    def accept(self) -> None:
        """Take a refusal back, on the same port."""
        self._on_loop(self._exchange.listen)

    def cut(self, *, how: How = "reset", direction: Direction = "both", connections: Connections = "open") -> None:
        """Close connections at once: "reset" by RST, "close" by FIN.

        :param direction: who is to notice: with "to_client" the target is left with a connection that nobody uses.
        :param connections: those to come are accepted, then cut, until :meth:`heal`.
        """
        _check(how=(how, How), direction=(direction, Direction), connections=(connections, Connections))
        self._on_loop(lambda: self._exchange.cut(how, side=_SIDES[direction], connections=connections))

    def half_close(self, *, direction: Direction, connections: Connections = "open") -> None:
        """Send a FIN in one direction though nobody has: who reads there reads to the end, and can go on writing.

        What was still to come there is dropped. For an open connection this cannot be taken back.
        """
        self._behave(direction, connections, half_closed=True)

    # -- all bytes

    def stall(self, *, direction: Direction = "both", connections: Connections = "all") -> None:
        """Let no byte pass, and no end. Connections stay open, and those to come are accepted and never served.

        What is sent meanwhile waits in the kernels' buffers and in the proxy, and passes after :meth:`resume`.
        """
        self._behave(direction, connections, stalled=True)

    def resume(self, *, direction: Direction = "both", connections: Connections = "all") -> None:
        """Take a stall back."""
        self._behave(direction, connections, stalled=False)

    def delay(self, seconds: float, *, direction: Direction = "both", connections: Connections = "all") -> None:
        """Pass on each chunk, and the end, so much after it came; 0 for at once.

        A flow still holds no more than its limit, so a long delay is a low rate too.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a delay is 0 or more seconds, not {seconds!r}")
        self._behave(direction, connections, delay=float(seconds))

    def throttle(self, rate: float | None, *, direction: Direction = "both", connections: Connections = "all") -> None:
        """Pass on so many bytes a second at most, in each connection and direction; None for all there are."""
        if rate is not None and not 0 < rate < float("inf"):
            raise ValueError(f"a rate is a number of bytes a second above 0, or None, not {rate!r}")
        self._behave(direction, connections, rate=rate)

    # -- chosen bytes

    def answer(
        self, data: bytes, *, end: End = "close", times: int | None = None, connections: Connections = "all"
    ) -> None:
        """Let a client get these bytes instead of the target's when it next sends something, which is dropped.

        The target's side is closed, or not even begun. What the client still sends is dropped too.

        :param end: what follows: FIN, RST, or nothing ever.
        :param times: how many connections get it at most; None for all, until :meth:`heal`.
        """
        _check(end=(end, End), connections=(connections, Connections))
        answer = Answer(data, end=end, times=_times(times))
        self._on_loop(lambda: self._exchange.answer(answer, connections=connections))

    def splice(
        self,
        data: bytes,
        *,
        after: int,
        replacing: int = 0,
        then: Then = "continue",
        direction: Way = "to_client",
        times: int | None = None,
        connections: Connections = "all",
    ) -> None:
        """Put bytes into the stream, once in each connection.

        :param after: how many bytes of the real stream come before: from now on in an open connection, from the start
            in one to come.
        :param replacing: how many bytes of the real stream are left out for it.
        :param then: what follows: the rest of the stream, a stall of both directions, or the end of both sides as in
            :meth:`cut`, once the bytes have arrived.
        :param times: in how many connections at most; None for all, until :meth:`heal`.
        """
        _check(then=(then, Then), direction=(direction, Way), connections=(connections, Connections))
        if after < 0 or replacing < 0:
            raise ValueError(f"bytes are counted from 0: after={after!r}, replacing={replacing!r}")
        splice = Splice(data, after=after, replacing=replacing, then=then, times=_times(times))
        self._on_loop(lambda: self._exchange.splice(splice, way=direction, connections=connections))

    def cut_after(
        self,
        count: int,
        *,
        how: How = "reset",
        direction: Way = "to_client",
        times: int | None = None,
        connections: Connections = "all",
    ) -> None:
        """Cut each connection once so many bytes have arrived: from now on in an open one, else from the start."""
        _check(how=(how, How))
        self.splice(b"", after=count, then=how, direction=direction, times=times, connections=connections)

    def heal(self) -> None:
        """Take all faults back. What was cut or half-closed stays so."""
        self._on_loop(self._exchange.heal)

    # -- threads

    def _behave(self, direction: Direction, connections: Connections, **changes: Any) -> None:
        _check(direction=(direction, Direction), connections=(connections, Connections))
        self._on_loop(lambda: self._exchange.behave(_WAYS[direction], connections, **changes))

    def _on_loop(self, call: Callable[[], _T], *, last: bool = False) -> _T:
        """Run something on the loop's thread, after what has connected was accepted, and wait for it.

        :param last: nothing else is run after it.
        """
        future: Future[_T] = Future()

        def run() -> None:
            before = self._exchange.statistics()
            try:
                self._exchange.take_in()
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            if before != self._exchange.statistics():
                self._on_change()

        with self._gate:
            if self._stopping:
                raise _StoppedError("the proxy is stopped")
            self._stopping = last
            self._loop.call_soon_threadsafe(run)
        return future.result(timeout=60.0)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
            self._reserved.close()
            self._last = self._exchange.statistics()
            self._on_change()

    def _end(self) -> None:
        try:
            self._exchange.close()
        finally:
            self._loop.stop()

    def _on_change(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._exchange.errors.append(context.get("exception") or RuntimeError(context["message"]))


class _StoppedError(RuntimeError):
    pass


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    if not 0 < port < 65536:
        raise ValueError(f"the target's port is a number from 1 to 65535, not {port!r}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"the target's host {host!r} has no address: {error}") from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def _check(**arguments: tuple[str, Any]) -> None:
    for name, (value, kind) in arguments.items():
        if value not in get_args(kind):
            raise ValueError(f"{name} is one of {', '.join(get_args(kind))}, not {value!r}")


def _times(times: int | None) -> Times:
    if times is not None and times < 1:
        raise ValueError(f"times is 1 or more, or None for always, not {times!r}")
    return Times(times)
