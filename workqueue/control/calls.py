"""How a reconcile function is called: in the worker's thread, or on Kopf's loop.

Either way a worker waits for the end, so that both kinds are bounded, queued and counted alike. They
differ in what can be done about one that does not end: a task can be cancelled, and a coroutine that
swallows that can be closed at last; a thread cannot be stopped, and can be looked at.
"""

import asyncio
import contextlib
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

    def abandon(self) -> None:
        """It did not end, and nobody waits for it any more; from any thread."""

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

    def abandon(self) -> None:
        """See :class:`Call`: it goes on as long as the process."""

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
        #: Set once there is an outcome, which stands: what comes after that is nobody's any more.
        self._ended = threading.Event()
        # All below are touched in the loop's thread, but for a look at where the task is; and by who finds the loop
        # closed, after which there is nobody there.
        self._result: object = None
        self._error: BaseException | None = None
        #: What the function has returned, while it is awaited.
        self._coroutine: Coroutine[Any, Any, object] | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def run(self) -> object:
        """See :class:`Call`.

        :raises RuntimeError: if the loop is closed, or is before the end.
        """
        self._watched.run_began(self._loop_is_closed)
        try:
            self._loop.call_soon_threadsafe(self._begin)
            self._ended.wait()
        finally:
            self._watched.run_ended(self._loop_is_closed)
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> float:
        """See :class:`Call`."""
        return CANCEL_GRACE if self._in_loop(self._cancel) else 0.0

    def abandon(self) -> None:
        """See :class:`Call`: what has swallowed its cancellation would keep Kopf from ending, for ever."""
        if not self._in_loop(self._close):
            self._loop_is_closed()

    def stack(self) -> str:
        """See :class:`Call`."""
        task = self._task
        if task is None:
            return ""
        if asyncio.current_task(self._loop) is task:  # it computes, or blocks the loop, in some plain function perhaps
            return stack_of(self._watched.thread, down_to=LoopCall._call.__code__)
        return stack_inside(task.get_coro(), up_from=LoopCall._call.__code__)

    def _in_loop(self, function: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed
            return False
        return True

    # In the loop.

    def _begin(self) -> None:
        if self._cancelled:
            self._end(error=asyncio.CancelledError("cancelled before it began"))
            return
        call = self._call()
        try:
            self._task = self._loop.create_task(call, name=self._name)
        except BaseException as error:  # a task factory is somebody else's code
            call.close()
            self._end(error=error)
        else:
            self._task.add_done_callback(self._task_ended)

    async def _call(self) -> None:
        try:
            self._coroutine = self._function(self._request)
            self._end(await self._coroutine)
        except BaseException as error:  # a SystemExit would end the loop, and a cancellation ends here as well
            self._end(error=error)
        finally:
            # Who keeps the error keeps this with its traceback; let that not be all that the task's context leads to.
            self._coroutine = self._task = None

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():  # before its first step: it never came to _call
            self._end(error=asyncio.CancelledError("cancelled before it began"))

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel("its time was over, or the operator stops")

    def _close(self) -> None:
        self._end(error=asyncio.CancelledError("it did not end when it was cancelled, and was closed"))
        if self._coroutine is not None and self._task is not None:
            with contextlib.suppress(BaseException):  # what it does about that is its own affair
                self._coroutine.close()
            self._task.cancel()

    def _loop_is_closed(self) -> None:
        self._end(error=RuntimeError("the loop was closed before the run was over"))

    def _end(self, result: object = None, *, error: BaseException | None = None) -> None:
        if not self._ended.is_set():
            self._result, self._error = result, error
            self._ended.set()
