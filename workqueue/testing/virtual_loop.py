"""An event loop in the thread of the test, whose time is the test's clock.

Coroutines sleep without time passing for anybody: when nothing can go on but by time, the clock is
moved to the next instant that somebody sleeps to. What comes from outside (a socket, a thread of the
loop's pool) is waited for in real time, and beside it the clock moves only where nothing came as long.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from workqueue.testing.clock import FakeClock

T = TypeVar("T")

#: Seconds of real time that may pass while nothing happens and nobody sleeps.
PATIENCE = 30.0


class _PassingSelector(selectors.BaseSelector):
    """A selector whose waiting moves a clock."""

    def __init__(self, clock: FakeClock, *, is_waited_for: Callable[[], bool]) -> None:
        self._selector = selectors.DefaultSelector()
        self._clock = clock
        self._is_waited_for = is_waited_for

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._selector.select(0)
        # Of files one is the loop's own, by which other threads wake it.
        outside = len(self._selector.get_map()) > 1 or self._is_waited_for()
        if timeout is None:
            found = self._selector.select(PATIENCE)
            if not found:
                raise RuntimeError(f"a coroutine waits for something that has not come within {PATIENCE:g} s")
            return found
        found = self._selector.select(timeout if outside else 0)
        if not found:
            self._clock.step_to(self._clock.now() + timeout)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs one coroutine after the other, each to its end."""

    def __init__(self, clock: FakeClock) -> None:
        """:param clock: whose time it is."""
        #: Calls that run in a thread of the pool. Changed in the loop's thread only.
        self._outside = 0
        self._virtual = clock
        super().__init__(_PassingSelector(clock, is_waited_for=lambda: bool(self._outside)))

    def time(self) -> float:
        """See :meth:`asyncio.AbstractEventLoop.time`: the clock's."""
        return self._virtual.now()

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """See :meth:`asyncio.AbstractEventLoop.run_in_executor`; no time passes until it is over."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._came_back)
        return future

    def run(self, coroutine: Coroutine[Any, Any, T], *, deadline: float | None) -> T:
        """Run it to its end.

        :param coroutine: what to run.
        :param deadline: the instant at which it is cancelled; None is never.
        :return: what it returns.
        """
        task = self.create_task(coroutine)
        timer = None if deadline is None else self.call_at(deadline, task.cancel, "the time of the run is over")
        try:
            return self.run_until_complete(task)
        finally:
            if timer is not None:
                timer.cancel()

    def end(self) -> None:
        """Cancel what is left on it, and close it."""
        for task in (left := asyncio.all_tasks(self)):
            task.cancel()
        self.run_until_complete(asyncio.gather(*left, return_exceptions=True) if left else asyncio.sleep(0))
        self.run_until_complete(self.shutdown_asyncgens())
        self.run_until_complete(self.shutdown_default_executor())
        self.close()

    def _came_back(self, _: object) -> None:
        self._outside -= 1
