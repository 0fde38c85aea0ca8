"""One key, from the queue's hand to its fate: the request, the call, its time, what became of it.

Source: reconcileHandler of controller-runtime pkg/internal/controller/controller.go. Nothing that a
reconcile function raises ends a worker, SystemExit and KeyboardInterrupt included: a worker is no place
to end a process from. Nor does one that never returns end more than itself: see
:mod:`workqueue.control.runs`.
"""

import contextvars
import uuid
from collections.abc import Callable
from typing import Any

from workqueue.base.clock import Clock
from workqueue.base.keys import ObjectKey
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line
from workqueue.cache import Reader
from workqueue.control.books import Books
from workqueue.control.calls import Call, LoopCall, ThreadCall
from workqueue.control.context import KeyLogger, RunContext, enter
from workqueue.control.lifetime import Ending, Lifetime
from workqueue.control.looplag import WatchedLoop
from workqueue.control.outcomes import Outcomes, checked
from workqueue.control.pool import Place, Pool, Worker
from workqueue.control.priorities import Queue
from workqueue.control.result import Request, TimeLimitExceeded
from workqueue.control.runs import Run, Runs
from workqueue.control.tracing import Spans
from workqueue.control.working import put_back

logger = SafeLogger("workqueue.control")


#: What is said of the place of a worker whose run is stuck.
PLACES: dict[Place, str] = {
    "taken": "another worker has its place",
    "lost": "no more workers are replaced, so there is one less",
    "unwanted": "there are as many workers without it",
}


class Reconciling:
    """Runs the reconcile function of one controller."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[Request], Any],
        *,
        queue: Queue,
        pool: Pool,
        cache: Reader | None,
        timeout: float | None,
        ending: Ending,
        books: Books,
        outcomes: Outcomes,
        loop: Callable[[], WatchedLoop | None],
        stuck: Callable[[], None],
        clock: Clock,
    ) -> None:
        """
        :param name: of the controller.
        :param reconcile: called with a Request.
        :param queue: where a key goes that could not be settled.
        :param pool: where the worker of a stuck run is replaced.
        :param cache: what requests look objects up in.
        :param timeout: seconds that one run may take; None is without end.
        :param ending: what runs see of a stop.
        :param books: what is known of keys.
        :param outcomes: settles runs.
        :param loop: where the function is called, asked at each run; None is in the worker's thread.
        :param stuck: called once for each run that is stuck.
        :param clock: where time comes from.
        """
        self._name = name
        self._reconcile = reconcile
        self._queue = queue
        self._pool = pool
        self._cache = cache
        self._timeout = timeout
        self._ending = ending
        self._books = books
        self._outcomes = outcomes
        self._loop = loop
        self._stuck = stuck
        self._clock = clock
        self._spans = Spans(name)
        #: What is under way.
        self.runs: Runs[Worker] = Runs(name, clock=clock, expired=self._time_is_over, stuck=self._is_stuck)

    def process(self, worker: Worker, key: object, priority: int) -> None:
        """See to a key, in this thread and in a context of its own; one that is no key is forgotten.

        :param worker: whose thread it is.
        :param priority: what the key was handed out with.
        """
        try:
            valid = ObjectKey.of(key) if isinstance(key, tuple) else None
        except ValueError:
            valid = None
        if valid is None:
            self._queue.forget(key)  # type: ignore[arg-type]
            self._books.tally.count("invalid")
            logger.error("controller %s: %r in the queue is no key; forgotten", self._name, key)
            return
        contextvars.copy_context().run(self._reconcile_key, worker, valid, priority)

    def _reconcile_key(self, worker: Worker, key: ObjectKey, priority: int) -> None:
        retry = self._books.attempts.retry(key)
        context = RunContext(self._name, key, str(uuid.uuid4()), retry + 1)
        enter(context)
        began = self._clock.now()
        until = None if self._timeout is None else began + self._timeout
        request = Request(
            key=key,
            retry=retry,
            priority=priority,
            logger=KeyLogger(logger.logger, context),
            lifetime=Lifetime(self._ending, until=until),
            cache=self._cache,
            id=context.reconcile_id,
            reasons=self._books.reasons.take(key),
        )
        run = Run(
            context,
            priority=priority,
            awaited=self._books.initial.awaits(key),
            worker=worker,
            call=self._call(request),
            began=began,
            deadline=until,
        )
        self._outcomes.begins(key)
        self.runs.begin(run)
        error: BaseException | None = None
        with self._spans.around(context) as span:
            try:
                result = checked(run.call.run(), self._reconcile)
            except BaseException as raised:
                error = raised
            in_time = self.runs.end(run)
            if error is not None or not in_time:
                span.failed(self._time_limit_exceeded() if error is None else error)
            else:
                span.answered(result.outcome)
        if not in_time:
            self._pool.returned(worker)
            logger.info(
                "controller %s: %s ended %.3g s after its time was over; what it answered is not looked at",
                self._name, one_line(key), self._clock.now() - (until or began),
            )  # fmt: skip
            return
        try:
            self._books.tally.run_took(self._clock.now() - began)
            if error is not None:
                self._outcomes.failed(key, error)
            else:
                self._outcomes.finished(key, result)
        finally:
            if run.awaited:
                self._books.initial.finished(key)

    def _call(self, request: Request) -> Call:
        loop = self._loop()
        if loop is None:
            return ThreadCall(self._reconcile, request)
        return LoopCall(self._reconcile, request, loop=loop, name=f"{self._name} {request.key}")

    # In the thread that looks after deadlines.

    def _time_is_over(self, run: Run[Worker]) -> None:
        """A run has failed by that, wherever it is."""
        contextvars.copy_context().run(self._fail_by_time, run)

    def _fail_by_time(self, run: Run[Worker]) -> None:
        enter(run.context)
        try:
            self._books.tally.run_took(self._clock.now() - run.began)
            self._outcomes.failed(run.key, self._time_limit_exceeded())
        except BaseException:
            put_back(self._queue, run.key, run.priority)
            raise
        finally:
            if run.awaited:
                self._books.initial.finished(run.key)

    def _time_limit_exceeded(self) -> TimeLimitExceeded:
        return TimeLimitExceeded(f"not over within {self._timeout:g} s")

    def _is_stuck(self, run: Run[Worker]) -> None:
        """It is still there: name it, and let another worker have its place."""
        stack = run.call.stack()
        place = self._pool.replace(run.worker)
        self._stuck()
        logger.error(
            "controller %s: %s is stuck for %.3g s (%s); %s: %s",
            self._name, one_line(run.key), self._clock.now() - run.began, run.worker.name,
            PLACES[place],
            stack or "nowhere to be seen",
            extra=run.context.fields(),
        )  # fmt: skip
