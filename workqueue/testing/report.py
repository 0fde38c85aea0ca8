"""What a test sees of the runs of a reconcile function: which ran, why, what came of each, and what waits for when."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workqueue.base.keys import ObjectKey
from workqueue.base.text import told
from workqueue.control import Result

#: What came of a run. The first three are those of a :class:`workqueue.Result`; "error" is retried, "timeout" is an
#: error by a run that was not over in time, "terminal" is not retried, "parked" was its last retry.
Outcome = Literal["success", "requeue", "requeue_after", "error", "timeout", "terminal", "parked"]

#: Runs that a text tells.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the reconcile function."""

    key: ObjectKey
    outcome: Outcome
    #: As of the request: why the key was asked for, such as "add"; empty for a retry.
    reasons: frozenset[str]
    #: As of the request: failures and rate-limited requeues before it.
    retry: int
    #: As of the request.
    priority: int
    #: When it began, in seconds since the harness was made.
    at: float
    #: What it answered; None if it raised.
    result: Result | None = None
    #: What it raised, or the :class:`workqueue.control.TimeLimitExceeded` that it failed by.
    error: BaseException | None = None

    def __str__(self) -> str:
        why = ", ".join(sorted(self.reasons)) or ("a retry" if self.retry else "asked for")
        answer = f": {told(self.error)}" if self.error is not None else ""
        return f"{self.at:g} s  {self.key}  {self.outcome} ({why}, run {self.retry + 1}){answer}"


@dataclass(frozen=True, slots=True)
class Report:
    """What :meth:`workqueue.testing.Harness.run_until_idle` has done, and what is left."""

    #: In their order.
    runs: tuple[Run, ...]
    #: The keys that wait for their time: in how many seconds it comes, the earliest first.
    waiting: Mapping[str, float]
    #: The keys that were given up, the latest first.
    parked: tuple[str, ...]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """What came of the last run of each key that ran, by the key's text."""
        return {str(run.key): run.outcome for run in self.runs}

    @property
    def keys(self) -> list[str]:
        """The keys that ran, in the order of the runs."""
        return [str(run.key) for run in self.runs]

    def of(self, key: ObjectKey | tuple[str, str] | str) -> list[Run]:
        """The runs of one key.

        :param key: in any of its forms.
        :raises InvalidKey: if it is none.
        """
        wanted = ObjectKey.of(key)
        return [run for run in self.runs if run.key == wanted]

    def __str__(self) -> str:
        lines = [*_told(self.runs)] or ["nothing ran"]
        lines += [f"{key} waits {seconds:g} s" for key, seconds in self.waiting.items()]
        lines += [f"{key} is parked" for key in self.parked]
        return "\n".join(lines)


class NotIdle(AssertionError):
    """There is always something more to run: the message says of what, and why."""

    def __init__(self, report: Report, *, limit: int) -> None:
        """:param report: of all runs so far.
        :param limit: how many there may be.
        """
        self.report = report
        (key, count), *_ = Counter(report.keys).most_common(1)
        last = report.of(key)[-1]
        super().__init__(
            f"not idle after {limit} runs, {count} of them of {key}, the last: {last}; a reconcile function that "
            f"always changes what it is asked for by never ends (more runs: limit=)"
        )


def _told(runs: tuple[Run, ...]) -> list[str]:
    lines = [str(run) for run in runs[-SHOWN:]]
    return [f"… {len(runs) - SHOWN} runs before", *lines] if len(runs) > SHOWN else lines
