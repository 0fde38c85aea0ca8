"""The HTTP server for probes and metrics, on a thread and loop of its own.

A probe must be answered while Kopf's loop is busy or blocked: that is when it matters.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable

from aiohttp import web

from workqueue.base.errors import ConfigurationError
from workqueue.status.health import Check, report

#: Seconds that a stop waits for requests under way, and for the thread.
CLOSE_TIMEOUT = 3.0

#: Returns content type and body.
Page = Callable[[], tuple[str, bytes]]


def parse_address(text: str) -> tuple[str, int] | None:
    """Read ``host:port``, ``:port`` (all interfaces) or ``[::1]:port``.

    :return: host ("" is all interfaces) and port; None for "0", which means no server.
    :raises ConfigurationError: if it is none of these.
    """
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"bind address {text!r}: expected host:port, such as 127.0.0.1:8080, or 0 for none")
    return host.strip("[]"), int(port)


class StatusServer:
    """Serves ``/livez``, ``/readyz`` and pages such as ``/metrics``."""

    def __init__(
        self, host: str, port: int, *, live: dict[str, Check], ready: dict[str, Check], pages: dict[str, Page]
    ) -> None:
        """
        :param host: address to listen at; "" is all of them, IPv4 and IPv6.
        :param port: 0 takes a free one, see :attr:`port`.
        :param live: checks of ``/livez``, by name.
        :param ready: checks of ``/readyz``, by name.
        :param pages: by path.
        """
        self.host = host
        self.port = port
        self._probes = {"livez": live, "readyz": ready}
        self._pages = pages
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="workqueue-status", daemon=True)

    def start(self) -> None:
        """Listen.

        :raises OSError: if the address cannot be had.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):  # a page that hangs keeps a daemon thread, and not the process
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(CLOSE_TIMEOUT)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_TIMEOUT)
        if not self._thread.is_alive() and not self._loop.is_closed():
            self._loop.close()

    async def _listen(self) -> None:
        app = web.Application()
        for probe in self._probes:
            app.router.add_get(f"/{probe}", self._probe)
            app.router.add_get(f"/{probe}/{{check}}", self._probe)
        for path in self._pages:
            app.router.add_get(path, self._page)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host or None, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _probe(self, request: web.Request) -> web.Response:
        probe = request.path.split("/")[1]
        checks = self._probes[probe]
        if (name := request.match_info.get("check")) is not None:
            if name not in checks:
                return web.Response(status=404, text=f"there is no check {name!r}; there are: {', '.join(checks)}\n")
            checks = {name: checks[name]}
        answer = await report(
            probe,
            checks,
            verbose="yes" if "verbose" in request.query else "",
            exclude=request.query.getall("exclude", []),
        )
        return web.Response(status=200 if answer.healthy else 500, text=answer.text)

    async def _page(self, request: web.Request) -> web.Response:
        content_type, body = self._pages[request.path]()
        return web.Response(body=body, headers={"Content-Type": content_type})
