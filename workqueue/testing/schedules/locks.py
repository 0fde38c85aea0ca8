"""Locks whose waiting is decided by the schedule, and what a condition does on such a lock.

Where a schedule may switch
---------------------------

*Coarse*: before each operation that can wait: to acquire a lock (also without blocking, for its result
depends on the others), to sleep, to join; and where a thread has not begun, or has ended. There is no
point at a release or a notify, because a switch there shows nothing else as long as data is shared under
locks only: what a thread does from a release to its next acquire then concerns nobody, so that the others
may as well come right before that acquire; and who is notified needs the lock, which the notifier holds.
So a critical section is one step, unless there is an acquire or a wait in it, and to come to the same it
takes as many preemptions as ever (the tests compare both grains, bound by bound).

*Fine*: besides, before and after each release, and before each wait and notify. What is shared without a
lock and touched right after a release, and a lock that is tried while another holds it, show more here.
"""

import threading
from _thread import RLock, allocate_lock, get_ident
from collections import deque
from types import TracebackType
from typing import Any

from workqueue.testing.schedules.machine import Machine
from workqueue.testing.schedules.members import ACQUIRE, OPEN, SHUT, TRY, WAKE, Gate, Member


class ScheduledLock(Gate):
    """What ``threading.Lock()`` makes in a scenario; its owner is who holds it.

    Between two runs, and after all of them, it is an ordinary lock: a module that the scenario imports
    may have made it for good.
    """

    __slots__ = ("__weakref__", "_real", "machine")
    _kind = "lock"

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine
        self._real: Any = self._make_real()
        if machine.trace is not None:
            machine.trace.made(self, self._kind)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as the original
        """As :meth:`threading.Lock.acquire`."""
        machine = self.machine
        me = machine.current
        if get_ident() != me.ident:
            machine.refuse_foreigner()
            return bool(self._real.acquire(blocking, timeout))
        if not blocking:
            if timeout != -1:
                raise ValueError("can't specify a timeout for a non-blocking call")
            me.needs = OPEN
            machine.switch(me, TRY, self)
            if self.owner is not None:
                if machine.trace is not None:
                    machine.trace.note(me, "does not get", self)
                return False
        elif timeout == -1:
            me.needs = self
            machine.switch(me, ACQUIRE, self)
        elif not machine.wait(me, self, to_instant(machine, timeout), ACQUIRE, self):
            return False
        self.owner = me
        return True

    def release(self) -> None:
        """As :meth:`threading.Lock.release`."""
        machine = self.machine
        me = machine.current
        if get_ident() != me.ident:
            machine.refuse_foreigner()
            self._real.release()
        elif machine.ending:
            if self.owner is me:
                self.owner = None
        elif self.owner is None:
            raise RuntimeError("release unlocked lock")
        elif machine.fine:
            machine.pause(me)
            self.owner = None
            machine.pause(me)
        else:
            self.owner = None

    def locked(self) -> bool:
        """As :meth:`threading.Lock.locked`."""
        return self.owner is not None or bool(self._real.locked())

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'locked' if self.locked() else 'unlocked'} at {id(self):#x}>"

    def let_go(self) -> int:
        """Be released, however often it is held; return how often that is. For who runs, and no point."""
        self.owner = None
        return 1

    def take_back(self, me: Member, count: int) -> None:  # noqa: ARG002
        """Undo :meth:`let_go`. For who runs, while the lock is free."""
        self.owner = me

    def is_owned(self) -> bool:
        """Whether a condition may be used. So little does it know of an original lock: that somebody holds it."""
        return self.locked()

    # What threading.Condition asks of a lock, and who forks.

    def _is_owned(self) -> bool:
        return self.is_owned()

    def _at_fork_reinit(self) -> None:
        self.owner = None
        self._real = self._make_real()

    @staticmethod
    def _make_real() -> Any:
        return allocate_lock()


class ScheduledRLock(ScheduledLock):
    """What ``threading.RLock()`` makes in a scenario."""

    __slots__ = ("_count",)
    _kind = "rlock"

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        #: How often its owner holds it; 0 while it has none.
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as the original
        """As :meth:`threading.RLock.acquire`. To acquire it once more is no point: nobody else can tell."""
        machine = self.machine
        me = machine.current
        if get_ident() != me.ident:
            return super().acquire(blocking, timeout)
        if self.owner is not me:
            if not super().acquire(blocking, timeout):
                return False
            self._count = 0
        self._count += 1
        return True

    def release(self) -> None:
        """As :meth:`threading.RLock.release`."""
        machine = self.machine
        me = machine.current
        if get_ident() != me.ident:
            super().release()
        elif self.owner is me:
            self._count -= 1
            if not self._count:
                super().release()
        elif not machine.ending:
            raise RuntimeError("cannot release un-acquired lock")

    def let_go(self) -> int:
        """See :meth:`ScheduledLock.let_go`."""
        count, self._count = self._count, 0
        super().let_go()
        return count

    def take_back(self, me: Member, count: int) -> None:
        """See :meth:`ScheduledLock.take_back`."""
        super().take_back(me, count)
        self._count = count

    def is_owned(self) -> bool:
        """Whether the caller holds it."""
        machine = self.machine
        if get_ident() != machine.current.ident:
            return bool(self._real._is_owned())  # noqa: SLF001 - as threading.Condition does
        return self.owner is machine.current

    def _release_save(self) -> Any:
        if get_ident() != self.machine.current.ident:
            self.machine.refuse_foreigner()
            return self._real._release_save()  # noqa: SLF001
        return self.let_go()

    def _acquire_restore(self, saved: Any) -> None:
        if get_ident() != self.machine.current.ident:
            self.machine.refuse_foreigner()
            self._real._acquire_restore(saved)  # noqa: SLF001
            return
        self.acquire()
        self._count = saved

    @staticmethod
    def _make_real() -> Any:
        return RLock()


def sleep_on(condition: threading.Condition, until: float | None) -> bool:
    """What ``condition.wait`` does, for who runs: a step that releases and sleeps, and one that wakes and acquires.

    As in CPython who sleeps first is notified first, and one whose time is over stays in line until it
    has the lock: a notify that comes in between is spent on it, and it returns False all the same.

    :param condition: on a scheduled lock.
    :param until: a virtual instant; None sleeps until notified.
    :return: whether it was notified.
    :raises RuntimeError: if the lock is not held.
    """
    lock, line = _parts_of(condition)
    machine = lock.machine
    me = machine.current
    if not machine.ending and not lock.is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    if machine.fine:
        machine.pause(me)
    if machine.trace is not None:
        machine.trace.note(me, "sleeps on", condition)
    me.notified = False
    if until is not None and until <= machine.now:
        me.needs = lock
    else:
        me.needs, me.until, me.then = SHUT, until, lock
    line.append(me)
    try:
        count = lock.let_go()
        machine.switch(me, WAKE, condition)
        lock.take_back(me, count)
    finally:
        me.until = None
        if not me.notified and me in line:
            line.remove(me)
    return me.notified


def notify(condition: threading.Condition, count: int) -> None:
    """What ``condition.notify`` does, for who runs.

    :param condition: on a scheduled lock.
    :param count: how many are notified, at most.
    :raises RuntimeError: if the lock is not held.
    """
    lock, line = _parts_of(condition)
    machine = lock.machine
    if not lock.is_owned():
        if machine.ending:
            return
        raise RuntimeError("cannot notify on un-acquired lock")
    if machine.fine:
        machine.pause(machine.current)
    notified = [line.popleft() for _ in range(min(count, len(line)))]
    for each in notified:
        if each.needs is SHUT:
            each.needs, each.until, each.notified = lock, None, True
    if machine.trace is not None:
        whom = ", ".join(map(str, notified)) or "nobody sleeps there"
        machine.trace.note(machine.current, "notifies", condition, f": {whom}")


def _parts_of(condition: Any) -> tuple[ScheduledLock, deque[Member]]:
    """The lock of a condition, and who sleeps on it, the first one first: the condition keeps both itself."""
    return condition._lock, condition._waiters  # noqa: SLF001


def to_instant(machine: Machine, timeout: float) -> float:
    """When a timeout is over.

    :param timeout: seconds.
    :raises ValueError: if it is negative.
    :raises OverflowError: if it is longer than a lock can wait.
    """
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return machine.now + timeout
