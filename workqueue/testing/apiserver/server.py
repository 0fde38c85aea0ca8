"""The server as a test or a demo holds it: started, looked into, spoilt, stopped."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from workqueue.testing.apiserver.access import USER, Access, Denial
from workqueue.testing.apiserver.cluster import Cluster
from workqueue.testing.apiserver.direct import DirectCalls
from workqueue.testing.apiserver.faults import Fault, FaultBook, RecordedRequest, RequestLog
from workqueue.testing.apiserver.handlers import Handlers
from workqueue.testing.apiserver.streaming import Bell

#: The largest body the real server takes.
_MAX_BODY = 3 * 1024 * 1024
_HOST = "127.0.0.1"


class ApiServer(DirectCalls):
    """A Kubernetes API server inside this process, on a thread and a loop of its own.

    It listens on a free port of the loopback interface from the constructor's return until
    :meth:`stop`, speaks plain HTTP, and asks nobody for credentials. All methods may be called from
    any thread.

    The direct calls (``create``, ``get``, ``list``, ``update``, ``patch``, ``delete``) go to the same
    store as HTTP does: see :class:`DirectCalls` for what they may do more.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        bookmark_interval: float = 60.0,
        history: int = 20_000,
        remembered_requests: int = 100_000,
    ) -> None:
        """:param port: on loopback; 0 is a free one.
        :param bookmark_interval: seconds between the bookmarks of a watch.
        :param history: how many events of each kind are kept at least; older ones are forgotten as etcd's
            compaction does, and a watch from before them gets 410.
        :param remembered_requests: how many of the last requests :attr:`requests` has.
        """
        super().__init__(Cluster(history=history))
        self._access = Access()
        self._faults = FaultBook()
        self._log = RequestLog(size=remembered_requests)
        self._interval = bookmark_interval
        self._socket = socket.create_server((_HOST, port), backlog=1024)
        self._port: int = self._socket.getsockname()[1]
        #: Written by the server's thread before it sets _started, read by others after.
        self._loop: asyncio.AbstractEventLoop
        #: As _loop.
        self._bell: Bell
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"workqueue-apiserver-{self._port}", daemon=True)
        self._thread.start()
        while not self._started.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the server's thread ended before it served")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell = Bell(self._loop, self._cluster.store)
        self._cluster.store.on_change = self._bell.ring
        handlers = Handlers(
            self._cluster,
            access=self._access,
            faults=self._faults,
            log=self._log,
            bell=self._bell,
            bookmark_interval=self._interval,
        )
        server = web.Server(
            handlers, request_factory=_request, access_log=None, keepalive_timeout=300.0, handler_cancellation=True
        )
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        self._started.set()
        await self._bell.stopped.wait()
        self._bell.wake()
        await runner.cleanup()
        with self._cluster.store.lock:
            self._cluster.store.on_change = lambda _table: None

    def stop(self) -> None:
        """Close all connections and the port, and wait for the thread. The store stays readable. Again: nothing."""
        if self._thread.is_alive():
            self._on_loop(self._bell.stopped.set)
            self._thread.join()

    def _on_loop(self, call: Callable[[], None]) -> None:
        """Run something on the loop and wait for it; nothing once the server has stopped."""
        done = threading.Event()

        def run() -> None:
            call()
            done.set()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:  # the loop is closed: somebody else has stopped the server
            return
        while not done.wait(0.1) and self._thread.is_alive():
            pass

    @property
    def url(self) -> str:
        """Where it listens: "http://127.0.0.1:<port>"."""
        return f"http://{_HOST}:{self._port}"

    def kubeconfig_text(self) -> str:
        """A kubeconfig for this server. It is JSON, which every reader of YAML understands."""
        context = {"cluster": "in-process", "user": USER, "namespace": "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "in-process", "cluster": {"server": self.url}}],
            "users": [{"name": USER, "user": {"token": "none"}}],
            "contexts": [{"name": "in-process", "context": context}],
            "current-context": "in-process",
        }
        return orjson.dumps(config, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()

    def write_kubeconfig(self, path: str | Path) -> Path:
        """Write the kubeconfig to a file that only its owner can read.

        :returns: the path.
        """
        path = Path(path)
        path.touch(mode=0o600)
        path.chmod(0o600)  # it may have been there
        path.write_text(self.kubeconfig_text())
        return path

    # What goes wrong, and what went on.

    def compact(self) -> None:
        """Forget all history: watches and lists of earlier versions, and pages begun before, get 410."""
        self._cluster.store.compact()

    def script(self, fault: Fault) -> None:
        """Let something go wrong with requests to come. The fault scripted first hits first."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Let nothing scripted go wrong any more."""
        self._faults.clear()

    def deny(self, *, verb: str = "*", resource: str = "*", group: str = "*", namespace: str = "*") -> None:
        """Answer 403 to something from now on, and say so in access reviews.

        All are patterns as of fnmatch; requests across namespaces have the namespace "".

        :param resource: the plural, with its subresource if there is one ("pods/status").
        """
        self._access.deny(Denial(verb=verb, resource=resource, group=group, namespace=namespace))

    def allow_everything(self) -> None:
        """Forget all denials."""
        self._access.allow_everything()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests that arrived over HTTP, oldest first."""
        return tuple(self._log.all())

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._log.clear()

    def disconnect_watches(self) -> None:
        """Close the connections of all watches, in the middle of their answers."""

        def disconnect() -> None:
            self._bell.disconnects += 1
            self._bell.wake()

        self._on_loop(disconnect)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: "RequestHandler",
    writer: Any,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """A request that takes bodies as large as the real server does."""
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=_MAX_BODY
    )
