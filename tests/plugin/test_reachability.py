"""Every cause why there is no API server to talk to, made to happen, and the one line that it is told in."""

import base64
import contextlib
import datetime as dt
import errno
import json
import os
import re
import socket
import ssl
import struct
import threading

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugin.conftest import PATIENCE
from workqueue.base.errors import ConfigurationError
from workqueue.plugin.reachability import NotReachable, explain, not_reachable

SOURCE = "kubeconfig /home/me/.kube/config"
NOBODY = f"is it running, and is the server of {SOURCE} the right one?"
#: Where nobody listens: the port is reserved, and no system gives it to anybody.
REFUSED = "http://127.0.0.1:1"
#: Resolved by nobody: these tests never get as far as that.
ELSEWHERE = "api.test:6443"

#: Made for these tests, known to nobody else and good for nothing.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjLQhLTxrDAhbPdCo
s3Wsh4pF00fNi6UDakraHhtWlYOhRANCAAQAml8Cdt0qDp419fmcWYFwge5FuFkR
gtZd1vfvAD4OUcqwCMhnwWGWIx6Q7rvcdY5yfrHRF2G0J7EhhOBQSpNY
-----END PRIVATE KEY-----
"""
#: Signed by itself, for api.test, until 2120.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBWzCCAQGgAwIBAgIBAjAKBggqhkjOPQQDAjATMREwDwYDVQQDDAhhcGkudGVz
dDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowEzERMA8GA1UEAwwI
YXBpLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQAml8Cdt0qDp419fmc
WYFwge5FuFkRgtZd1vfvAD4OUcqwCMhnwWGWIx6Q7rvcdY5yfrHRF2G0J7EhhOBQ
SpNYo0QwQjATBgNVHREEDDAKgghhcGkudGVzdDAMBgNVHRMEBTADAQH/MB0GA1Ud
DgQWBBSq5ZFwiKIpQW9aFIpZbSI18X81QzAKBggqhkjOPQQDAgNIADBFAiEA8eco
7siFm28Aka7mGgv29YLUdvdJ66r4gxHpALrzHJICIHEy7mNfCtto6G9U9jAzAAGP
XP8mcz2g2IJZ07yObMka
-----END CERTIFICATE-----
"""
#: Signed by itself, for 127.0.0.1, until 2 January 2024.
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBVzCB/aADAgECAgEBMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCTEyNy4wLjAu
MTAeFw0yNDAxMDEwMDAwMDBaFw0yNDAxMDIwMDAwMDBaMBQxEjAQBgNVBAMMCTEy
Ny4wLjAuMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABACaXwJ23SoOnjX1+ZxZ
gXCB7kW4WRGC1l3W9+8APg5RyrAIyGfBYZYjHpDuu9x1jnJ+sdEXYbQnsSGE4FBK
k1ijQDA+MA8GA1UdEQQIMAaHBH8AAAEwDAYDVR0TBAUwAwEB/zAdBgNVHQ4EFgQU
quWRcIiiKUFvWhSKWW0iNfF/NUMwCgYIKoZIzj0EAwIDSQAwRgIhANQ1rMEyFvVK
ZOTvvjFUd8ORF77MjzJqok5Azo/pjZr/AiEAla8Xm6bzunAmJ7f+xJ903wQ+bffE
0V4qdkOTP1V6lbY=
-----END CERTIFICATE-----
"""


@contextlib.contextmanager
def listener(handle):
    """The port of a listener on loopback; ``handle(connection, stopped)`` has each connection, which is then closed."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    with server.accept()[0] as connection, contextlib.suppress(OSError):
                        connection.settimeout(PATIENCE)
                        handle(connection, stopped)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def answers(*parts):
    """Reads the question, sends this and hangs up."""

    def handle(connection, stopped):
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)

    return handle


def status(line, body=b""):
    return answers(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (line, len(body), body))


def says_nothing(connection, stopped):
    stopped.wait(PATIENCE)


def stops_midway(connection, stopped):
    answers(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"gitVersion')(connection, stopped)
    stopped.wait(PATIENCE)


def resets(connection, stopped):
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def speaks_tls(certificate, tmp_path):
    """Offers a certificate."""
    chain = tmp_path / "server.pem"
    chain.write_text(KEY + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    def handle(connection, stopped):
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(65536)

    return handle


def ask(url, *, token=None, **options):
    """What the error of one request is explained by; the request is made as the preflight makes its own."""
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.RequestException) as caught:
            answer = session.get(f"{url}/version", **{"timeout": PATIENCE, **options})
            answer.raise_for_status()
            answer.json()
    return explained(caught.value, server=url, token=token)


def explained(error, *, server="https://10.0.0.1", token=None):
    result = explain(error, server=server, source=SOURCE, token=token)
    assert len(str(result).splitlines()) == 1, "one line"
    return result


def is_away(result, url, why):
    """Nobody answers: waiting may help."""
    assert type(result) is NotReachable
    assert str(result) == f"no API server answers at {url} ({why}): {NOBODY}"


def is_something_else(result, url, what):
    """Something answers, and waiting would not make it an API server."""
    assert type(result) is ConfigurationError
    assert str(result) == (
        f"what answers at {url} is no Kubernetes API server ({what}): correct the server of {SOURCE}"
    )


# Nobody answers.


def test_a_connection_that_is_refused():
    is_away(ask(REFUSED), REFUSED, "connection refused")
    tls = REFUSED.replace("http:", "https:")
    is_away(ask(tls), tls, "connection refused")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("handle", "options", "why"),
    [
        (resets, {}, "the connection was reset"),
        (says_nothing, {"timeout": 0.05}, "no answer in time"),
    ],
    ids=["reset", "silent"],
)
def test_a_connection_that_comes_to_nothing(scheme, handle, options, why):
    with listener(handle) as port:
        url = f"{scheme}://127.0.0.1:{port}"
        is_away(ask(url, **options), url, why)


@pytest.mark.parametrize(
    ("handle", "options", "why"),
    [
        (answers(), {}, "the connection was closed without an answer"),
        (stops_midway, {"timeout": 0.05}, "no answer in time"),
    ],
    ids=["closed", "silent in the middle of an answer"],
)
def test_an_answer_that_does_not_come_or_does_not_end(handle, options, why):
    with listener(handle) as port:
        url = f"http://127.0.0.1:{port}"
        is_away(ask(url, **options), url, why)


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"gitVersion',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
    ids=["too short", "broken off in a chunk"],
)
def test_an_answer_that_breaks_off_is_worth_another_try(answer):
    with listener(answers(answer)) as port:
        assert type(ask(f"http://127.0.0.1:{port}")) is NotReachable


@pytest.fixture
def connecting(monkeypatch):
    """``connecting(error)``: from now on that is what the system says to each connection."""

    def run(error):
        def refuse(*args, **kwargs):
            raise error

        monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)

    return run


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "its name cannot be resolved"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "its name cannot be resolved"),
        (TimeoutError("timed out"), "no answer in time"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "no answer in time"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to the host"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no route to the network"),
        (OSError(errno.EPIPE, "Broken pipe"), "the connection was closed"),
        (OSError(errno.EMFILE, "x"), os.strerror(errno.EMFILE).lower()),
    ],
    ids=lambda each: errno.errorcode.get(each.errno, repr(each)) if isinstance(each, OSError) else "",
)
def test_a_connection_that_the_system_does_not_make(connecting, scheme, error, why):
    connecting(error)
    url = f"{scheme}://{ELSEWHERE}"
    is_away(ask(url), url, why)


def test_without_any_reason_the_error_is_named_by_its_kind():
    is_away(explained(requests.RequestException("a\nb")), "https://10.0.0.1", "RequestException")


def test_errors_that_lead_to_each_other_are_followed_once():
    first, second = requests.RequestException(), OSError(errno.ECONNREFUSED, "x")
    first.__context__, second.__context__ = second, first
    is_away(explained(first), "https://10.0.0.1", "connection refused")


def test_a_look_that_took_too_long_is_told_in_the_same_words():
    is_away(
        not_reachable("https://10.0.0.1", "no answer within 10 s", SOURCE), "https://10.0.0.1", "no answer within 10 s"
    )


# A proxy.


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_the_connection(scheme):
    url = f"{scheme}://{ELSEWHERE}"
    is_away(ask(url, proxies={scheme: REFUSED}), url, "the proxy on the way does not answer")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_whose_name_cannot_be_resolved(connecting, scheme):
    connecting(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    url = f"{scheme}://{ELSEWHERE}"
    is_away(ask(url, proxies={scheme: "http://proxy.test:3128"}), url, "the proxy on the way does not answer")


def test_a_proxy_that_hangs_up():
    with listener(answers()) as port:
        url = f"http://{ELSEWHERE}"
        proxied = ask(url, proxies={"http": f"http://127.0.0.1:{port}"})
    is_away(proxied, url, "the proxy on the way does not answer")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_says_nothing(scheme):
    url = f"{scheme}://{ELSEWHERE}"
    with listener(says_nothing) as port:
        proxied = ask(url, proxies={scheme: f"http://127.0.0.1:{port}"}, timeout=0.05)
    is_away(proxied, url, "no answer in time")


def test_a_proxy_that_finds_no_api_server_is_as_an_api_server_that_is_not_ready():
    with listener(status(b"502 Bad Gateway")) as port:
        result = ask(f"http://{ELSEWHERE}", proxies={"http": f"http://127.0.0.1:{port}"})
    assert type(result) is NotReachable
    assert "is not ready (502 Bad Gateway)" in str(result)


# Something else answers.


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "'SSH-2.0-OpenSSH_9.2p1'"),
        (b"220 " + b"x" * 1000 + b"\r\n", repr("220 " + "x" * 36)),
        (b"\x00\x01\rmore\x85\r\n", r"'\x00\x01\rmore'"),
        (b"\r\n\r\n", "''"),
    ],
    ids=["ssh", "long", "bytes", "empty lines"],
)
def test_an_answer_that_is_no_http_is_shown_in_part(answer, shown):
    with listener(answers(answer)) as port:
        url = f"http://127.0.0.1:{port}"
        is_something_else(ask(url), url, f"it answers {shown}")


@pytest.mark.parametrize("body", [b"", b"<html>\n</html>", b'{"gitVersion":', b"\xff\xfe\x00"])
def test_an_answer_that_is_no_json(body):
    with listener(status(b"200 OK", body)) as port:
        url = f"http://127.0.0.1:{port}"
        is_something_else(ask(url), url, "it answers with something else than JSON")


@pytest.mark.parametrize("line", [b"404 Not Found", b"400 Bad Request", b"418", b"405 Nicht erlaubt"])
def test_a_status_that_no_api_server_gives(line):
    with listener(status(line)) as port:
        url = f"http://127.0.0.1:{port}"
        is_something_else(ask(url), url, f"it answers {line.decode()}")


def test_a_server_that_leads_in_circles():
    loop = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with listener(answers(loop)) as port:
        url = f"http://127.0.0.1:{port}"
        is_something_else(ask(url), url, "it answers 302 Found")


def test_https_to_a_server_without_tls():
    with listener(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        url = f"https://127.0.0.1:{port}"
        is_something_else(ask(url), url, "it does not speak TLS as expected")


@pytest.mark.parametrize(
    "url",
    [
        "my-cluster",
        "",
        "ftp://10.0.0.1",
        "unix:///run/api.sock",
        "http://",
        "http://[::1",
        "https://my cluster",
        "https://10.0.0.1:99999",
        "https://10.0.0.1:port",
        "http://*.test",
    ],
)
def test_a_server_that_is_no_url(url):
    result = ask(url)
    assert type(result) is ConfigurationError
    assert str(result) == f"{url!r} is no URL of an API server: correct the server of {SOURCE}"


# Certificates.


@pytest.mark.parametrize(
    ("certificate", "trusted", "why"),
    [
        (CERTIFICATE, False, "self.signed certificate"),
        (CERTIFICATE, True, r"IP address mismatch, certificate is not valid for '127\.0\.0\.1'"),
        (EXPIRED, True, "certificate has expired"),
    ],
    ids=["unknown", "of another host", "expired"],
)
def test_a_certificate_that_is_not_trusted(tmp_path, certificate, trusted, why):
    authorities = tmp_path / "ca.pem"
    authorities.write_text(certificate)
    with listener(speaks_tls(certificate, tmp_path)) as port:
        url = f"https://127.0.0.1:{port}"
        result = ask(url, verify=str(authorities) if trusted else True)
    assert type(result) is ConfigurationError
    assert re.fullmatch(
        rf"the certificate of the API server at {re.escape(url)} is not trusted \({why}\): "
        rf"correct the certificate authority or the server of {re.escape(SOURCE)}",
        str(result),
    )


# The API server itself answers.


@pytest.mark.parametrize(
    "line",
    [
        b"429 Too Many Requests",
        b"500 Internal Server Error",
        b"502 Bad Gateway",
        b"503 Service Unavailable",
        b"504 Gateway Timeout",
        b"599",
    ],
)
def test_an_api_server_that_is_not_ready_is_worth_waiting_for(line):
    with listener(status(line, b'{"kind": "Status", "message": "etcd\\nis away"}')) as port:
        url = f"http://127.0.0.1:{port}"
        result = ask(url)
    assert type(result) is NotReachable
    assert str(result) == (
        f"the API server at {url} is not ready ({line.decode()}): look at its own log, or wait for it"
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (json.dumps({"kind": "Status", "message": 'User "system:anonymous" cannot\n\tget it\r\n'}).encode(),
         'User "system:anonymous" cannot get it'),
        (json.dumps({"kind": "Status", "message": "a\x85b\u2028c\x0bd"}).encode(), "a b c d"),
        (json.dumps({"kind": "Status", "message": ["x"]}).encode(), "['x']"),
        (b'{"kind": "Status"}', "403 Forbidden"),
        (b'{"kind": "Status", "message": null}', "403 Forbidden"),
        (b'{"kind": "Status", "message": " \\n "}', "403 Forbidden"),
        (b'["Status"]', "403 Forbidden"),
        (b"null", "403 Forbidden"),
        (b"<html>\nno\n</html>", "403 Forbidden"),
        (b"", "403 Forbidden"),
    ],
    ids=["a message of lines", "odd line ends", "a list", "no message", "null", "blank", "no object", "nothing",
         "no JSON", "empty"],
)  # fmt: skip
def test_what_is_forbidden_is_told_by_the_message_of_the_status_object(body, shown):
    with listener(status(b"403 Forbidden", body)) as port:
        url = f"http://127.0.0.1:{port}"
        result = ask(url)
    assert type(result) is ConfigurationError
    assert str(result) == (
        f"the API server at {url} forbids what every user may ({shown}): correct the credentials of {SOURCE}"
    )


@pytest.mark.parametrize("line", [b"404 No\rerror: all is well", b"503 a\x85b", b"401 a\x0bb", b"403 a\x0cb"])
def test_a_reason_with_line_ends_of_its_own_makes_no_second_line(line):
    with listener(status(line)) as port:
        ask(f"http://127.0.0.1:{port}")


# The credentials.


def jwt(payload):
    """A token with this payload: an object, or bytes as they are."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"e30.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}.c2ln"


def unauthorized(token):
    response = requests.Response()
    response.status_code, response.reason = 401, "Unauthorized"
    result = explained(requests.HTTPError(response=response), token=token)
    assert type(result) is ConfigurationError
    return str(result)


REFUSED_CREDENTIALS = (
    f"the API server at https://10.0.0.1 does not accept the credentials of {SOURCE} (401 Unauthorized): "
    "log in again, or renew them"
)


def test_credentials_that_are_refused():
    with listener(status(b"401 Unauthorized", b'{"kind": "Status", "message": "a\\nb"}')) as port:
        url = f"http://127.0.0.1:{port}"
        result = ask(url, token="secret")
    assert type(result) is ConfigurationError
    assert str(result) == REFUSED_CREDENTIALS.replace("https://10.0.0.1", url)


@pytest.mark.parametrize(
    ("exp", "shown"),
    [
        (1704067200, "2024-01-01 00:00:00 UTC"),
        (1704067200.9, "2024-01-01 00:00:00 UTC"),
        (0, "1970-01-01 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59 UTC"),
    ],
)
def test_a_token_that_expired_says_when(exp, shown):
    assert unauthorized(jwt({"exp": exp, "iat": 0})) == REFUSED_CREDENTIALS.replace(
        "401 Unauthorized", f"401 Unauthorized; the token expired at {shown}"
    )


def test_a_token_that_expired_just_now_says_so_and_one_that_will_in_an_hour_does_not():
    now = dt.datetime.now(dt.UTC).timestamp()
    assert "; the token expired at " in unauthorized(jwt({"exp": now - 1}))
    assert unauthorized(jwt({"exp": now + 3600})) == REFUSED_CREDENTIALS


@pytest.mark.parametrize("length", range(4))
def test_a_token_expires_whatever_its_padding(length):
    assert "; the token expired at 2024" in unauthorized(jwt({"sub": "x" * length, "exp": 1704067200}))


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "opaque",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.é.c2ln",
        "e30.%%%.c2ln",
        jwt(b""),
        jwt(b"{"),
        jwt(b"\xff\xfe"),
        jwt(b"\xef\xbb\xbf{}"),
        jwt(b"null"),
        jwt([]),
        jwt(["exp"]),
        jwt("exp"),
        jwt(1),
        jwt({}),
        jwt({"exp": None}),
        jwt({"exp": "1704067200"}),
        jwt({"exp": "2024-01-01"}),
        jwt({"exp": []}),
        jwt({"exp": {}}),
        jwt(b'{"exp": NaN}'),
        jwt(b'{"exp": Infinity}'),
        jwt(b'{"exp": -Infinity}'),
        jwt(b'{"exp": 1e400}'),
        jwt({"exp": 10**30}),
        jwt({"exp": -(10**30)}),
        jwt({"exp": 253402300800}),
        jwt({"exp": -62135596801}),
        jwt(b'{"exp": ' + b"9" * 5000 + b"}"),
        jwt(b'{"exp": 1704067200'),
        jwt(b"[" * 100_000),
    ],
    ids=lambda token: repr(token)[:40],
)
def test_a_token_that_does_not_say_when_it_expired_is_no_error(token):
    assert unauthorized(token) == REFUSED_CREDENTIALS


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["exp", "iat"]), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(st.text() | st.binary().map(jwt) | DOCUMENTS.map(jwt))
def test_no_token_at_all_makes_an_exception_or_a_second_line(token):
    assert unauthorized(token).startswith(REFUSED_CREDENTIALS.partition("401")[0])


def test_a_connection_that_is_closed_in_the_tls_handshake_may_be_worth_a_wait():
    """As by a load balancer whose server is not up yet."""
    with listener(answers()) as port:
        url = f"https://127.0.0.1:{port}"
        result = ask(url)
    assert type(result) is NotReachable
    assert "(the connection was closed in the middle of the TLS handshake)" in str(result)
