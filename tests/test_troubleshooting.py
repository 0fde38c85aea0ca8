"""docs/troubleshooting.md tells of each line that ends an operator at its start, in the words of the source."""

import ast
import re
from pathlib import Path

import pytest

from tests.operators.wrong_ways import WAYS

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
#: The lines that it explains: each begins an entry. "…" stands for what differs from case to case.
EXPLAINED = re.findall(r"^- `(?:error: )?(.+)`$", DOCUMENT, re.MULTILINE)
#: Who raises these, or calls these with a reason, ends the operator with one line.
FATAL = {"ConfigurationError", "NotReachable", "fatal", "_ambiguous", "IndexNotFound", "InvalidKey", "BuildError"}


def template(node: ast.expr) -> str:
    """A text of the source with "…" for each part that is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return re.sub(
            "…( ?…)*", "…", "".join(each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
        )
    return "…"


def fatal_lines(path: Path) -> set[str]:
    """What a file of the source ends operators with, but for texts that are passed on."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [(getattr(call.func, "id", getattr(call.func, "attr", "")), call) for call in calls]
    lines = {template(call.args[0]) for name, call in named if name in FATAL and call.args}
    return {line for line in lines if line.strip("…")}


SOURCES = [
    *sorted((ROOT / "workqueue").rglob("*.py")),
    *sorted((ROOT / "operator").glob("*.py")),
]
WRITTEN = {line for path in SOURCES if "testing" not in path.parts for line in fatal_lines(path)} | {
    template(node.value)
    for function in ast.walk(ast.parse((ROOT / "workqueue/plugin/kubeconfig.py").read_text(encoding="utf-8")))
    if isinstance(function, ast.FunctionDef) and function.name == "diagnose"  # what it returns is fatal
    for node in ast.walk(function)
    if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr)
}
#: What ends make's targets; a build's troubles beyond those explained tell themselves what to do.
TOOLS = {line.removeprefix("error: ") for path in (ROOT / "tests/cluster").glob("*.py") for line in fatal_lines(path)}
TOOLS |= set(re.findall(r'echo "error: ([^"]+)"', (ROOT / "Makefile").read_text(encoding="utf-8")))


def test_there_is_something_to_look_at():
    assert len(WRITTEN) > 30
    assert len(EXPLAINED) > 30
    assert len(EXPLAINED) == len(set(EXPLAINED))


@pytest.mark.parametrize("line", sorted(WRITTEN))
def test_every_line_of_the_source_is_explained(line):
    assert line in EXPLAINED


@pytest.mark.parametrize("line", EXPLAINED)
def test_every_explained_line_is_in_the_source(line):
    assert line in WRITTEN | TOOLS


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_line_that_a_test_has_seen_is_explained(way):
    seen = re.sub(r" \((\{file\}:\d+|waited \d+ s)\)$", "", way.line)
    patterns = [re.escape(line).replace("…", ".*") for line in EXPLAINED]
    assert any(re.fullmatch(pattern, seen) for pattern in patterns)


def test_each_entry_says_what_to_do():
    entries = re.split(r"^- `", DOCUMENT, flags=re.MULTILINE)[1:]
    assert all(len(entry.partition("`\n")[2].split()) >= 5 for entry in entries)
