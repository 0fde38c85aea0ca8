"""Runs of a scenario: who takes part, from the set-up to the end of the last thread."""

import threading
import traceback
from _thread import LockType, allocate_lock, get_ident
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import replace

from workqueue.testing.schedules.bodies import FAREWELL, Pool, release, say_daemon, start_as_daemon
from workqueue.testing.schedules.members import FINISH, SHUT, Abandoned, Gate, Member
from workqueue.testing.schedules.strategies import Strategy
from workqueue.testing.schedules.trace import Trace
from workqueue.testing.schedules.turns import Failure, Turns


class Machine(Turns):
    """Runs scenarios, one after the other, on the thread that made it and on others. See :class:`Turns`."""

    def __init__(self, *, fine: bool, endless_after: int, patience: float, look: Callable[[], object]) -> None:
        """:param fine, endless_after, patience, look: as of :class:`Turns`."""
        self._pool = Pool(self.outside)
        self._nobody = Member(-1, "nobody", baton=allocate_lock(), ident=0, daemon=True)
        super().__init__(fine=fine, endless_after=endless_after, patience=patience, look=look)
        self.current = self._nobody

    def _begin(self, strategy: Strategy, trace: Trace | None) -> None:
        super()._begin(strategy, trace)
        #: Open once the set-up is done.
        self._set_up = Gate(self.main)
        #: How many have not ended, daemons left out; and a gate that is open while there are none.
        self._alive = 0
        self._all_ended = Gate()
        #: The threads that the code under test made and started itself.
        self._started: dict[threading.Thread, Member] = {}
        #: What a foreign thread did to the run; written by that thread.
        self._complaint = ""

    def run(
        self, prepare: Callable[[], Sequence[Callable[[], object]]], strategy: Strategy, trace: Trace | None = None
    ) -> Failure | None:
        """Run a scenario once.

        :param prepare: sets it up, and returns what to check once all threads have ended.
        :param strategy: chooses.
        :param trace: listens.
        :return: why it failed, None if it did not.
        :raises KeyboardInterrupt, SystemExit: if that comes to the calling thread.
        """
        self._begin(strategy, trace)
        try:
            checks = prepare()
            self._set_up.owner = None
            self._await_all()
            for check in checks:
                check()
            self._await_all()
        except Abandoned:
            pass
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # whatever a test framework raises
            self._note(_failure_of("the set-up" if self._set_up.owner else "the last checks", error))
        finally:
            self._end()
        if self._failure is None and self._complaint:
            return Failure(kind="foreign thread", text=self._complaint)
        return self._failure

    def watch_local_data(self) -> None:
        """To be called once all that outlives a run is there; see :meth:`Pool.watch_local_data`."""
        self._pool.watch_local_data()

    def close(self) -> None:
        """End the threads."""
        with self.outside():
            self._pool.stop(but=())

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Inside, whoever runs is taken for a foreign thread between two runs: what it makes is real."""
        current, self.current = self.current, self._nobody
        try:
            yield
        finally:
            self.current = current

    def add(self, target: Callable[[], object], name: str, *, twin: Member | None) -> Member:
        """A thread that begins after the set-up.

        :param target: what it runs.
        :param name: what it is called.
        :param twin: one that it is interchangeable with, and after which it begins.
        """
        slot = self._pool.take()
        member = self._join(target, name, baton=slot.baton, ident=slot.ident, daemon=False)
        member.needs = self._set_up if twin is None else twin.begun
        slot.begin(name, lambda: self._live(member))
        return member

    def start(self, thread: threading.Thread, start: Callable[[threading.Thread], object]) -> None:
        """The code under test starts a thread that it made.

        :param start: does it really.
        :raises RuntimeError: if it was started before.
        """
        if thread._started.is_set():  # type: ignore[attr-defined]  # noqa: SLF001 - as the original does
            raise RuntimeError("threads can only be started once")
        baton = allocate_lock()
        baton.acquire()
        member = self._join(thread.run, thread.name, baton=baton, ident=0, daemon=thread.daemon)
        self._started[thread] = member

        def run() -> None:
            member.ident = get_ident()
            baton.acquire()
            self._live(member)

        with self.outside():
            # How a thread says that it lives is not the scenario's business.
            thread._started = threading.Event()  # type: ignore[attr-defined]  # noqa: SLF001
            thread.run = run  # type: ignore[method-assign]
            start_as_daemon(thread, start)
        if self.fine:
            self.pause(self.current)

    def member_of(self, thread: threading.Thread) -> Member | None:
        """What a thread that the code under test started is in this run."""
        return self._started.get(thread)

    def refuse_foreigner(self) -> None:
        """A thread that does not run uses something of the scenario: fine between two runs, and after the last.

        :raises RuntimeError: if there is a run, of which the thread knows nothing.
        :raises Abandoned: if it should have left the run.
        """
        if self.current is self._nobody:
            return
        if any(each.ident == get_ident() for each in self._members):
            raise Abandoned
        name = next((each.name for each in threading.enumerate() if each.ident == get_ident()), "without a name")
        self._complaint = (
            f"thread {name!r} uses a lock of the scenario but is not scheduled: it was there before, or was not started"
            " by threading.Thread"
        )
        raise RuntimeError(self._complaint)

    def _join(self, target: Callable[[], object], name: str, *, baton: LockType, ident: int, daemon: bool) -> Member:
        member = Member(len(self._members), name, baton=baton, ident=ident, daemon=daemon)
        member.target = target
        self._members.append(member)
        if not daemon:
            self._alive += 1
            self._all_ended.owner = self.main
        return member

    def _await_all(self) -> None:
        while self._alive:
            self.wait(self.main, self._all_ended, None, FINISH)

    def _live(self, me: Member) -> None:
        """What a thread does between its first turn and the end of its last one."""
        target, me.target = me.target, None
        try:
            if target is not None and not self.ending:
                me.begun.owner = None
                Context().run(target)
        except (Abandoned, SystemExit):
            pass
        except BaseException as error:  # whatever it is, it must not get lost
            self._note(_failure_of(f"thread {me}", error))
            self.ending = True
            release(self.main.baton)
        del target  # what is finalized now still has its turn
        me.needs, me.until, me.end.owner = SHUT, None, None
        if not me.daemon:
            self._alive -= 1
            if not self._alive:
                self._all_ended.owner = None
        if not self.ending:
            with suppress(Abandoned):
                self._hand_over(self._choose(me))
        me.gone.release()

    def _end(self) -> None:
        """Let all that are left unwind, one at a time; first the one that runs, unless it is the main thread."""
        left = [each for each in self._members[1:] if each.end.owner is not None]
        if left:
            self.ending = True
            running = self.current
            stuck = self._failure is not None and self._failure.kind == "stuck"
            for each in sorted(left, key=lambda each: each is not running):
                self.current = each
                release(each.baton)
                if not each.gone.acquire(timeout=0 if stuck and each is running else FAREWELL):
                    each.left_behind = True
        self.current = self._nobody
        if all(each.daemon for each in left):
            self._pool.take_back()
        else:
            self._pool.stop(but=[each.ident for each in left if each.left_behind])
        behind = [each for each in left if each.left_behind]
        if behind:
            say_daemon(each.ident for each in behind)
            text = f"left behind, as they did not unwind at the end of the run: {', '.join(map(str, behind))}"
            if self._failure is None:
                self._failure = Failure(kind="left behind", text=text)
            else:
                self._failure = replace(self._failure, text=f"{self._failure.text}\n({text})")


def _failure_of(who: str, error: BaseException) -> Failure:
    text = "".join(traceback.format_exception_only(error)).rstrip()
    return Failure(kind=type(error).__name__, text=f"in {who}: {text}", error=error)
