"""operator/pods.py under KopfRunner: the main job, whole."""

import threading

import kopf
import pytest

from tests.operators.harness import eventually, run_as_process, run_in_process
from tests.operators.objects import pod
from workqueue import ObjectKey


def lines(output: str, key: str) -> list[str]:
    return [line for line in output.splitlines() if f" {key}: " in line]


@pytest.mark.parametrize("run", ["the first", "the second"])
def test_present_pods_are_cached_and_reconciled_also_in_a_second_run_of_one_process(server, run):
    for number in range(5):
        server.create("pods", pod(f"web-{number}"))
    with run_in_process("-A") as operator:
        operator.wait_until_idle(5)
        assert sorted(operator.module.pods.indexer.list_keys()) == [("default", f"web-{n}") for n in range(5)]
        assert operator.metric("workqueue_adds_total") == 5
        assert operator.metric("informer_objects", name="pods") == 5
    for number in range(5):
        assert "pod created" in lines(operator.runner.output, f"default/web-{number}")[0]


@pytest.mark.parametrize("run", ["the first", "the second"])
def test_a_pod_is_created_changed_gone_and_recreated(server, run):
    with run_in_process("-A") as operator:
        cached = operator.module.pods.get
        first = server.create("pods", pod("web"))["metadata"]["uid"]
        operator.wait_until_seen("pod created")
        server.patch("pods", "web", {"metadata": {"labels": {"tier": "gold"}}}, namespace="default")
        operator.wait_until_seen("pod changed")
        server.delete("pods", "web", namespace="default")
        operator.wait_until_seen("pod does not exist anymore")
        assert cached("default/web") is None
        second = server.create("pods", pod("web"))["metadata"]["uid"]
        operator.wait_until_seen("pod recreated")
        assert cached("default/web")["metadata"]["uid"] == second
    said = [line.split("default/web: ")[1] for line in lines(operator.runner.output, "default/web")]
    assert said[0].startswith(f"pod created (uid {first})")
    assert said[1].startswith("pod changed")
    assert said[-2] == f"pod does not exist anymore (was uid {first})"
    assert said[-1].startswith(f"pod recreated (uid {second}, was uid {first})")


def test_pods_are_found_by_node_and_a_change_moves_them(server):
    server.create("pods", pod("web", node="node-1"))
    with run_in_process("-A") as operator:
        pods = operator.module.pods
        assert [found["metadata"]["name"] for found in pods.by_index("node", "node-1")] == ["web"]
        server.delete("pods", "web", namespace="default")
        eventually(lambda: pods.by_index("node", "node-1") == [], "an empty index")
        assert pods.indexer.list_index_func_values("node") == []


@pytest.mark.parametrize(("lane", "more"), [("auto", []), ("handlers", ["settled"])])
def test_the_three_handlers_stand_in_kopfs_registry(server, monkeypatch, lane, more):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    server.create("pods", pod("web"))
    with run_in_process("-A") as operator:
        handlers = operator.runner.registry._watching.get_all_handlers()
        ids = [handler.id for handler in handlers]
        names = ("intake", "pod_created", "pod_updated", "pod_deleted", *more)
        assert [f"workqueue/pods/{name}" for name in names] == ids[: len(names)]
        assert all(handler.selector.any_name == "pods" for handler in handlers)


def test_nothing_is_written_and_nothing_is_logged_or_reported_for_each_pod(server):
    finalizer = kopf.OperatorSettings().persistence.finalizer
    server.create("pods", pod("plain"))
    server.create("pods", pod("foreign", finalizers=[finalizer]))
    before = {name: server.get("pods", name, namespace="default") for name in ("plain", "foreign")}
    with run_in_process("-A") as operator:
        operator.wait_until_idle(2)
        assert {name: server.get("pods", name, namespace="default") for name in before} == before
        assert server.list("events") == []
    assert not any(request.writes for request in server.requests)
    assert "succeeded" not in "\n".join(line for line in operator.runner.output.splitlines() if "kopf.objects" in line)


def test_with_a_namespace_no_pod_of_another_one_is_cached(server):
    server.create("namespaces", {"metadata": {"name": "mine"}})
    server.create("pods", pod("web", "mine"))
    server.create("pods", pod("web", "default"))
    with run_in_process("-n", "mine") as operator:
        operator.wait_until_idle(1)
        assert operator.module.pods.indexer.list_keys() == [("mine", "web")]


def test_with_a_pattern_only_matching_namespaces_are_cached(server):
    for name in ("team-a", "team-b", "other"):
        server.create("namespaces", {"metadata": {"name": name}})
        server.create("pods", pod("web", name))
    with run_in_process("-n", "team-*, !team-b") as operator:
        operator.wait_until_idle(1)
        assert operator.module.pods.indexer.list_keys() == [("team-a", "web")]


def test_there_are_exactly_so_many_workers_as_asked_for(server, monkeypatch):
    server.create("pods", pod("web"))
    monkeypatch.setenv("POD_WORKERS", "3")
    with run_in_process("-A"):
        eventually(lambda: any(thread.name == "workqueue-pods-2" for thread in threading.enumerate()))
        workers = sorted(t.name for t in threading.enumerate() if t.name.startswith("workqueue-pods-"))
        assert workers == ["workqueue-pods-0", "workqueue-pods-1", "workqueue-pods-2"]
    assert not [t for t in threading.enumerate() if t.name.startswith("workqueue-pods-")]


def test_a_failing_api_server_at_the_metadata_list_is_asked_again(server, monkeypatch):
    from workqueue.testing.apiserver import Fault

    monkeypatch.setenv("WORKQUEUE_LANE", "handlers")
    server.create("pods", pod("web"))
    server.script(Fault(method="GET", path="/api/v1/pods", query=lambda query: "limit" in query, times=2, status=500))
    with run_in_process("-A") as operator:
        assert operator.module.pods.get("default/web") is not None
    assert "next try in" in operator.runner.output


def test_the_two_literal_commands_run_as_processes_and_end_with_status_0(server, kubeconfig, tmp_path):
    server.create("namespaces", {"metadata": {"name": "mine"}})
    server.create("pods", pod("web", "mine"))
    server.create("pods", pod("web", "default"))
    for args, keys in ((("-A",), 2), (("-n", "mine"), 1)):
        log = tmp_path / f"{keys}.log"
        with run_as_process(*args, kubeconfig=kubeconfig, log=log) as operator:
            operator.wait_until_idle(keys)
            assert operator.metric("informer_objects", name="pods") == keys
        assert operator.process.returncode == 0
        assert "Traceback" not in operator.output()
        assert bool(lines(operator.output(), "default/web")) == (keys == 2)


def test_keys_are_object_keys(server):
    server.create("pods", pod("web"))
    with run_in_process("-A") as operator:
        (key,) = operator.module.pods.indexer.list_keys()
        assert isinstance(key, ObjectKey)
        assert str(key) == "default/web"


def test_its_queue_has_a_name_and_the_default_limiter(server):
    server.create("pods", pod("web"))
    with run_in_process("-A") as operator:
        queue = operator.module.controller.queue
        assert queue.name == "pods"
        exponential, bucket = queue._backoff._limiter._limiters
        assert (exponential._base_delay, exponential._max_delay) == (0.005, 1000.0)
        assert (bucket._qps, bucket._burst) == (10.0, 100)


def test_a_resync_looks_at_each_pod_again_without_a_request(server, monkeypatch):
    monkeypatch.setenv("POD_RESYNC", "1")
    for number in range(3):
        server.create("pods", pod(f"web-{number}"))
    with run_in_process("-A") as operator:
        operator.wait_until_idle(3)
        asked = len(server.requests)
        eventually(lambda: operator.metric("workqueue_adds_total") >= 9, "two resyncs of three pods")
        assert [request.path for request in server.requests[asked:] if "pods" in request.path] == []
