"""The benchmarks run, and their page claims what was measured and no more. Nothing here is about how long it takes."""

import json
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench import (
    bench_delays,
    bench_hung,
    bench_idle,
    bench_queue,
    bench_workers,
    build,
    machine,
    page,
    records,
    sections,
    tasks,
    turns,
)
from tests.bench.records import Ratio, Record, Records, ratio
from tests.bench.scale import QUICK, Scale, scale
from tests.bench.sections import at_most
from tests.bench.subjects import SUBJECTS
from tests.bench.tasks import TASKS, Options
from tests.golang import BuildError

FULL = Scale()
PLANS = [*bench_queue.turns(FULL), *bench_delays.turns(FULL), *bench_idle.turns(FULL)]


def record(contender, *figures, keys=1_000, task="alone", consumers=0, figure="wall"):
    return Record(task=task, keys=keys, consumers=consumers, contender=contender, figures={figure: list(figures)})


def test_everybody_in_the_plans_exists():
    for turn in PLANS:
        assert turn.task in TASKS
        name = turn.contender.removesuffix(turns.MEASURED)
        assert name in SUBJECTS or name in turns.GO


@pytest.mark.parametrize(
    ("task", "name"),
    sorted({(turn.task, turn.contender) for turn in PLANS if turn.contender.removesuffix(turns.MEASURED) in SUBJECTS}),
)
def test_every_task_is_done_by_everybody_who_shall_do_it(task, name, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    measured = name.endswith(turns.MEASURED)
    options = Options(
        queue=name.removesuffix(turns.MEASURED), measured=measured, keys=20, rounds=2, consumers=3, seconds=0
    )
    found = TASKS[task](options)
    assert found
    assert all(isinstance(value, float) for value in found.values())


def test_a_turn_is_a_process_that_prints_what_it_found(capsys):
    tasks.main(["-task", "crowd", "-queue", "Queue", "-keys", "10", "-rounds", "2", "-consumers", "2"])
    assert set(json.loads(capsys.readouterr().out)) == {"wall", "cpu"}
    turn = turns.Turn(task="alone", contender="Queue, metrics", keys=10)
    assert set(turn.take()) == {"wall", "cpu"}


def test_every_delay_is_another_one_and_none_is_shorter_than_the_shortest():
    for number in (10, 1_000, 100_000):
        delays = tasks.make_delays(number, 2.0)
        assert len(set(delays)) == number
        assert min(delays) >= 2.0
        assert max(delays) < 2.0 + number * tasks.BETWEEN
        assert delays != sorted(delays)


def test_contenders_are_compared_turn_by_turn():
    # The machine was three times slower in the second turn: that is nobody's merit.
    assert ratio([200, 660, 180], [100, 300, 100]) == Ratio(2.0, 1.8, 2.2)


@pytest.mark.parametrize(
    ("limit", "median", "reached"),
    [
        pytest.param(1.5, 1.5, True, id="at the limit"),
        pytest.param(1.5, 1.504, True, id="printed as the limit"),
        pytest.param(1.5, 1.506, False, id="above it"),
        pytest.param(1, 0.99, True, id="ahead"),
        pytest.param(1, 0.996, False, id="printed as equal"),
        pytest.param(1, 1.0, False, id="equal"),
    ],
)
def test_reached_is_what_the_printed_number_says(limit, median, reached):
    target = at_most("what", limit, "its peer", Ratio(median, median, median))
    assert target.reached is reached
    assert f"{median:.2f}" in target.measured


def test_what_was_not_measured_is_not_reached():
    benches = (bench_queue, bench_delays, bench_idle, bench_workers, bench_hung)
    for section in (each.section for each in benches):
        for target in section(Records([])).targets:
            assert target.reached is None
            assert target.measured == "not measured"


def test_runs_that_never_end_are_timed_named_and_weighed():
    records = bench_hung.measure(1, 0.1)
    targets = bench_hung.section(records).targets
    assert [target.reached for target in targets[2:]] == [True, True], "three were named, and the stop came in time"
    assert all(target.measured != "not measured" for target in targets)


def test_without_go_the_page_says_so_and_has_the_rest():
    found = Records([record("Queue", 500.0, 600.0), record("queue.Queue", 1000.0, 1000.0)])
    table = sections.render_targets(bench_queue.section(found).targets)
    assert table.count("**not reached**") == 0
    reached = [line for line in table.splitlines() if line.endswith("| reached       |") or "| reached " in line]
    assert len(reached) == 1
    assert "queue.Queue" in reached[0]
    assert "0.55 (0.50 to 0.60)" in reached[0]


def test_a_queue_that_never_held_all_keys_is_named():
    kept = record("DelayingQueue", 0.001, task="delayed", figure="adding")
    late = record("client-go delaying queue", 9.0, task="delayed", figure="adding")
    assert bench_delays.late(Records([kept, late])) == ["client-go delaying queue at 1,000 keys"]


def test_an_idle_queue_that_wakes_anybody_once_has_not_reached_anything():
    name = bench_idle.OURS[0]

    def idle(*switches):
        figures = {"switches": list(switches), "without": [1.0] * len(switches)}
        return Records([Record(task="idle", keys=10_000, consumers=8, contender=name, figures=figures)])

    assert next(bench_idle.targets(idle(1.0, 1.0))).reached is True
    assert next(bench_idle.targets(idle(1.0, 2.0))).reached is False


def test_records_come_back_as_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.setenv(records.FILE, str(tmp_path / "records"))
    records.save([record("Queue", 1.0, 2.0)])
    records.save([record("Queue", 3.0, keys=10)])
    assert list(records.load(tmp_path / "records")) == [record("Queue", 1.0, 2.0), record("Queue", 3.0, keys=10)]
    monkeypatch.delenv(records.FILE)
    records.save([record("Queue", 1.0)])


def test_what_is_written_by_hand_outlives_the_page(tmp_path):
    path, section = tmp_path / "benchmarks.md", bench_queue.section(Records([record("Queue", 500.0)]))
    page.write(path, [section], {"date": "today"}, FULL)
    assert page.by_hand(path.read_text()) == ""
    path.write_text(path.read_text().replace(page.KEPT[0], f"{page.KEPT[0]}\n## Why not\n\nIt was tried."))
    page.write(path, [section], {"date": "tomorrow"}, FULL)
    text = path.read_text()
    assert text.count("## Why not\n\nIt was tried.") == 1
    assert "tomorrow" in text
    page.write(path, [section], {"date": "tomorrow"}, FULL)
    assert path.read_text() == text


def test_a_page_without_the_marks_is_left_alone(tmp_path):
    path = tmp_path / "benchmarks.md"
    path.write_text("my own page")
    with pytest.raises(ValueError, match="marks"):
        page.write(path, [], {}, FULL)
    assert path.read_text() == "my own page"


def test_a_page_of_a_try_says_that_it_is_one():
    assert "mean little" in page.render([], {}, QUICK)
    assert "mean little" not in page.render([], {}, FULL)


def test_the_environment_chooses_sizes(monkeypatch):
    monkeypatch.delenv("BENCH_QUICK", raising=False)
    monkeypatch.setenv("BENCH_SIZES", "10,20")
    assert scale().sizes == (10, 20)
    monkeypatch.delenv("BENCH_SIZES")
    assert scale() == FULL
    monkeypatch.setenv("BENCH_QUICK", "1")
    assert scale() == QUICK


@pytest.mark.parametrize("arguments", [["no-such"], ["queue", "--write", "docs/benchmarks.md"], ["--write", "x.md"]])
def test_a_wrong_command_line_is_one_sentence(arguments, capsys):
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_without_go_the_sentence_says_what_is_needed(tmp_path):
    with pytest.raises(BuildError, match=r"^error: measuring client-go needs Go 1\.\d+\.\d+ or later on PATH$"):
        build.QUEUES.ensure(environ={"PATH": str(tmp_path)})


def test_the_binary_is_built_once_for_each_content(tmp_path):
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "if sys.argv[1] == 'env':\n"
        "    print('go1.99.1')\n"
        "else:\n"
        f"    with open({str(tmp_path / 'calls')!r}, 'a') as calls: calls.write('built\\n')\n"
        "    out = pathlib.Path(sys.argv[sys.argv.index('-o') + 1]); out.write_text('x'); out.chmod(0o755)\n"
    )
    go.chmod(0o755)
    said = []
    environ = {"PATH": str(go.parent), "HOME": str(tmp_path)}
    binary = build.QUEUES.ensure(environ=environ, say=said.append)
    assert build.QUEUES.ensure(environ=environ, say=said.append) == binary
    assert (tmp_path / "calls").read_text() == "built\n"
    assert binary.parent == tmp_path / ".cache/kopf-workqueue/bench"
    assert said == ["building the queues of client-go once (about two minutes on 2 cores)"]


def test_the_versions_of_the_peers_are_those_of_the_comparison():
    other = Path(build.SOURCES.parents[1], "compat/referee/go.mod").read_text(encoding="utf-8")
    for module, version in build.versions().items():
        assert f"{module} {version}" in other


def test_every_benchmark_is_on_one_page():
    assert sorted(name for benchmarks in machine.GENERATED.values() for name in benchmarks) == command.names()
