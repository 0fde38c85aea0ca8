"""What a benchmark found: lists of figures, a figure for each turn, and how two of them compare.

Contenders take turns, and each turn is a process of its own. Two contenders are compared turn by turn, and
the median of these ratios counts: a busy moment of the machine falls on neighbours alike, and nobody wins by
one lucky turn. Their range is said beside it, so that a reader sees what the median is worth.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

#: The environment's variable with the name of the file that gets the records of a run.
FILE = "BENCH_RECORDS"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One contender at one task of one size.

    task, keys, consumers: what was done; contender: by whom; figures: what came out, a list for each figure,
    with one number for each turn.
    """

    task: str
    keys: int
    consumers: int
    contender: str
    figures: dict[str, list[float]]


@dataclass(frozen=True)
class Ratio:
    """How many times the other's figure one's figure is: the median over the turns, and the range."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(one: Iterable[float], other: Iterable[float]) -> Ratio:
    """Compare turn by turn."""
    ratios = [mine / theirs for mine, theirs in zip(one, other, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


class Records:
    """What was found, by what it is about."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {(each.task, each.consumers, each.contender, each.keys): each for each in records}

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def sizes(self, task: str, consumers: int = 0) -> list[int]:
        """For which numbers of keys the task was done."""
        return sorted({each.keys for each in self if (each.task, each.consumers) == (task, consumers)})

    def contenders(self, task: str, consumers: int = 0) -> list[str]:
        """Who did it, in the order in which they took their turns."""
        return list(dict.fromkeys(each.contender for each in self if (each.task, each.consumers) == (task, consumers)))

    def turns(self, task: str, consumers: int, contender: str, keys: int, figure: str = "wall") -> list[float] | None:
        """The figures of each turn; None if there are none."""
        record = self._records.get((task, consumers, contender, keys))
        return None if record is None else record.figures.get(figure)

    def ratio(
        self, task: str, consumers: int, contenders: tuple[str, str], keys: tuple[int, int], figure: str = "wall"
    ) -> Ratio | None:
        """Compare two contenders, or one at two sizes; None if one of them was not measured."""
        turns = [
            self.turns(task, consumers, contender, size, figure)
            for contender, size in zip(contenders, keys, strict=True)
        ]
        return None if turns[0] is None or turns[1] is None else ratio(turns[0], turns[1])


def save(records: Iterable[Record]) -> None:
    """Append to the file that the environment names, if it names one."""
    if name := os.environ.get(FILE):
        with Path(name).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record)) + "\n" for record in records)


def load(path: Path) -> Records:
    """Read what a run saved."""
    return Records(Record(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
