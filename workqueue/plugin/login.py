"""Kopf's login, and the clients made from it.

The operator and its business logic talk to the same server as the same user, because the clients
are built from what Kopf logged in with. The official client goes first: unlike pykube it runs the
``exec`` plugins of a kubeconfig, as EKS and GKE need them.

There is one official client, and one pykube client for each thread, from the first login to the end: who keeps one, or
what was made of one, keeps something that works. What changes with a login is behind them (:mod:`.access`).
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import kopf
from kubernetes import client as kubernetes_client
from pykube import HTTPClient

from workqueue.base.client_metrics import ClientMetrics, ClientStatistics
from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError, NotLoggedIn
from workqueue.control import current_run
from workqueue.plugin.access import Access, client_for
from workqueue.plugin.credentials import CertificateFiles
from workqueue.plugin.kubeconfig import diagnose, exec_command, in_cluster, proxy_url, source
from workqueue.plugin.official_client import OfficialClient
from workqueue.plugin.pykube_client import PykubeClient
from workqueue.plugin.renewal import Renewal
from workqueue.plugin.requesting import Requesting
from workqueue.plugin.throttle import Throttle


class Login:
    """The current credentials, and clients for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Whoever needs a client before Kopf has logged in sleeps here, or waits for other credentials.
        self.changed = threading.Condition(self._lock)
        # All below are guarded by _lock.
        self._info: kopf.ConnectionInfo | None = None
        #: Made of _info when it is first needed; None until then.
        self._access: Access | None = None
        #: Of all logins so far: a URL of a former one may still be in somebody's hands.
        self._servers: tuple[str, ...] = ()
        #: True from the end of a run of the operator to the begin of the next.
        self._has_ended = False
        self._workers: Callable[[], int] = lambda: 0
        self._kubernetes: OfficialClient | None = None
        #: One pykube client for each thread: its sessions are not made to be shared.
        self._local = threading.local()

        self._files = CertificateFiles()
        self._metrics = ClientMetrics()
        self._renewal = Renewal(self.changed, is_current=self._is_current_locked, replace=self._replace)
        self._requesting = Requesting(self._lease, renewal=self._renewal, metrics=self._metrics)

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

    def begin(
        self,
        log_in: Callable[[], kopf.ConnectionInfo],
        *,
        workers: Callable[[], int],
        throttle: Throttle | None,
        clock: Clock,
    ) -> None:
        """A run of the operator begins: from now on, refused credentials are renewed.

        :param log_in: logs in, in a thread of its own.
        :param workers: how many there are, for whom each client keeps connections open; asked again and again.
        :param throttle: holds requests back; None lets all go.
        :param clock: where time comes from.
        """
        with self._lock:
            self._workers = workers
            self._has_ended = False
        self._requesting.clock, self._requesting.throttle = clock, throttle
        self._renewal.start(log_in, clock=clock)

    def drain(self) -> None:
        """The operator stops: a login that the API server refuses is renewed no more."""
        self._renewal.stop()

    def renew(self, info: kopf.ConnectionInfo) -> None:
        """Kopf has logged in, for the first time or again: requests that begin from now on use this."""
        with self.changed:
            self._take_locked(info)

    @property
    def is_logged_in(self) -> bool:
        """True once Kopf has logged in."""
        return self._info is not None

    def statistics(self) -> ClientStatistics:
        """The requests so far, of all runs."""
        return self._metrics.statistics()

    def close(self) -> None:
        """Forget the credentials; connections are closed, and files made for certificates removed."""
        self._renewal.stop()
        if self._requesting.throttle is not None:
            self._requesting.throttle.close()
        with self.changed:
            self._take_locked(None)
            self._servers = ()
            self._has_ended = True
        self._files.clear()

    def kubernetes(self) -> kubernetes_client.ApiClient:
        """The official client; one for all threads.

        :raises NotLoggedIn: before Kopf has logged in, and after the stop.
        """
        self._current()  # so that it is said here, and not at the first request
        with self._lock:
            made = self._kubernetes
        if made is None:
            made = OfficialClient(self._current, self._requesting)
            with self._lock:
                made = self._kubernetes = self._kubernetes or made
        return made

    def pykube(self) -> HTTPClient:
        """A pykube client of the calling thread.

        :raises NotLoggedIn: before Kopf has logged in, and after the stop.
        """
        self._current()
        client: HTTPClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = PykubeClient(self._current, self._requesting)
        return client

    def client_for(self, info: kopf.ConnectionInfo) -> HTTPClient:
        """A pykube client for a login that nobody else has heard of yet; close its session.

        :param info: what :meth:`log_in` returned.
        """
        return client_for(info, self._files)

    def _current(self) -> Access:
        with self._lock:
            return self._current_locked()

    def _current_locked(self) -> Access:
        if self._info is None:
            raise self._not_logged_in_locked()
        if self._access is None:
            self._access = Access(self._info, self._files, workers=self._workers(), former=self._servers)
            self._servers = self._access.servers
        return self._access

    def _not_logged_in_locked(self) -> NotLoggedIn:
        if self._has_ended:
            return NotLoggedIn("no client any more: the operator has stopped, and its login is forgotten")
        if current_run() is not None:  # in an operator nothing runs before the login
            return NotLoggedIn(
                "no client here: no operator runs, so Kopf has not logged in; in a test, let the reconcile function "
                "use a client of the test"
            )
        return NotLoggedIn("no client yet: Kopf has not logged in; clients are for handlers and reconcile functions")

    def _take_locked(self, info: kopf.ConnectionInfo | None) -> None:
        former, self._access, self._info = self._access, None, info
        if former is not None:
            former.retired = True
            if not former.users:
                former.close()
        self.changed.notify_all()

    @contextlib.contextmanager
    def _lease(self) -> Iterator[Access]:
        """The current access, whose connections are not closed before this ends.

        Else a request that is about to take one would find them closed.
        """
        with self._lock:
            access = self._current_locked()
            if self._workers() > access.workers:  # a controller was resized
                self._take_locked(self._info)
                access = self._current_locked()
            access.users += 1
        try:
            yield access
        finally:
            with self._lock:
                access.users -= 1
                if access.retired and not access.users:
                    access.close()

    def _is_current_locked(self, access: Access) -> bool:
        return self._access is access

    def _replace(self, refused: Access, info: kopf.ConnectionInfo) -> None:
        with self.changed:
            if not self._is_current_locked(refused):
                return
            self._take_locked(info)
        self._metrics.renewed()


def _with_token(info: kopf.ConnectionInfo) -> kopf.ConnectionInfo:
    """The official client's token, which it keeps under another name since 36.0 than Kopf 1.44 looks for."""
    if info.token:
        return info
    configuration = kubernetes_client.Configuration.get_default_copy()
    header = configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _, token = header.rpartition(" ")
    return dataclasses.replace(info, scheme=scheme or None, token=token) if token else info
