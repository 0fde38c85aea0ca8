"""What a scenario finds in the standard library while it runs; every other thread still finds the original."""

import queue
import threading
import time
from _thread import get_ident
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from workqueue.base.clock import RealClock
from workqueue.testing.schedules.locks import ScheduledLock, ScheduledRLock, notify, sleep_on, to_instant
from workqueue.testing.schedules.machine import Machine
from workqueue.testing.schedules.members import JOIN, SHUT, SLEEP


@contextmanager
def patched(machine: Machine) -> Iterator[None]:
    """Inside, whatever runs on the machine is scheduled by it. Everything is put back, whatever happens.

    :raises RuntimeError: if that is so already.
    """
    if getattr(threading.Lock, "__module__", "") == __name__:
        raise RuntimeError("schedules are explored already: one exploration at a time, and none inside of a scenario")
    with ExitStack() as undo:
        for owner, name, replacement in _replacements(machine):
            undo.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, replacement)
        yield


def _replacements(machine: Machine) -> list[tuple[Any, str, Any]]:
    """Where, under which name, and what instead."""
    return [*_locks(machine), *_threads(machine), *_time(machine)]


def _locks(machine: Machine) -> list[tuple[Any, str, Any]]:
    """Event, Semaphore, Barrier, queue.Queue and Future are made of these, whoever imported them and when."""
    real_lock, real_rlock, real_simple_queue = threading.Lock, threading.RLock, queue.SimpleQueue
    real_wait, real_notify = threading.Condition.wait, threading.Condition.notify

    def make_lock() -> Any:
        return ScheduledLock(machine) if get_ident() == machine.current.ident else real_lock()

    def make_rlock() -> Any:
        return ScheduledRLock(machine) if get_ident() == machine.current.ident else real_rlock()

    def make_simple_queue() -> Any:
        # The original waits where nobody sees it; this is its twin in Python.
        return queue._PySimpleQueue() if get_ident() == machine.current.ident else real_simple_queue()  # type: ignore[attr-defined] # noqa: SLF001

    def is_mine(condition: Any) -> bool:
        lock = condition._lock  # noqa: SLF001
        return isinstance(lock, ScheduledLock) and lock.machine is machine and get_ident() == machine.current.ident

    def wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        if not is_mine(condition):
            return real_wait(condition, timeout)
        return sleep_on(condition, None if timeout is None else to_instant(machine, max(timeout, 0)))

    def notify_(condition: threading.Condition, n: int = 1) -> None:
        if is_mine(condition):
            notify(condition, n)
        else:
            real_notify(condition, n)

    return [
        (threading, "Lock", make_lock),
        (threading, "_allocate_lock", make_lock),
        (threading, "RLock", make_rlock),
        (threading.Condition, "wait", wait),
        (threading.Condition, "notify", notify_),
        (queue, "SimpleQueue", make_simple_queue),
    ]


def _threads(machine: Machine) -> list[tuple[Any, str, Any]]:
    real_start, real_join, real_is_alive = threading.Thread.start, threading.Thread.join, threading.Thread.is_alive

    def start(thread: threading.Thread) -> None:
        if get_ident() == machine.current.ident:
            machine.start(thread, real_start)
        else:
            real_start(thread)

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        me, member = machine.current, machine.member_of(thread)
        if get_ident() != me.ident or member is None or member is me:
            real_join(thread, timeout)
            return
        until = None if timeout is None else to_instant(machine, max(timeout, 0))
        if machine.wait(me, member.end, until, JOIN, member):
            with machine.outside():
                real_join(thread)

    def is_alive(thread: threading.Thread) -> bool:
        member = machine.member_of(thread) if get_ident() == machine.current.ident else None
        return real_is_alive(thread) if member is None else member.end.owner is not None

    return [
        (threading.Thread, "start", start),
        (threading.Thread, "join", join),
        (threading.Thread, "is_alive", is_alive),
    ]


def _time(machine: Machine) -> list[tuple[Any, str, Any]]:
    real_monotonic, real_sleep = time.monotonic, time.sleep

    def monotonic() -> float:
        return machine.now if get_ident() == machine.current.ident else real_monotonic()

    def sleep(seconds: float) -> None:
        me = machine.current
        if get_ident() != me.ident:
            real_sleep(seconds)
        elif seconds < 0:
            raise ValueError("sleep length must be non-negative")
        else:
            # Also no seconds at all: everybody else comes first.
            machine.wait(me, SHUT, machine.now + seconds, SLEEP)

    return [
        (time, "monotonic", monotonic),
        (time, "sleep", sleep),
        # Those who took it from there before.
        (threading, "_time", monotonic),
        (queue, "time", monotonic),
        (RealClock, "now", staticmethod(monotonic)),
    ]
