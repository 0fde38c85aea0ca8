"""What is under way, and whether it is in time.

A run whose time is over has failed, whatever it answers later. Its task is cancelled; its thread is
left alone, as a thread cannot be stopped. One that is still there then is stuck: it is named with the
place where it is, its worker is replaced, and its key stays in its hands until it ends, so that no key
is ever in two. Nothing runs for this but one thread that sleeps until the next run is due to end, and
that only where there is a limit.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from workqueue.base.clock import Clock
from workqueue.base.keys import ObjectKey
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line, told
from workqueue.control.calls import Call
from workqueue.control.context import RunContext

logger = SafeLogger("workqueue.control")

#: Seconds of real time that the watch rests when the clock fails it.
REST = 1.0

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that did not end when its time was over."""

    key: ObjectKey
    #: The run's, as in its log records.
    id: str
    #: Seconds since it began.
    seconds: float
    #: Where it is now, in one line, the innermost place first; "" if that cannot be told.
    stack: str


class Run(Generic[W]):
    """A key in the hands of a worker."""

    __slots__ = ("awaited", "began", "call", "context", "deadline", "failed_at", "is_stuck", "priority", "worker")

    def __init__(
        self,
        context: RunContext,
        *,
        priority: int,
        awaited: bool,
        worker: W,
        call: Call,
        began: float,
        deadline: float | None,
    ) -> None:
        """:param context: which key, and which run of it.
        :param priority: what the key was handed out with.
        :param awaited: it is the first run of a key that existed at the start.
        :param worker: in whose hands.
        :param call: what it does.
        :param began: an instant of the controller's clock.
        :param deadline: when its time is over; None is never.
        """
        self.context = context
        self.priority = priority
        self.awaited = awaited
        self.worker = worker
        self.call = call
        self.began = began
        self.deadline = deadline
        # Both are guarded by the lock of the Runs that it is in.
        #: When it had failed by its time being over; None before.
        self.failed_at: float | None = None
        self.is_stuck = False

    @property
    def key(self) -> ObjectKey:
        """Which key."""
        return self.context.key


class Runs(Generic[W]):
    """The runs of one controller that are under way."""

    def __init__(
        self, name: str, *, clock: Clock, expired: Callable[[Run[W]], None], stuck: Callable[[Run[W]], None]
    ) -> None:
        """:param name: of the controller.
        :param clock: where time comes from.
        :param expired: called once for a run whose time is over: it has failed.
        :param stuck: called once for one that is still there after that.
        """
        self._name = name
        self._clock = clock
        self._expired = expired
        self._stuck = stuck
        self._lock = threading.Lock()
        #: The watch sleeps here.
        self._changed = threading.Condition(self._lock)
        #: Who ends a run that the watch is at sleeps here.
        self._through = threading.Condition(self._lock)
        # All below are guarded by _lock.
        #: All that are under way, in the order in which they began.
        self._runs: dict[Run[W], None] = {}
        #: Of them, those that have a deadline and time left. As all have the same time, the first is due first.
        self._timed: dict[Run[W], None] = {}
        #: Of them, those that have failed by the end of their time, and should end now: by when. The first is due first
        #: but for one that has no grace, as its loop is closed.
        self._ending: dict[Run[W], float] = {}
        #: What the watch is at: it cannot end meanwhile, so that what is done about it is done about no later run.
        self._at: Run[W] | None = None
        #: The instant that the watch sleeps to; None if it sleeps until it is woken, or is not there.
        self._sleeps_until: float | None = None
        self._closed = False

    def watch(self) -> None:
        """Begin to look after the deadlines.

        :raises RuntimeError: if there is no thread to be had.
        """
        threading.Thread(target=self._watch, name=f"workqueue-watch-{self._name}", daemon=True).start()

    def begin(self, run: Run[W]) -> None:
        """A run begins."""
        with self._lock:
            self._runs[run] = None
            if run.deadline is not None:
                self._timed[run] = None
                if self._sleeps_until is None or run.deadline < self._sleeps_until:
                    self._changed.notify_all()

    def end(self, run: Run[W]) -> bool:
        """It has ended.

        :return: True if that was in time; else what it answered is nobody's any more.
        """
        with self._lock:
            while self._at is run:
                self._through.wait()
            self._runs.pop(run, None)
            self._timed.pop(run, None)
            self._ending.pop(run, None)
            return run.failed_at is None

    def expire(self) -> None:
        """Fail those whose time is over, now and in this thread: for runs without a watch."""
        while True:
            with self._lock:
                run = self._take_expired_locked()
            if run is None:
                return
            self._expired(run)

    def close(self) -> None:
        """Nobody looks after deadlines any more."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def under_way(self) -> list[Run[W]]:
        """All that are."""
        with self._lock:
            return list(self._runs)

    def stuck(self) -> tuple[StuckRun, ...]:
        """Those that did not end when their time was over."""
        now = self._clock.now()
        return tuple(
            StuckRun(run.key, run.context.reconcile_id, now - run.began, run.call.stack())
            for run in self.under_way()
            if run.is_stuck
        )

    def _watch(self) -> None:
        while not self._closed:
            try:
                due = self._wait()
            except BaseException as error:  # a clock that is not ours
                self._tell(f"the watch over its deadlines goes on in {REST:g} s", error)
                with self._lock:
                    if not self._closed:
                        self._changed.wait(REST)
                continue
            if due is not None:
                self._see_to(*due)

    def _see_to(self, run: Run[W], is_stuck: bool) -> None:  # noqa: FBT001
        """A run is due, and is the one that the watch is at."""
        grace = 0.0
        try:
            if is_stuck:
                self._stuck(run)
            else:
                self._expired(run)
        except BaseException as error:  # such as a limiter of the user's that raises: the others still have their time
            self._tell(f"what was to be done about {one_line(run.key)} has failed", error)
        try:
            if not is_stuck:
                grace = run.call.cancel()
        finally:
            with self._lock:
                if not is_stuck and run.failed_at is not None:
                    self._ending[run] = run.failed_at + grace
                self._at = None
                self._through.notify_all()

    def _tell(self, what: str, error: BaseException) -> None:
        logger.error("controller %s: %s: %s", self._name, what, told(error), exc_info=error)

    def _wait(self) -> tuple[Run[W], bool] | None:
        """Sleep until a run is due; returns it, and whether it is stuck. None once closed."""
        with self._lock:
            while not self._closed:
                now = self._clock.now()
                ending = min(self._ending.items(), key=lambda item: item[1], default=None)
                if ending is not None and ending[1] <= now:
                    self._at = run = ending[0]
                    del self._ending[run]
                    run.is_stuck = True
                    return run, True
                expired = self._take_expired_locked()
                if expired is not None:
                    self._at = expired
                    return expired, False
                timed = next(iter(self._timed), None)
                nexts = [timed.deadline if timed is not None else None, ending[1] if ending is not None else None]
                self._sleeps_until = min((each for each in nexts if each is not None), default=None)
                try:
                    self._clock.wait(self._changed, self._sleeps_until)
                finally:
                    self._sleeps_until = None
            return None

    def _take_expired_locked(self) -> Run[W] | None:
        """A run whose time is over, which has failed by that from now on; None if there is none."""
        now, timed = self._clock.now(), next(iter(self._timed), None)
        if timed is None or timed.deadline is None or timed.deadline > now:
            return None
        del self._timed[timed]
        timed.failed_at = now
        return timed
