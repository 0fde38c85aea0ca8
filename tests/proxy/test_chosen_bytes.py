"""Answers of the test's choice, and streams that are cut or changed at a byte."""

import os
import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.cluster.proxy import Proxy
from tests.cluster.proxy.flow import LIMIT
from tests.proxy.line import Line, both_directions, end_of, ends, in_thread, is_silent, pass_through, read


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
