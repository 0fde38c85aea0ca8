"""The proxy of the tests on real sockets: what each end really sees of each fault, and that nothing else goes wrong.

Most tests hold both ends in their own thread: `line.connect()` is a client through the proxy and, of the target's side,
the socket of the same connection. So nothing is a matter of luck but silence: that nothing comes can only be seen for a
while, so it is looked at only after a sign that the proxy has been there.
"""

import os
import socket
import threading

import pytest

from tests.cluster.proxy import Proxy, Statistics
from tests.cluster.proxy.flow import LIMIT
from tests.proxy.line import (
    PATIENCE,
    SILENCE,
    Line,
    both_directions,
    end_of,
    ends,
    in_thread,
    pass_through,
    read,
    reset,
)


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
