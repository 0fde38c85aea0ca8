"""A page of figures, such as docs/benchmarks.md: written by the command, but for what stands between two marks."""

import importlib
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.records import Records
from tests.bench.scale import Scale
from tests.bench.sections import Section, render_targets

KEPT = ("<!-- by hand: what stands from here -->", "<!-- to here is kept when the page is written again -->")

HEAD = """
# Benchmarks

Written by `python -m tests.bench --write PAGE`, which takes twenty minutes and wants the machine for itself. Absolute
figures move from machine to machine; peers are measured in the same run, and the ratios count.

Contenders take {repeats} turns, one after another, and each turn is a process of its own. A ratio is the median of the
ratios within each turn, so that a busy moment of the machine falls on both alike, with its range in brackets. Whether
something is reached is computed from the median as it is printed; nothing on this page is asserted by a test.
"""


def sections(names: Iterable[str], records: Records) -> list[Section]:
    """What the benchmarks of these names have to say, if they have."""
    modules = [importlib.import_module(f"tests.bench.bench_{name}") for name in names]
    return [module.section(records) for module in modules if hasattr(module, "section")]


def render(sections: Iterable[Section], facts: Mapping[str, str], scale: Scale, *, kept: str = "") -> str:
    """The whole page.

    :param kept: what was written by hand.
    """
    sections = list(sections)
    if scale != Scale():
        warning = (
            "**Measured with other numbers than those of the command above, to try it: the figures mean little.**\n"
        )
    else:
        warning = ""
    parts = [
        HEAD.format(repeats=scale.repeats).strip() + "\n",
        warning,
        "".join(f"- {name}: {value}\n" for name, value in facts.items()),
        "## What was to be reached\n",
        render_targets(target for section in sections for target in section.targets),
        f"{KEPT[0]}\n{kept.strip()}\n{KEPT[1]}\n",
        *(section.render() for section in sections),
    ]
    return "\n".join(part for part in parts if part)


def write(path: Path, sections: Iterable[Section], facts: Mapping[str, str], scale: Scale) -> None:
    """Write the page, and keep what was written by hand."""
    kept = by_hand(path.read_text(encoding="utf-8")) if path.exists() else ""
    path.write_text(render(sections, facts, scale, kept=kept), encoding="utf-8")


def by_hand(page: str) -> str:
    """What stands between the marks; ValueError if there are not both, rather than that it is lost."""
    begin, end = page.find(KEPT[0]), page.find(KEPT[1])
    if not 0 <= begin < end:
        raise ValueError(
            "the page lacks the marks of what was written by hand: " + textwrap.shorten(" … ".join(KEPT), 200)
        )
    return page[begin + len(KEPT[0]) : end].strip()
