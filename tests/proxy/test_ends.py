"""Cut, refused, half-closed, stalled: what each end sees."""

import os
import socket
import time
from typing import Any

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
    is_silent,
    pass_through,
    read,
    reset,
)

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
