"""Every way to log in that a kubeconfig or a pod has, against a server with TLS; and certificates that expire."""

import base64
import datetime as dt
import json
import logging
import ssl

import kopf
import kubernetes.client
import kubernetes.config.incluster_config
import kubernetes.config.kube_config
import pytest
import requests

from tests.plugin import pki
from tests.plugin.gate import CLIENTS, Gate
from workqueue.plugin.login import Login
from workqueue.testing import FakeClock

AUTHORITY_DATA = base64.b64encode(pki.AUTHORITY.encode()).decode()
#: OpenSSL's X509_V_FLAG_NO_CHECK_TIME: Go's server lets everyone's certificate through, and kube-apiserver looks later.
NO_CHECK_TIME = 0x200000


@pytest.fixture(params=CLIENTS)
def client(request, login):
    return CLIENTS[request.param](login)


@pytest.fixture
def served(tmp_path):
    """``served(accept, verify=…, flags=…)`` is a gate with TLS."""
    running = []

    def run(accept, *, verify=ssl.CERT_OPTIONAL, flags=0):
        chain = tmp_path / "server.pem"
        chain.write_text(pki.SERVER_KEY + pki.SERVER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.load_verify_locations(cadata=pki.AUTHORITY)
        context.verify_mode = verify
        context.verify_flags |= flags
        context.num_tickets = 0  # so that each connection shows its own certificate
        gate = Gate(accept, tls=context)
        made = gate.running()
        running.append(made)
        return made.__enter__()

    yield run
    for each in running:
        each.__exit__(None, None, None)


class Kubeconfig:
    """A kubeconfig in a folder, with files beside it."""

    def __init__(self, folder, gate):
        self.folder = folder
        self.gate = gate
        self.path = folder / "kubeconfig"
        (folder / "ca.crt").write_text(pki.AUTHORITY)

    def write(self, user, **cluster):
        cluster = {"server": self.gate.url, "certificate-authority": "ca.crt"} | cluster
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.path.write_text(json.dumps(document))

    def certificate(self, certificate, key=pki.CLIENT_KEY):
        (self.folder / "tls.crt").write_text(certificate)
        (self.folder / "tls.key").write_text(key)
        return {"client-certificate": "tls.crt", "client-key": "tls.key"}

    def plugin(self, script):
        command = self.folder / "plugin"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o700)
        version = "client.authentication.k8s.io/v1beta1"
        return {"exec": {"apiVersion": version, "interactiveMode": "Never", "command": str(command)}}

    def credential(self, **status):
        """What the plugin prints from now on."""
        content = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": status}
        (self.folder / "credential").write_text(json.dumps(content))
        return f"cat {self.folder / 'credential'}"


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    """``kubeconfig(gate)`` is one that is used."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)

    def make(gate):
        folder = tmp_path / "config"
        folder.mkdir()
        made = Kubeconfig(folder, gate)
        monkeypatch.setenv("KUBECONFIG", str(made.path))
        # The official client reads the variable once, when it is imported.
        monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(made.path))
        return made

    yield make
    kubernetes.client.Configuration.set_default(None)


@pytest.fixture
def begin(login):
    """A run begins, and Kopf logs in."""

    def run():
        def log_in():
            return Login.log_in(logger=logging.getLogger("test"), settings=kopf.OperatorSettings())

        login.begin(log_in, workers=lambda: 4, throttle=None, clock=FakeClock())
        login.renew(log_in())

    return run


def by_token(*tokens):
    return lambda visit: 200 if visit.authorization and visit.authorization.partition(" ")[2] in tokens else 401


def by_certificate(visit):
    """As kube-apiserver: a certificate that has expired is none."""
    return 200 if visit.until is not None and visit.until > dt.datetime.now(dt.UTC) else 401


def error_of(client):
    """The line that a request fails with."""
    with pytest.raises((kubernetes.client.ApiException, requests.exceptions.SSLError)) as caught:
        client.get()
    line = getattr(caught.value, "reason", None) or str(caught.value)
    assert "\n" not in line
    return line


# Ways to log in.


def test_a_token_and_an_authority(served, kubeconfig, begin, client):
    gate = served(by_token("secret"))
    kubeconfig(gate).write({"token": "secret"})
    begin()
    assert client.get() == 200


def test_an_authority_that_is_data(served, kubeconfig, begin, client):
    gate = served(by_token("secret"))
    made = kubeconfig(gate)
    made.write({"token": "secret"})
    text = made.path.read_text().replace(
        '"certificate-authority": "ca.crt"', f'"certificate-authority-data": "{AUTHORITY_DATA}"'
    )
    made.path.write_text(text)
    begin()
    assert client.get() == 200


def test_a_certificate(served, kubeconfig, begin, client):
    gate = served(by_certificate, verify=ssl.CERT_REQUIRED)
    made = kubeconfig(gate)
    made.write(made.certificate(pki.GOOD))
    begin()
    assert client.get() == 200
    assert [(visit.name, visit.authorization) for visit in gate.visits] == [("new", None)]


def test_a_token_from_a_plugin(served, kubeconfig, begin, client):
    gate = served(by_token("first"))
    made = kubeconfig(gate)
    made.write(made.plugin(made.credential(token="first")))
    begin()
    assert client.get() == 200


def test_a_token_from_a_plugin_is_renewed(served, kubeconfig, begin, client):
    gate = served(by_token("first"))
    made = kubeconfig(gate)
    made.write(made.plugin(made.credential(token="first")))
    begin()
    assert client.get() == 200
    gate.accept = by_token("second")
    made.credential(token="second")
    assert client.get() == 200
    assert gate.tokens == ["first", "first", "second"]


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """``pod(gate)`` is a folder as a pod has it, in a pod."""

    def make(gate):
        folder = tmp_path / "serviceaccount"
        folder.mkdir()
        (folder / "ca.crt").write_text(pki.AUTHORITY)
        host, _, port = gate.url.removeprefix("https://").partition(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        monkeypatch.setattr(kubernetes.config.incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
        monkeypatch.setattr(kubernetes.config.incluster_config, "SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
        monkeypatch.setattr("workqueue.plugin.kubeconfig.SERVICE_ACCOUNT", str(folder / "token"))
        return folder

    yield make
    kubernetes.client.Configuration.set_default(None)


def test_the_service_account_of_a_pod_and_its_token_of_each_hour(served, pod, begin, client):
    gate = served(by_token("first"))
    folder = pod(gate)
    (folder / "token").write_text("first\n")
    begin()
    assert client.get() == 200
    gate.accept = by_token("second")
    (folder / "token").write_text("second\n")
    assert client.get() == 200
    assert gate.tokens == ["first", "first", "second"]


# Certificates that expire.


@pytest.fixture(params=["answers 401", "ends the handshake"])
def strict(request, served):
    """A server that lets certificates in that have not expired."""
    if request.param == "answers 401":
        return served(by_certificate, flags=NO_CHECK_TIME)
    return served(by_certificate, verify=ssl.CERT_REQUIRED)


def test_a_certificate_that_expired_and_was_replaced_on_disk_is_renewed(strict, kubeconfig, begin, client, login):
    made = kubeconfig(strict)
    made.write(made.certificate(pki.EXPIRED))
    begin()
    login.kubernetes()  # as whoever asked before it expired
    made.certificate(pki.GOOD)
    if strict.tls.verify_mode == ssl.CERT_OPTIONAL:
        made.certificate(pki.EXPIRED)
        strict.accept = lambda visit: made.certificate(pki.GOOD) and by_certificate(visit)
    assert client.get() == 200
    assert strict.visits[-1].name == "new"
    assert client.get() == 200


def test_a_certificate_of_a_plugin_that_expired_is_renewed(strict, kubeconfig, begin, client, login):
    made = kubeconfig(strict)
    expired = {
        "clientCertificateData": pki.EXPIRED,
        "clientKeyData": pki.CLIENT_KEY,
        "expirationTimestamp": "2020-01-02T00:00:00Z",
    }
    made.write(made.plugin(made.credential(**expired)))
    begin()
    made.credential(
        clientCertificateData=pki.GOOD, clientKeyData=pki.CLIENT_KEY, expirationTimestamp="2120-01-01T00:00:00Z"
    )
    assert client.get() == 200
    assert strict.visits[-1].name == "new"
    assert login.statistics().renewals == 1


def test_a_certificate_that_stays_expired_is_told_in_one_line(served, kubeconfig, begin, client):
    gate = served(by_certificate, verify=ssl.CERT_REQUIRED)
    made = kubeconfig(gate)
    made.write(made.certificate(pki.EXPIRED))
    begin()
    assert error_of(client) == (
        f"the API server at {gate.url} refuses the client certificate of kubeconfig {made.path} (context x) "
        "(certificate expired): log in again, or renew it"
    )
    assert gate.visits == []


def test_a_missing_certificate_is_told_in_one_line(served, kubeconfig, begin, client):
    gate = served(by_certificate, verify=ssl.CERT_REQUIRED)
    made = kubeconfig(gate)
    made.write({"token": "x"})
    begin()
    assert error_of(client).endswith("(certificate required): log in again, or renew it")


def test_a_key_that_comes_after_its_certificate_is_waited_for_by_a_login(served, kubeconfig, begin, client, login):
    """Files are replaced one after the other, and a connection may be opened in between."""
    gate = served(by_certificate, verify=ssl.CERT_REQUIRED)
    made = kubeconfig(gate)
    made.write(made.certificate(pki.GOOD, key=pki.OTHER_KEY))
    begin()
    login.kubernetes()
    assert error_of(client) == (
        f"the certificates or the key of kubeconfig {made.path} (context x) cannot be used (key values mismatch): "
        "get a fresh copy"
    )
    made.certificate(pki.GOOD)
    login._renewal.start(login._renewal._log_in, clock=FakeClock())  # the pause after the first try is over
    assert client.get() == 200


def test_files_that_were_removed_and_found_elsewhere_are_renewed(served, kubeconfig, begin, client, login):
    """As by those who tidy /tmp, where the official client has a plugin's certificates: it writes them anew."""
    gate = served(by_certificate, verify=ssl.CERT_REQUIRED)
    made = kubeconfig(gate)
    made.write(made.certificate(pki.GOOD))
    begin()
    login.kubernetes()
    for name in ("tls.crt", "tls.key"):
        (made.folder / name).rename(made.folder / f"new-{name}")
    made.write({"client-certificate": "new-tls.crt", "client-key": "new-tls.key"})
    assert client.get() == 200


def test_an_authority_that_was_replaced_is_renewed(served, kubeconfig, begin, client, login):
    gate = served(by_token("secret"))
    made = kubeconfig(gate)
    made.write({"token": "secret"})
    (made.folder / "ca.crt").write_text(pki.GOOD)
    begin()
    line = error_of(client)
    assert line.startswith(f"the certificate of the API server at {gate.url} is not trusted (")
    assert line.endswith(f"correct the certificate authority or the server of kubeconfig {made.path} (context x)")
    (made.folder / "ca.crt").write_text(pki.AUTHORITY)
    login._renewal.start(login._renewal._log_in, clock=FakeClock())
    assert client.get() == 200


def test_a_handshake_that_fails_over_something_else_is_the_clients_own_error(served, kubeconfig, begin, client):
    with Gate(lambda visit: 200).running() as plain:
        gate = served(by_token("secret"))
        made = kubeconfig(gate)
        made.write({"token": "secret"}, server=plain.url.replace("http:", "https:"))
        begin()
        with pytest.raises(Exception, match="SSL") as caught:
            client.get()
    assert not isinstance(caught.value, kubernetes.client.ApiException)
    assert "client certificate" not in str(caught.value)
