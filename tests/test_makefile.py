"""`make` alone tells the truth: every target that is described is listed, and what is declared exists."""

import re
import subprocess
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
