"""Whose turn it is: at each point somebody is chosen to go on; where nobody can, time passes."""

import sys
import traceback
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from workqueue.testing.schedules.bodies import release
from workqueue.testing.schedules.members import GO_ON, OPEN, Abandoned, Doing, Gate, Member
from workqueue.testing.schedules.strategies import Follow, Misfit, Strategy
from workqueue.testing.schedules.trace import Trace

#: The virtual instant at which a run begins, in seconds.
START: Final = 1000.0
#: Seconds of real time between two looks of the main thread while it waits.
_LOOK = 0.2
#: How often a thread may catch what should end it.
_REFUSALS = 100


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run failed."""

    #: A word for the kind: the same schedule, run again, must fail in the same.
    kind: str
    #: Sentences.
    text: str
    #: What was raised, if anything was.
    error: BaseException | None = None


class Turns:
    """The turns of one run, then of the next. All of it belongs to whoever runs."""

    def __init__(self, *, fine: bool, endless_after: int, patience: float, look: Callable[[], object]) -> None:
        """:param fine: whether releases and notifies are points, too.
        :param endless_after: so many points of one run.
        :param patience: seconds of real time that one may take to the next point.
        :param look: is called now and then while the main thread waits, and may raise.
        """
        self.fine = fine
        self._endless_after = endless_after
        self._patience = patience
        self._look = look
        self._begin(Follow([]), None)

    def _begin(self, strategy: Strategy, trace: Trace | None) -> None:
        """Forget the last run."""
        baton = allocate_lock()
        baton.acquire()
        self.main = Member(0, "main", baton=baton, ident=get_ident(), daemon=True)
        #: Who runs. Foreign threads read it, too, only to see that they are not it.
        self.current = self.main
        #: All there are, by number; those that have ended need SHUT.
        self._members = [self.main]
        self._strategy = strategy
        self.trace = trace
        #: The virtual time, in seconds; it moves only when nobody can go on.
        self.now = START
        #: The number of who went on, for each point.
        self.path: list[int] = []
        #: True once the run is being ended: whoever comes to a point has to unwind.
        self.ending = False
        self._failure: Failure | None = None

    def switch(self, me: Member, doing: Doing, what: object = None) -> None:
        """A point: somebody goes on; return when it is ``me``, and what it needs is open.

        :param me: who runs.
        :param doing, what: what it is about to do, and with what.
        :raises Abandoned: if the run is over.
        """
        if self.ending:
            self._refuse(me)
        if self.trace is not None:
            self.trace.arrive(me, doing, what)
        chosen = self._choose(me)
        if chosen is me:
            return
        self._hand_over(chosen)
        if me is self.main:
            self._watch()
        else:
            me.baton.acquire()
        if self.ending:
            self._refuse(me)

    def pause(self, me: Member) -> None:
        """A point where nothing is needed to go on."""
        me.needs = OPEN
        self.switch(me, GO_ON)

    def wait(self, me: Member, gate: Gate, until: float | None, doing: Doing, what: object = None) -> bool:
        """A point where a gate must be open, or an instant reached.

        :return: whether the gate is open.
        """
        me.needs, me.until, me.then = gate, until, OPEN
        self.switch(me, doing, what)
        opened = until is None or me.until is not None
        me.until = None
        return opened

    def _hand_over(self, chosen: Member) -> None:
        self.current = chosen
        chosen.baton.release()

    def _choose(self, me: Member) -> Member:
        strategy = self._strategy
        if strategy.stays and me.needs.owner is None:
            chosen = me
        else:
            while not (options := [each for each in self._members if each.needs.owner is None]):
                self._let_time_pass(me)
            try:
                chosen = strategy.choose(len(self.path), me, options)
            except Misfit as misfit:
                self._fail(me, "misfit", str(misfit))
        self.path.append(chosen.index)
        if self.trace is not None:
            self.trace.go_on(me, chosen)
        if len(self.path) > self._endless_after:
            what = f"no end after {self._endless_after} points: do threads keep each other busy, or does one poll?"
            self._fail(me, "livelock", what + self._who_waits())
        return chosen

    def _let_time_pass(self, me: Member) -> None:
        """Nobody can go on: time moves to the earliest instant that somebody waits for."""
        instants = [each.until for each in self._members if each.until is not None]
        if not instants:
            self._fail(me, "deadlock", "deadlock: nobody can go on" + self._who_waits())
        self.now = max(self.now, min(instants))
        for each in self._members:
            if each.until is not None and each.until <= self.now:
                each.until, each.needs = None, each.then

    def _watch(self) -> None:
        """The main thread sleeps on its baton, and looks now and then what the others and the user are at."""
        points, waited = len(self.path), 0.0
        pause = min(self._patience, _LOOK)
        try:
            while not self.main.baton.acquire(timeout=pause):
                self._look()
                waited += pause
                if points != len(self.path):
                    points, waited = len(self.path), 0.0
                elif waited >= self._patience:
                    self._note(Failure(kind="stuck", text=self._who_is_stuck(self.current)))
                    self.ending = True
                    return
        except BaseException:  # Ctrl-C: from here on, nothing that is done while all unwind counts
            self.ending = True
            raise

    def _fail(self, me: Member, kind: str, text: str) -> NoReturn:
        """The run fails at a point of ``me``."""
        self._note(Failure(kind=kind, text=text))
        self.ending = True
        if me is not self.main:
            release(self.main.baton)
        raise Abandoned

    def _note(self, failure: Failure) -> None:
        """The first failure counts; what is raised while all unwind does not."""
        if self._failure is None and not self.ending:
            self._failure = failure

    def _refuse(self, me: Member) -> NoReturn:
        """The run is over: ``me`` unwinds. One that goes on all the same is put to sleep for ever."""
        me.refusals += 1
        if me.refusals > _REFUSALS and me is not self.main:
            me.left_behind = True
            me.gone.release()
            while True:
                me.baton.acquire()
        raise Abandoned

    def _who_waits(self) -> str:
        return "" if self.trace is None else "\n" + self.trace.who_waits(self._members)

    def _who_is_stuck(self, member: Member) -> str:
        frame = sys._current_frames().get(member.ident)  # noqa: SLF001 - there is no other way to see it
        stack = "" if frame is None else "\n" + "".join(traceback.format_stack(frame)).rstrip()
        return (
            f"thread {member} came to no lock and no condition within {self._patience:g} s of real time: it computes,"
            " or waits for what is not scheduled, such as a socket, a process or a lock made outside of the scenario"
            f"{stack}"
        )
