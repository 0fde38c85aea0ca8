"""What a benchmark has to say on the page: what was timed, what it was to reach, tables of everything.

A benchmark's module with a function ``section(records)`` gets a place on the page.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.bench.records import Ratio, Records, median


@dataclass(frozen=True, kw_only=True)
class Target:
    """what was measured; the limit it was to keep, and what came out, in words; reached: None if it is not known."""

    what: str
    limit: str
    measured: str
    reached: bool | None


@dataclass(frozen=True, kw_only=True)
class Section:
    """title, and text: what was timed, in Markdown; targets; tables: in Markdown, each below its caption."""

    title: str
    text: str
    targets: Sequence[Target] = ()
    tables: Sequence[tuple[str, str]] = field(default=())

    def render(self) -> str:
        """The section in Markdown, without its targets, which stand together at the top of the page."""
        tables = "".join(f"\n{caption}\n\n{table}" for caption, table in self.tables if table)
        return f"## {self.title}\n\n{self.text.strip()}\n{tables}"


NOT_MEASURED = "not measured"


def at_most(what: str, limit: float, of: str, ratio: Ratio | None, *, beside: str = "") -> Target:
    """A target for a ratio. What is printed is compared, so that nothing is claimed that the page does not show.

    :param limit: 1 stands for ahead, which is less than 1.
    :param of: whose figure the ratio is of.
    :param beside: said after what was measured.
    """
    words = f"ahead of {of}" if limit == 1 else f"at most {limit:g} times {of}"
    if ratio is None:
        return Target(what=what, limit=words, measured=NOT_MEASURED, reached=None)
    shown = round(ratio.median, 2)
    reached = shown < 1 if limit == 1 else shown <= limit
    return Target(what=what, limit=words, measured=f"{ratio}{beside}", reached=reached)


def render_targets(targets: Iterable[Target]) -> str:
    """All targets as one table."""
    answers = {True: "reached", False: "**not reached**", None: NOT_MEASURED}
    rows = [(each.what, each.limit, each.measured, answers[each.reached]) for each in targets]
    return markdown(("what", "to reach", "measured", ""), rows)


def figures(
    records: Records,
    task: str,
    consumers: int = 0,
    *,
    figure: str = "wall",
    show: Callable[[float], str] = "{:,.0f}".format,
) -> str:
    """A table of one figure: contenders by sizes, in each cell the least of the turns and their median."""
    sizes = records.sizes(task, consumers)
    rows = []
    for contender in records.contenders(task, consumers):
        turns = [records.turns(task, consumers, contender, size, figure) for size in sizes]
        rows.append(
            (contender, *("" if each is None else f"{show(min(each))} / {show(median(each))}" for each in turns))
        )
    return markdown(("least / median", *(f"{size:,} keys" for size in sizes)), rows) if rows else ""


def ratios(
    records: Records, task: str, consumers: int, pairs: Sequence[tuple[str, str]], *, figure: str = "wall"
) -> str:
    """A table of ratios: pairs of contenders by sizes."""
    sizes = records.sizes(task, consumers)
    rows = []
    for pair in pairs:
        cells = [records.ratio(task, consumers, pair, (size, size), figure) for size in sizes]
        if any(cells):
            rows.append((" / ".join(pair), *(str(cell or "") for cell in cells)))
    return markdown(("ratio", *(f"{size:,} keys" for size in sizes)), rows) if rows else ""


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that can be read as it is, too: its columns are as wide as they need to be, the first one is text."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    numeric = [
        column > 0 and all(not row[column] or row[column][0].isdigit() for row in rows) for column in range(len(header))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(padded)} |\n"

    rule = ["-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    return line(header) + line(rule) + "".join(line(row) for row in rows)
