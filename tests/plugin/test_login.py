"""Clients are made from what Kopf logged in with."""

import base64
import contextlib
import dataclasses
import json
import logging
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kopf
import kubernetes.client
import kubernetes.config.kube_config
import pytest
import requests

from tests.plugin.conftest import PATIENCE
from workqueue.base.clock import RealClock
from workqueue.base.errors import ConfigurationError, NotLoggedIn
from workqueue.plugin.login import Login
from workqueue.testing import Harness

CA = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nY2VydA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\na2V5\n-----END PRIVATE KEY-----\n"

#: Kopf's word for using the environment came with 1.45.
since_1_45 = pytest.mark.skipif(
    "trust_env" not in {each.name for each in dataclasses.fields(kopf.ConnectionInfo)}, reason="an older Kopf"
)


@pytest.fixture
def recorder():
    """A server that answers everything and remembers the Authorization headers."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            body = b'{"major": "1", "minor": "36"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(PATIENCE)
    server.server_close()


@pytest.fixture
def asked(login, recorder):
    """``asked(token=…)`` is what both clients send as Authorization: (kubernetes, pykube)."""

    def run(**credentials):
        login.renew(kopf.ConnectionInfo(server=recorder.url, **credentials))
        recorder.seen.clear()
        answer = kubernetes.client.VersionApi(login.kubernetes()).get_code(_preload_content=False)
        answer.read()
        answer.release_conn()
        login.pykube().get(version="", base="/version", url="").raise_for_status()
        return tuple(recorder.seen)

    return run


# Before the login.


@pytest.mark.parametrize("client", ["kubernetes", "pykube"])
def test_before_the_login_there_is_no_client_and_the_error_says_why(login, client):
    assert not login.is_logged_in
    with pytest.raises(RuntimeError, match="Kopf has not logged in"):
        getattr(login, client)()


def test_the_next_run_of_the_operator_has_no_client_yet(login):
    login.close()
    login.begin(lambda: None, workers=lambda: 1, throttle=None, clock=RealClock())
    with pytest.raises(NotLoggedIn, match="no client yet"):
        login.kubernetes()
    login.drain()


@pytest.mark.parametrize("client", ["kubernetes", "pykube"])
@pytest.mark.parametrize("is_async", [False, True])
def test_in_a_reconcile_function_that_a_test_runs_that_is_said(login, client, is_async):
    def reconcile(request):
        getattr(login, client)()

    async def asynchronous(request):
        reconcile(request)

    with Harness(asynchronous if is_async else reconcile) as cluster:
        cluster.add("default/web")
        with pytest.raises(NotLoggedIn, match=r"no client here: no operator runs.*; in a test, let"):
            cluster.run_until_idle()


@pytest.mark.parametrize("client", ["kubernetes", "pykube"])
def test_after_a_close_there_is_none_either_until_the_next_login(login, client):
    login.renew(kopf.ConnectionInfo(server="http://one.test"))
    getattr(login, client)()
    login.close()
    assert not login.is_logged_in
    with pytest.raises(NotLoggedIn, match="no client any more: the operator has stopped"):
        getattr(login, client)()
    login.renew(kopf.ConnectionInfo(server="http://two.test"))
    assert server_of(login) == {"http://two.test"}


def test_whoever_waits_for_the_login_is_woken(login):
    def wait():
        with login.changed:
            return login.changed.wait_for(lambda: login.is_logged_in, PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        login.renew(kopf.ConnectionInfo(server="http://one.test"))
        assert waiting.result(PATIENCE)


# Credentials.


def server_of(login):
    return {login.kubernetes().configuration.host, login.pykube().url.rstrip("/")}


def test_both_clients_go_to_the_server_of_the_login(login):
    login.renew(kopf.ConnectionInfo(server="http://one.test:8443"))
    assert server_of(login) == {"http://one.test:8443"}


def test_a_token_is_sent(asked):
    assert asked(token="secret") == ("Bearer secret", "Bearer secret")


def test_a_token_with_its_scheme_is_sent(asked):
    assert asked(scheme="Bearer", token="secret") == ("Bearer secret", "Bearer secret")


def test_a_token_with_another_scheme_is_sent_with_that(asked):
    """So Kopf's login by the official client gives user and password."""
    assert asked(scheme="Basic", token="YTpi") == ("Basic YTpi", "Basic YTpi")


def test_user_and_password_are_sent(asked):
    basic = "Basic " + base64.b64encode(b"admin:pass word").decode()
    assert asked(username="admin", password="pass word") == (basic, basic)


def test_without_credentials_none_are_sent(asked):
    assert asked() == (None, None)


def paths(login):
    """Of CA, certificate and key, as each client has them."""
    official = login.kubernetes().configuration
    config = login.pykube().config
    ca, cert, key = (
        config.cluster.get("certificate-authority"),
        config.user.get("client-certificate"),
        config.user.get("client-key"),
    )
    return (
        [official.ssl_ca_cert, official.cert_file, official.key_file],
        [each and each.filename() for each in (ca, cert, key)],
    )


@pytest.mark.parametrize(
    "encode",
    [
        str,
        str.encode,
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.encodebytes(text.encode()).decode(),
    ],
    ids=["text", "bytes", "base64 bytes", "base64 text", "base64 in lines"],
)
def test_certificates_that_come_as_data_become_files_only_we_can_read_and_go_with_the_login(login, encode):
    login.renew(
        kopf.ConnectionInfo(
            server="https://one.test",
            ca_data=encode(CA),
            certificate_data=encode(CERTIFICATE),
            private_key_data=encode(KEY),
        )
    )
    official, pykube = paths(login)
    assert official == pykube
    files = [Path(each) for each in official]
    assert [file.read_text() for file in files] == [CA, CERTIFICATE, KEY]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(file.parent.stat().st_mode) for file in files} == {0o700}
    login.close()
    assert not any(file.exists() or file.parent.exists() for file in files)


def test_certificates_that_come_as_paths_stay_where_they_are(login, tmp_path):
    files = [tmp_path / name for name in ("ca", "cert", "key")]
    for file, text in zip(files, (CA, CERTIFICATE, KEY), strict=True):
        file.write_text(text)
    login.renew(
        kopf.ConnectionInfo(
            server="https://one.test",
            ca_path=files[0],
            certificate_path=str(files[1]),
            private_key_path=str(files[2]).encode(),
        )
    )
    expected = [str(file) for file in files]
    assert paths(login) == (expected, expected)
    login.close()
    assert all(file.exists() for file in files)


def test_new_certificates_do_not_take_the_old_ones_from_clients_that_still_use_them(login):
    login.renew(kopf.ConnectionInfo(server="https://one.test", ca_data=CA))
    before = paths(login)[0][0]
    login.renew(kopf.ConnectionInfo(server="https://one.test", ca_data=CERTIFICATE))
    after = paths(login)[0][0]
    assert (Path(before).read_text(), Path(after).read_text()) == (CA, CERTIFICATE)


def test_data_that_is_no_certificate_is_refused(login):
    login.renew(kopf.ConnectionInfo(server="https://one.test", ca_data="!!!"))
    with pytest.raises(ConfigurationError, match=r"the login's ca\.crt is neither PEM nor base64 of it"):
        login.kubernetes()


@pytest.mark.parametrize(("insecure", "verified"), [(None, True), (False, True), (True, False)])
def test_the_server_is_verified_unless_the_login_says_otherwise(login, insecure, verified):
    login.renew(kopf.ConnectionInfo(server="https://one.test", insecure=insecure))
    assert login.kubernetes().configuration.verify_ssl is verified
    assert login.pykube().config.cluster.get("insecure-skip-tls-verify", False) is not verified


def test_a_proxy_is_passed_on(login):
    login.renew(kopf.ConnectionInfo(server="https://one.test", proxy_url="http://proxy.test:3128"))
    assert login.kubernetes().configuration.proxy == "http://proxy.test:3128"
    assert login.pykube().session.proxies == dict.fromkeys(("http", "https"), "http://proxy.test:3128")


# Which client.


def test_there_is_one_official_client_for_all_threads_and_a_pykube_client_for_each(login):
    login.renew(kopf.ConnectionInfo(server="http://one.test"))
    barrier = threading.Barrier(3)

    def both():
        barrier.wait(PATIENCE)
        first = login.kubernetes(), login.pykube()
        return first, (login.kubernetes(), login.pykube())

    with ThreadPoolExecutor(3) as pool:
        found = [each.result(PATIENCE) for each in [pool.submit(both) for _ in range(3)]]
    assert all(first == again for first, again in found)
    assert len({id(official) for (official, _), _ in found}) == 1
    assert len({id(pykube) for (_, pykube), _ in found}) == 3


def test_a_new_login_is_that_of_the_same_clients_in_every_thread(login):
    login.renew(kopf.ConnectionInfo(server="http://one.test", token="old"))
    with ThreadPoolExecutor(1) as pool:
        before = login.kubernetes(), login.pykube(), pool.submit(login.pykube).result()
        login.renew(kopf.ConnectionInfo(server="http://one.test", token="new"))
        after = login.kubernetes(), login.pykube(), pool.submit(login.pykube).result()
    assert list(map(id, before)) == list(map(id, after))
    assert after[0].configuration.api_key["BearerToken"] == "Bearer new"
    assert [each.config.user["token"] for each in after[1:]] == ["new", "new"]


def test_importing_the_plugin_changes_no_global_configuration_of_the_official_client(login):
    before = kubernetes.client.Configuration().host
    login.renew(kopf.ConnectionInfo(server="http://one.test", token="x"))
    login.kubernetes()
    assert kubernetes.client.Configuration().host == before


# A client for a login that nobody else has heard of.


@pytest.fixture
def client_for(login):
    """``client_for(server=…)`` is a client; its session is closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(**info):
            client = login.client_for(kopf.ConnectionInfo(**info))
            stack.callback(client.session.close)
            return client

        yield make


def test_it_trusts_whom_the_threads_own_client_trusts(login, client_for):
    login.renew(kopf.ConnectionInfo(server="https://one.test"))
    tried = client_for(server="https://one.test")
    for _ in range(2):
        used = login.pykube()
        assert used.session.verify == tried.session.verify
        assert (used.session.trust_env, used.session.max_redirects, used.session.proxies) == (False, 0, {})
        login.renew(kopf.ConnectionInfo(server="https://one.test", token="new"))


def version_from(client):
    client.get(version="", base="/version", url="", timeout=PATIENCE).raise_for_status()


def test_a_login_that_is_only_tried_is_seen_by_nobody_else(login, client_for):
    tried = client_for(server="http://two.test", token="new")
    assert (tried.url, tried.config.user["token"]) == ("http://two.test", "new")
    assert not login.is_logged_in
    for client in (login.kubernetes, login.pykube):
        with pytest.raises(RuntimeError, match="Kopf has not logged in"):
            client()


def test_a_login_that_is_only_tried_changes_nothing_for_those_who_are_logged_in(login, client_for):
    login.renew(kopf.ConnectionInfo(server="http://one.test", token="old"))
    before = login.kubernetes(), login.pykube()
    tried = client_for(server="http://two.test", token="new")
    assert tried is not client_for(server="http://two.test", token="new"), "it is the caller's own"
    assert (login.kubernetes(), login.pykube()) == before
    assert server_of(login) == {"http://one.test"}
    assert before[1].config.user["token"] == "old"


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        ({}, None),
        ({"token": "secret"}, "Bearer secret"),
        ({"scheme": "Basic", "token": "YTpi"}, "Basic YTpi"),
        ({"username": "a", "password": "b"}, "Basic YTpi"),
    ],
    ids=str,
)
def test_it_sends_the_credentials_of_that_login(client_for, login, recorder, credentials, sent):
    login.renew(kopf.ConnectionInfo(server=recorder.url, token="another"))
    version_from(client_for(server=recorder.url, **credentials))
    assert recorder.seen == [sent]


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Proxies that refuse every connection, and a .netrc with credentials for this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for each in (name, name.upper()):
            monkeypatch.setenv(each, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    return monkeypatch


@pytest.fixture(params=["client_for", "pykube"])
def client_of(request, login, client_for):
    """``client_of(server=…)`` is a client of either kind: one for a try, or the thread's own."""

    def make(**info):
        if request.param == "client_for":
            return client_for(**info)
        login.renew(kopf.ConnectionInfo(**info))
        client = login.pykube()
        request.addfinalizer(client.session.close)
        return client

    return make


@since_1_45
def test_the_proxies_of_the_environment_are_used_only_if_the_login_says_so(environment, client_of, recorder):
    version_from(client_of(server=recorder.url))
    assert len(recorder.seen) == 1
    with pytest.raises(requests.exceptions.ProxyError):
        version_from(client_of(server=recorder.url, trust_env=True))
    assert len(recorder.seen) == 1


@since_1_45
def test_the_netrc_is_used_only_if_the_login_says_so(environment, client_of, recorder):
    environment.setenv("NO_PROXY", "127.0.0.1")
    version_from(client_of(server=recorder.url))
    version_from(client_of(server=recorder.url, token="secret"))
    assert recorder.seen == [None, "Bearer secret"]
    version_from(client_of(server=recorder.url, trust_env=True))
    assert recorder.seen[2:] == ["Basic YTpi"]


def test_the_proxy_of_the_login_is_used(environment, client_of, recorder):
    """There is nobody at the server's address: only the proxy, our recorder, answers."""
    version_from(client_of(server="http://127.0.0.1:1", proxy_url=recorder.url))
    assert recorder.seen == [None]


def files_of(client):
    cluster, user = client.config.cluster, client.config.user
    parts = cluster["certificate-authority"], user["client-certificate"], user["client-key"]
    return [Path(each.filename()) for each in parts]


def pem(kind, text):
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"


def test_certificates_of_two_logins_never_mix(login, client_for):
    """Not with each other, whoever is first, and not with those of the login that is in use."""

    def data(owner):
        return {
            "ca_data": pem("CERTIFICATE", f"ca of {owner}"),
            "certificate_data": pem("CERTIFICATE", f"certificate of {owner}"),
            "private_key_data": pem("PRIVATE KEY", f"key of {owner}"),
        }

    login.renew(kopf.ConnectionInfo(server="https://one.test", **data("used")))
    used = login.pykube()
    assert [file.read_text() for file in files_of(used)] == list(data("used").values())
    of_used = set(files_of(used))
    first = client_for(server="https://one.test", **data("first"))
    second = client_for(server="https://one.test", **data("second"))
    again = client_for(server="https://one.test", **data("first"))
    login.renew(kopf.ConnectionInfo(server="https://one.test", **data("later")))
    assert used is login.pykube()
    clients = {"first": [first, again], "second": [second], "later": [used]}
    for owner, made in clients.items():
        for client in made:
            assert [file.read_text() for file in files_of(client)] == list(data(owner).values())
    assert files_of(first) == files_of(again)
    every = of_used | {file for made in clients.values() for client in made for file in files_of(client)}
    assert len(every) == 3 * 4
    login.close()
    assert not any(file.exists() for file in every)


def test_certificates_of_logins_that_are_tried_at_the_same_time_never_mix(login, client_for):
    barrier = threading.Barrier(8)

    def one(number):
        text = pem("CERTIFICATE", f"ca {number}")
        barrier.wait(PATIENCE)
        client = login.client_for(kopf.ConnectionInfo(server="https://one.test", ca_data=text))
        client.session.close()
        return text, Path(client.config.cluster["certificate-authority"].filename()).read_text()

    with ThreadPoolExecutor(8) as pool:
        assert all(given == found for given, found in pool.map(one, range(8)))


# The login itself.


@pytest.fixture
def log_in(monkeypatch):
    """``log_in(kubeconfig)`` logs in with that file, or without any, outside of a cluster."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)

    def run(kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        # The official client reads the variable once, when it is imported.
        monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        return Login.log_in(logger=logging.getLogger("test"), settings=kopf.OperatorSettings())

    yield run
    kubernetes.client.Configuration.set_default(None)


def kubeconfig_with(path, user):
    path.write_text(
        f"""\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://one.test:6443"}}}}]
users: [{{name: u, user: {user}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
    )
    return path


def test_the_exec_plugin_of_a_kubeconfig_is_run(log_in, tmp_path):
    plugin = tmp_path / "get-token"
    plugin.write_text(
        """\
#!/bin/sh
printf '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", '
printf '"status": {"token": "token-for-%s"}}' "$1"
"""
    )
    plugin.chmod(0o700)
    user = (
        "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, interactiveMode: Never, "
        f'command: "{plugin}", args: [cluster-1]}}}}'
    )
    info = log_in(kubeconfig_with(tmp_path / "kubeconfig", user))
    assert (info.server, info.scheme, info.token) == ("https://one.test:6443", "Bearer", "token-for-cluster-1")


def test_the_token_of_a_kubeconfig_is_taken(log_in, tmp_path):
    info = log_in(kubeconfig_with(tmp_path / "kubeconfig", "{token: secret}"))
    assert (info.server, info.token) == ("https://one.test:6443", "secret")


def test_user_and_password_of_a_kubeconfig_reach_the_server(log_in, asked, tmp_path):
    info = log_in(kubeconfig_with(tmp_path / "kubeconfig", "{username: a, password: b}"))
    credentials = {name: getattr(info, name) for name in ("username", "password", "scheme", "token")}
    assert asked(**credentials) == ("Basic YTpi", "Basic YTpi")


def test_a_login_from_a_kubeconfig_makes_clients_that_work(log_in, login, server, tmp_path):
    info = log_in(server.write_kubeconfig(tmp_path / "kubeconfig"))
    login.renew(info)
    names = [each.metadata.name for each in kubernetes.client.CoreV1Api(login.kubernetes()).list_namespace().items]
    assert "default" in names
    login.pykube().get(version="v1", url="namespaces/default").raise_for_status()


def test_a_missing_kubeconfig_is_told_by_its_name(log_in, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(ConfigurationError) as caught:
        log_in(missing)
    assert str(caught.value) == f"kubeconfig {missing} does not exist: correct KUBECONFIG"


GOOD = {
    "clusters": [{"name": "c", "cluster": {"server": "https://one.test"}}],
    "users": [{"name": "u", "user": {"token": "x"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{{", "is not YAML ("),
        ("\x80", "is not YAML ("),
        ("[1, 2]", "is no kubeconfig: expected clusters, users and contexts"),
        ("", "has no current-context: choose one of its contexts (none)"),
        (json.dumps({**GOOD, "current-context": ""}), "has no current-context: choose one of its contexts (x)"),
        (json.dumps({**GOOD, "current-context": "y"}), "has no context 'y', its current-context; there are: x"),
        (json.dumps({**GOOD, "clusters": []}), "has no cluster 'c', which its context 'x' wants"),
    ],
    ids=["no yaml", "no text", "a list", "empty", "no context chosen", "no such context", "no such cluster"],
)
def test_a_kubeconfig_that_leads_nowhere_is_told_in_one_line(log_in, tmp_path, text, said):
    path = tmp_path / "kubeconfig"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        log_in(path)
    assert str(caught.value).startswith(f"kubeconfig {path} {said}")
    assert "\n" not in str(caught.value)


def test_a_token_file_that_ends_in_a_line_end_is_a_good_one(log_in, tmp_path):
    """As ``echo $TOKEN > file`` makes it."""
    (tmp_path / "token").write_text("sesame\n")
    path = kubeconfig_with(tmp_path / "kubeconfig", f"{{tokenFile: {tmp_path / 'token'}}}")
    assert log_in(path).token == "sesame"


def test_a_redirect_is_not_followed_and_its_target_sees_no_token(login, recorder):
    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{recorder.url}/version")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        client = login.client_for(kopf.ConnectionInfo(server=url, token="sesame"))
        with pytest.raises(requests.TooManyRedirects):
            client.get(version="", base="/version", url="")
        client.session.close()
        server.shutdown()
        thread.join(PATIENCE)
    assert recorder.seen == []


def test_the_proxy_of_a_kubeconfig_is_not_forgotten(log_in, tmp_path):
    path = kubeconfig_with(tmp_path / "kubeconfig", "{token: good}")
    text = path.read_text().replace(
        '{server: "https://one.test:6443"}', '{server: "https://one.test", proxy-url: "http://p:3"}'
    )
    path.write_text(text)
    assert log_in(path).proxy_url == "http://p:3"
