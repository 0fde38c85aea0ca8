"""What comes of exploring."""

from dataclasses import dataclass

#: What to say to who is told that a scenario is not deterministic.
CAUSES = (
    "A scenario must do the same each time. What usually keeps it from that: real time, random numbers, the order of a"
    " set or of anything sorted by id() or hash(), something that outlives the run such as a cache, and threads or"
    " callbacks that are not scheduled."
)


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What was explored, all of it without a failure."""

    #: How many schedules: of :func:`explore` all different, of :func:`explore_random` as many as there were runs.
    schedules: int
    #: The most preemptions that any could have; None where that was not limited.
    preemptions: int | None
    #: True if there are no others, with however many preemptions.
    exhaustive: bool
    #: Points at which somebody went on: in all of them together, and in the longest.
    points: int
    longest: int
    #: Real time.
    seconds: float
    #: Of the random ones.
    seed: int | None = None

    def __str__(self) -> str:
        if self.seed is not None:
            kind = f"random schedules (seed {self.seed})"
        elif self.exhaustive:
            kind = "schedules, all there are"
        else:
            kind = f"schedules, all with at most {self.preemptions} preemptions"
        return f"{self.schedules:,} {kind}: {self.points:,} points, {self.longest} in the longest, {self.seconds:.1f} s"


class ScheduleFailed(AssertionError):
    """A scenario failed under a schedule: how, under which, and what happened step by step.

    What a thread raised is its ``__cause__``.
    """

    def __init__(self, what: str, *, schedule: str, trace: str) -> None:
        """:param what: failed, in sentences.
        :param schedule: for :func:`replay`.
        :param trace: a line for each step.
        """
        super().__init__(f"{what}\n\nto see it again: replay(scenario, schedule={schedule!r})\n\n{trace}")
        self.schedule = schedule
        self.trace = trace


class NotDeterministic(AssertionError):
    """A scenario did something else though the schedule was the same."""
