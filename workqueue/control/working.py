"""What each worker does: take a key, see to it, give it out of hands, and again; whatever fails.

Source: the worker loop of client-go's controllers (examples/workqueue, sample-controller). What fails
here is not a run, which has its outcome, but the loop's own means: a limiter, a queue or a clock that
raises. Then the worker breathes, and goes on, and the key comes again.
"""

import contextlib
from collections.abc import Callable

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import Interrupted, ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line, told
from workqueue.control.lifetime import Ending
from workqueue.control.pool import Pool, Worker
from workqueue.control.priorities import Queue, add_after, take
from workqueue.control.tally import Tally

logger = SafeLogger("workqueue.control")

#: Seconds until a worker whose own loop failed goes on: client-go's wait.UntilWithContext(…, time.Second).
RESTART_PAUSE = 1.0


class WorkerLoop:
    """The loop of all workers of one controller."""

    def __init__(
        self,
        name: str,
        *,
        queue: Queue,
        pool: Pool,
        process: Callable[[Worker, ObjectKey, int], None],
        ending: Ending,
        tally: Tally,
        clock: Clock,
    ) -> None:
        """
        :param name: of the controller.
        :param queue: where keys come from.
        :param pool: says whether a worker may take one.
        :param process: sees to a key that a worker took with a priority.
        :param ending: whether the controller stops, and by when.
        :param tally: where restarts are counted.
        :param clock: where time comes from.
        """
        self._name = name
        self._queue = queue
        self._pool = pool
        self._process = process
        self._ending = ending
        self._tally = tally
        self._clock = clock

    def work(self, worker: Worker) -> None:
        """Until the worker must not take a key any more."""
        while True:
            try:
                if self._is_too_late():
                    return
                key, priority = self._take(worker, timeout=None)
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

    def work_once(self, worker: Worker) -> ObjectKey | None:
        """See to the key that is next, in this thread; whatever fails is raised.

        :return: the key; None if none is ready, or none may be taken.
        """
        try:
            key, priority = self._take(worker, timeout=0)
        except (TimeoutError, Interrupted, ShutDown):
            return None
        try:
            self._process(worker, key, priority)
        finally:
            self._queue.done(key)
        return key

    def _take(self, worker: Worker, *, timeout: float | None) -> tuple[ObjectKey, int]:
        return take(self._queue, timeout=timeout, unless=lambda: self._pool.may_not_take(worker))

    def _handle(self, worker: Worker, key: ObjectKey, priority: int) -> bool:
        """A key in hands; done whatever happens to it. False if it could not be settled, and comes again."""
        failure: BaseException | None = None
        try:
            if not self._pool.is_too_late:
                self._process(worker, key, priority)
        except BaseException as error:
            failure = error
            self._report(key, error)
        self._done(key)
        if failure is not None:
            put_back(self._queue, key, priority)
        return failure is None

    def _done(self, key: ObjectKey) -> None:
        """A key that could not be given out of hands would be in them for ever: try until it is."""
        while True:
            try:
                return self._queue.done(key)
            except BaseException as error:
                self._report(key, error)
                if self._pool.is_closed:
                    return None
                self._rest()

    def _is_too_late(self) -> bool:
        """A stop is under way, and another run would likely be cut off by its end."""
        deadline = self._ending.deadline
        return deadline is not None and self._clock.now() + self._tally.longest > deadline

    def _report(self, key: ObjectKey | None, error: BaseException) -> None:
        self._tally.count("restarts")
        logger.error(
            "controller %s: a worker failed on %s and goes on in %g s: %s",
            self._name, one_line(key), RESTART_PAUSE, told(error), exc_info=error,
        )  # fmt: skip

    def _rest(self) -> None:
        try:
            self._pool.rest(self._clock.now() + RESTART_PAUSE, clock=self._clock)
        except BaseException:  # then it is the clock that has failed
            real = RealClock()
            self._pool.rest(real.now() + RESTART_PAUSE, clock=real)


def put_back(queue: Queue, key: ObjectKey, priority: int) -> None:
    """What should become of the key could not be settled: it comes again, whatever else there is."""
    try:
        add_after(queue, key, RESTART_PAUSE, priority=priority)
    except BaseException:  # then it is the clock that has failed, which what comes at once can do without
        with contextlib.suppress(BaseException):
            queue.add(key)
