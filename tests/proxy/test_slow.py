"""Delays and rates."""

import os
import time

import pytest

from tests.cluster.proxy import Proxy
from tests.cluster.proxy.flow import LIMIT
from tests.proxy.line import Line, end_of, in_thread, is_silent, pass_through, read


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
