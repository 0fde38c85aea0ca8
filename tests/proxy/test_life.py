"""The proxy begins and ends cleanly, tells of bugs of its own, and refuses wrong orders in one line."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.proxy import Proxy, Statistics
from tests.cluster.proxy.flow import Flow
from tests.proxy.line import PATIENCE, Line, end_of, in_thread, pass_through


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
