"""The official client with Kopf's login: one object for all threads, and for the whole life of the operator.

An API object that is made of it once, ``AppsV1Api(manager.kubernetes())``, goes on working after a renewal: what is
behind the client changes, and not the client. The place where that happens is its pool manager, which in all versions
is what every request comes to, with the URL and the headers made already.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes.client.exceptions import ApiException

from workqueue.plugin.access import Access, OurHeader
from workqueue.plugin.requesting import CONNECT, READ, Request, Requesting, is_true

#: Whose answers go on: a watch's events, a log that is followed.
_ENDLESS = {"watch", "follow"}


class OfficialClient(kubernetes_client.ApiClient):  # type: ignore[misc]
    """See the module."""

    def __init__(self, current: Callable[[], Access], requesting: Requesting) -> None:
        """
        :param current: gives the present access.
        :param requesting: the course of requests.
        """
        self._current = current
        super().__init__(current().configuration)
        self.rest_client.pool_manager = _Connections(current, requesting)

    @property
    def configuration(self) -> kubernetes_client.Configuration:
        """Of the present login."""
        return self._current().configuration

    @configuration.setter
    def configuration(self, _: kubernetes_client.Configuration) -> None:
        """The official constructor sets one; the login's is what counts."""


class _Connections:
    """In the place of the official client's pool manager: has what the client calls."""

    def __init__(self, current: Callable[[], Access], requesting: Requesting) -> None:
        self._current = current
        self._requesting = requesting

    def request(self, method: str, url: str, **options: Any) -> Any:
        """As urllib3's; the official client uses nothing else."""
        if self._current().url(url) is None:  # somebody else's: no concern of the login's
            return self._current().pool.request(method, url, **options)
        return self._requesting.run(_Request(method, url, options))

    def clear(self) -> None:
        """Do nothing: the connections are everyone's. So ``with manager.kubernetes() as client`` does no harm."""


class _Request(Request[Any]):
    """Answers are urllib3's."""

    def __init__(self, method: str, url: str, options: dict[str, Any]) -> None:
        self._url = url
        self._headers: Mapping[str, str] = options.pop("headers", None) or {}
        given = options.get("timeout")
        query = dict(parse_qsl(urlsplit(url).query)) | dict(options.get("fields") or {})  # a query as well, before 30.0
        is_endless = any(is_true(query.get(name)) for name in _ENDLESS)
        if given is None:
            options["timeout"] = urllib3.Timeout(connect=CONNECT, read=None if is_endless else READ)
        self._options = options
        body = options.get("body")
        super().__init__(
            method=method,
            limit=None if given is None else _seconds(given),
            is_endless=is_endless,
            is_repeatable=body is None or isinstance(body, str | bytes),
        )
        sent = next((value for name, value in self._headers.items() if name.lower() == "authorization"), None)
        #: None until it is known whether there was something to send: the user may want none to be sent.
        self._ours: bool | None = None if sent is None else isinstance(sent, OurHeader)

    def send(self, access: Access) -> Any:
        if self._ours is None:
            self._ours = access.authorization is None
        headers = dict(self._headers)
        if self._ours:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            if access.authorization is not None:
                headers["Authorization"] = access.authorization
        return access.pool.request(self.method, access.url(self._url) or self._url, headers=headers, **self._options)

    @property
    def is_ours(self) -> bool:
        return bool(self._ours)

    def status(self, answer: Any) -> int:
        return int(answer.status)

    def discard(self, answer: Any) -> None:
        answer.drain_conn()
        answer.release_conn()

    def refusal(self, line: str) -> Exception:
        error: Exception = ApiException(status=0, reason=line)  # as the official client has it for TLS
        return error


def _seconds(timeout: urllib3.Timeout) -> float | None:
    """All the time that a request has; None if that is not said."""
    if timeout.total is not None:
        parts: tuple[Any, ...] = (timeout.total,)
    else:
        parts = (timeout.connect_timeout, timeout.read_timeout)
    return sum(map(float, parts)) if all(isinstance(each, int | float) for each in parts) else None
