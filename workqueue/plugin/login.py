"""Kopf's login, and the clients made from it.

The operator and its business logic talk to the same server as the same user, because the clients
are built from what Kopf logged in with. The official client goes first: unlike pykube it runs the
``exec`` plugins of a kubeconfig, as EKS and GKE need them.
"""

import base64
import dataclasses
import hashlib
import os
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

import kopf
from kubernetes import client as kubernetes_client
from pykube import HTTPClient, KubeConfig

from workqueue.base.errors import ConfigurationError, NotLoggedIn
from workqueue.plugin.kubeconfig import diagnose, exec_command, in_cluster, proxy_url, source


class Login:
    """The current credentials, and clients for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Whoever needs a client before Kopf has logged in sleeps here.
        self.changed = threading.Condition(self._lock)
        # All below are guarded by _lock.
        self._info: kopf.ConnectionInfo | None = None
        self._generation = 0
        self._kubernetes: kubernetes_client.ApiClient | None = None
        #: Certificates that came as data, as the files that the clients want.
        self._files: tempfile.TemporaryDirectory[str] | None = None
        #: One pykube client for each thread: its sessions are not made to be shared.
        self._local = threading.local()

    @staticmethod
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo:
        """What a Kopf login handler does: the official client's login, then pykube's.

        :param kwargs: what Kopf calls a login handler with.
        :return: what to connect with.
        :raises ConfigurationError: if there is nothing to log in with; the message names the file and the reason.
        """
        # First: a kubeconfig whose user is missing logs in as nobody, and fails a minute later with a 403.
        if not in_cluster() and (problem := diagnose()) is not None:
            raise ConfigurationError(problem)
        errors: list[str] = []
        for attempt in (kopf.login_via_client, kopf.login_via_pykube):
            try:
                info = attempt(**kwargs)
            except Exception as error:  # each client raises errors of its own for a file it cannot use
                errors.append(str(error))
                continue
            if info is None:
                continue
            if attempt is kopf.login_via_client:
                info = _with_token(info)
            anonymous = not (info.token or info.username or info.certificate_path or info.certificate_data)
            if anonymous and (command := exec_command()):
                # The official client reports a plugin that failed to its own log, and logs in as nobody.
                errors.append(f"the exec plugin {command!r} of the kubeconfig gave no credentials")
                continue
            if info.token:  # of a file that ends in a line end
                info = dataclasses.replace(info, token=info.token.strip())
            if not info.proxy_url and (proxy := proxy_url()):  # Kopf's login leaves it out
                info = dataclasses.replace(info, proxy_url=proxy)
            return info
        raise ConfigurationError(f"the login with {source()} failed: {'; '.join(dict.fromkeys(errors))}")

    def renew(self, info: kopf.ConnectionInfo) -> None:
        """Kopf has logged in, for the first time or again: clients handed out from now on use this."""
        with self.changed:
            self._info = info
            self._generation += 1
            self._kubernetes = None
            self.changed.notify_all()

    @property
    def is_logged_in(self) -> bool:
        """True once Kopf has logged in."""
        return self._info is not None

    def close(self) -> None:
        """Forget the credentials; files made for them are removed."""
        with self.changed:
            self._info = None
            self._kubernetes = None
            if self._files is not None:
                self._files.cleanup()
                self._files = None

    def kubernetes(self) -> kubernetes_client.ApiClient:
        """The official client; one for all threads.

        :raises RuntimeError: before Kopf has logged in.
        """
        with self._lock:
            info = self._require_locked()
            if self._kubernetes is None:
                self._kubernetes = kubernetes_client.ApiClient(self._configuration_locked(info))
            return self._kubernetes

    def pykube(self) -> HTTPClient:
        """A pykube client of the calling thread.

        :raises RuntimeError: before Kopf has logged in.
        """
        with self._lock:
            info = self._require_locked()
            cached = getattr(self._local, "client", None)
            if cached is None or self._local.generation != self._generation:
                cached = self._client_locked(info)
                self._local.client, self._local.generation = cached, self._generation
            client: HTTPClient = cached
            return client

    def client_for(self, info: kopf.ConnectionInfo) -> HTTPClient:
        """A pykube client for a login that nobody else has heard of yet; close its session.

        :param info: what :meth:`log_in` returned.
        """
        with self._lock:
            return self._client_locked(info)

    def _client_locked(self, info: kopf.ConnectionInfo) -> HTTPClient:
        client = HTTPClient(KubeConfig(self._kubeconfig_locked(info)))
        if not _is_bearer(info):  # pykube knows no other scheme
            client.session.headers.update(info.as_http_headers())
        # As Kopf's own session: the environment's proxies only if the user wants them, and the system's authorities.
        client.session.trust_env = getattr(info, "trust_env", False)  # from Kopf 1.45 on
        client.session.max_redirects = 0  # pykube would hand the token to whoever is behind one
        if info.proxy_url:  # pykube knows of none in a kubeconfig
            client.session.proxies = {"http": info.proxy_url, "https": info.proxy_url}
        authorities = ssl.get_default_verify_paths()
        client.session.verify = authorities.cafile or authorities.capath or True
        return client

    def _require_locked(self) -> kopf.ConnectionInfo:
        if self._info is None:
            raise NotLoggedIn("no client yet: Kopf has not logged in; clients are for handlers and reconcile functions")
        return self._info

    def _configuration_locked(self, info: kopf.ConnectionInfo) -> kubernetes_client.Configuration:
        configuration = kubernetes_client.Configuration()
        configuration.host = info.server
        configuration.verify_ssl = not info.insecure
        configuration.ssl_ca_cert = self._file_locked("ca.crt", info.ca_path, info.ca_data)
        configuration.cert_file = self._file_locked("tls.crt", info.certificate_path, info.certificate_data)
        configuration.key_file = self._file_locked("tls.key", info.private_key_path, info.private_key_data)
        if info.proxy_url:  # else the environment's, which the client has read by itself
            configuration.proxy = info.proxy_url
        if authorization := info.as_http_headers().get("Authorization") or _basic(info):
            configuration.api_key = {"authorization": authorization, "BearerToken": authorization}
        return configuration

    def _kubeconfig_locked(self, info: kopf.ConnectionInfo) -> dict[str, Any]:
        cluster: dict[str, Any] = {"server": info.server}
        user: dict[str, Any] = {}
        if info.insecure:
            cluster["insecure-skip-tls-verify"] = True
        elif ca := self._file_locked("ca.crt", info.ca_path, info.ca_data):
            cluster["certificate-authority"] = ca
        if info.token and _is_bearer(info):
            user["token"] = info.token
        if info.username and info.password:
            user.update(username=info.username, password=info.password)
        if certificate := self._file_locked("tls.crt", info.certificate_path, info.certificate_data):
            user["client-certificate"] = certificate
            user["client-key"] = self._file_locked("tls.key", info.private_key_path, info.private_key_data)
        return {
            "clusters": [{"name": "kopf", "cluster": cluster}],
            "users": [{"name": "kopf", "user": user}],
            "contexts": [{"name": "kopf", "context": {"cluster": "kopf", "user": "kopf"}}],
            "current-context": "kopf",
        }

    def _file_locked(self, name: str, path: Any, data: str | bytes | None) -> str | None:
        """The path of a certificate or key that is given as a path or as data (PEM, or that in base64)."""
        if path:
            return os.fsdecode(path)
        if not data:
            return None
        raw = data.encode() if isinstance(data, str) else data
        if not raw.lstrip().startswith(b"-----"):
            try:
                raw = base64.b64decode(b"".join(raw.split()), validate=True)
            except ValueError:
                raise ConfigurationError(f"the login's {name} is neither PEM nor base64 of it") from None
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="kopf-workqueue-")
        file = Path(self._files.name) / f"{hashlib.sha256(raw).hexdigest()[:16]}-{name}"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(raw)
        return str(file)


def _with_token(info: kopf.ConnectionInfo) -> kopf.ConnectionInfo:
    """The official client's token, which it keeps under another name since 36.0 than Kopf 1.44 looks for."""
    if info.token:
        return info
    configuration = kubernetes_client.Configuration.get_default_copy()
    header = configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _, token = header.rpartition(" ")
    return dataclasses.replace(info, scheme=scheme or None, token=token) if token else info


def _basic(info: kopf.ConnectionInfo) -> str | None:
    """User and password as a header; Kopf 1.44 leaves that to its HTTP library."""
    if not (info.username and info.password):
        return None
    return "Basic " + base64.b64encode(f"{info.username}:{info.password}".encode()).decode()


def _is_bearer(info: kopf.ConnectionInfo) -> bool:
    """Whether the token is sent as such. Of user and password the official client's login makes a "Basic" one."""
    return (info.scheme or "Bearer").lower() == "bearer"
