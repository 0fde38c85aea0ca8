"""Contenders take turns: A B C, A B C, …; each turn of each of them is a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench.build import QUEUES
from tests.bench.records import Record, Records, save
from tests.golang import BuildError

ROOT = Path(__file__).resolve().parents[2]
#: The names of the Go program's queues, by those they have here.
GO = {
    "client-go queue": "plain",
    "client-go delaying queue": "delaying",
    "client-go rate-limiting queue": "ratelimiting",
    "controller-runtime priority queue": "priority",
}
#: What is appended to the name of a contender whose metrics are kept.
MEASURED = ", metrics"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one contender does in each of its turns; the fields are those of :class:`tests.bench.tasks.Options`."""

    task: str
    contender: str
    keys: int
    rounds: int = 1
    consumers: int = 0
    seconds: float = 0.0

    def take(self) -> dict[str, float] | None:
        """Take it; None for a contender in Go that cannot be had."""
        name = self.contender.removesuffix(MEASURED)
        if name not in GO:
            command = [sys.executable, "-m", "tests.bench.tasks", "-queue", name]
        elif (binary := go_program()) is not None:
            command = [str(binary), "-queue", GO[name]]
        else:
            return None
        command += ["-task", self.task, "-keys", str(self.keys), "-rounds", str(self.rounds)]
        command += ["-consumers", str(self.consumers), "-seconds", str(self.seconds)]
        if self.contender.endswith(MEASURED):
            command.append("-measured")
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


@cache
def go_program() -> Path | None:
    """The Go program; None, and the reason on stderr, if it cannot be had."""
    try:
        return QUEUES.ensure()
    except BuildError as error:
        print(error, file=sys.stderr, flush=True)
        print("measuring without the peers in Go", file=sys.stderr, flush=True)
        return None


def go_version() -> str:
    """The version of Go that the program was built with, "" if there is none."""
    if (binary := go_program()) is None:
        return ""
    return subprocess.run([binary, "-version"], capture_output=True, text=True, check=True).stdout.strip()


def take(turns: Sequence[Turn], repeats: int) -> Records:
    """Let everybody take so many turns; what came out is also saved."""
    figures: dict[Turn, dict[str, list[float]]] = {turn: {} for turn in turns}
    for repeat in range(1, repeats + 1):
        for number, turn in enumerate(turns, 1):
            _progress(f"turn {repeat} of {repeats}, {number} of {len(turns)}: {turn.task}, {turn.contender}")
            for figure, value in (turn.take() or {}).items():
                figures[turn].setdefault(figure, []).append(value)
    _progress("")
    records = [
        Record(task=turn.task, keys=turn.keys, consumers=turn.consumers, contender=turn.contender, figures=found)
        for turn, found in figures.items()
        if found
    ]
    save(records)
    return Records(records)


def _progress(line: str) -> None:
    """Only for those who watch: on a terminal."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
