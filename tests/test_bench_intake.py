"""The benchmarks of the intake run, and count what they say they count. Nothing here is about how long it takes."""

import json

import pytest

from tests.bench import __main__ as command
from tests.bench import bench_cache, bench_latency, bench_memory, bench_sync, bench_updates, records
from tests.bench.intake import pods, process, subjects, turns
from tests.bench.intake import replay as replay_module
from tests.bench.intake.replay import FIRST_VERSION, Stock
from tests.bench.intake.replayed import Sent, replay
from tests.bench.intake.subjects import GO_JSON, GO_PROTOBUF, HANDLERS, ON_EVENT, SHARED_INFORMER, SINK, STREAM, Load
from tests.bench.intake.tables import at_least
from tests.bench.intake.waiting import quantile, waits
from tests.bench.records import Ratio, Record, Records
from tests.bench.scale import Scale, scale
from workqueue.plugin.internals import obstacles

BENCHES = (bench_cache, bench_sync, bench_updates, bench_latency, bench_memory)


@pytest.fixture
def at_once(monkeypatch):
    """Nobody is left to rest before it is measured."""
    monkeypatch.setattr(process.Child, "settle", lambda child, *, least, most=0.0: None)


def test_everybody_in_the_plans_can_be_started():
    for bench in (bench_sync, bench_updates, bench_latency):
        for name in bench.SUBJECTS:
            if name not in (GO_JSON, GO_PROTOBUF):  # these are built at first
                assert subjects.command(name, Load(objects=1)).words
        assert {name for pair in bench.PAIRS for name in pair} <= set(bench.SUBJECTS)


def test_what_was_not_measured_is_not_reached():
    for bench in BENCHES:
        section = bench.section(Records([]))
        assert "{" not in section.text
        assert not any(table for _, table in section.tables)
        for target in section.targets:
            assert target.reached is None
            assert target.measured == "not measured"


@pytest.mark.parametrize(("median", "reached"), [(12.0, True), (11.996, True), (11.99, False), (30.0, True)])
def test_a_factor_is_reached_if_the_printed_number_says_so(median, reached):
    assert at_least("what", 12, "less", Ratio(median, median, median)).reached is reached


def test_pods_are_the_same_in_each_run_and_different_from_each_other():
    assert pods.stored(7, 1) == pods.stored(7, 1)
    found = [pods.stored(number, 1) for number in range(200)]
    assert len({each["metadata"]["uid"] for each in found}) == 200
    assert len({(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found}) == 200
    assert len({each["metadata"]["labels"]["app"] for each in found}) == pods.DEPLOYMENTS
    assert {each["metadata"]["namespace"] for each in found} <= set(pods.namespaces())
    large = [len(json.dumps(pods.stored(number, 1, large=True))) for number in range(50)]
    assert 9_000 < sum(large) / 50 < 13_000


def test_a_list_is_as_long_as_it_says_and_a_change_is_of_its_pod():
    stock = Stock(3)
    length, pieces = stock.whole()
    text = b"".join(pieces)
    assert len(text) == length
    items = json.loads(text)["items"]
    metadata = json.loads(stock.metadata())["items"]
    assert [each["metadata"] for each in items] == [each["metadata"] for each in metadata]
    change = json.loads(stock.change(FIRST_VERSION + 5).split(b"\r\n")[1])
    assert change["type"] == "MODIFIED"
    assert change["object"]["metadata"]["resourceVersion"] == str(FIRST_VERSION + 5)
    assert change["object"]["metadata"]["uid"] == items[(FIRST_VERSION + 5) % 3]["metadata"]["uid"]


def test_a_run_is_that_of_all_earlier_changes_of_its_object():
    # Two objects; versions 10, 12, 14 are changes of one, 11 and 13 of the other.
    sent = Sent(began=0.0, first=10, written=[0.0, 1.0, 2.0, 3.0, 4.0])
    assert waits(sent, 2, [(0.5, 10), (1.5, 11), (2.5, 12), (3.5, 13), (4.5, 14)]) == ([0.5] * 5, [])
    assert waits(sent, 2, [(3.0, 12), (3.5, 13), (4.5, 14)]) == ([0.5, 0.5, 1.0, 2.5, 3.0], [])
    assert waits(sent, 2, [(5.0, 4), (5.0, 5)]) == ([], [0, 1, 2, 3, 4])


def test_a_change_that_was_written_after_a_run_began_is_the_next_ones():
    sent = Sent(began=0.0, first=10, written=[0.0, 2.0])
    assert waits(sent, 1, [(1.0, 11)]) == ([1.0], [1])
    assert waits(sent, 1, [(1.0, 11), (2.5, 11)]) == ([0.5, 1.0], [])


def test_quantiles_are_numbers_that_were_found():
    ordered = [float(number) for number in range(1, 101)]
    assert [quantile(ordered, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert quantile([3.0], 0.5) == 3.0


def test_memory_is_the_slope_between_two_sizes_and_growth_is_what_comes_after_the_first_tenth():
    cached = [
        Record(task=bench_memory.CACHED, keys=size, consumers=0, contender=STREAM, figures={"rss": [rss]})
        for size, rss in ((1_000, 80e6), (11_000, 87e6))
    ]
    memory = {"0": 80e6, "1000": 90e6, "2000": 90e6, "3000": 90.5e6}
    passing = Record(
        task=bench_memory.PASSING,
        keys=3_000,
        consumers=0,
        contender=STREAM,
        figures={name: [rss] for name, rss in memory.items()},
    )
    section = bench_memory.section(Records([*cached, passing]))
    assert section.targets[0].measured == "0.70 KB"
    assert section.targets[0].reached is True
    assert "250.00" in section.tables[2][1]


def test_the_command_chooses_sizes_and_subjects(monkeypatch):
    for name in ("QUICK", "SIZES", "PODS", "RATE", "ONLY"):
        monkeypatch.delenv(f"BENCH_{name}", raising=False)
    assert scale() == Scale()
    monkeypatch.setenv("BENCH_PODS", "300")
    monkeypatch.setenv("BENCH_RATE", "20")
    assert scale() == Scale(pods=300, rate=20)
    assert turns.chosen(["one", "other"]) == ["one", "other"]
    monkeypatch.setenv("BENCH_ONLY", "oth")
    assert turns.chosen(["one", "other"]) == ["other"]


@pytest.mark.parametrize(
    "arguments", [["--only", "ours", "--write", "docs/benchmarks-intake.md"], ["sync", "--pods", "0"]]
)
def test_a_wrong_command_line_is_told(arguments, capsys):
    try:
        status = command.main(arguments)
    except SystemExit as ended:  # argparse's own way
        status = ended.code
    assert status == 2
    assert "error: " in capsys.readouterr().err


#: An old Kopf has one lane; `make versions` runs there.
with_the_stream_lane = pytest.mark.skipif(bool(obstacles()), reason="this Kopf has no stream lane")


@pytest.mark.parametrize(
    "name", [pytest.param(STREAM, marks=with_the_stream_lane), HANDLERS, ON_EVENT, SHARED_INFORMER, SINK]
)
def test_everybody_in_python_takes_in_a_list_and_a_stream_of_changes(name, at_once):
    with replay(20) as server:
        found = bench_updates.measure(name, 20, server)
    assert set(found) == {"wall", "cpu", "rate"}
    assert all(value > 0 for value in found.values())


@with_the_stream_lane
def test_a_key_in_a_workers_hands_is_told(at_once):
    asked = Scale(rate=20, lasting=1)
    with replay(asked.rate * bench_latency.PERIOD) as server:
        found = bench_latency.measure(STREAM, asked, server)
    assert 0 < found["p50"] <= found["p99"] <= found["max"]
    assert 0 < found["busy"] < 1


@with_the_stream_lane
def test_what_a_cache_costs_is_told_and_weighed(at_once, monkeypatch):
    monkeypatch.setattr(bench_cache, "SECONDS", 0.3)
    monkeypatch.setattr(bench_cache, "REST", 0.1)
    with replay(1_200) as server:
        found = bench_cache.measure(1_200, server)
    assert all(value > 0 for value in found.values())
    assert set(bench_cache.LOOKS) < set(found)
    for name in bench_cache.WAITS:
        assert found[f"{name} p50"] <= found[f"{name} p99"] <= found[f"{name} max"]
    record = {size: {name: [value * size] for name, value in found.items()} for size in (1, 2)}
    saved = [
        Record(task=bench_cache.TASK, keys=size, consumers=0, contender=STREAM, figures=figures)
        for size, figures in record.items()
    ]
    section = bench_cache.section(Records(saved))
    dearer = {target.what: target for target in section.targets}["`entry` with 2 pods"]
    assert (dearer.measured, dearer.reached) == ("2.00", False)
    assert len(section.tables) == 5


@with_the_stream_lane
def test_a_process_at_rest_is_looked_at(at_once, monkeypatch):
    monkeypatch.setattr(bench_memory, "IDLE", 0.2)
    monkeypatch.setattr(bench_memory, "REST", 0.1)
    with replay(20) as server:
        found = bench_memory.measure_cached(STREAM, 20, server)
    assert found["rss"] > 1e6
    assert found["cpu"] >= 0
    assert found["switches"] >= 0


def test_pods_that_are_not_kept_are_the_same(monkeypatch):
    kept = Stock(30)
    monkeypatch.setattr(replay_module, "KEPT", 10)
    made = Stock(30)
    assert (made._pieces, len(made)) == ([], 30)
    assert [made.body(number) for number in range(30)] == [kept.body(number) for number in range(30)]
    assert made.size() == kept.size()


def test_a_hundred_pods_share_a_node_and_no_two_nodes_an_address():
    addresses = [pods.address(number) for number in range(0, 1_000_000, pods.CROWD)]
    assert len(set(addresses)) == len(addresses)
    assert pods.address(0) == pods.address(99) != pods.address(100)
    assert pods.make(150)["spec"]["nodeName"].removeprefix("ip-").startswith(pods.address(150).replace(".", "-"))


def test_what_dies_says_why():
    with (
        replay(1) as server,
        pytest.raises(process.Died, match="BENCH_SLEEP"),
        process.Child(subjects.command(STREAM, Load(objects=1)).words, {"KUBECONFIG": server.kubeconfig}) as child,
    ):
        child.hear("synced")


def test_figures_are_saved_for_the_page(tmp_path, monkeypatch):
    monkeypatch.setenv(records.FILE, str(tmp_path / "records"))
    figures = {"wall": [0.1], "cpu": [0.1], "rss": [1.0], "whole": [0.2]}
    records.save([Record(task=bench_sync.TASK, keys=10, consumers=0, contender=SINK, figures=figures)])
    section = bench_sync.section(records.load(tmp_path / "records"))
    assert "have 10 pods" in section.text
    assert "empty sink" in section.tables[0][1]
