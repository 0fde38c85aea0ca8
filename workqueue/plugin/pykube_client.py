"""pykube clients with Kopf's login: one for each thread, for the whole life of the operator.

A session of requests is not made to be shared, the connections behind it are: all threads' clients have theirs in
common, so that a thread that ends leaves none behind. A client, or an object that was made with one, goes on working
after a renewal: what it sends has the present login's credentials.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from pykube import HTTPClient, KubeConfig
from requests.adapters import BaseAdapter

from workqueue.plugin.access import Access, settle
from workqueue.plugin.requesting import CONNECT, READ, Request, Requesting, is_true

#: For requests that say nothing else; pykube's own is 10 s, for watches as well.
TIMEOUT = (CONNECT, READ)


class PykubeClient(HTTPClient):  # type: ignore[misc]
    """See the module; for one thread."""

    def __init__(self, current: Callable[[], Access], requesting: Requesting) -> None:
        """
        :param current: gives the present access.
        :param requesting: the course of requests.
        """
        self._current = current
        #: The access that the session was settled for; None again once pykube's constructor has settled it its own way.
        self._settled: Access | None = None
        super().__init__(self.config, timeout=TIMEOUT, http_adapter=_Adapter(current, requesting))
        self._settled = None

    @property
    def config(self) -> KubeConfig:
        """Of the present login, as pykube has it."""
        return self._current().config

    @config.setter
    def config(self, _: KubeConfig) -> None:
        """The constructor sets one; the login's is what counts."""

    @property
    def url(self) -> str:
        """Of the present login's server."""
        return self._current().server

    @url.setter
    def url(self, _: str) -> None:
        """As above."""

    @property
    def session(self) -> requests.Session:
        """What pykube asks by. Closing it closes nothing: the connections are everyone's."""
        access = self._current()
        if access is not self._settled:
            settle(self._session, access.info)
            self._settled = access
        return self._session

    @session.setter
    def session(self, session: requests.Session) -> None:
        self._session = session


class _Adapter(BaseAdapter):
    """A session's way to the connections that all have in common."""

    def __init__(self, current: Callable[[], Access], requesting: Requesting) -> None:
        super().__init__()
        self._current = current
        self._requesting = requesting

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """See requests; its session passes everything by name."""
        if self._current().url(str(request.url)) is None:  # somebody else's: no concern of the login's
            answer: requests.Response = self._current().adapter.send(request, **options)
            return answer
        return self._requesting.run(_Request(request, options))

    def close(self) -> None:
        """Do nothing: the connections are everyone's."""


class _Request(Request[requests.Response]):
    def __init__(self, request: requests.PreparedRequest, options: dict[str, Any]) -> None:
        self._request = request
        self._options = options
        #: Else it is the user's own, or from their .netrc.
        self._ours = "Authorization" not in request.headers
        timeout = options.get("timeout")
        is_endless = is_true(dict(parse_qsl(urlsplit(str(request.url)).query)).get("watch"))
        if is_endless and timeout is TIMEOUT:
            options["timeout"] = (CONNECT, None)
        super().__init__(
            method=request.method or "GET",
            limit=None if timeout is TIMEOUT else _seconds(timeout),
            is_endless=is_endless,
            is_repeatable=request.body is None or isinstance(request.body, str | bytes),
        )

    def send(self, access: Access) -> requests.Response:
        request = self._request.copy()
        request.url = access.url(str(request.url)) or request.url
        if self._ours and access.authorization is not None:
            request.headers["Authorization"] = access.authorization
        answer: requests.Response = access.adapter.send(request, **self._options)
        return answer

    @property
    def is_ours(self) -> bool:
        return self._ours

    def status(self, answer: requests.Response) -> int:
        return answer.status_code

    def discard(self, answer: requests.Response) -> None:
        if answer.raw is not None:
            answer.raw.drain_conn()
        answer.close()

    def refusal(self, line: str) -> Exception:
        return requests.exceptions.SSLError(line, request=self._request)


def _seconds(timeout: Any) -> float | None:
    """All the time that a request has; None if that is not said."""
    parts = timeout if isinstance(timeout, tuple) else (timeout,)
    return sum(map(float, parts)) if all(isinstance(each, int | float) for each in parts) else None
