"""How a reconcile function is called: in the worker's thread, or on Kopf's loop.

Either way a worker waits for the end, so that both kinds are bounded, queued and counted alike. They
differ in what can be done about one that does not end: a task can be cancelled; a thread cannot be
stopped, and can be looked at.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from workqueue.control.looplag import WatchedLoop
from workqueue.control.result import Request
from workqueue.control.stacks import stack_inside, stack_of

#: Seconds that a task which was cancelled has to end, and a thread whose code looks at ``request.stopping``.
CANCEL_GRACE = 1.0


class Call(Protocol):
    """One call of a reconcile function."""

    def run(self) -> object:
        """Call it, in the worker's thread; returns or raises what the function does."""

    def cancel(self) -> float:
        """It should end now; from any thread. Returns how many seconds it has for that."""

    def stack(self) -> str:
        """Where it is now, in one line, the innermost place first; "" if it is nowhere."""


class ThreadCall:
    """A plain function, in the worker's own thread."""

    def __init__(self, function: Callable[[Request], object], request: Request) -> None:
        """:param function: what to call.
        :param request: what with.
        """
        self._function = function
        self._request = request
        self._thread: int | None = None

    def run(self) -> object:
        """See :class:`Call`."""
        self._thread = threading.get_ident()
        try:
            return self._function(self._request)
        finally:
            self._thread = None

    def cancel(self) -> float:
        """See :class:`Call`: a thread cannot be stopped; code that asks whether it should stop is told so by now."""
        return CANCEL_GRACE

    def stack(self) -> str:
        """See :class:`Call`."""
        return stack_of(self._thread, down_to=ThreadCall.run.__code__)


class LoopCall:
    """A coroutine function, on a loop."""

    def __init__(
        self,
        function: Callable[[Request], Coroutine[Any, Any, object]],
        request: Request,
        *,
        loop: WatchedLoop,
        name: str,
    ) -> None:
        """:param function: what to call.
        :param request: what with.
        :param loop: where; another thread's.
        :param name: of the task.
        """
        self._function = function
        self._request = request
        self._watched = loop
        self._loop = loop.loop
        self._name = name
        #: Set once there is an outcome.
        self._ended = threading.Event()
        self._result: object = None
        self._error: BaseException | None = None
        # Both are touched in the loop's thread only, but for a look at the task's stack.
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def run(self) -> object:
        """See :class:`Call`."""
        self._watched.run_began()
        try:
            self._loop.call_soon_threadsafe(self._begin)
            self._ended.wait()
        finally:
            self._watched.run_ended()
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> float:
        """See :class:`Call`."""
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed
            return 0.0
        return CANCEL_GRACE

    def stack(self) -> str:
        """See :class:`Call`."""
        task = self._task
        return "" if task is None else stack_inside(task.get_coro(), up_from=LoopCall._call.__code__)

    def _begin(self) -> None:
        if self._cancelled:
            self._error = asyncio.CancelledError("cancelled before it began")
            self._ended.set()
        else:
            self._task = self._loop.create_task(self._call(), name=self._name)
            self._task.add_done_callback(self._end)

    async def _call(self) -> None:
        try:
            self._result = await self._function(self._request)
        except BaseException as error:  # a SystemExit would end the loop, and a cancellation ends here as well
            self._error = error

    def _end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():  # before its first step: nothing of it has run, not even what catches a cancellation
            self._error = asyncio.CancelledError("cancelled before it began")
        self._ended.set()

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel("the time of the run is over")
