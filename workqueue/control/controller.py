"""The controller: a bounded pool of threads that drains a queue of keys.

Source: the worker loop of client-go's controllers (examples/workqueue, sample-controller) and
controller-runtime pkg/internal/controller. Each worker gets a key, runs the reconcile function, and
marks the key done whatever happened. The queue sees to it that one key is never in two hands.

Nothing that a reconcile function raises ends a worker, SystemExit and KeyboardInterrupt included:
a worker is no place to end a process from.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError, ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, current_origin
from workqueue.cache import Reader
from workqueue.control.initial import InitialKeys, Readiness
from workqueue.control.outcomes import Outcomes, checked
from workqueue.control.result import ReconcileFunc, Request
from workqueue.control.shape import check_shape
from workqueue.control.tally import ControllerStatistics, Tally
from workqueue.queues import PriorityQueue, RateLimitingQueue

logger = logging.getLogger("workqueue.control")

#: Seconds until a worker whose own loop failed goes on: client-go's wait.UntilWithContext(…, time.Second).
RESTART_PAUSE = 1.0
#: Seconds that the workers, all together, are waited for once the drain is over.
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
        clock: Clock | None = None,
    ) -> None:
        """
        :param name: for threads, logs and metrics.
        :param reconcile: called with a :class:`Request`.
        :param queue: where keys come from; one without priorities is handed every key alike.
        :param workers: how many threads.
        :param cache: what requests look objects up in.
        :param synced: says whether the caches are; nothing starts before.
        :param max_retries: how often a failing key is tried again before it is given up; None is without end.
        :param clock: where time comes from.
        :raises ConfigurationError: if one of them cannot be.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ConfigurationError(f"controller {name!r}: workers={workers!r}, expected a whole number of at least 1")
        if max_retries is not None and (type(max_retries) is not int or max_retries < 0):
            raise ConfigurationError(f"controller {name!r}: max_retries={max_retries!r}, expected 0 or more, or None")
        check_shape(name, reconcile)
        self.name = name
        self.queue = queue
        self.workers = workers
        self.max_retries = max_retries
        self._reconcile = reconcile
        self._cache = cache
        self._synced = synced
        self._clock: Clock = clock if clock is not None else RealClock()
        self._initial = InitialKeys()
        self._tally = Tally()
        self._outcomes = Outcomes(name, queue=queue, max_retries=max_retries, tally=self._tally)
        self._lock = threading.Lock()
        #: Restarting workers sleep here, so that a stop wakes them.
        self._stop_changed = threading.Condition(self._lock)
        # All below are guarded by _lock.
        self._threads: list[threading.Thread] = []
        #: Workers take no further key. Set once; workers read it without the lock, a key too late at most.
        self._stopped = False
        #: When the grace of a stop is over, the earliest of several; None before. Workers read it without the lock.
        self._deadline: float | None = None
        #: Workers that have gone home.
        self._home = 0

    def add(self, key: ObjectKey | tuple[str, str] | str) -> None:
        """Ask for a key to be reconciled, from any thread.

        In a handler of an informer it is asked for with the priority of what the handler is told: low for the
        initial list and for a resync, which also leaves alone a key that fails and waits for its retry.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :raises InvalidKey: if it names no object.
        """
        valid, origin, queue = ObjectKey.of(key), current_origin(), self.queue
        if not self._initial.through and origin.reason == INITIAL.reason:
            self._initial.add(valid)
        if isinstance(queue, PriorityQueue) and (origin.priority or not origin.news):
            queue.add_with(valid, priority=origin.priority, respect_backoff=not origin.news)
        else:
            queue.add(valid)

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

    def start(self) -> None:
        """Start the workers; a controller that was stopped meanwhile starts none.

        :raises RuntimeError: if they were started already, or the caches are not synced.
        """
        if not self._synced():
            raise RuntimeError(f"controller {self.name!r} started before its caches were synced")
        with self._lock:
            if self._stopped:
                return
            if self._threads:
                raise RuntimeError(f"controller {self.name!r} was started already")
            for number in range(self.workers):
                thread = threading.Thread(target=self._run, name=f"workqueue-{self.name}-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def stop(self, grace: float) -> bool:
        """Accept no more keys, let the workers finish what is queued, then send them home.

        No key is begun that, going by the longest of the latest runs, would not be finished within the grace.

        :param grace: seconds; when they are over workers still finish the key they hold, and take no other.
        :return: True if everything queued was handled in time.
        """
        with self._lock:
            deadline = self._clock.now() + grace
            self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        drains = any(thread.is_alive() for thread in self._threads)  # else there is nobody to wait for
        drained = self.queue.shut_down_with_drain(timeout=grace if drains else 0)
        with self._stop_changed:
            self._stopped = True
            self._stop_changed.notify_all()
        self.queue.shut_down()
        until = time.monotonic() + JOIN_TIMEOUT
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        return drained

    def statistics(self) -> ControllerStatistics:
        """The controller at this instant."""
        readiness, left = self._state()
        with self._lock:
            return ControllerStatistics(
                name=self.name,
                started=bool(self._threads),
                workers=sum(thread.is_alive() for thread in self._threads),
                readiness=readiness,
                initial_keys_left=left,
                **self._tally.snapshot(),
            )

    def _state(self) -> tuple[Readiness, int]:
        return self._initial.state(synced=self._synced())

    # In the workers.

    def _run(self) -> None:
        try:
            self._work()
        finally:
            with self._lock:
                self._home += 1
                last = self._home == len(self._threads)
            if last and self._deadline is not None:
                self.queue.shut_down()  # nobody is left to drain it: whoever waits for that goes on

    def _work(self) -> None:
        while not self._stopped and not self._is_too_late():
            key: ObjectKey | None = None
            priority = 0
            try:
                with self._hand_out() as (key, priority):
                    if not self._stopped:
                        self._process(key, priority)
            except ShutDown:
                return
            except BaseException as error:
                self._restart_worker(key, priority, error)

    @contextlib.contextmanager
    def _hand_out(self) -> Iterator[tuple[ObjectKey, int]]:
        """The next key and its priority; done whatever happens to it."""
        queue = self.queue
        key, priority = queue.get_with_priority() if isinstance(queue, PriorityQueue) else (queue.get(), 0)
        try:
            yield key, priority
        finally:
            queue.done(key)

    def _is_too_late(self) -> bool:
        """A stop is under way, and another run would likely be cut off by its end."""
        return self._deadline is not None and self._clock.now() + self._tally.longest > self._deadline

    def _restart_worker(self, key: ObjectKey | None, priority: int, error: BaseException) -> None:
        """The loop itself failed (a limiter that raises, say): report it, keep the key, breathe, go on."""
        self._tally.count("restarts")
        resume = self._clock.now() + RESTART_PAUSE
        with contextlib.suppress(BaseException):
            logger.error(
                "controller %s: a worker failed on %s and goes on in %g s: %r",
                self.name, key, RESTART_PAUSE, error, exc_info=error,
            )  # fmt: skip
        if key is not None:
            with contextlib.suppress(BaseException):
                if isinstance(self.queue, PriorityQueue):
                    self.queue.add_with(key, priority=priority, after=RESTART_PAUSE)
                else:
                    self.queue.add_after(key, RESTART_PAUSE)
        with self._stop_changed:
            while not self._stopped and self._clock.now() < resume:
                self._clock.wait(self._stop_changed, resume)

    def _process(self, key: object, priority: int) -> None:
        """One key, from the queue's hand to its fate."""
        try:
            valid = ObjectKey.of(key) if isinstance(key, tuple) else None
        except ValueError:
            valid = None
        if valid is None:
            self.queue.forget(key)  # type: ignore[arg-type]
            self._tally.count("invalid")
            logger.error("controller %s: %r in the queue is no key; forgotten", self.name, key)
            return
        retry = self.queue.num_requeues(valid)
        keyed = _KeyLogger(logger, {"key": valid})
        request = Request(key=valid, retry=retry, priority=priority, logger=keyed, cache=self._cache)
        awaited = self._initial.awaits(valid)
        self._tally.count("active")
        began = self._clock.now()
        try:
            result = checked(self._reconcile(request))
        except BaseException as error:
            self._outcomes.failed(valid, error, retry=retry)
        else:
            self._outcomes.finished(valid, result)
        finally:
            if awaited:
                self._initial.finished(valid)
            self._tally.run_ended(took=self._clock.now() - began)


class _KeyLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the worker and the key in front of each message."""

    def process(self, msg: object, kwargs: Any) -> tuple[object, Any]:
        """See :class:`logging.LoggerAdapter`."""
        worker = threading.current_thread().name.removeprefix("workqueue-")
        return f"[{worker}] {(self.extra or {}).get('key')}: {msg}", kwargs
