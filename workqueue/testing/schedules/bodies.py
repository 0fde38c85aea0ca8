"""The real threads on which those of a scenario run."""

import contextlib
import gc
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable, Container, Iterable
from contextlib import AbstractContextManager

#: Seconds of real time that a thread has to end.
FAREWELL = 5.0


class Pool:
    """Threads that serve run after run: to start one takes longer than most runs. Belongs to whoever runs."""

    def __init__(self, outside: Callable[[], AbstractContextManager[None]]) -> None:
        """:param outside: inside of it, what is made is real."""
        self._outside = outside
        self._slots: list[Slot] = []
        #: How many are taken by this run, the first ones.
        self._taken = 0
        #: The thread-local data of the process, and how much of it there was while the pool had no threads.
        self._local_data: LocalData | None = None
        self._least = 0

    def watch_local_data(self) -> None:
        """From now on, threads on which a run leaves thread-local data are not used again."""
        self.stop(but=())
        self._local_data = LocalData()
        self._least = self._local_data.count()

    def take(self) -> "Slot":
        """One that has nothing to do in this run so far."""
        if self._taken == len(self._slots):
            with self._outside():
                self._slots.append(Slot(self._taken))
        self._taken += 1
        return self._slots[self._taken - 1]

    def take_back(self) -> None:
        """The run is over, and all have come to the end of what they had to do."""
        self._taken = 0
        if self._local_data is not None and self._local_data.count() != self._least:
            self.stop(but=())

    def stop(self, *, but: Container[int]) -> None:
        """End all of them.

        :param but: the idents of those that will not end.
        """
        for slot in self._slots:
            if slot.ident not in but:
                slot.stop()
        self._slots.clear()
        self._taken = 0


class Slot:
    """A real thread that is the body of a member in run after run."""

    def __init__(self, number: int) -> None:
        self.baton = allocate_lock()
        self.baton.acquire()
        #: What to do when the baton comes; None ends the thread. Belongs to whoever runs.
        self._job: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._live, name=f"workqueue-schedules-{number}")
        start_as_daemon(self._thread, threading.Thread.start)
        self.ident = self._thread.ident or 0

    def begin(self, name: str, job: Callable[[], None]) -> None:
        """Have something to do once the baton comes, under that name."""
        self._thread.name = name
        self._job = job

    def stop(self) -> None:
        """End, once there is nothing to do."""
        self._job = None
        release(self.baton)
        self._thread.join(FAREWELL)

    def _live(self) -> None:
        while True:
            self.baton.acquire()
            job, self._job = self._job, None
            if job is None:
                return
            job()
            del job


class LocalData:
    """What is in the ``threading.local`` objects that there are: they outlive a run, and so may what is in them."""

    def __init__(self) -> None:
        # In CPython each has a table with a dictionary for every thread that touched it, of which the collector knows.
        # By type(), as isinstance() may wake up a proxy.
        there = [each for each in gc.get_objects() if issubclass(type(each), threading.local)]
        self._tables = [table for each in there for table in gc.get_referents(each) if type(table) is dict]

    def count(self) -> int:
        """How many attributes they have, for all threads together. To have looked for one leaves nothing behind."""
        return sum(len(each) for table in self._tables for each in list(table.values()) if type(each) is dict)


def start_as_daemon(thread: threading.Thread, start: Callable[[threading.Thread], object]) -> None:
    """Start a thread that never keeps the process alive, should it be left behind.

    Asked whether it is a daemon, it still says what it said before: the threads that it makes inherit that.
    """
    daemon = thread.daemon
    thread.daemon = True
    start(thread)
    thread._daemonic = daemon  # type: ignore[attr-defined]  # noqa: SLF001 - the property refuses once a thread runs


def say_daemon(idents: Iterable[int]) -> None:
    """Let threads that are left behind say what they are."""
    left = set(idents)
    for thread in threading.enumerate():
        if thread.ident in left:
            thread._daemonic = True  # type: ignore[attr-defined]  # noqa: SLF001


def release(baton: LockType) -> None:
    """Release a baton that may have been released already."""
    with contextlib.suppress(RuntimeError):
        baton.release()
