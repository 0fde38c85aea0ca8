"""How a reflector reaches the API server: by the session, the login and the settings of Kopf's own watch.

Asked is what Kopf would ask, and once: pauses and further tries are the reflector's. A byte that
does not come for Kopf's ``inactivity_timeout`` ends a connection, whether its other end says so
or not.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import kopf

from workqueue.base.text import one_line
from workqueue.informer import Interrupted, Refused, Silent
from workqueue.plugin import internals

#: Seconds that a watch lasts where the settings say nothing: client-go's minWatchTimeout, and twice that.
LIFETIME = (300.0, 600.0)

_WHOLE = "application/json"
#: Of an API server that does not know these the objects come whole.
_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"


class KopfSource:
    """One resource in one namespace, or in all. A :class:`workqueue.informer.Source`."""

    def __init__(
        self,
        *,
        settings: kopf.OperatorSettings,
        resource: kopf.Resource,
        namespace: str | None,
        metadata_only: bool = False,
        chance: random.Random | None = None,
    ) -> None:
        """
        :param settings: of this run.
        :param resource: as Kopf found it.
        :param namespace: None is all of them, or the cluster scope.
        :param metadata_only: ask for PartialObjectMetadata.
        :param chance: where watches' lifetimes come from, so that not all end at once.
        """
        self._settings = settings
        self._resource = resource
        self._namespace = namespace
        watching = settings.watching
        self._chance = chance if chance is not None else random.Random()  # noqa: S311 - spreads load, hides nothing
        #: Seconds after which Kopf's users want a watch to end, if they do: the server's or the client's limit.
        self._limit: float | None = min(filter(None, (watching.server_timeout, watching.client_timeout)), default=None)
        #: See :class:`workqueue.informer.Source`. Fixed by the settings, or another for each watch.
        self.lifetime: float = self._limit or LIFETIME[0]
        self._selectors = internals.selectors(settings, resource)
        #: Objects come without all that is not metadata.
        self.metadata_only = metadata_only

    async def list(self, *, limit: int, continue_: str = "") -> bytes:
        """See :class:`workqueue.informer.Source`."""
        params = dict(self._selectors)
        if limit:
            params["limit"] = str(limit)
        if continue_:
            params["continue"] = continue_
        accept = _METADATA.format("List") if self.metadata_only else _WHOLE
        async with self._ask(params, accept=accept, total=None) as response:
            try:
                return await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._interrupted(error) from None

    @contextlib.asynccontextmanager
    async def watch(self, *, since: str | None) -> AsyncIterator["KopfStream"]:
        """See :class:`workqueue.informer.Source`."""
        self.lifetime = self._limit or self._chance.uniform(*LIFETIME)
        seconds = max(1, int(self.lifetime))
        params = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        params |= self._selectors
        if since is None:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        else:
            params["resourceVersion"] = since
        accept = _METADATA.format("") if self.metadata_only else _WHOLE
        async with self._ask(params, accept=accept, total=self._settings.watching.client_timeout) as response:
            yield KopfStream(response, told=self._interrupted)

    @contextlib.asynccontextmanager
    async def _ask(
        self, params: dict[str, str], *, accept: str, total: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        settings = self._settings
        connect = (
            settings.watching.connect_timeout
            or settings.networking.connect_timeout
            or settings.networking.request_timeout
        )
        timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=connect, sock_read=settings.watching.inactivity_timeout
        )
        # aiohttp's own limits end with the session: if another request is answered 401 first, Kopf closes it, and who
        # reads the body of such an answer then would wait for ever.
        silence = settings.watching.inactivity_timeout
        limit = None if silence is None else silence + (connect or 0.0)
        url = internals.url(self._resource, namespace=self._namespace, params=params)
        try:
            async with asyncio.timeout(limit):
                response = await internals.request(url, accept=accept, settings=settings, timeout=timeout)
        except internals.API_ERRORS as error:
            raise _refused(error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._interrupted(error) from None
        except (ValueError, OverflowError) as error:
            # An error answer that Kopf cannot read, with a date in Retry-After, say, or a page in no UTF-8.
            raise Refused(f"an error answer that cannot be read: {one_line(error)}", code=0) from None
        try:
            yield response
        finally:
            # Not released: what is left of a watch is without end, and of a list that broke it is of no use.
            response.close()

    def _interrupted(self, error: BaseException) -> Interrupted:
        if isinstance(error, aiohttp.SocketTimeoutError):
            return Silent(f"no byte for {self._settings.watching.inactivity_timeout:g} s")
        if isinstance(error, TimeoutError):
            return Interrupted("no answer in time")
        if isinstance(error, aiohttp.ClientPayloadError):  # its own text is of chunks and lengths
            return Interrupted("the connection ended in the middle of an answer")
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
            return Interrupted(f"TLS failed: {one_line(error)}")
        return Interrupted(one_line(error) or type(error).__name__)


class KopfStream:
    """An open watch. A :class:`workqueue.informer.Stream`."""

    def __init__(self, response: aiohttp.ClientResponse, *, told: Callable[[BaseException], Interrupted]) -> None:
        """
        :param response: its head has come.
        :param told: says what went wrong.
        """
        self._response = response
        self._told = told
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """See :class:`workqueue.informer.Stream`."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The time is over that ``settings.watching.client_timeout`` gives a watch: an end as the server's own.
            over = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)
            # aiohttp has one exception for all connections that were closed: it would hold on to all that is here.
            error.__traceback__ = None
            if not (self._closed or over):
                raise self._told(error) from None

    def close(self) -> None:
        """See :class:`workqueue.informer.Stream`."""
        self._closed = True
        self._response.close()


def _refused(error: Any) -> Refused:
    """Kopf's error as the reflector knows it."""
    payload = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    told = payload.get("message") or (error.args[0] if error.args and isinstance(error.args[0], str) else "")
    details = payload.get("details")
    details = details if isinstance(details, dict) else {}
    causes = causes if isinstance(causes := details.get("causes"), list) else []
    after = error.headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        seconds = float(after) if after is not None else None
    except (TypeError, ValueError):
        seconds = None
    return Refused(
        one_line(told) or f"the API server answers {error.status}",
        code=error.status,
        reason=payload.get("reason") or "",
        causes=tuple(str(cause.get("reason")) for cause in causes if isinstance(cause, dict)),
        retry_after=seconds,
    )
