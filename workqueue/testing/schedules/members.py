"""Who takes part in a run: the threads of the scenario.

Each has a baton, a real lock: who does not run is asleep on its own, and whoever runs hands over by
releasing that of another. So exactly one of them runs at any time, and whatever belongs to a run
needs no other guard: it belongs to whoever runs.
"""

from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import Final, NamedTuple


class Abandoned(BaseException):
    """The run is over for this thread: raised at its points so that it unwinds. Nobody else ever sees it."""


class Gate:
    """Something that has to be open before somebody can go on: a free lock, the end of a thread."""

    __slots__ = ("owner",)

    def __init__(self, owner: object = None) -> None:
        #: Who keeps it shut; None while it is open.
        self.owner = owner


#: What a member needs that could go on at any time, and what one needs that cannot by itself.
OPEN: Final = Gate()
SHUT: Final = Gate("nobody opens this one")


class Doing(NamedTuple):
    """What a member is about to do, in words: once it does, and while it cannot. With {} for the thing."""

    does: str
    waits: str


BEGIN: Final = Doing("begins", "has not begun")
GO_ON: Final = Doing("goes on", "could go on")
ACQUIRE: Final = Doing("acquires {}", "waits for {}")
TRY: Final = Doing("tries {}", "waits for {}")
WAKE: Final = Doing("wakes on {}", "sleeps on {}")
SLEEP: Final = Doing("has slept", "sleeps")
JOIN: Final = Doing("sees the end of {}", "waits for the end of {}")
FINISH: Final = Doing("sees the end of all", "waits for the end of all")


class Member:
    """A thread of the scenario in one run; number 0 is the scenario itself: its set-up and its last checks."""

    __slots__ = (
        "baton", "begun", "daemon", "doing", "end", "gone", "ident", "index", "left_behind", "name", "needs",
        "notified", "refusals", "target", "then", "until", "what", "where",
    )  # fmt: skip

    def __init__(self, index: int, name: str, *, baton: LockType, ident: int, daemon: bool) -> None:
        self.index = index
        self.name = name
        #: A run does not wait for the end of a daemon.
        self.daemon = daemon
        #: A real lock: held while the member runs, and while it sleeps on it.
        self.baton = baton
        #: Of its real thread, as threading.get_ident() has it; 0 until that is there.
        self.ident = ident
        #: What it runs; None once it has begun.
        self.target: Callable[[], object] | None = None
        #: What must be open for it to go on from where it is.
        self.needs = OPEN
        #: The instant from which it waits for `then` instead; None for ever, and once it was reached.
        self.until: float | None = None
        self.then = OPEN
        #: Whether its last sleep on a condition was ended by a notify.
        self.notified = False
        #: Open once it has begun, and once it has ended.
        self.begun = Gate(self)
        self.end = Gate(self)
        #: A real lock, held until its real thread has left the run.
        self.gone = allocate_lock()
        self.gone.acquire()
        #: How often it was told to unwind, and whether that was given up.
        self.refusals = 0
        self.left_behind = False
        #: What it is about to do, with what, and where: for the trace, and kept only while there is one.
        self.doing = BEGIN
        self.what: object = None
        self.where = ""

    def __str__(self) -> str:
        return f"{self.index} {self.name}"
