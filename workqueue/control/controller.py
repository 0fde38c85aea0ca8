"""The controller: a bounded pool of threads that drains a queue of keys.

Source: the worker loop of client-go's controllers (examples/workqueue, sample-controller) and
controller-runtime pkg/internal/controller. Each worker gets a key, runs the reconcile function, and
marks the key done whatever happened. The queue sees to it that one key is never in two hands.

Nothing that a reconcile function raises ends a worker, SystemExit and KeyboardInterrupt included:
a worker is no place to end a process from. Nor does one that never returns end more than itself:
see :mod:`workqueue.control.runs`.
"""

import contextlib
import contextvars
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError, Interrupted, ShutDown
from workqueue.base.functions import is_async
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, current_origin
from workqueue.base.text import one_line, told
from workqueue.cache import Reader
from workqueue.control.attempts import Attempts
from workqueue.control.calls import Call, LoopCall, ThreadCall
from workqueue.control.context import KeyLogger, RunContext, enter
from workqueue.control.initial import InitialKeys, Readiness
from workqueue.control.lifetime import Ending, Lifetime
from workqueue.control.looplag import WatchedLoop
from workqueue.control.outcomes import Judge, Outcomes, checked
from workqueue.control.parking import ParkedKey, Parking
from workqueue.control.pool import Pool, Worker
from workqueue.control.reasons import Reasons
from workqueue.control.result import ReconcileFunc, Request, TimeLimitExceeded, is_duration
from workqueue.control.runs import Run, Runs
from workqueue.control.shape import check_shape
from workqueue.control.tally import ControllerStatistics, Tally
from workqueue.control.tracing import Spans
from workqueue.queues import PriorityQueue, RateLimitingQueue

logger = logging.getLogger("workqueue.control")

#: Seconds until a worker whose own loop failed goes on: client-go's wait.UntilWithContext(…, time.Second).
RESTART_PAUSE = 1.0
#: Seconds that the workers, all together, are waited for once the drain is over; longer if their tasks were cancelled.
JOIN_TIMEOUT = 0.5


class Controller:
    """Runs a reconcile function for keys, by a bounded number of workers."""

    def __init__(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        queue: PriorityQueue[ObjectKey] | RateLimitingQueue[ObjectKey],
        workers: int = 1,
        cache: Reader | None = None,
        synced: Callable[[], bool] = lambda: True,
        max_retries: int | None = None,
        timeout: float | None = None,
        max_replacements: int | None = None,
        judge: Judge = lambda _: None,
        loop: Callable[[], WatchedLoop | None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        """
        :param name: for threads, logs and metrics.
        :param reconcile: called with a :class:`Request`; an ``async def`` is called on the loop.
        :param queue: where keys come from; one without priorities is handed every key alike.
        :param workers: how many keys are worked on at once.
        :param cache: what requests look objects up in.
        :param synced: says whether the caches are; nothing starts before.
        :param max_retries: how often a failing key is tried again before it is parked; None is without end.
        :param timeout: seconds that one run may take; None is without end.
        :param max_replacements: how many workers whose run did not end in time are replaced at a time; None is as many
            as there are workers.
        :param judge: reads errors of others that say themselves what to do about them.
        :param loop: where an ``async def`` runs; asked at each run.
        :param clock: where time comes from.
        :raises ConfigurationError: if one of them cannot be.
        """
        check_workers(name, workers)
        if max_retries is not None and (type(max_retries) is not int or max_retries < 0):
            raise ConfigurationError(f"controller {name!r}: max_retries={max_retries!r}, expected 0 or more, or None")
        if timeout is not None and not is_duration(timeout):
            raise ConfigurationError(
                f"controller {name!r}: timeout={timeout!r}, expected seconds, more than 0, or None"
            )
        if max_replacements is not None and (type(max_replacements) is not int or max_replacements < 0):
            raise ConfigurationError(
                f"controller {name!r}: max_replacements={max_replacements!r}, expected 0 or more, or None"
            )
        check_shape(name, reconcile)
        self.name = name
        self.queue = queue
        self.max_retries = max_retries
        self.timeout = timeout
        self.is_async = is_async(reconcile)
        self._reconcile: Callable[[Request], Any] = reconcile
        self._cache = cache
        self._synced = synced
        self._loop = loop
        self._clock: Clock = clock if clock is not None else RealClock()
        self._initial = InitialKeys()
        self._tally = Tally()
        self._attempts = Attempts()
        self._parking = Parking()
        self._reasons = Reasons()
        self._spans = Spans(name)
        self._outcomes = Outcomes(
            name,
            queue=queue,
            max_retries=max_retries,
            attempts=self._attempts,
            parking=self._parking,
            tally=self._tally,
            judge=judge,
            clock=self._clock,
        )
        self._runs: Runs[Worker] = Runs(name, clock=self._clock, expired=self._time_is_over, stuck=self._is_stuck)
        self._pool = Pool(
            name,
            size=workers,
            max_replacements=max_replacements,
            work=self._work,
            wake=queue.wake,
            went_home=self._look_whether_it_is_over,
        )
        #: What runs see of a stop.
        self._ending = Ending(self._clock)
        #: True once a stop has nothing to wait for any more. Never False again, so it needs no lock.
        self._is_over = False
        #: What the latest stop has left running. Written at its end.
        self._left: list[str] = []

    # What may be asked of it, from any thread.

    @property
    def workers(self) -> int:
        """How many keys are worked on at once."""
        return self._pool.size

    def add(self, key: ObjectKey | tuple[str, str] | str) -> None:
        """Ask for a key to be reconciled, from any thread.

        In a handler of an informer it is asked for with the priority of what the handler is told: low for the
        initial list and for a resync. Neither brings back a key that is parked; and a resync leaves alone one that
        fails and waits for its retry.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :raises InvalidKey: if it names no object.
        """
        valid, origin, queue = ObjectKey.of(key), current_origin(), self.queue
        is_initial = origin.reason == INITIAL.reason
        if not self._parking.admits(valid, news=origin.news and not is_initial):
            return
        if is_initial and not self._initial.through:
            self._initial.add(valid)
        if not origin.news and self._attempts.failures(valid):
            return  # it has its retry, which nothing new was learnt to make earlier
        if origin.reason:
            self._reasons.add(valid, origin.reason)
        if isinstance(queue, PriorityQueue) and (origin.priority or not origin.news):
            queue.add_with(valid, priority=origin.priority, respect_backoff=not origin.news)
        else:
            queue.add(valid)

    def parked(self, *, limit: int = 100) -> list[ParkedKey]:
        """The keys that were given up, the latest first. :meth:`add` asks for one again.

        :param limit: how many at most; :meth:`statistics` counts them all.
        """
        return self._parking.keys(limit=limit)

    def resize(self, workers: int) -> None:
        """Work on so many keys at once, from now on; runs under way are not cut short.

        :param workers: how many.
        :raises ConfigurationError: if it is no whole number of at least 1.
        :raises RuntimeError: if there are no threads to be had for all of them.
        """
        check_workers(self.name, workers)
        self._pool.resize(workers)

    def pause(self) -> None:
        """Take no key until :meth:`resume`. Runs under way go on, keys are queued as ever.

        During a stop, which waits for no one who might resume, no key is taken any more.
        """
        self._pool.pause()
        if self._ending.begun:
            self._pool.close()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._pool.resume()

    @property
    def is_paused(self) -> bool:
        """True while no key is taken."""
        return self._pool.is_paused

    def initial_keys_queued(self) -> None:
        """Every handler has been told of everything that existed at the start: the initial keys are all queued."""
        self._initial.upstream_done()

    @property
    def readiness(self) -> Readiness:
        """How far it has come with what existed at the start.

        "syncing", then "synced" while the caches are; from "queued" on, when all initial keys are queued, it never goes
        back; "processed" once each of them was reconciled, whatever came of it.
        """
        return self._state()[0]

    def statistics(self) -> ControllerStatistics:
        """The controller at this instant."""
        readiness, left = self._state()
        counts, times = self._tally.snapshot()
        runs = self._runs.under_way()
        return ControllerStatistics(
            name=self.name,
            started=self._pool.is_started,
            max_workers=self._pool.size,
            workers=self._pool.alive(),
            active=sum(not run.worker.replaced for run in runs),
            lost=sum(run.is_stuck and not run.worker.replaced for run in runs),
            paused=self._pool.is_paused,
            parked=len(self._parking),
            stuck=self._runs.stuck(),
            reconcile_time=times,
            readiness=readiness,
            initial_keys_left=left,
            **counts,
        )

    # Its life.

    def start(self) -> None:
        """Start the workers, in the context of this call; a controller that was stopped meanwhile starts none.

        :raises RuntimeError: if they were started already, or the caches are not synced.
        """
        if not self._synced():
            raise RuntimeError(f"controller {self.name!r} started before its caches were synced")
        if self.is_async and self._loop() is None:
            raise RuntimeError(f"controller {self.name!r} is async and has no loop to run on")
        was_started = self._pool.is_started
        self._pool.start()
        if self.timeout is not None and not was_started and self._pool.is_started:
            self._runs.watch()

    def run_next(self) -> ObjectKey | None:
        """Work on the key that is next, in this thread and without workers; for tests, which decide what runs when.

        Beside workers it is one more of them. Without them nobody looks after the time limit of the run: whoever moves
        the clock meanwhile calls :meth:`expire_runs`.

        :return: the key, after its run; None if none is ready, or the controller is paused.
        """
        worker = Worker(0, threading.current_thread().name)
        try:
            key, priority = self._take(worker, timeout=0)
        except (TimeoutError, Interrupted, ShutDown):
            return None
        try:
            self._process(worker, key, priority)
        finally:
            self.queue.done(key)
        return key

    def expire_runs(self) -> None:
        """Fail the runs whose time is over by now: see :meth:`run_next`."""
        self._runs.expire()

    def stop(self, grace: float) -> bool:
        """Accept no more keys, let the workers finish what is queued, then send them home.

        No key is begun that, going by the longest of the latest runs, would not be finished within the grace. A paused
        controller begins none. Runs learn of it by ``request.stopping``.

        :param grace: seconds; when they are over, tasks are cancelled, and threads still finish the key they hold and
            take no other.
        :return: True if everything queued was handled in time.
        """
        deadline = self._ending.begin(grace)
        if self._pool.is_paused:
            self._pool.close()
        self._look_whether_it_is_over()
        drained = self.queue.shut_down_with_drain(
            timeout=max(0.0, deadline - self._clock.now()), unless=lambda: self._is_over
        )
        self._pool.close()
        self.queue.shut_down()
        self._runs.close()
        grace = max((run.call.cancel() for run in self._runs.under_way()), default=0.0)
        until = time.monotonic() + max(JOIN_TIMEOUT, grace)
        stuck = {run.worker.thread for run in self._runs.under_way() if run.is_stuck}
        for thread in self._pool.threads():
            if thread is not threading.current_thread() and thread not in stuck:
                thread.join(max(0.0, until - time.monotonic()))
        left = self._runs.under_way()
        self._left = [f"{one_line(run.key)} ({run.call.stack() or 'nowhere to be seen'})" for run in left]
        for run in left:
            run.call.abandon()
        return drained

    def left(self) -> list[str]:
        """What a stop has left running: each key, and where its run was then, in one line."""
        return self._left

    def _state(self) -> tuple[Readiness, int]:
        return self._initial.state(synced=self._synced())

    # In the workers.

    def _work(self, worker: Worker) -> None:
        while True:
            try:
                if self._is_too_late():
                    return
                key, priority = self._take(worker)
            except Interrupted:
                if not self._pool.stays(worker):
                    return
            except ShutDown:
                return
            except BaseException as error:
                self._report(None, error)
                self._rest()
            else:
                if not self._handle(worker, key, priority):
                    self._rest()

    def _take(self, worker: Worker, *, timeout: float | None = None) -> tuple[ObjectKey, int]:
        """The next key and its priority; :meth:`_handle` must follow."""

        def unless() -> bool:
            return self._pool.may_not_take(worker)

        if isinstance(self.queue, PriorityQueue):
            return self.queue.get_with_priority(timeout, unless=unless)
        return self.queue.get(timeout, unless=unless), 0

    def _handle(self, worker: Worker, key: ObjectKey, priority: int) -> bool:
        """A key in hands; done whatever happens to it. False if it could not be settled, and comes again."""
        failure: BaseException | None = None
        try:
            if not self._pool.is_closed or self._pool.is_paused:  # who was paused had taken the key before
                self._process(worker, key, priority)
        except BaseException as error:
            failure = error
            self._report(key, error)
        self._done(key)
        if failure is not None:
            self._put_back(key, priority)
        return failure is None

    def _done(self, key: ObjectKey) -> None:
        """A key that could not be given out of hands would be in them for ever: try until it is."""
        while True:
            try:
                return self.queue.done(key)
            except BaseException as error:
                self._report(key, error)
                if self._pool.is_closed:
                    return None
                self._rest()

    def _is_too_late(self) -> bool:
        """A stop is under way, and another run would likely be cut off by its end."""
        deadline = self._ending.deadline
        return deadline is not None and self._clock.now() + self._tally.longest > deadline

    def _look_whether_it_is_over(self) -> None:
        """Whether a stop has nothing to wait for: all workers have gone home, or hang, and were waited for."""
        if self._ending.begun and self._pool.is_deserted:
            self._is_over = True
            self.queue.wake()

    def _report(self, key: ObjectKey | None, error: BaseException) -> None:
        """A worker's own loop has failed (a limiter that raises, say); it breathes, and goes on."""
        self._tally.count("restarts")
        with contextlib.suppress(BaseException):
            logger.error(
                "controller %s: a worker failed on %s and goes on in %g s: %s",
                self.name, one_line(key), RESTART_PAUSE, told(error), exc_info=error,
            )  # fmt: skip

    def _rest(self) -> None:
        try:
            self._pool.rest(self._clock.now() + RESTART_PAUSE, clock=self._clock)
        except BaseException:  # then it is the clock that has failed
            real = RealClock()
            self._pool.rest(real.now() + RESTART_PAUSE, clock=real)

    def _put_back(self, key: ObjectKey, priority: int) -> None:
        """What should become of the key could not be settled: it comes again, whatever else there is."""
        try:
            if isinstance(self.queue, PriorityQueue):
                self.queue.add_with(key, priority=priority, after=RESTART_PAUSE)
            else:
                self.queue.add_after(key, RESTART_PAUSE)
        except BaseException:  # then it is the clock that has failed, which what comes at once can do without
            with contextlib.suppress(BaseException):
                self.queue.add(key)

    def _process(self, worker: Worker, key: object, priority: int) -> None:
        """One key, from the queue's hand to its fate, in a context of its own."""
        try:
            valid = ObjectKey.of(key) if isinstance(key, tuple) else None
        except ValueError:
            valid = None
        if valid is None:
            self.queue.forget(key)  # type: ignore[arg-type]
            self._tally.count("invalid")
            logger.error("controller %s: %r in the queue is no key; forgotten", self.name, key)
            return
        contextvars.copy_context().run(self._reconcile_key, worker, valid, priority)

    def _reconcile_key(self, worker: Worker, key: ObjectKey, priority: int) -> None:
        retry = self._attempts.retry(key)
        context = RunContext(self.name, key, str(uuid.uuid4()), retry + 1)
        enter(context)
        began = self._clock.now()
        until = None if self.timeout is None else began + self.timeout
        request = Request(
            key=key,
            retry=retry,
            priority=priority,
            logger=KeyLogger(logger, context),
            lifetime=Lifetime(self._ending, until=until),
            cache=self._cache,
            id=context.reconcile_id,
            reasons=self._reasons.take(key),
        )
        run = Run(
            context,
            priority=priority,
            awaited=self._initial.awaits(key),
            worker=worker,
            call=self._call(request),
            began=began,
            deadline=until,
        )
        self._outcomes.begins(key)
        self._runs.begin(run)
        error: BaseException | None = None
        with self._spans.around(context) as span:
            try:
                result = checked(run.call.run())
            except BaseException as raised:
                error = raised
            in_time = self._runs.end(run)
            if error is not None or not in_time:
                span.failed(self._time_limit_exceeded() if error is None else error)
            else:
                span.answered(result.outcome)
        if not in_time:
            self._pool.returned(worker)
            logger.info(
                "controller %s: %s ended %.3g s after its time was over; what it answered is not looked at",
                self.name, one_line(key), self._clock.now() - (until or began),
            )  # fmt: skip
            return
        try:
            self._tally.run_took(self._clock.now() - began)
            if error is not None:
                self._outcomes.failed(key, error)
            else:
                self._outcomes.finished(key, result)
        finally:
            if run.awaited:
                self._initial.finished(key)

    def _call(self, request: Request) -> Call:
        loop = self._loop() if self.is_async else None
        if loop is None:
            return ThreadCall(self._reconcile, request)
        return LoopCall(self._reconcile, request, loop=loop, name=f"{self.name} {request.key}")

    # In the thread that looks after deadlines.

    def _time_is_over(self, run: Run[Worker]) -> None:
        """A run has failed by that, wherever it is."""
        contextvars.copy_context().run(self._fail_by_time, run)

    def _fail_by_time(self, run: Run[Worker]) -> None:
        enter(run.context)
        try:
            self._tally.run_took(self._clock.now() - run.began)
            self._outcomes.failed(run.key, self._time_limit_exceeded())
        except BaseException:
            self._put_back(run.key, run.priority)
            raise
        finally:
            if run.awaited:
                self._initial.finished(run.key)

    def _time_limit_exceeded(self) -> TimeLimitExceeded:
        return TimeLimitExceeded(f"not over within {self.timeout:g} s")

    def _is_stuck(self, run: Run[Worker]) -> None:
        """It is still there: name it, and let another worker have its place."""
        stack = run.call.stack()
        replaced = self._pool.replace(run.worker)
        if replaced:
            self._tally.count("replaced")
        self._look_whether_it_is_over()
        logger.error(
            "controller %s: %s is stuck for %.3g s (%s); %s: %s",
            self.name, one_line(run.key), self._clock.now() - run.began, run.worker.name,
            "another worker has its place" if replaced else "no more workers are replaced, so there is one less",
            stack or "nowhere to be seen",
            extra=run.context.fields(),
        )  # fmt: skip


def check_workers(name: str, workers: object) -> None:
    """:raises ConfigurationError: if it is no number of workers."""
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigurationError(f"controller {name!r}: workers={workers!r}, expected a whole number of at least 1")
