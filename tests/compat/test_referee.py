"""The Go side's own failures are told in a few lines, and what is printed for a script can be run again."""

import os
from pathlib import Path

import pytest

from tests.compat.__main__ import main
from tests.compat.referee import PROGRAM, Referee, RefereeError
from tests.compat.scripts import Operation, Script
from tests.golang import BuildError

pytestmark = pytest.mark.compat


def fails(**environ: str) -> str:
    with pytest.raises(BuildError) as caught:
        PROGRAM.ensure(environ=environ, say=lambda line: None)
    return str(caught.value)


def go(folder: Path, text: str) -> str:
    script = folder / "go"
    script.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    script.chmod(0o755)
    return str(folder)


def test_without_go_it_fails_with_one_sentence(tmp_path: Path) -> None:
    assert fails(PATH=str(tmp_path)) == "error: the comparison with client-go needs Go 1.26.0 or later on PATH"


def test_an_old_go_is_named(tmp_path: Path) -> None:
    path = go(tmp_path, "echo go1.25.9")
    assert fails(PATH=path).endswith(f"needs Go 1.26.0 or later on PATH, {path}/go is go1.25.9")


def test_a_build_that_fails_shows_gos_last_lines_and_leaves_nothing(tmp_path: Path) -> None:
    path = go(tmp_path, '[ "$1" = env ] && echo go1.26.8 && exit; echo "no such host"; exit 1')
    said = fails(PATH=f"{path}:/bin:/usr/bin", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert said.startswith("no such host\nerror: building the comparison with client-go failed")
    assert [each.suffix for each in (tmp_path / "cache/kopf-workqueue/compat").iterdir()] == [".lock"]


def test_a_crash_shows_its_reason_and_the_script_and_the_next_script_runs(referee: Referee) -> None:
    crashing = Script("plain", (Operation("add", ("a",)), Operation("fly")))
    with pytest.raises(RefereeError) as caught:
        referee.ask(crashing)
    assert 'no operation is named "fly"' in str(caught.value)
    assert str(caught.value).endswith(f"at the script {crashing.to_json()}")
    assert [each.length for each in referee.ask(Script("plain", (Operation("add", ("a",)),)))] == [1]


def test_a_script_that_was_printed_can_be_run_again(
    referee: Referee, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = (Operation("add_with", ("a",), options={"priority": 5}), Operation("get_with_priority"))
    assert main([Script("priority", operations).to_json()]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  1 add_with(a, priority=5)",
        "      ours:   length 1",
        "      theirs: length 1",
        "  2 get_with_priority()",
        "      ours:   length 0, got a with priority 5 at 0 ms",
        "      theirs: length 0, got a with priority 5 at 0 ms",
        "no difference in the 2 operations compared; excused: nothing",
    ]
    assert main(['{"queue": "plain", "operations": [["step", 1]]}']) == 2
    assert capsys.readouterr().err == "error: this is no script: a plain queue has no step\n"
    monkeypatch.setenv("PATH", os.devnull)
    assert main([Script("plain").to_json()]) == 2
