"""operator/pods.py on a real kube-apiserver, as a user without the right to write anything."""

import re
from collections import Counter

import kopf
import pytest

from tests.operators.harness import ROOT, eventually, run_as_process, run_in_process
from workqueue.queues import PriorityQueue


@pytest.mark.e2e
def test_two_hundred_pods_go_through_the_queue(control_plane, admin, namespace, monkeypatch):
    plane = control_plane
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig_for("operator")))
    handed_out: Counter[str] = Counter()  # an independent counter at the queue's door
    get = PriorityQueue.get_with_priority

    def counting_get(queue, timeout=None, **options):
        key, priority = get(queue, timeout, **options)
        handed_out[str(key)] += 1
        return key, priority

    monkeypatch.setattr(PriorityQueue, "get_with_priority", counting_get)
    nodes = [f"node-{number}" for number in range(4)]
    for number in range(199):
        # Those of the last ten are not scheduled yet.
        admin.make_pod(namespace, f"web-{number}", nodes[number % 4] if number < 189 else None)
    foreign = kopf.OperatorSettings().persistence.finalizer
    admin.make_pod(namespace, "foreign", nodes[0], finalizers=[foreign])
    before = admin.pods(namespace)
    audited_from = plane.audit_position()

    with run_in_process("-A") as operator:
        pods = operator.module.pods

        def cached_equals_listed() -> None:
            listed = admin.pods(namespace)
            versions = {name: pod["metadata"]["resourceVersion"] for name, pod in listed.items()}

            def cached() -> dict[str, str]:
                entries = pods.indexer.entries_by_index("namespace", namespace)
                return {entry.key.name: entry.resource_version for entry in entries}

            eventually(lambda: cached() == versions, f"a cache of {len(listed)} pods")
            for node in nodes:
                indexed = [key for key in pods.indexer.index_keys("node", node) if key.namespace == namespace]
                found = {key.name for key in indexed}
                assert found == {name for name, pod in listed.items() if pod["spec"].get("nodeName") == node}
            assert set(pods.indexer.list_index_func_values("node")) >= set(nodes)

        cached_equals_listed()
        operator.wait_until_idle(200)
        mine = {key for key in handed_out if key.startswith(f"{namespace}/")}  # other tests leave pods, too
        assert mine == {f"{namespace}/{name}" for name in before}
        counts = ("adds_total", "queue_duration_seconds_count", "work_duration_seconds_count")

        def counted() -> set[float]:
            found = {operator.metric(f"workqueue_{count}", name="pods", controller="pods") for count in counts}
            return found | {handed_out.total()}

        eventually(lambda: len(counted()) == 1, "the same count on both sides of the door")
        assert handed_out.total() >= 200
        assert operator.metric("workqueue_depth", name="pods", controller="pods") == 0
        assert admin.pods(namespace) == before, "the operator changed a pod"

        for number in range(189, 199):
            admin.bind_pod(namespace, f"web-{number}", nodes[0])
        cached_equals_listed()
        operator.wait_until_idle(210)
        before = admin.pods(namespace)

        deleted = [f"web-{number}" for number in range(150)]
        for name in deleted:
            admin.delete_pod(namespace, name)
        operator.wait_until_seen(f"{namespace}/{deleted[-1]}: pod does not exist anymore")
        cached_equals_listed()
        recreated = admin.make_pod(namespace, "web-0", nodes[1])["metadata"]["uid"]
        operator.wait_until_seen(f"{namespace}/web-0: pod recreated")
        cached_equals_listed()
        operator.wait_until_idle(361)
        eventually(lambda: len(counted()) == 1, "the same count on both sides of the door")
        after = admin.pods(namespace)
        assert {name: after[name] for name in after if name != "web-0"} == {
            name: before[name] for name in before if name not in deleted
        }, "the operator changed a pod"
        said = list(operator.said)

    gone = {found[1] for line in said if (found := re.search(rf"{namespace}/(\S+): pod does not exist anymore", line))}
    assert gone == set(deleted)
    was = before["web-0"]["metadata"]["uid"]
    assert any(f"{namespace}/web-0: pod recreated (uid {recreated}, was uid {was})" in line for line in said)
    asked = {
        (event["verb"], event.get("objectRef", {}).get("resource"))
        for event in plane.audit_events(since=audited_from)
        if event.get("user", {}).get("username") == "operator"
    }
    assert ("watch", "pods") in asked  # which lists them as well, where the server can stream a list
    # Whoever asks about rights "creates" a review, of which nothing is kept.
    assert {verb for verb, resource in asked if resource != "selfsubjectaccessreviews"} <= {"get", "list", "watch"}


@pytest.mark.e2e
def test_the_literal_command_serves_one_namespace_only(control_plane, admin, namespace, tmp_path):
    admin.make_pod(namespace, "mine", "node-1")
    admin.make_pod("default", "not-mine", "node-1")
    try:
        kubeconfig = control_plane.kubeconfig_for("operator")
        with run_as_process("-n", namespace, kubeconfig=kubeconfig, log=tmp_path / "log") as operator:
            operator.wait_until_idle(1)
            assert operator.metric("informer_objects", name="pods") == 1
        assert operator.process.returncode == 0
        assert "not-mine" not in operator.output()
        assert "Traceback" not in operator.output()
    finally:
        admin.delete_pod("default", "not-mine")
