"""The server: its address, its pages, its thread."""

import socket
import threading

import pytest

from tests.status.conftest import check, get
from workqueue.base.errors import ConfigurationError
from workqueue.status import StatusServer, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("0", None),
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:8080", ("0.0.0.0", 8080)),
        (":8080", ("", 8080)),
        (":0", ("", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("[::]:8080", ("::", 8080)),
    ],
)
def test_an_address_is_read(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8080", "localhost", "localhost:", ":", ":http", ":-1", ":65536", ":8.0", "x:80 "])
def test_an_address_that_is_none_is_refused_in_one_line(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert str(caught.value) == (f"bind address {text!r}: expected host:port, such as 127.0.0.1:8080, or 0 for none")


def test_a_page_is_served_with_its_content_type_made_anew_each_time(serve):
    texts = [b"one", "zwei ä".encode()]
    server = serve(pages={"/page": lambda: ("text/x-test; version=1; charset=utf-8", texts.pop(0))})
    answer = get(server, "/page")
    assert (answer.status, answer.content_type, answer.text) == (200, "text/x-test; version=1; charset=utf-8", "one")
    assert get(server, "/page?x=y").text == "zwei ä"


def test_each_page_is_its_own(serve):
    server = serve(pages={"/a": lambda: ("text/plain", b"A"), "/b": lambda: ("text/plain", b"B")})
    assert (get(server, "/a").text, get(server, "/b").text) == ("A", "B")


def test_a_page_that_raises_is_500_and_the_server_goes_on(serve, caplog):
    def broken():
        raise ValueError("no page")

    server = serve(live={"loop": check(None)}, pages={"/page": broken})
    assert get(server, "/page").status == 500
    assert "no page" in caplog.text
    assert get(server, "/livez").status == 200


def test_the_port_is_known_after_the_start(serve):
    server = serve()
    assert server.port > 0


def test_a_stop_closes_the_port_and_ends_the_thread(serve):
    server = serve()
    assert [each.name for each in threading.enumerate() if each.name.startswith("workqueue")] == ["workqueue-status"]
    server.stop()
    assert not [each.name for each in threading.enumerate() if each.name.startswith("workqueue")]
    with pytest.raises(ConnectionRefusedError):
        get(server, "/livez")
    server.stop()  # again: nothing


def test_a_stop_does_not_wait_for_connections_that_were_left_open(serve):
    server = serve()
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        server.stop()
        assert connection.recv(1024) == b""


def test_a_server_that_was_never_started_can_be_stopped():
    StatusServer("127.0.0.1", 0, live={}, ready={}, pages={}).stop()


def test_a_port_in_use_is_an_error_and_leaves_no_thread():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = StatusServer("127.0.0.1", taken.getsockname()[1], live={}, ready={}, pages={})
        with pytest.raises(OSError, match="address already in use"):
            server.start()
        assert not [each.name for each in threading.enumerate() if each.name.startswith("workqueue")]
    server.stop()


def test_an_address_that_is_not_ours_is_an_error_and_leaves_no_thread():
    server = StatusServer("192.0.2.1", 0, live={}, ready={}, pages={})
    with pytest.raises(OSError):
        server.start()
    assert not [each.name for each in threading.enumerate() if each.name.startswith("workqueue")]


def test_a_port_can_be_had_again_after_a_stop(serve):
    first = serve()
    first.stop()
    second = StatusServer(first.host, first.port, live={}, ready={}, pages={})
    second.start()
    try:
        assert second.port == first.port
        assert get(second, "/livez").text == "ok"
    finally:
        second.stop()


def test_many_may_ask_at_once(serve):
    server = serve(live={"loop": check(None)})
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(server, "/livez").text)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == ["ok"] * 20
