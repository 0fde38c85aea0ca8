"""`make` alone tells the truth: every target that is described is listed, and what is declared exists."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
#: (target, what it is for).
DESCRIBED = re.findall(r"^([^\s:#]+):.*?## (.+)$", MAKEFILE, re.MULTILINE)
TARGETS = set(re.findall(r"^([a-zA-Z0-9_-]+):(?!=)", MAKEFILE, re.MULTILINE))
PHONY = [name for names in re.findall(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE) for name in names.split()]


def test_there_is_something_to_look_at():
    assert {"help", "run", "test", "lint"} <= {name for name, _ in DESCRIBED}
    assert PHONY


@pytest.mark.parametrize("args", [["help"], []], ids=["make help", "make"])
def test_the_help_lists_every_target_that_is_described_with_its_description(args):
    made = subprocess.run(
        ["make", "--no-print-directory", *args], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert made.stderr == ""
    listed = [line.strip().removeprefix("make ").split(maxsplit=1) for line in made.stdout.splitlines()]
    assert listed == [[name, text] for name, text in DESCRIBED]


def test_every_phony_target_exists_and_is_described():
    assert set(PHONY) <= TARGETS
    assert set(PHONY) == {name for name, _ in DESCRIBED}
    assert len(PHONY) == len(set(PHONY))


def test_no_file_hides_a_target_that_makes_none():
    assert set(PHONY) == TARGETS, "each target without a file of its name is phony"


#: A Python that is like this one, but for what the line before the last lets it do.
FAKE = f"""#!/bin/sh
{{}}
exec {sys.executable} "$@"
"""


@pytest.mark.parametrize(
    ("behaves", "line"),
    [
        pytest.param(
            'if [ "$2" = venv ]; then mkdir -p "$3/bin"; echo "it was not created successfully" >&2; exit 1; fi',
            "error: no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv",
            id="no python3-venv",
        ),
        pytest.param(
            'if [ "$1" = -c ]; then exit 1; fi',
            "error: Python 3.11 or later is needed; say which with make PYTHON=/path/to/python3",
            id="an old Python",
        ),
    ],
)
@pytest.mark.parametrize("target", ["run", "test"])
def test_a_python_that_does_not_do_is_said_in_one_line(tmp_path, behaves, line, target):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python3"
    python.write_text(FAKE.format(behaves))
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={python}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode != 0
    assert [told for told in made.stderr.splitlines() if told.startswith("error: ")] == [line]
    assert "Traceback" not in made.stderr
    assert not (tmp_path / ".venv").exists()
