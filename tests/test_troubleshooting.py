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
FATAL = {
    "ConfigurationError",
    "BadSetting",
    "NotReachable",
    "fatal",
    "_ambiguous",
    "IndexNotFound",
    "InvalidKey",
    "NotLoggedIn",
    "IndexConflict",
    "BuildError",
}


def template(node: ast.expr) -> str:
    """A text of the source with "…" for each part that is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return re.sub(
            "…( ?…)*", "…", "".join(each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
        )
    return "…"


def fatal_calls(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call for call in calls if call.args and getattr(call.func, "id", getattr(call.func, "attr", "")) in FATAL]


def fatal_lines(path: Path) -> set[str]:
    """What a file of the source ends operators with, but for texts that are passed on."""
    lines = {template(call.args[0]) for call in fatal_calls(path)}
    return {line for line in lines if line.strip("…")}


SOURCES = [
    *sorted((ROOT / "workqueue").rglob("*.py")),
    *sorted((ROOT / "operator").glob("*.py")),
]
WRITTEN = {line for path in SOURCES if "testing" not in path.parts for line in fatal_lines(path)} | {
    template(node.value)
    for function in ast.walk(ast.parse((ROOT / "workqueue/plugin/kubeconfig.py").read_text(encoding="utf-8")))
    if isinstance(function, ast.FunctionDef) and "diagnose" in function.name  # what it returns is fatal
    for node in ast.walk(function)
    if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr)
}


def error_texts(path: Path) -> set[str]:
    """All texts of a program that begin a line with "error: "."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    whole = [
        node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in inside
    ]
    texts = [template(node).rpartition("\n")[2] for node in whole]
    return {
        text.removeprefix("error: ") for text in texts if text.startswith("error: ") and text.strip("… ") != "error:"
    }


#: What ends make's targets.
TOOLS = {
    line
    for pattern in ("tests/golang.py", "tests/cluster/*.py", "workqueue/testing/*.py")
    for path in ROOT.glob(pattern)
    for line in error_texts(path)
} | set(re.findall(r'echo "error: ([^"]+)"', (ROOT / "Makefile").read_text(encoding="utf-8")))


def test_there_is_something_to_look_at():
    assert len(WRITTEN) > 30
    assert len(EXPLAINED) > 30
    assert len(EXPLAINED) == len(set(EXPLAINED))


def test_a_text_that_is_passed_on_was_a_text_of_the_source_before():
    """Else this file would not see it: these are errors that are told, and what diagnose() returns."""
    passed_on = {
        f"{path.name}: {ast.unparse(call.args[0])}"
        for path in SOURCES
        if "testing" not in path.parts
        for call in fatal_calls(path)
        if not template(call.args[0]).strip("…")
    }
    assert passed_on == {"login.py: problem", "runtime.py: str(error)", "entrance.py: f'{error}{told}'"}


@pytest.mark.parametrize("line", sorted(WRITTEN | TOOLS))
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
