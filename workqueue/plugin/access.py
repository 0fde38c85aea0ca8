"""One login's way to the API server: where it is, who we are there, and connections that were opened as such.

An access never changes; another login is another access with connections of its own. So a request that began with one
ends with it: no connection that was opened with a former certificate carries a new token, or the other way round.

Redirects, proxies and authorities are each client's own affair: the official client takes the environment's proxies,
pykube here only if Kopf's settings want them (``settings.networking.trust_env``), as Kopf's own session does.
"""

import ssl
from typing import Any
from urllib.parse import urlsplit

import kopf
import requests
from kubernetes import client as kubernetes_client
from kubernetes.client import rest
from pykube import HTTPClient, KubeConfig
from pykube.http import KubernetesHTTPAdapter

from workqueue.plugin.credentials import CertificateFiles, authorization_of, fingerprint, is_bearer

#: Connections beside one for each worker: handlers, informers and the recorder of events ask as well.
SPARE_CONNECTIONS = 4
_PORTS = {"http": 80, "https": 443}


class OurHeader(str):
    """An Authorization header that is the login's, told from one that a user gave a request of theirs."""

    __slots__ = ()


class Access:
    """See the module. Made by :class:`workqueue.plugin.login.Login`, which closes it after its last request."""

    def __init__(
        self, info: kopf.ConnectionInfo, files: CertificateFiles, *, workers: int, former: tuple[str, ...] = ()
    ) -> None:
        """
        :param info: the login.
        :param files: where certificates that are data become files.
        :param workers: for how many each client keeps connections open, and for some others; more are opened when
            needed, and closed after use.
        :param former: servers of logins before, whose URLs mean this one's.
        :raises ConfigurationError: if a certificate is none.
        """
        self.info = info
        self.authorization = authorization_of(info)
        self.fingerprint = fingerprint(info)
        self.server = info.server.rstrip("/")
        #: Of the server, as metrics have it.
        self.host = urlsplit(info.server).netloc.rpartition("@")[2]
        self.servers = (self.server, *(server for server in former if server != self.server))
        self.workers = workers
        connections = workers + SPARE_CONNECTIONS
        self.configuration = _configuration(info, files, self.authorization)
        self.configuration.connection_pool_maxsize = connections
        self.config = KubeConfig(_kubeconfig(info, files))
        #: The official client's connections; it knows how to make them of its configuration.
        self.pool: Any = rest.RESTClientObject(self.configuration).pool_manager
        #: pykube's.
        self.adapter: Any = KubernetesHTTPAdapter(self.config, pool_maxsize=connections)
        #: Requests under way, and whether there is a newer access: both are guarded by the login's lock.
        self.users = 0
        self.retired = False

    def url(self, url: str) -> str | None:
        """What a URL of this login's server, or of a former one's, is here; None for any other."""
        for server in self.servers:
            rest = _below(url, server)
            if rest is not None:
                return url if server == self.server else self.server + rest
        return None

    def close(self) -> None:
        """Close the connections; those in use are closed when they are given back."""
        for manager in (self.pool, self.adapter.poolmanager, *self.adapter.proxy_manager.values()):
            # From 2.0 on urllib3 leaves that to whoever holds a pool last, such as an answer that somebody keeps.
            for pool in [manager.pools.get(key) for key in manager.pools.keys()]:  # noqa: SIM118  # no dictionary
                if pool is not None:
                    pool.close()
            manager.clear()


def client_for(info: kopf.ConnectionInfo, files: CertificateFiles) -> HTTPClient:
    """A pykube client for a login, with connections of its own; close its session."""
    client = HTTPClient(KubeConfig(_kubeconfig(info, files)))
    if not is_bearer(info):  # pykube knows no other scheme
        client.session.headers.update(info.as_http_headers())
    settle(client.session, info)
    return client


def settle(session: requests.Session, info: kopf.ConnectionInfo) -> None:
    """Make a session of pykube's like Kopf's: the environment only if it is wanted, and the system's authorities."""
    session.trust_env = getattr(info, "trust_env", False)  # from Kopf 1.45 on
    session.max_redirects = 0  # pykube would hand the token to whoever is behind one
    # pykube knows of no proxy in a kubeconfig.
    session.proxies = {"http": info.proxy_url, "https": info.proxy_url} if info.proxy_url else {}
    authorities = ssl.get_default_verify_paths()
    session.verify = authorities.cafile or authorities.capath or True


def _configuration(
    info: kopf.ConnectionInfo, files: CertificateFiles, authorization: str | None
) -> kubernetes_client.Configuration:
    configuration = kubernetes_client.Configuration()
    configuration.host = info.server.rstrip("/")
    configuration.verify_ssl = not info.insecure
    configuration.ssl_ca_cert = files.path("ca.crt", info.ca_path, info.ca_data)
    configuration.cert_file = files.path("tls.crt", info.certificate_path, info.certificate_data)
    configuration.key_file = files.path("tls.key", info.private_key_path, info.private_key_data)
    if info.proxy_url:  # else the environment's, which the client has read by itself
        configuration.proxy = info.proxy_url
    if authorization:  # under the name of before 36.0, and of since
        configuration.api_key = dict.fromkeys(("authorization", "BearerToken"), OurHeader(authorization))
    return configuration


def _kubeconfig(info: kopf.ConnectionInfo, files: CertificateFiles) -> dict[str, Any]:
    cluster: dict[str, Any] = {"server": info.server.rstrip("/")}
    user: dict[str, Any] = {}
    if info.insecure:
        cluster["insecure-skip-tls-verify"] = True
    elif ca := files.path("ca.crt", info.ca_path, info.ca_data):
        cluster["certificate-authority"] = ca
    if info.token and is_bearer(info):
        user["token"] = info.token
    if info.username and info.password:
        user.update(username=info.username, password=info.password)
    if certificate := files.path("tls.crt", info.certificate_path, info.certificate_data):
        user["client-certificate"] = certificate
        user["client-key"] = files.path("tls.key", info.private_key_path, info.private_key_data)
    return {
        "clusters": [{"name": "kopf", "cluster": cluster}],
        "users": [{"name": "kopf", "user": user}],
        "contexts": [{"name": "kopf", "context": {"cluster": "kopf", "user": "kopf"}}],
        "current-context": "kopf",
    }


def _below(url: str, server: str) -> str | None:
    """The part of a URL behind that of a server; None if it is another's."""
    try:
        whole, base = urlsplit(url), urlsplit(server)
        origins = [(each.scheme, each.hostname, each.port or _PORTS.get(each.scheme)) for each in (whole, base)]
    except ValueError:  # of a port that is none: the client has words for that
        return None
    path = base.path.rstrip("/")
    if origins[0] != origins[1] or not (whole.path == path or whole.path.startswith(f"{path}/")):
        return None
    return whole.path[len(path) :] + (f"?{whole.query}" if whole.query else "")
