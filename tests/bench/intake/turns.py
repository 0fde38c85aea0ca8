"""Subjects take turns as queues do (see ``tests.bench.turns``), at a server that a benchmark keeps for them."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.bench.intake.process import Child
from tests.bench.intake.subjects import Absent, Load, command

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SubjectTurn:
    """What one subject does in each of its turns: ``work`` is given its name, and returns what came out."""

    task: str
    contender: str
    keys: int
    work: Callable[[str], Figures]
    consumers: int = 0

    def take(self) -> Figures | None:
        """Take it; None for a subject that cannot be had."""
        try:
            return self.work(self.contender)
        except Absent as error:
            print(error, file=sys.stderr, flush=True)
            return None


def chosen(names: Iterable[str]) -> list[str]:
    """Those that the environment asks for: ``BENCH_ONLY=ours``; all by default."""
    only = os.environ.get("BENCH_ONLY", "")
    return [name for name in names if only in name]


def start(name: str, load: Load, *, kubeconfig: str) -> Child:
    """A subject, to be ended; it begins at once."""
    asked = command(name, load)
    # Everybody's own way out is loopback, whatever proxy the machine has.
    return Child(asked.words, {**asked.environment, "KUBECONFIG": kubeconfig, "NO_PROXY": "127.0.0.1"})
