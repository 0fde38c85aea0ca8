"""Runs of a controller in the thread of a test, one after the other, and what is seen of each."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Literal

from workqueue.base.functions import is_async
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, ReconcileFunc, Request, Result, TerminalError, TimeLimitExceeded
from workqueue.control.outcomes import checked
from workqueue.queues import PriorityQueue
from workqueue.testing.kopf_errors import judge
from workqueue.testing.passing import PassingClock
from workqueue.testing.report import NotIdle, Outcome, Report, Run
from workqueue.testing.virtual_loop import VirtualLoop

#: Parked keys that a report tells.
PARKED = 1000
#: Seconds by which sums of floats may be wrong: a key that is due so much later is due now.
ROUNDING = 1e-9

#: What is counted of an outcome, the more telling first.
_COUNTS: tuple[tuple[str, Outcome], ...] = (
    ("given_up", "parked"),
    ("terminal", "terminal"),
    ("timeout", "timeout"),
    ("error", "error"),
    ("requeue_after", "requeue_after"),
    ("requeue", "requeue"),
    ("success", "success"),
)

#: Errors that are an answer of a reconcile function, if a strange one.
_KEPT = (Exception, asyncio.CancelledError, SystemExit)


class Runner:
    """Has a controller without workers work, and knows which run goes on."""

    def __init__(self, reconcile: ReconcileFunc, *, errors: Literal["raise", "keep"]) -> None:
        """:param reconcile: the user's function.
        :param errors: see :class:`workqueue.testing.Harness`.
        """
        #: Moved by sleeps of a run, and by nobody else here.
        self.clock = PassingClock(moved=self._time_moved)
        self._reconcile: Callable[[Request], Any] = reconcile
        self._is_async = is_async(reconcile)
        self._errors = errors
        self._loop: VirtualLoop | None = None
        #: What handlers have raised and nobody was told of yet.
        self._handler_errors: list[BaseException] = []
        #: The run that goes on, as far as it is known; None between two.
        self._running: _Watched | None = None
        self._controller: Controller
        self._queue: PriorityQueue[ObjectKey]

    def take(self, controller: Controller, queue: PriorityQueue[ObjectKey]) -> None:
        """To be said before anything runs.

        :param controller: one that calls :meth:`call` and is on this clock.
        :param queue: its queue.
        """
        self._controller, self._queue = controller, queue

    def run(self, *, until: float, limit: int) -> Report:
        """Run what is due until then, each key at its instant. See :meth:`workqueue.testing.Harness.advance`.

        :param until: an instant of the clock.
        :param limit: runs after which it is given up.
        """
        if self._running is not None:
            raise RuntimeError("the harness runs already: this was called by the reconcile function")
        if self._is_async and _runs_a_loop():
            raise RuntimeError("this thread runs an event loop: test an async function by a test that is a plain one")
        self._controller.initial_keys_queued()
        runs: list[Run] = []
        while True:
            run = self._run_next()
            if run is not None:
                runs.append(run)
                if run.error is not None and not isinstance(run.error, _KEPT):
                    raise run.error  # of pytest, or Ctrl-C: no answer of a reconcile function
                self.raise_handler_errors()
                if len(runs) > limit:
                    raise NotIdle(self._report(runs), limit=limit)
                continue
            due = self.clock.now() + min(self._queue.waiting().values(), default=math.inf)
            if due > until + ROUNDING:
                break
            self.clock.step_to(due)
        if self.clock.now() < until:
            self.clock.step_to(until)
        report = self._report(runs)
        if self._errors == "raise":
            self._raise_first(report)
        return report

    def _run_next(self) -> Run | None:
        watched = self._running = _Watched(self.clock.now())
        before = self._counts()
        try:
            key = self._controller.run_next()
        finally:
            self._running = None
        if key is None or watched.request is None:
            return None
        after = self._counts()
        outcome = next(outcome for name, outcome in _COUNTS if after[name] > before[name])
        error = watched.error
        if after["timeout"] > before["timeout"]:
            error = TimeLimitExceeded(f"not over within {self._controller.timeout:g} s")
        request = watched.request
        return Run(
            key,
            outcome,
            reasons=request.reasons,
            retry=request.retry,
            priority=request.priority,
            at=watched.at,
            result=watched.result if error is None else None,
            error=error,
        )

    def _counts(self) -> dict[str, int]:
        statistics = self._controller.statistics()
        return {name: getattr(statistics, name) for name, _ in _COUNTS}

    def _report(self, runs: list[Run]) -> Report:
        waiting = {str(key): round(seconds, 9) for key, seconds in self._queue.waiting().items()}
        return Report(tuple(runs), waiting, tuple(str(parked.key) for parked in self._controller.parked(limit=PARKED)))

    def _raise_first(self, report: Report) -> None:
        failed = [run for run in report.runs if run.error is not None and not _speaks_for_itself(run.error)]
        if not failed:
            return
        error = failed[0].error
        assert error is not None
        error.add_note(f"in a run of the reconcile function: {failed[0]}")
        if len(failed) > 1:
            error.add_note(f"{len(failed) - 1} more runs failed, the last: {failed[-1]}")
        error.add_note("to look at failures in the report instead: Harness(…, errors='keep')")
        raise error

    def handler_failed(self, error: BaseException) -> None:
        """A handler has raised."""
        self._handler_errors.append(error)

    def raise_handler_errors(self) -> None:
        """Raise what a handler has raised, the first of it; during a run it is for later."""
        if self._handler_errors and self._running is None:
            error, *_ = self._handler_errors
            self._handler_errors.clear()
            raise error

    def close(self) -> None:
        """End the loop of coroutines, if there is one."""
        if self._loop is not None:
            self._loop.end()
            self._loop = None

    def _time_moved(self) -> None:
        if self._running is not None:
            self._controller.expire_runs()

    # In a run.

    def call(self, request: Request) -> Result:
        """What the controller calls in the place of the reconcile function."""
        watched = self._running
        assert watched is not None, "there are no workers that could call it"
        watched.request = request
        try:
            with self.clock.passing():
                answer = self._reconcile(request)
                if self._is_async:
                    answer = self._own_loop().run(answer, deadline=request.deadline)
            watched.result = checked(answer, self._reconcile)
        except BaseException as error:
            watched.error = error
            raise
        return watched.result

    def _own_loop(self) -> VirtualLoop:
        if self._loop is None:
            self._loop = VirtualLoop(self.clock)
        return self._loop


class _Watched:
    """What is seen of a run while it goes on."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.request: Request | None = None
        self.result: Result | None = None
        self.error: BaseException | None = None


def _speaks_for_itself(error: BaseException) -> bool:
    """Raised on purpose, to say what should become of the key."""
    seen: BaseException | None = error
    for _ in range(100):  # as many causes as anybody looks at
        if seen is None:
            break
        if isinstance(seen, TerminalError):
            return True
        seen = seen.__cause__
    return judge(error) is not None


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
