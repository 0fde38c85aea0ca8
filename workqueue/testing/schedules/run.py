"""What a scenario gets in its hands."""

import math
import threading
from _thread import get_ident
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from workqueue.base.clock import Clock
from workqueue.testing.schedules.machine import Machine

Target = TypeVar("Target", bound=Callable[..., object])


class ScheduledClock:
    """Virtual time: it stands still while anybody can go on, else it jumps to the next instant that one waits for."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now(self) -> float:
        """Return the current instant, in seconds."""
        return self._machine.now

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """See :meth:`workqueue.base.clock.Clock.wait`."""
        if until is None or until == math.inf:
            condition.wait()
        elif until > self._machine.now:
            condition.wait(min(until - self._machine.now, threading.TIMEOUT_MAX))


class ScheduledRun:
    """One run of a scenario, while it is being set up: who takes part, and what to check when all have ended."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._clock = ScheduledClock(machine)
        self._names: set[str] = set()
        #: None once the set-up is over.
        self._checks: list[Callable[[], object]] | None = []

    @property
    def clock(self) -> Clock:
        """The time of this run, for what takes a clock; ``time.monotonic`` and ``time.sleep`` follow it, too."""
        return self._clock

    def thread(self, target: Target, *, args: Sequence[object] = (), name: str = "") -> Target:
        """Let something run on a thread of its own once the set-up is over. Serves as a decorator, too.

        :param target: is called once.
        :param args: with these.
        :param name: of the thread; by default that of the target. A number is added if it is taken.
        :return: the target.
        :raises RuntimeError: if the set-up is over; a :class:`threading.Thread` may be started at any time.
        """
        return self.threads(target, count=1, args=args, name=name)

    def threads(self, target: Target, *, count: int, args: Sequence[object] = (), name: str = "") -> Target:
        """The same on several threads that are interchangeable.

        As it makes no difference which of them begins first, only one order of that is tried: for two, half of
        the schedules. What they do, and what is checked, must not tell them apart.

        :param count: how many.
        :param target, args, name: as of :meth:`thread`.
        :return: the target.
        :raises RuntimeError: if the set-up is over.
        """
        self._require_set_up()
        twin = None
        for _ in range(count):
            unique = self._choose_name(name or getattr(target, "__name__", "thread"))
            twin = self._machine.add(partial(target, *args), unique, twin=twin)
        return target

    def afterwards(self, check: Target) -> Target:
        """Check something when all threads have ended. Serves as a decorator, too.

        :param check: is called then; several are in the order in which they were given.
        :return: the check.
        :raises RuntimeError: if the set-up is over.
        """
        self._require_set_up().append(check)
        return check

    def pause(self) -> None:
        """A point at which somebody else may go on: where a thread touches what it shares without a lock.

        :raises RuntimeError: if the calling thread does not belong to the run.
        """
        machine = self._machine
        me = machine.current
        if get_ident() != me.ident:
            machine.refuse_foreigner()
            return
        machine.pause(me)

    def _require_set_up(self) -> list[Callable[[], object]]:
        if self._checks is None:
            raise RuntimeError("the set-up is over; start a threading.Thread instead")
        return self._checks

    def _choose_name(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}-{number}"
        self._names.add(unique)
        return unique


def prepare(machine: Machine, scenario: Callable[[ScheduledRun], object]) -> Sequence[Callable[[], object]]:
    """Set a scenario up; return its checks."""
    run = ScheduledRun(machine)
    scenario(run)
    checks, run._checks = run._require_set_up(), None  # noqa: SLF001 - from here on it is over
    return checks
