"""The proxy of the tests on real sockets: what each end really sees of each fault, and that nothing else goes wrong.

Most tests hold both ends in their own thread: `line.connect()` is a client through the proxy and, of the target's side,
the socket of the same connection. So nothing is a matter of luck but silence: that nothing comes can only be seen for a
while, so it is looked at only after a sign that the proxy has been there.
"""

import os
import select
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.proxy import Proxy, Statistics
from tests.cluster.proxy.flow import LIMIT, Flow
from workqueue.testing.apiserver import ApiServer

PATIENCE = 30.0
#: Seconds that nothing must come for.
SILENCE = 0.2
PODS = "/api/v1/namespaces/default/pods"


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


@pytest.fixture
def line() -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(stack)


@pytest.fixture
def proxy(line: Line) -> Proxy:
    return line.proxy


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


# -- without a fault it is as if it were not there


def test_ten_megabytes_pass_unchanged_in_both_directions_at_once(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    up, down = os.urandom(10_000_000), os.urandom(10_000_000)
    received: list[bytes] = []
    with (
        in_thread(lambda: client.sendall(up)),
        in_thread(lambda: target.sendall(down)),
        in_thread(lambda: received.append(read(target, len(up)))),
    ):
        assert read(client, len(down)) == down
    assert received == [up]
    assert proxy.statistics() == Statistics(accepted=1, open=1, to_client=10_000_000, to_target=10_000_000)


@both_directions
def test_a_fin_is_passed_on_and_the_other_direction_stays_open(line: Line, proxy: Proxy, direction: str) -> None:
    sender, receiver = ends(line, direction)
    sender.sendall(b"last words")
    sender.shutdown(socket.SHUT_WR)
    assert read(receiver, 100) == b"last words"
    pass_through(receiver, sender)
    receiver.close()
    assert end_of(sender) == "fin"
    assert proxy.wait_until(lambda now: now.open == 0).cut == 0


@both_directions
def test_a_reset_is_passed_on_after_the_bytes_before_it(line: Line, proxy: Proxy, direction: str) -> None:
    line.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sender, receiver = ends(line, direction, receive_buffer=16384)
    data = os.urandom(100_000)
    sender.sendall(data)
    # A reset takes back what the sender's kernel still has, but not what the receiver's has no room for.
    proxy.wait_until(lambda now: now.to_client + now.to_target + now.held == len(data))
    reset(sender)
    with pytest.raises(TimeoutError):
        proxy.wait_until(lambda now: now.open == 0, timeout=SILENCE)
    assert read(receiver, len(data)) == data
    assert end_of(receiver) == "reset"
    assert proxy.wait_until(lambda now: now.open == 0).cut == 0


def test_an_answer_reaches_the_client_though_the_target_resets_what_it_has_not_read(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    client.sendall(b"x" * 1_000_000)
    target.recv(1, socket.MSG_PEEK)  # so that the close resets
    target.sendall(b"too large")
    target.close()
    assert read(client, 9) == b"too large"
    proxy.wait_until(lambda now: now.open == 0)


def test_a_client_that_does_not_read_stops_the_target_from_sending(line: Line, proxy: Proxy) -> None:
    size = 64_000_000  # more than the kernels' buffers between the two can take
    data = os.urandom(1_000_000) * (size // 1_000_000)
    client, target = line.connect(receive_buffer=65536)
    stuck_at: list[int] = []
    looked_at = threading.Event()

    def send() -> None:
        sent = 0
        target.settimeout(1.0)
        while sent < size:
            try:
                sent += target.send(memoryview(data)[sent : sent + 1_000_000])
            except TimeoutError:
                stuck_at.append(sent)
                looked_at.wait(PATIENCE)
                target.settimeout(PATIENCE)

    with in_thread(send) as sending:
        now = proxy.wait_until(lambda now: now.held >= LIMIT or now.to_client == size)
        assert now.held <= LIMIT
        while sending.is_alive() and not stuck_at:
            sending.join(0.05)
        assert stuck_at, "all was sent, and nothing read"
        assert stuck_at[0] < size
        proxy.wait_until(lambda now: now.held == LIMIT)
        looked_at.set()
        assert read(client, size) == data
    assert proxy.statistics().held == 0


def test_many_connections_at_once_and_the_ends_of_some_do_not_hurt_the_others(line: Line, proxy: Proxy) -> None:
    pairs = [line.connect() for _ in range(80)]
    for number, (client, target) in enumerate(pairs):
        if number % 4 == 0:
            client.sendall(b"lost")
            reset(client)
        elif number % 4 == 1:
            reset(target)
    words = [os.urandom(20_000) for _ in pairs]
    alive = [number for number in range(80) if number % 4 > 1]
    for number in alive:
        pairs[number][0].sendall(words[number])
    for number in reversed(alive):
        assert read(pairs[number][1], 20_000) == words[number]
        pairs[number][1].sendall(words[number])
    for number in alive:
        assert read(pairs[number][0], 20_000) == words[number]
    assert proxy.wait_until(lambda now: now.open == len(alive)).accepted == 80


def test_a_target_that_is_down_resets_clients_until_it_is_up(line: Line, proxy: Proxy) -> None:
    address = line.listener.getsockname()
    line.listener.close()
    assert line.fate() == "reset"
    assert proxy.wait_until(lambda now: now.open == 0).unreachable == 1
    line.listener = line._stack.enter_context(socket.create_server(address))
    line.listener.settimeout(PATIENCE)
    pass_through(*line.connect())


# -- life


def test_after_its_end_nothing_is_left(line: Line) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    with Proxy("127.0.0.1", line.listener.getsockname()[1]) as proxy:
        address = ("127.0.0.1", proxy.port)
        clients = [socket.create_connection(address, PATIENCE) for _ in range(3)]
        targets = [line.accept() for _ in clients]
        proxy.stall(connections="new")
        clients.append(socket.create_connection(address, PATIENCE))
        proxy.wait_for_connections(4)
    assert [end_of(each) for each in (*clients, *targets)] == ["reset"] * 7
    for each in (*clients, *targets):
        each.close()
    assert len(list(Path("/dev/fd").iterdir())) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, PATIENCE)
    socket.create_server(address).close()
    proxy.stop()
    assert proxy.statistics() == Statistics(accepted=4)
    with pytest.raises(RuntimeError, match="the proxy is stopped"):
        proxy.stall()


def test_a_bug_ends_one_connection_and_is_told_at_the_end(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(self: Flow) -> None:
        if self.held and bytes(self._chunks[0][1]) == b"poison":
            raise LookupError("a bug")
        original(self)

    original = Flow.go_on
    monkeypatch.setattr(Flow, "go_on", go_on)
    with pytest.raises(RuntimeError, match=r"^the proxy has failed: LookupError\('a bug'\)$"):  # noqa: SIM117
        with Proxy("127.0.0.1", line.listener.getsockname()[1]) as line.proxy:
            other, victim = line.connect(), line.connect()
            victim[0].sendall(b"poison")
            assert [end_of(each) for each in victim] == ["reset", "reset"]
            pass_through(*other)
    line.proxy.stop()  # told once


def test_what_a_test_has_found_is_told_before_what_the_proxy_has(line: Line) -> None:
    with pytest.raises(KeyError) as caught, Proxy("127.0.0.1", line.listener.getsockname()[1]) as proxy:
        proxy._exchange.errors.append(LookupError("a bug"))
        raise KeyError("found")
    assert caught.value.__notes__ == ["the proxy has failed: LookupError('a bug')"]


def test_waiting_ends_with_the_condition_with_the_time_and_with_the_proxy(line: Line, proxy: Proxy) -> None:
    seen: list[Statistics] = []
    with in_thread(lambda: seen.append(proxy.wait_for_connections(2))):
        line.connect()
        line.connect()
    assert seen[0].accepted == 2
    with pytest.raises(TimeoutError, match=r"^not so within 0\.01 s; last seen: Statistics\(accepted=2, open=2, "):
        proxy.wait_for_connections(3, timeout=0.01)
    errors: list[str] = []

    def wait_for_ever() -> None:
        try:
            proxy.wait_for_connections(3)
        except TimeoutError as error:
            errors.append(str(error))

    with in_thread(wait_for_ever):
        proxy.stop()
    assert errors[0].startswith("not so before the proxy stopped; last seen: Statistics(accepted=2, open=0, ")


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (lambda proxy: proxy.cut(how="gently"), "how is one of reset, close, not 'gently'"),
        (lambda proxy: proxy.cut_after(1, how="gently"), "how is one of reset, close, not 'gently'"),
        (lambda proxy: proxy.stall(direction="up"), "direction is one of to_client, to_target, both, not 'up'"),
        (
            lambda proxy: proxy.splice(b"", after=1, direction="both"),
            "direction is one of to_client, to_target, not 'both'",
        ),
        (lambda proxy: proxy.stall(connections="old"), "connections is one of open, new, all, not 'old'"),
        (lambda proxy: proxy.delay(-1), "a delay is 0 or more seconds, not -1"),
        (lambda proxy: proxy.delay(float("nan")), "a delay is 0 or more seconds, not nan"),
        (lambda proxy: proxy.throttle(0), "a rate is a number of bytes a second above 0, or None, not 0"),
        (lambda proxy: proxy.cut_after(-1), "bytes are counted from 0: after=-1, replacing=0"),
        (lambda proxy: proxy.answer(b"", times=0), "times is 1 or more, or None for always, not 0"),
        (lambda proxy: proxy.answer(b"", end="fin"), "end is one of close, reset, hold, not 'fin'"),
        (lambda _: Proxy("127.0.0.1", 70000), "the target's port is a number from 1 to 65535, not 70000"),
    ],
)
def test_a_wrong_order_is_refused_in_one_line(proxy: Proxy, order: Callable[[Proxy], None], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        order(proxy)
    assert str(caught.value) == text


# -- cut, refuse


@pytest.mark.parametrize(("how", "seen"), [("reset", "reset"), ("close", "fin")])
def test_a_cut_is_seen_by_both_ends_as_it_was_ordered(line: Line, proxy: Proxy, how: Any, seen: str) -> None:
    client, target = line.connect()
    pass_through(client, target)
    proxy.cut(how=how)
    assert (end_of(client), end_of(target)) == (seen, seen)
    assert proxy.statistics() == Statistics(accepted=1, cut=1, to_target=10)
    pass_through(*line.connect())


def test_a_close_is_a_fin_even_if_something_was_left_unread(line: Line, proxy: Proxy) -> None:
    client, target = line.connect(receive_buffer=4096)
    data = os.urandom(20_000)
    target.sendall(data)
    proxy.wait_until(lambda now: now.to_client == len(data))  # some of it still in the proxy's kernel
    proxy.stall()
    client.sendall(b"never read")
    proxy.cut(how="close")
    assert read(client, len(data)) == data
    assert (end_of(client), end_of(target)) == ("fin", "fin")


@both_directions
def test_a_cut_in_one_direction_leaves_the_other_end_alone(line: Line, proxy: Proxy, direction: Any) -> None:
    sender, receiver = ends(line, direction)
    proxy.cut(direction=direction)
    assert end_of(receiver) == "reset"
    sender.sendall(b"x" * 5_000_000)  # read and dropped, else this would hang
    assert is_silent(sender)
    proxy.wait_until(lambda now: now.dropped == 5_000_000)
    assert proxy.statistics().open == 1
    sender.close()
    proxy.wait_until(lambda now: now.open == 0)


def test_what_was_cut_on_one_side_can_be_cut_on_the_other_and_counts_once(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.cut(how="close", direction="to_client")
    assert end_of(client) == "fin"
    proxy.cut()
    assert end_of(target) == "reset"
    assert proxy.statistics() == Statistics(accepted=1, cut=1)


def test_a_cut_of_connections_to_come_leaves_those_that_are(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.cut(how="close", connections="new")
    assert [line.fate(), line.fate()] == ["fin", "fin"]
    assert not line.target_was_reached()
    pass_through(client, target)
    proxy.cut(how="reset", connections="all")
    assert end_of(client) == "reset"
    assert line.fate() == "reset"
    proxy.heal()
    pass_through(*line.connect())


def test_a_connection_that_the_proxy_has_not_seen_is_open_all_the_same(line: Line, proxy: Proxy) -> None:
    for _ in range(50):  # dial and cut come right after each other
        client = line.dial()
        proxy.cut()
        assert end_of(client) == "reset"


def test_a_refusing_port_refuses_and_accepts_again(line: Line, proxy: Proxy) -> None:
    proxy.refuse()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):  # nobody else gets the port meanwhile
        other.bind(("127.0.0.1", proxy.port))
    proxy.accept()
    client, target = line.connect()
    for _ in range(3):
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            line.dial()
        pass_through(client, target)
        proxy.accept()
        proxy.accept()
        pass_through(*line.connect())


# -- half-close, stall


@both_directions
def test_a_half_closed_connection_still_works_the_other_way(line: Line, proxy: Proxy, direction: Any) -> None:
    sender, receiver = ends(line, direction)
    pass_through(sender, receiver)
    proxy.half_close(direction=direction)
    assert end_of(receiver) == "fin"
    pass_through(receiver, sender)
    sender.sendall(b"x" * 5_000_000)
    pass_through(receiver, sender)
    sender.close()
    receiver.close()
    proxy.wait_until(lambda now: now.open == 0)


def test_connections_to_come_can_be_half_closed(line: Line, proxy: Proxy) -> None:
    proxy.half_close(direction="to_client", connections="new")
    client, target = line.connect()
    assert end_of(client) == "fin"
    pass_through(client, target)
    proxy.heal()
    client, target = line.connect()
    pass_through(target, client)


@both_directions
def test_a_stall_of_one_direction_lets_nothing_pass_not_even_an_end(line: Line, proxy: Proxy, direction: Any) -> None:
    sender, receiver = ends(line, direction)
    pass_through(sender, receiver)
    proxy.stall(direction=direction)
    sender.sendall(b"late")
    sender.shutdown(socket.SHUT_WR)
    pass_through(receiver, sender)
    assert is_silent(receiver)
    proxy.resume()
    assert read(receiver, 100) == b"late"


def test_a_stall_of_both_directions_keeps_the_connection_open(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.stall(connections="open")
    client.sendall(b"up")
    target.sendall(b"down")
    pass_through(*line.connect())  # and one to come is not stalled
    assert is_silent(client)
    assert is_silent(target)
    proxy.resume()
    assert (read(client, 4), read(target, 2)) == (b"down", b"up")


def test_a_reset_is_not_seen_through_a_stall(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.stall()
    reset(target)
    client.sendall(b"hello?")
    assert is_silent(client)
    proxy.resume()
    assert end_of(client) == "reset"


def test_a_reset_that_was_found_by_writing_is_not_seen_through_a_stall_either(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.stall(direction="to_client")
    reset(target)
    deadline = time.monotonic() + PATIENCE
    while not proxy.statistics().dropped:
        assert time.monotonic() < deadline
        client.sendall(b"hello?")
    assert is_silent(client)
    proxy.resume()
    assert end_of(client) == "reset"


def test_a_target_that_resets_at_once_has_been_reached_all_the_same(line: Line, proxy: Proxy) -> None:
    for _ in range(50):  # the proxy may see that it is connected before the reset, or after
        client = line.dial()
        reset(line.accept())
        assert end_of(client) == "reset"
    assert proxy.statistics().unreachable == 0


def test_a_stalled_client_is_stopped_from_sending_without_bound(line: Line, proxy: Proxy) -> None:
    client, _ = line.connect()
    proxy.stall()
    client.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * 64_000_000)
    assert proxy.statistics().held <= LIMIT


def test_connections_to_come_can_be_accepted_and_never_served(line: Line, proxy: Proxy) -> None:
    old = line.connect()
    proxy.stall(connections="new")
    client = line.dial()
    client.sendall(b"hello?")
    assert is_silent(client)
    assert proxy.wait_for_connections(2).open == 2
    assert not line.target_was_reached()
    pass_through(*old)
    proxy.resume(connections="open")
    assert read(line.accept(), 6) == b"hello?"
    assert is_silent(line.dial())
    proxy.heal()
    line.accept()


def test_a_stalled_connection_can_be_cut(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.stall()
    proxy.cut()
    assert (end_of(client), end_of(target)) == ("reset", "reset")


# -- slow


def test_each_chunk_is_delayed_and_the_order_kept(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.delay(0.2, direction="to_client")
    pass_through(client, target)
    began = time.monotonic()
    for number in range(20):
        target.sendall(b"%02d" % number)
    target.close()
    assert read(client, 100) == b"".join(b"%02d" % number for number in range(20))
    assert time.monotonic() - began >= 0.2


def test_what_is_delayed_is_held_up_to_the_limit_and_released_when_healed(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.delay(3600)
    data = os.urandom(1_000_000)
    with in_thread(lambda: target.sendall(data)):
        assert proxy.wait_until(lambda now: now.held == LIMIT).to_client == 0
        assert is_silent(client)
        proxy.heal()
        assert read(client, len(data)) == data


def test_an_end_is_delayed_too(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    pass_through(target, client)
    proxy.delay(3600, direction="to_client")
    target.close()
    assert is_silent(client)
    proxy.heal()
    assert end_of(client) == "fin"


@pytest.mark.parametrize(("rate", "size"), [(500_000, 200_000), (100, 40), (2_500.5, 1_000)])
def test_bytes_take_at_least_the_time_that_the_rate_needs(line: Line, proxy: Proxy, rate: float, size: int) -> None:
    proxy.throttle(rate)
    client, target = line.connect()
    data = os.urandom(size)
    began = time.monotonic()
    with in_thread(lambda: target.sendall(data)):
        for passed in range(size // 10, size + 1, size // 10):
            assert read(client, size // 10) == data[passed - size // 10 : passed]
            assert time.monotonic() - began >= passed / rate


def test_a_rate_of_one_direction_is_not_that_of_the_other_and_can_be_taken_back(line: Line, proxy: Proxy) -> None:
    proxy.throttle(1, direction="to_client")
    client, target = line.connect()
    began = time.monotonic()
    target.sendall(b"x" * 100_000)
    with in_thread(lambda: client.sendall(b"y" * 1_000_000)):
        assert len(read(target, 1_000_000)) == 1_000_000
    passed = proxy.statistics().to_client
    assert passed <= time.monotonic() - began
    proxy.throttle(None)
    assert len(read(client, 100_000)) == 100_000


# -- chosen bytes


@pytest.mark.parametrize("end", ["close", "reset", "hold"])
@pytest.mark.parametrize("data", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"z" * 3_000_000])
def test_a_client_is_answered_instead_of_by_the_target(line: Line, proxy: Proxy, data: bytes, end: Any) -> None:
    proxy.answer(data, end=end, times=1)
    client = line.dial()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert read(client, len(data)) == data
    if end == "hold":
        assert is_silent(client)
    else:
        assert end_of(client) == {"close": "fin", "reset": "reset"}[end]
    assert not line.target_was_reached()
    assert proxy.statistics().answered == 1
    client.close()
    proxy.wait_until(lambda now: now.open == 0)
    pass_through(*line.connect())


def test_a_client_that_was_answered_and_closed_can_send_the_rest_of_its_request(line: Line, proxy: Proxy) -> None:
    proxy.answer(b"no")
    client = line.dial()
    client.sendall(b"x")
    assert read(client, 100) == b"no"
    client.sendall(b"y" * 5_000_000)
    client.shutdown(socket.SHUT_WR)
    proxy.wait_until(lambda now: now.open == 0 and now.dropped == 5_000_001)


def test_an_open_connection_is_answered_when_its_client_asks_again(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    pass_through(client, target)
    pass_through(target, client)
    proxy.answer(b"no", connections="open")
    pass_through(target, client)  # it has not yet asked
    client.sendall(b"again")
    assert read(client, 100) == b"no"
    assert end_of(target) == "fin"
    pass_through(*line.connect())


def test_an_answer_replaces_whatever_was_about_to_happen(line: Line, proxy: Proxy) -> None:
    client, target = line.connect(receive_buffer=65536)
    proxy.splice(b"x" * 20_000_000, after=0, replacing=1000, then="reset")  # more than the client's kernel takes
    proxy.answer(b"no")
    client.sendall(b"?")
    proxy.wait_until(lambda now: now.answered == 1)
    got = read(client, 20_000_000)
    assert got == b"x" * (len(got) - 2) + b"no"
    assert end_of(client) == "fin"
    assert end_of(target) == "fin"


def test_clients_that_are_not_answered_any_more_reach_the_target(line: Line, proxy: Proxy) -> None:
    proxy.answer(b"no", times=2, connections="new")
    clients = [line.dial() for _ in range(3)]
    for each in clients[:2]:
        assert not line.target_was_reached()
        each.sendall(b"?")
        assert read(each, 100) == b"no"
    pass_through(clients[2], line.accept())


def test_an_answer_does_not_need_a_target_and_can_be_taken_back(line: Line, proxy: Proxy) -> None:
    line.listener.close()
    proxy.answer(b"no")
    client = line.dial()
    client.sendall(b"?")
    assert read(client, 100) == b"no"
    assert proxy.statistics().unreachable == 0
    proxy.heal()
    assert line.fate() == "reset"


@both_directions
def test_bytes_are_put_in_and_left_out_at_their_place_however_the_stream_is_cut_up(
    line: Line, proxy: Proxy, direction: Any
) -> None:
    proxy.splice(b"<", after=0, direction=direction)
    proxy.splice(b"LMN", after=11, replacing=3, direction=direction)
    proxy.splice(b"", after=20, replacing=2, direction=direction)
    proxy.splice(b">", after=26, direction=direction)
    letters = b"abcdefghijklmnopqrstuvwxyz"
    for size in (1, 4, 26):
        sender, receiver = ends(line, direction)
        for begin in range(0, 26, size):
            sender.sendall(letters[begin : begin + size])
        assert read(receiver, 26) == b"<abcdefghijkLMNopqrstwxyz>"
        pass_through(sender, receiver)
        pass_through(receiver, sender)


def test_much_can_be_put_in(line: Line, proxy: Proxy) -> None:
    data = os.urandom(5_000_000)
    proxy.splice(data, after=1)
    client, target = line.connect(receive_buffer=65536)
    target.sendall(b"<>")
    assert read(client, len(data) + 2) == b"<" + data + b">"


def test_a_splice_counts_from_now_in_an_open_connection(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    pass_through(target, client, b"12345")
    proxy.splice(b"!", after=2, times=1)
    target.sendall(b"6789")
    assert read(client, 5) == b"67!89"
    client, target = line.connect()
    pass_through(target, client, b"12345")


@both_directions
@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("count", [1, 200_000, 3_000_000])
def test_a_connection_is_cut_after_exactly_so_many_bytes(line: Line, direction: Any, how: Any, count: int) -> None:
    line.proxy.cut_after(count, how=how, direction=direction)
    line.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sender, receiver = ends(line, direction, receive_buffer=65536)
    data = os.urandom(count)

    def send() -> None:
        with suppress(ConnectionResetError, BrokenPipeError):  # as it is meant to be
            sender.sendall(data + b"x" * 1_000_000)

    with in_thread(send):
        # Until here nobody reads: what the receiver's kernel has no room for must not get lost by the reset.
        line.proxy.wait_until(lambda now: now.held == LIMIT or now.cut == 1)
        assert read(receiver, count) == data
        assert end_of(receiver) == {"reset": "reset", "close": "fin"}[how]
    assert line.proxy.statistics().cut == 1
    assert line.proxy.statistics().open == 0


@both_directions
def test_a_connection_that_is_cut_after_no_byte_is_cut_at_once(line: Line, proxy: Proxy, direction: Any) -> None:
    proxy.cut_after(0, how="close", direction=direction, times=1)
    assert line.fate() == "fin"
    client, target = line.connect() if direction == "to_client" else (line.dial(), line.accept())
    if direction == "to_target":
        target.close()  # it was reached, as the first
        target = line.accept()
    pass_through(client, target)
    proxy.cut_after(0, how="reset", direction=direction, connections="open")
    assert (end_of(client), end_of(target)) == ("reset", "reset")
    assert proxy.statistics().cut == 2


def test_a_stream_can_stall_in_its_middle(line: Line, proxy: Proxy) -> None:
    proxy.splice(b"", after=4, then="stall")
    client, target = line.connect()
    target.sendall(b"half of it")
    assert read(client, 4) == b"half"
    client.sendall(b"hello?")
    assert is_silent(client)
    assert is_silent(target)
    proxy.resume()
    assert read(client, 6) == b" of it"
    assert read(target, 6) == b"hello?"


def test_what_was_ordered_for_bytes_to_come_is_taken_back(line: Line, proxy: Proxy) -> None:
    client, target = line.connect()
    proxy.cut_after(3)
    proxy.answer(b"no")
    proxy.heal()
    pass_through(client, target)
    pass_through(target, client)
    pass_through(*line.connect())


# -- between a client of Kubernetes and its server


class Cluster:
    """An API server, the proxy before it, and a client that knows of the proxy only."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.server = stack.enter_context(ApiServer())
        for number in range(20):
            self.server.create("pods", {"metadata": {"name": f"pod-{number:02d}", "namespace": "default"}})
        port = int(self.server.url.rpartition(":")[2])
        self.proxy = stack.enter_context(Proxy("127.0.0.1", port))
        path = self.proxy.kubeconfig(
            self.server.write_kubeconfig(folder / "kubeconfig"), into=folder / "through the proxy"
        )
        self.url = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"]
        self.session = stack.enter_context(requests.Session())
        self.session.trust_env = False

    def list(self, *, timeout: float = PATIENCE) -> list[str]:
        answer = self.session.get(f"{self.url}{PODS}", timeout=timeout)
        answer.raise_for_status()
        return [each["metadata"]["name"] for each in answer.json()["items"]]

    @contextmanager
    def watch(self) -> Iterator[Iterator[bytes]]:
        query = {"watch": "true", "resourceVersion": "0"}
        with self.session.get(f"{self.url}{PODS}", params=query, stream=True, timeout=PATIENCE) as answer:
            yield answer.iter_lines(chunk_size=None)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


ALL = [f"pod-{number:02d}" for number in range(20)]


def test_pods_are_listed_and_watched_through_the_proxy(cluster: Cluster) -> None:
    assert cluster.list() == ALL
    with cluster.watch() as lines:
        for _ in ALL:
            assert b'"ADDED"' in next(lines)
        cluster.server.delete("pods", "pod-07", namespace="default")
        assert b"pod-07" in next(lines)
    assert cluster.proxy.statistics().to_client > 20 * 100


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (lambda proxy: proxy.cut(connections="all"), requests.ConnectionError),
        (lambda proxy: proxy.cut(how="close", connections="all"), requests.ConnectionError),
        (lambda proxy: (proxy.cut(), proxy.refuse()), requests.ConnectionError),
        (lambda proxy: proxy.stall(), requests.ReadTimeout),
        (lambda proxy: proxy.stall(direction="to_client"), requests.ReadTimeout),
        (lambda proxy: proxy.answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), requests.HTTPError),
        (lambda proxy: proxy.answer(b"\x15\x03\x01\x00\x02\x02\x46"), requests.ConnectionError),
        (lambda proxy: proxy.answer(b""), requests.ConnectionError),
        (lambda proxy: proxy.answer(b"", end="hold"), requests.ReadTimeout),
        (lambda proxy: proxy.cut_after(1000), requests.exceptions.ChunkedEncodingError),
        (lambda proxy: proxy.cut_after(1000, how="close"), requests.exceptions.ChunkedEncodingError),
        (lambda proxy: proxy.splice(b"\0", after=1000, replacing=1), requests.exceptions.JSONDecodeError),
    ],
)
def test_a_list_fails_as_the_network_did_and_succeeds_once_it_is_healed(
    cluster: Cluster, order: Callable[[Proxy], Any], error: type[Exception]
) -> None:
    assert cluster.list() == ALL
    order(cluster.proxy)
    with pytest.raises(error) as caught:
        cluster.list(timeout=SILENCE if error is requests.ReadTimeout else PATIENCE)
    assert caught.type is error
    cluster.proxy.heal()
    assert cluster.list() == ALL


@pytest.mark.parametrize(
    "order",
    [
        lambda proxy: proxy.cut(),
        lambda proxy: proxy.cut(how="close"),
        lambda proxy: proxy.half_close(direction="to_client"),
        lambda proxy: proxy.splice(b"not a chunk's length\r\n", after=0),
    ],
)
def test_a_watch_breaks_where_it_is(cluster: Cluster, order: Callable[[Proxy], Any]) -> None:
    with cluster.watch() as lines:
        for _ in ALL:
            next(lines)
        order(cluster.proxy)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(lines)


def test_a_stalled_watch_says_nothing_and_goes_on_later(cluster: Cluster) -> None:
    with cluster.watch() as lines:
        for _ in ALL:
            next(lines)
        cluster.proxy.stall()
        before = cluster.proxy.statistics()
        cluster.server.delete("pods", "pod-07", namespace="default")
        with pytest.raises(TimeoutError):
            cluster.proxy.wait_until(lambda now: now != before, timeout=SILENCE)
        cluster.proxy.resume()
        assert b"pod-07" in next(lines)


# -- kubeconfigs


def kubeconfig(folder: Path, *servers: str, **fields: Any) -> Path:
    clusters = [{"name": each, "cluster": {"server": each, **fields}} for each in servers]
    users = [{"name": "me", "user": {"client-key": "keys/me.key", "tokenFile": "/run/token", "token": "secret"}}]
    folder.mkdir()
    path = folder / "config"
    path.write_text(yaml.safe_dump({"kind": "Config", "clusters": clusters, "users": users, "current-context": "c"}))
    return path


def test_a_kubeconfig_leads_to_the_proxy_from_wherever_it_lies(proxy: Proxy, tmp_path: Path) -> None:
    port = proxy._target[1]
    servers = (f"https://127.0.0.1:{port}", f"https://127.0.0.1:{port}/prefix", "https://elsewhere.example:6443")
    path = kubeconfig(tmp_path / "cluster", *servers, **{"certificate-authority": "ca.crt"})
    into = tmp_path / "copy"
    into.touch(mode=0o666)
    assert proxy.kubeconfig(path, into=str(into)) == into
    assert stat.S_IMODE(into.stat().st_mode) == 0o600
    copy, original = yaml.safe_load(into.read_text()), yaml.safe_load(path.read_text())
    assert [each["cluster"]["server"] for each in copy["clusters"]] == [
        f"https://127.0.0.1:{proxy.port}",
        f"https://127.0.0.1:{proxy.port}/prefix",
        "https://elsewhere.example:6443",
    ]
    assert {each["cluster"]["certificate-authority"] for each in copy["clusters"]} == {
        str(tmp_path / "cluster" / "ca.crt")
    }
    assert copy["users"][0]["user"] == {
        "client-key": str(tmp_path / "cluster" / "keys" / "me.key"),
        "tokenFile": "/run/token",
        "token": "secret",
    }
    assert {**copy, "clusters": 0, "users": 0} == {**original, "clusters": 0, "users": 0}


def test_a_kubeconfig_that_leads_elsewhere_or_nowhere_is_an_error(proxy: Proxy, tmp_path: Path) -> None:
    def error(path: Path) -> str:
        with pytest.raises(ValueError) as caught:
            proxy.kubeconfig(path, into=tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
        return str(caught.value)

    elsewhere = kubeconfig(tmp_path / "elsewhere", "https://127.0.0.1", "http://elsewhere.example")
    assert error(elsewhere) == (
        f"{elsewhere}: no cluster is at 127.0.0.1, port {proxy._target[1]}; "
        "found: https://127.0.0.1, http://elsewhere.example"
    )
    assert error(kubeconfig(tmp_path / "empty")).endswith("; found: nowhere")
    assert error(tmp_path / "missing").startswith(f"{tmp_path}/missing: no kubeconfig can be read there: ")
    text = tmp_path / "text"
    text.write_text("a: b: c")
    assert error(text).startswith(f"{text}: no kubeconfig can be read there: mapping values are not allowed here")
    text.write_text("hello")
    assert error(text) == f"{text}: not a kubeconfig, but a str"
