"""The controller: a bounded pool of threads that drains a queue of keys.

Source: controller-runtime pkg/internal/controller. Here is what may be asked of it, and its life:
what each worker does is in :mod:`workqueue.control.working`, what becomes of a key in
:mod:`workqueue.control.reconciling`. The queue sees to it that one key is never in two hands.
"""

import threading
import time
from collections.abc import Callable
from typing import Never

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError, InvalidKey
from workqueue.base.functions import is_async
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import current_origin
from workqueue.base.text import one_line, told
from workqueue.cache import Reader
from workqueue.control.books import Books
from workqueue.control.initial import Readiness
from workqueue.control.lifetime import Ending
from workqueue.control.looplag import WatchedLoop
from workqueue.control.outcomes import Judge, Outcomes
from workqueue.control.parking import ParkedKey
from workqueue.control.pool import Pool, Worker, is_aside
from workqueue.control.priorities import Queue, add
from workqueue.control.reconciling import Reconciling
from workqueue.control.result import ReconcileFunc, is_duration, is_seconds
from workqueue.control.shape import check_shape
from workqueue.control.tally import ControllerStatistics
from workqueue.control.working import WorkerLoop

#: Seconds that the workers, all together, are waited for once the drain is over; longer if their tasks were cancelled.
JOIN_TIMEOUT = 0.5


class Controller:
    """Runs a reconcile function for keys, by a bounded number of workers."""

    def __init__(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        queue: Queue,
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
        self._synced = synced
        self._loop = loop
        self._clock: Clock = clock if clock is not None else RealClock()
        self._books = Books()
        self._ending = Ending(self._clock)
        self._pool = Pool(
            name,
            size=workers,
            max_replacements=max_replacements,
            wake=queue.wake,
            went_home=self._look_whether_it_is_over,
        )
        outcomes = Outcomes(
            name, queue=queue, max_retries=max_retries, books=self._books, judge=judge, clock=self._clock
        )
        reconciling = Reconciling(
            name,
            reconcile,
            queue=queue,
            pool=self._pool,
            cache=cache,
            timeout=timeout,
            ending=self._ending,
            books=self._books,
            outcomes=outcomes,
            loop=loop if self.is_async else lambda: None,
            stuck=self._look_whether_it_is_over,
            clock=self._clock,
        )
        self._runs = reconciling.runs
        self._worker_loop = WorkerLoop(
            name,
            queue=queue,
            pool=self._pool,
            process=reconciling.process,
            ending=self._ending,
            tally=self._books.tally,
            clock=self._clock,
        )
        #: True once a stop has nothing to wait for any more. Never False again, so it needs no lock.
        self._is_over = False
        #: What the latest stop has left running. Written at its end.
        self._left: list[str] = []

    # What may be asked of it, from any thread.

    @property
    def workers(self) -> int:
        """How many keys are worked on at once."""
        return self._pool.size

    def add(self, key: ObjectKey | tuple[str, str] | str, *more: Never, after: float | None = None) -> None:
        """Ask for a key to be reconciled, from any thread.

        In a handler of an informer it is asked for with the priority of what the handler is told: low for the
        initial list and for a resync. Neither brings back a key that is parked; and a resync leaves alone one that
        fails and waits for its retry.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :param more: nothing: a key is one argument.
        :param after: in so many seconds, client-go's ``AddAfter``; zero or less is now. It comes earlier if something
            else asks for it.
        :raises InvalidKey: if it names no object.
        :raises ConfigurationError: if the delay is no number of seconds.
        """
        if more:
            given = one_line(", ".join(map(told, (key, *more))))
            raise InvalidKey(
                f"add({given}): a key is one argument, as in add(('namespace', 'name')); a delay has its name, as in "
                "add(key, after=5)"
            )
        if after is not None and not is_seconds(after):
            raise ConfigurationError(f"add(after={after!r}): expected seconds")
        valid, origin = ObjectKey.of(key), current_origin()
        if self._books.asked(valid, origin):
            add(self.queue, valid, priority=origin.priority, respect_backoff=not origin.news, after=after)

    def parked(self, *, limit: int = 100) -> list[ParkedKey]:
        """The keys that were given up, the latest first. :meth:`add` asks for one again.

        :param limit: how many at most; :meth:`statistics` counts them all.
        :raises ConfigurationError: if it is no whole number, or less than 0.
        """
        if type(limit) is not int or limit < 0:
            raise ConfigurationError(f"parked(limit={limit!r}): expected a whole number, 0 or more")
        return self._books.parking.keys(limit=limit)

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
        self._books.initial.upstream_done()

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
        counts, times = self._books.tally.snapshot()
        runs = self._runs.under_way()
        return ControllerStatistics(
            name=self.name,
            started=self._pool.is_started,
            max_workers=self._pool.size,
            workers=self._pool.alive(),
            active=sum(not is_aside(run.worker) for run in runs),
            lost=sum(run.is_stuck and run.worker.place == "lost" for run in runs),
            paused=self._pool.is_paused,
            replaced=self._pool.replacements,
            parked=len(self._books.parking),
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
        self._pool.start(self._worker_loop.work)
        if self.timeout is not None and not was_started and self._pool.is_started:
            self._runs.watch()

    def run_next(self) -> ObjectKey | None:
        """Work on the key that is next, in this thread and without workers; for tests, which decide what runs when.

        Beside workers it is one more of them. Without them nobody looks after the time limit of the run: whoever moves
        the clock meanwhile calls :meth:`expire_runs`.

        :return: the key, after its run; None if none is ready, or the controller is paused.
        """
        return self._worker_loop.work_once(Worker(0, threading.current_thread().name))

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
        return self._books.initial.state(synced=self._synced())

    def _look_whether_it_is_over(self) -> None:
        """Whether a stop has nothing to wait for: all workers have gone home, or hang, and were waited for."""
        if self._ending.begun and self._pool.is_deserted:
            self._is_over = True
            self.queue.wake()


def check_workers(name: str, workers: object) -> None:
    """:raises ConfigurationError: if it is no number of workers."""
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigurationError(f"controller {name!r}: workers={workers!r}, expected a whole number of at least 1")
