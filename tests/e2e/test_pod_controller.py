"""The pod controller point by point (A4 to A9, A12, A14), on a real kube-apiserver; tests/README.md has the list."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.e2e.admin import Admin
from tests.operators.harness import ROOT, InProcess, eventually, run_as_process, run_in_process
from workqueue.base.keys import ObjectKey

pytestmark = pytest.mark.e2e

MISBEHAVING = "tests/operators/files/misbehaving.py"
#: Each of them with a label that says what its run does.
BEHAVIOUR = {"bad": "fail", "worse": "crash"}
GOOD = [f"good-{number:02}" for number in range(40)]


@pytest.fixture
def operator(
    control_plane: ControlPlane, admin: Admin, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcess]:
    """Serves a namespace with forty good pods, one whose runs fail and one whose runs crash."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBECONFIG", control_plane.kubeconfig_for("operator"))
    for name in GOOD:
        admin.make_pod(namespace, name, None)
    for name, how in BEHAVIOUR.items():
        admin.make_pod(namespace, name, None, labels={"do": how})
    with run_in_process("-n", namespace, path=MISBEHAVING) as running:
        yield running


def runs(operator: InProcess) -> Counter[str]:
    return Counter(name for name, _ in list(operator.module.runs))


def parked(operator: InProcess) -> set[str]:
    return {each.key.name for each in operator.module.controller.parked()}


def test_a4_a_cache_that_does_not_sync_in_time_ends_the_operator_before_any_worker_started(
    control_plane: ControlPlane, admin: Admin, namespace: str, tmp_path
) -> None:
    admin.make_pod(namespace, "web", None)
    file = tmp_path / "too_late.py"
    file.write_text(
        'import atexit, threading, time\nfrom workqueue import Manager\nmanager = Manager(bind="0")\n'
        'pods = manager.informer("pods", cache_sync_timeout=1e-9)\nran = []\n'
        "controller = pods.controller(ran.append)\n"
        'atexit.register(lambda: print("ran:", ran))\n'
    )
    kubeconfig = control_plane.kubeconfig_for("operator")
    log = tmp_path / "log"
    with run_as_process("-n", namespace, kubeconfig=kubeconfig, log=log, path=str(file), ready=False) as ended:
        assert ended.process.wait(60) == 1
    said = ended.output().splitlines()
    assert [line for line in said if line.startswith("error: the cache of pods did not sync within 1e-09 s")]
    assert "ran: []" in said
    assert "Traceback" not in ended.output()


def test_a5_a_resync_delivers_each_pod_again_without_a_request(
    control_plane: ControlPlane, operator: InProcess
) -> None:
    eventually(lambda: parked(operator) == BEHAVIOUR.keys(), "the end of all retries")
    before, since = runs(operator), control_plane.audit_position()
    eventually(lambda: all(runs(operator)[name] >= before[name] + 2 for name in GOOD), "two resyncs")
    asked = [
        event["verb"]
        for event in control_plane.audit_events(since=since)
        if event["user"].get("username") == "operator" and event["objectRef"].get("resource") == "pods"
    ]
    assert set(asked) <= {"watch"}, "the end of a watch is its turn to be noted; nothing was listed or read"


def test_a6_a14_five_workers_share_one_queue_and_no_key_is_in_two_hands(operator: InProcess) -> None:
    eventually(lambda: all(runs(operator)[name] for name in GOOD), "a run of each")
    assert operator.module.most == 5
    assert operator.module.doubled == []
    assert operator.metric("controller_runtime_max_concurrent_reconciles", controller="pods") == 5


def test_a7_a12_what_raises_is_done_all_the_same_and_kills_no_worker(operator: InProcess) -> None:
    eventually(lambda: parked(operator) == BEHAVIOUR.keys(), "the end of all retries")
    eventually(lambda: all(runs(operator)[name] for name in GOOD), "a run of each other")
    statistics = operator.module.controller.statistics()
    assert (statistics.workers, statistics.restarts) == (5, 0)
    assert operator.metric("controller_runtime_reconcile_errors_total", controller="pods") == 22
    assert operator.metric("controller_runtime_reconcile_panics_total", controller="pods") == 11
    eventually(lambda: operator.module.controller.queue.statistics().processing == 0, "all done")
    assert operator.get("/livez").ok


def test_a8_what_is_no_key_is_reported_once_and_harms_nothing(operator: InProcess) -> None:
    queue = operator.module.controller.queue
    queue.add("a/b/c/d")
    queue.add(42)
    queue.add(ObjectKey("default", "nobody"))
    operator.wait_until_seen("'a/b/c/d' in the queue is no key; forgotten")
    operator.wait_until_seen("42 in the queue is no key; forgotten")
    eventually(lambda: runs(operator)["nobody"], "the run of what is a key")
    assert operator.module.controller.statistics().invalid == 2
    assert sum("is no key" in line for line in operator.said) == 2


def test_a9_a_failing_key_runs_eleven_times_is_parked_and_runs_again_only_when_it_has_changed(
    operator: InProcess, admin: Admin, namespace: str
) -> None:
    eventually(lambda: parked(operator) == BEHAVIOUR.keys(), "the end of all retries")
    assert {name: runs(operator)[name] for name in BEHAVIOUR} == {"bad": 11, "worse": 11}
    [told] = [line for line in operator.said if f"{namespace}/bad given up after" in line]
    assert told.endswith("given up after 11 runs: ValueError('never well')")
    assert operator.metric("workqueue_parked", name="pods") == 2

    resynced = runs(operator)[GOOD[0]]
    eventually(lambda: runs(operator)[GOOD[0]] >= resynced + 2, "two resyncs")
    assert {name: runs(operator)[name] for name in BEHAVIOUR} == {"bad": 11, "worse": 11}

    admin.patch(f"/api/v1/namespaces/{namespace}/pods/bad", {"metadata": {"labels": {"do": None}}})
    eventually(lambda: runs(operator)["bad"] == 12, "a run of the changed pod")
    admin.delete_pod(namespace, "worse")
    eventually(lambda: runs(operator)["worse"] == 12, "a run for the deletion")
    eventually(lambda: operator.metric("workqueue_parked", name="pods") == 0, "nothing parked")
    assert operator.module.controller.statistics().given_up == 2


def test_a12_a_stop_wakes_and_ends_all_workers(operator: InProcess) -> None:
    module = operator.module
    eventually(lambda: all(runs(operator)[name] for name in GOOD), "a run of each")
    module.controller.controller.stop(10)
    assert module.controller.statistics().workers == 0
    assert module.under_way == []
