"""A number of worker threads that can be changed, paused, and replaced one by one.

Exactly ``size`` threads take keys. One whose run is stuck takes none, so another takes its place,
up to a limit; when it ends after all, it goes home. A worker is asked to go, or to pause, while it
waits for a key or between two, never in the middle of one.
"""

import contextvars
import itertools
import threading
from collections.abc import Callable
from typing import Literal

from workqueue.base.clock import Clock

#: Of a worker that is stuck: another has its place; nobody has it, and there is one worker less; nobody wants it, as
#: there are to be fewer workers, or as it is no worker of the pool.
Place = Literal["taken", "lost", "unwanted"]


class Worker:
    """One thread."""

    __slots__ = ("gone", "is_stuck", "leaving", "name", "number", "replaced", "thread")

    def __init__(self, number: int, name: str) -> None:
        """:param number: the lowest that no worker has.
        :param name: of the thread.
        """
        self.number = number
        self.name = name
        # All are written under the pool's lock; the worker itself reads them without it.
        self.thread: threading.Thread | None = None
        #: It takes no further key: there are more workers than wanted.
        self.leaving = False
        #: It has decided to go home, and cannot be asked to stay any more.
        self.gone = False
        #: Its run did not end in time, and is still there.
        self.is_stuck = False
        #: Its run is or was stuck, and another worker has its place, for good.
        self.replaced = False

    @property
    def place(self) -> Place:
        """Whose its place is, if it is stuck."""
        if self.replaced:
            return "taken"
        return "unwanted" if self.leaving or self.thread is None else "lost"


class Pool:
    """The workers of one controller."""

    def __init__(
        self,
        name: str,
        *,
        size: int,
        max_replacements: int | None,
        wake: Callable[[], None],
        went_home: Callable[[], None],
    ) -> None:
        """:param name: of the controller.
        :param size: how many take keys.
        :param max_replacements: how many stuck ones are replaced at a time; None is as many as there are workers.
        :param wake: has workers that wait for a key ask :meth:`may_not_take` again.
        :param went_home: called by each worker that has gone home.
        """
        self._name = name
        self._wake = wake
        self._went_home = went_home
        self._lock = threading.Lock()
        #: Paused workers sleep here; and who waits for a worker to go home.
        self._changed = threading.Condition(self._lock)
        # All below are written under _lock; flags are read without it, by a worker that looks again when it is woken.
        self._size = size
        self._max_replacements = max_replacements
        #: Those whose thread has not ended, the stuck ones included.
        self._workers: list[Worker] = []
        #: What workers do; there once the pool was started.
        self._work: Callable[[Worker], None]
        #: In which workers begin; there while the pool is started and not closed: who made it may be held by it.
        self._context: contextvars.Context | None = None
        #: Times that the place of a stuck worker was given to another.
        self._replacements = 0
        self._started = False
        self._paused = False
        #: No worker takes a key any more, for good.
        self._closed = False
        #: Whether that was said during a pause.
        self._closed_in_pause = False

    @property
    def size(self) -> int:
        """How many workers are wanted."""
        return self._size

    @property
    def replacements(self) -> int:
        """Times that the place of a stuck worker was given to another."""
        return self._replacements

    @property
    def is_started(self) -> bool:
        """True once there were workers."""
        return self._started

    @property
    def is_closed(self) -> bool:
        """True once no worker takes a key any more, for good."""
        return self._closed

    @property
    def is_paused(self) -> bool:
        """True while no worker takes a key."""
        return self._paused

    def start(self, work: Callable[[Worker], None]) -> None:
        """Start the workers, each in the context of this call; none if the pool is closed already.

        :param work: what a worker does until it must not take a key any more; called in its thread.
        :raises RuntimeError: if they were started already, or there are no threads to be had for all of them.
        """
        with self._lock:
            if self._closed:
                return
            if self._started:
                raise RuntimeError(f"controller {self._name!r} was started already")
            self._work = work
            self._context = contextvars.copy_context()
            self._fill_locked()

    def resize(self, size: int) -> None:
        """Have so many workers. Those too many go when they are through with what they have.

        :param size: at least 1.
        :raises RuntimeError: if there are no threads to be had for all of them.
        """
        with self._lock:
            self._size = size
            # Those that are stuck first: they are of no use where they are.
            for worker in sorted(self._takers_locked(), key=lambda each: each.is_stuck)[size:]:
                worker.leaving = True
            if self._started and not self._closed:
                self._fill_locked()
            self._replace_locked()
            self._changed.notify_all()
        self._wake()

    def pause(self) -> None:
        """Take no key until :meth:`resume`; runs under way go on."""
        with self._lock:
            self._paused = True  # who waits for a key asks before it takes one, and may as well wait there

    def resume(self) -> None:
        """Go on."""
        with self._lock:
            self._paused = False
            self._changed.notify_all()

    def close(self) -> None:
        """No worker takes another key, paused or not."""
        with self._lock:
            if not self._closed:
                self._closed_in_pause = self._paused
            self._closed = True
            self._context = None
            self._changed.notify_all()
        self._wake()

    def alive(self) -> int:
        """How many workers there are that take keys or run one, those aside that are stuck and have lost no place."""
        with self._lock:
            return sum(not is_aside(worker) and _lives(worker) for worker in self._workers)

    @property
    def is_deserted(self) -> bool:
        """True if there is no worker that takes keys, or will once its run has ended in time."""
        with self._lock:
            return all(worker.is_stuck or worker.replaced for worker in self._workers)

    def threads(self) -> list[threading.Thread]:
        """Of all workers that have not gone home, stuck ones included."""
        with self._lock:
            return [worker.thread for worker in self._workers if worker.thread is not None]

    def replace(self, worker: Worker) -> Place:
        """A worker is stuck: let another have its place. :meth:`returned` follows, if ever its run ends.

        :return: whose it is now: "lost" if no more are replaced, or no thread is to be had. That may change: by a
            :meth:`resize`, or when one that was replaced ends.
        """
        with self._lock:
            worker.is_stuck = True
            self._replace_locked()
            return worker.place

    # In the workers.

    @property
    def is_too_late(self) -> bool:
        """True if a worker that has taken a key must not begin with it: the pool was closed meanwhile.

        In a pause it is closed early, when there is time for a key that was taken before the pause.
        """
        return self._closed and not self._closed_in_pause

    def returned(self, worker: Worker) -> None:
        """The worker's run has ended, late."""
        with self._lock:
            worker.is_stuck = False

    def may_not_take(self, worker: Worker) -> bool:
        """Whether a worker that is about to take a key must not."""
        return self._closed or self._paused or worker.leaving or worker.replaced

    def stays(self, worker: Worker) -> bool:
        """Sleep as long as the pool is paused; returns whether the worker should go on then."""
        with self._lock:
            while self._paused and not self._must_go_locked(worker):
                self._changed.wait()
            worker.gone = self._must_go_locked(worker)
            return not worker.gone

    def rest(self, until: float, *, clock: Clock) -> None:
        """Sleep, until the pool is closed at most.

        :param until: an instant of the clock.
        """
        with self._lock:
            while not self._closed and clock.now() < until:
                clock.wait(self._changed, until)

    def _run(self, worker: Worker) -> None:
        try:
            self._work(worker)
        finally:
            with self._lock:
                self._workers.remove(worker)
                self._replace_locked()
            self._went_home()

    # Under the lock.

    def _must_go_locked(self, worker: Worker) -> bool:
        return self._closed or worker.leaving or worker.replaced

    def _takers_locked(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.replaced and not worker.leaving]

    def _replace_locked(self) -> None:
        """Give the places of stuck workers to others, up to the limit."""
        limit = self._size if self._max_replacements is None else self._max_replacements
        for worker in self._workers:
            if self._closed or sum(each.replaced for each in self._workers) >= limit:
                return
            if worker.is_stuck and worker.place == "lost":
                worker.replaced = True
                try:
                    self._fill_locked()
                except RuntimeError:
                    worker.replaced = False
                    return
                self._replacements += 1

    def _fill_locked(self) -> None:
        """Have as many takers as wanted: those on their way out first, who need no new thread; but no stuck one."""
        wanted = self._size - len(self._takers_locked())
        leaving = [each for each in self._workers if each.leaving and not (each.replaced or each.gone or each.is_stuck)]
        for worker in leaving[: max(0, wanted)]:
            worker.leaving = False
            wanted -= 1
        for _ in range(wanted):
            taken = {worker.number for worker in self._workers}
            number = next(each for each in itertools.count() if each not in taken)
            worker = Worker(number, f"workqueue-{self._name}-{number}")
            context = self._context.copy() if self._context is not None else contextvars.Context()
            worker.thread = threading.Thread(
                target=context.run, args=(self._run, worker), name=worker.name, daemon=True
            )
            worker.thread.start()
            self._workers.append(worker)
            self._started = True


def is_aside(worker: Worker) -> bool:
    """Whether a worker does not count any more, as another has its place, or nobody wants it while it is stuck."""
    return worker.replaced or (worker.is_stuck and worker.place != "lost")


def _lives(worker: Worker) -> bool:
    return worker.thread is not None and worker.thread.is_alive()
