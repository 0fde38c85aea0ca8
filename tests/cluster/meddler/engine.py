"""What the meddler consists of, on a thread and a loop of its own from the constructor's return until `stop()`."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.cluster.meddler.book import Book
from tests.cluster.meddler.door import Door
from tests.cluster.meddler.forwarding import Forwarding
from tests.cluster.meddler.streams import Streams
from tests.cluster.meddler.tally import Tally
from tests.cluster.meddler.target import Target
from tests.cluster.proxy import sockets

_T = TypeVar("_T")
_HOST = "127.0.0.1"


class Engine:
    """Everything but `tally`, `port`, `do()` and `stop()` belongs to the loop."""

    #: Written by the thread before it sets _started, read by others after.
    target: Target
    door: Door
    forwarding: Forwarding
    _loop: asyncio.AbstractEventLoop
    _stopping: asyncio.Event

    def __init__(self, url: str, *, context: ssl.SSLContext | None) -> None:
        """:param context: to verify the server by; None for plain HTTP."""
        self.tally = Tally()
        self.book = Book(count=self.tally.strike)
        self.streams = Streams(self.tally)
        self._reserved = sockets.reserve(_HOST)
        self.port: int = self._reserved.getsockname()[1]
        self._started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(url, context), name=f"workqueue-meddler-{self.port}", daemon=True
        )
        self._thread.start()
        while not self._started.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the meddler's thread ended before it served")

    def do(self, order: Coroutine[Any, Any, _T]) -> _T:
        """Run something on the loop and wait for it."""
        if not self._thread.is_alive():
            order.close()
            raise RuntimeError("the meddler is stopped")
        return asyncio.run_coroutine_threadsafe(order, self._loop).result(timeout=60.0)

    def stop(self) -> None:
        """Reset all watches, close all connections and the port, wait for the thread's end. Again: nothing.

        Raises RuntimeError if anything failed inside.
        """
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self.forwarding.errors:
            first = self.forwarding.errors[0]
            raise RuntimeError(f"the meddler has failed: {first!r}") from first

    async def heal(self) -> None:
        """Forget all orders; returns when it is so."""
        self.book.clear()
        self.forwarding.heal()
        await self.door.open()
        await self.streams.heal()

    def _run(self, url: str, context: ssl.SSLContext | None) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(url, context))
        finally:
            self.tally.close()
            self._reserved.close()

    async def _serve(self, url: str, context: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.target = Target(url, context=context)
        self.forwarding = Forwarding(self.target, book=self.book, streams=self.streams, tally=self.tally)
        self.door = Door((_HOST, self.port), self.forwarding)
        try:
            await self.door.open()
            self._started.set()
            await self._stopping.wait()
            self.door.shut()
            self.book.clear()
            self.forwarding.heal()
            await self.streams.cut("*", "reset")
        finally:
            await self.door.close()
            await self.target.close()
