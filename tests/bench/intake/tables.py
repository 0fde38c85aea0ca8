"""How the intake's figures are shown: subjects by figures, and targets of its kinds."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import median

from tests.bench.records import Ratio, Records
from tests.bench.sections import NOT_MEASURED, Target, markdown
from tests.cluster.components import APISERVER

#: Of a figure: how it is written, what divides it.
Column = tuple[str, float]


def table(records: Records, task: str, columns: Mapping[str, tuple[str, Column]]) -> str:
    """Subjects by figures, in each cell the best of the turns and their median.

    :param columns: by the name of the figure its heading, and how its numbers are written.
    """
    rows = []
    for record in records:
        if record.task == task:
            cells = []
            for figure, (_, (form, unit)) in columns.items():
                numbers = [each / unit for each in record.figures[figure]]
                best = max(numbers) if figure == "rate" else min(numbers)
                cells.append(f"{format(best, form)} / {format(median(numbers), form)}")
            rows.append((record.contender, *cells))
    header = ("best / median", *(heading for heading, _ in columns.values()))
    return markdown(header, rows) if rows else ""


def size(records: Records, task: str) -> int | None:
    """How many objects the task was done with; None if it was not."""
    return next((record.keys for record in records if record.task == task), None)


def compared(
    records: Records, task: str, pairs: Sequence[tuple[str, str]], figures: Mapping[str, str], consumers: int = 0
) -> str:
    """Ratios of pairs by figures; ``figures`` has their headings."""
    keys, rows = size(records, task) or 0, []
    for pair in pairs:
        cells = [records.ratio(task, consumers, pair, (keys, keys), figure) for figure in figures]
        if any(cells):
            rows.append((" / ".join(pair), *(str(cell or "") for cell in cells)))
    return markdown(("ratio", *figures.values()), rows) if rows else ""


def at_least(what: str, limit: float, words: str, ratio: Ratio | None) -> Target:
    """A target that is a factor: the other's figure by one's own is to be so much. What is printed is compared."""
    shown = None if ratio is None else round(ratio.median, 2)
    return Target(
        what=what,
        limit=f"at least {limit:g} times {words}",
        measured=NOT_MEASURED if ratio is None else str(ratio),
        reached=None if shown is None else shown >= limit,
    )


def versions() -> str:
    """Of what was measured, beside what stands at the top of the page."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("kopf", "kubernetes", "aiohttp"))
    return f"kube-apiserver {APISERVER.version()}, {libraries}"
