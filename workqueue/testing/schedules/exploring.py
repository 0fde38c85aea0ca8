"""Running a scenario under all schedules, under random ones, or under one."""

import gc
import math
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Literal, NoReturn, Self

from workqueue.testing.schedules.interrupts import Interrupts
from workqueue.testing.schedules.machine import Machine
from workqueue.testing.schedules.patches import patched
from workqueue.testing.schedules.results import CAUSES, Exploration, NotDeterministic, ScheduleFailed
from workqueue.testing.schedules.run import ScheduledRun, prepare
from workqueue.testing.schedules.strategies import DepthFirst, Follow, Misfit, Priorities, Strategy
from workqueue.testing.schedules.trace import Trace, read_schedule, write_schedule
from workqueue.testing.schedules.turns import Failure

#: Sets up what is tested and says which threads run; called anew for each schedule.
Scenario = Callable[[ScheduledRun], object]
#: Where a schedule may switch; why that is enough is said in :mod:`workqueue.testing.schedules.locks`.
Grain = Literal["coarse", "fine"]

#: So many runs later their garbage is collected.
_SOME_RUNS = 100
#: Lines of a trace that are shown, the last ones.
_LINES = 400


def explore(
    scenario: Scenario,
    *,
    preemptions: int = 2,
    grain: Grain = "coarse",
    at_most: int = 1_000_000,
    endless_after: int = 10_000,
    patience: float = 30.0,
) -> Exploration:
    """Run a scenario under all schedules with at most so many preemptions, first those with fewer.

    A preemption takes the turn from a thread that could go on. Turns that end because the thread waits or
    ends are no preemptions: whoever can go on then is tried, always.

    :param scenario: called with a :class:`ScheduledRun` for each schedule.
    :param preemptions: the most in one schedule. Two show nearly every bug.
    :param grain: where a schedule may switch: "coarse" before each operation that can wait, "fine" before and
        after each release and before each notify, too. The latter takes many more schedules, and finds
        something else only where data is shared without a lock, or a lock is tried without waiting.
    :param at_most: so many schedules; to have more is an error.
    :param endless_after: so many points of one run.
    :param patience: seconds of real time that a thread may take from one point to the next.
    :return: how many schedules there were.
    :raises ScheduleFailed: if the scenario fails under one of them; no other fails with fewer preemptions.
    :raises NotDeterministic: if it does not do the same each time.
    :raises ValueError: if there are too many schedules, or a parameter makes no sense.
    :raises RuntimeError: if another exploration is under way.
    """
    __tracebackhide__ = True
    if preemptions < 0:
        raise ValueError(f"preemptions={preemptions}: none is the least")
    with _Explorer(scenario, grain=grain, endless_after=endless_after, patience=patience) as explorer:
        explorer.warm_up("schedule 1 of those with at most 0 preemptions")
        for most in range(preemptions + 1):
            explorer.restart()
            strategy = DepthFirst(most)
            while True:
                if explorer.runs == at_most:
                    raise ValueError(
                        f"more than {at_most:,} schedules with at most {most} preemptions: take a smaller scenario,"
                        " fewer preemptions, or explore_random()"
                    )
                explorer.run(strategy, f"schedule {explorer.runs + 1:,} of those with at most {most} preemptions")
                if explorer.runs == 1:
                    explorer.compare_plain_paths()
                try:
                    if not strategy.advance():
                        break
                except Misfit as misfit:
                    raise NotDeterministic(f"{misfit}\n{CAUSES}") from None
            if not strategy.cut:
                break
        return explorer.report(preemptions=preemptions, exhaustive=not strategy.cut)


def explore_random(
    scenario: Scenario,
    *,
    seed: int,
    runs: int,
    changes: int = 3,
    grain: Grain = "coarse",
    endless_after: int = 10_000,
    patience: float = 30.0,
) -> Exploration:
    """Run a scenario that is too large for :func:`explore` under random schedules.

    They are drawn by probabilistic concurrency testing: each thread has a random priority, and at a few random points
    whoever runs becomes the last.

    :param seed: the same one draws the same schedules.
    :param runs: how many of them.
    :param changes: points of change in one schedule, at most; their number is drawn, too.
    :param scenario, grain, endless_after, patience: as of :func:`explore`.
    :return: how many points they had.
    :raises ScheduleFailed, NotDeterministic, RuntimeError: as of :func:`explore`.
    :raises ValueError: if a parameter makes no sense.
    """
    __tracebackhide__ = True
    if changes < 0 or runs < 1:
        raise ValueError(f"changes={changes}, runs={runs}: there must be something to do")
    with _Explorer(scenario, grain=grain, endless_after=endless_after, patience=patience) as explorer:
        explorer.warm_up(f"before the random schedules of seed {seed}")
        longest = explorer.longest
        explorer.restart()
        for number in range(runs):
            dice = random.Random(f"{seed}/{number}")  # noqa: S311 - to be had again
            strategy = Priorities(dice, changes=dice.randint(0, changes), points=max(longest, explorer.longest, 1))
            explorer.run(strategy, f"random schedule {number + 1:,} of seed {seed}")
        return explorer.report(seed=seed)


def replay(scenario: Scenario, *, schedule: str, endless_after: int = 10_000, patience: float = math.inf) -> str:
    """Run a scenario under one schedule, such as a failure told.

    :param schedule: may be the beginning of one: after it, threads go on as long as they can.
    :param scenario, endless_after, patience: as of :func:`explore`; a debugger may take its time.
    :return: what happened, a line for each step, if nothing failed.
    :raises ScheduleFailed: if it fails.
    :raises NotDeterministic: if the schedule does not fit, most likely as the code has changed.
    :raises ValueError: if it is no schedule.
    :raises RuntimeError: if an exploration is under way.
    """
    __tracebackhide__ = True
    path, fine = read_schedule(schedule)
    with _Explorer(
        scenario, grain="fine" if fine else "coarse", endless_after=endless_after, patience=patience
    ) as explorer:
        return explorer.follow(path, "replayed")


class _Explorer:
    """A scenario and the machine that runs it. While it is entered, the standard library is patched."""

    def __init__(self, scenario: Scenario, *, grain: Grain, endless_after: int, patience: float) -> None:
        if grain not in ("coarse", "fine"):
            raise ValueError(f"grain={grain!r}: either 'coarse' or 'fine'")
        if endless_after < 1 or not patience > 0:
            raise ValueError(f"endless_after={endless_after}, patience={patience}: no run would get anywhere")
        self._fine = grain == "fine"
        self._interrupts = Interrupts()
        self._machine = Machine(
            fine=self._fine, endless_after=endless_after, patience=patience, look=self._interrupts.pass_on
        )
        self._prepare = partial(prepare, self._machine, scenario)
        self._undo = ExitStack()
        self._plain_path: list[int] | None = None
        self._began = time.perf_counter()
        self.restart()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._interrupts)
            undo.callback(self._machine.close)
            undo.enter_context(patched(self._machine))
            if gc.isenabled():
                # Finalizers would run now in this thread and now in that one, and may take locks.
                undo.callback(gc.enable)
                gc.disable()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._undo.close()

    def restart(self) -> None:
        """Count from zero."""
        self.runs = self.points = self.longest = 0

    def warm_up(self, which: str) -> None:
        """Run once, so that what is imported or made for good at first is there in each run that counts.

        :param which: as of :meth:`run`.
        """
        __tracebackhide__ = True
        self.run(Follow([]), which)
        self._machine.watch_local_data()

    def run(self, strategy: Strategy, which: str) -> None:
        """Run once.

        :param which: run this is, in words.
        :raises ScheduleFailed, NotDeterministic: see :func:`explore`.
        """
        __tracebackhide__ = True
        self._interrupts.pass_on()
        failure = self._machine.run(self._prepare, strategy)
        if failure is not None:
            self._explain(failure, which)
        points = len(self._machine.path)
        self.runs += 1
        self.points += points
        self.longest = max(self.longest, points)
        if self.runs % _SOME_RUNS == 0:
            gc.collect(1)

    def compare_plain_paths(self) -> None:
        """After the run in which all go on as long as they can, which is the first one for each number of preemptions.

        :raises NotDeterministic: if they did not always do so in the same way.
        """
        __tracebackhide__ = True
        path = self._machine.path
        if self._plain_path is None:
            self._plain_path = path
        elif path != self._plain_path:
            once, again = (write_schedule(each, fine=self._fine) for each in (self._plain_path, path))
            raise NotDeterministic(
                f"While nobody was preempted, threads went on as {once}, and then as {again}.\n{CAUSES}"
            )

    def follow(self, path: list[int], which: str, failure: Failure | None = None) -> str:
        """Run once more, slower, and listen.

        :param path: who goes on.
        :param which: as of :meth:`run`.
        :param failure: how it failed before.
        :return: what happened, if nothing failed.
        """
        __tracebackhide__ = True
        trace, strategy = Trace(), Follow(path)
        again = self._machine.run(self._prepare, strategy, trace)
        if again is not None and again.kind == "misfit":
            raise NotDeterministic(f"The schedule does not fit: {again.text}.\n{CAUSES}")
        if failure is not None and (again is None or again.kind != failure.kind):
            told = "nothing" if again is None else again.text
            raise NotDeterministic(f"{failure.text}\nfailed; the same schedule once more: {told}\n{CAUSES}")
        if again is not None:
            schedule = write_schedule(path[: max(strategy.needed, 1)], fine=self._fine)
            shown = _shorten(trace.text())
            raise ScheduleFailed(f"{again.text}\n({which})", schedule=schedule, trace=shown) from again.error
        return trace.text()

    def report(
        self, *, preemptions: int | None = None, exhaustive: bool = False, seed: int | None = None
    ) -> Exploration:
        """What came out."""
        return Exploration(
            schedules=self.runs,
            preemptions=preemptions,
            exhaustive=exhaustive,
            points=self.points,
            longest=self.longest,
            seconds=time.perf_counter() - self._began,
            seed=seed,
        )

    def _explain(self, failure: Failure, which: str) -> NoReturn:
        """Raise what says it all."""
        __tracebackhide__ = True
        if failure.kind == "misfit":
            raise NotDeterministic(f"{failure.text}\n{CAUSES}")
        path = self._machine.path
        if failure.kind == "stuck":
            # Not again: it would take as long, and leave one more thread behind.
            raise ScheduleFailed(f"{failure.text}\n({which})", schedule=write_schedule(path, fine=self._fine), trace="")
        self._machine.watch_local_data()  # it may have been the first run
        self.follow(path, which, failure)
        raise AssertionError("unreachable")  # pragma: no cover


def _shorten(trace: str) -> str:
    lines = trace.splitlines()
    left_out = len(lines) - _LINES
    return trace if left_out <= 0 else "\n".join([f"… {left_out:,} lines before", *lines[left_out:]])
