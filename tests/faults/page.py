"""The table of what was done and what came of it, and docs/faults.md, which shows it."""

import datetime as dt
import subprocess
from collections import Counter
from collections.abc import Sequence

from tests.faults.kinds import KINDS
from tests.faults.runs import Outcome
from tests.operators.harness import ROOT

PAGE = ROOT / "docs/faults.md"
BEGIN, END = "<!-- written by python -m tests.faults --write -->", "<!-- until here -->"


def table(outcomes: Sequence[Outcome], *, seed: int, seconds: float) -> str:
    """All runs in one table, as Markdown."""
    struck: Counter[str] = Counter()
    for each in outcomes:
        struck.update(each.struck)
    sums = {
        "runs": len(outcomes),
        "faults that struck": struck.total(),
        "of them and others, answers that the meddler spoilt": sum(each.deeds for each in outcomes),
        "writes": sum(each.writes for each in outcomes),
        "changes told to handlers": sum(each.told for each in outcomes),
        "lists, watches": f"{sum(each.lists for each in outcomes)}, {sum(each.watches for each in outcomes)}",
        "differences between cache and list at the end": sum(each.differences for each in outcomes),
        "missed deletions": sum(each.missed_deletions for each in outcomes),
        "runs with anything wrong": sum(not each.is_good for each in outcomes),
        "longest time from the healing to a cache that is right": f"{max(each.recovery for each in outcomes):.1f} s",
        "seconds": f"{seconds:.0f}, {seconds / len(outcomes):.1f} for a run",
    }
    lines = [
        f"Of {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, commit {_commit()}, seed {seed}.",
        "",
        *("| what | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in sums.items())),
        "",
        *("| fault | struck |", "| --- | ---: |", *(f"| {each.name} | {struck[each.name]} |" for each in KINDS)),
    ]
    return "\n".join(lines)


def write(new: str) -> None:
    """Put it between the marks; ValueError if there are not both."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} lacks its marks")
    PAGE.write_text(f"{before}{BEGIN}\n{new}\n{END}{after}", encoding="utf-8")


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    changed = subprocess.run(["git", "status", "--porcelain", "workqueue"], cwd=ROOT, capture_output=True, check=False)
    return (run.stdout.strip() or "unknown") + (" and changes" if changed.stdout.strip() else "")
