"""owns and maps in a running operator, on both lanes, and how far its controller has come."""

import pytest

from tests.lanes.promises import LANES
from tests.operators.harness import eventually, run_in_process
from workqueue.base.keys import ObjectKey

WEB, OTHER = ObjectKey("default", "web"), ObjectKey("default", "other")


def deployment(name):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def replicaset(name, owner, *, kind="Deployment"):
    body = deployment(name)
    reference = {**body, "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    reference = {field: reference[field] for field in ("apiVersion", "kind", "name", "uid")} | {"controller": True}
    return {**body, "kind": "ReplicaSet", "metadata": {**body["metadata"], "ownerReferences": [reference]}}


@pytest.fixture(params=LANES)
def operator(request, monkeypatch, server):
    monkeypatch.setenv("OWNING_LANE", request.param)
    web = server.create("deployments.apps", deployment("web"))
    server.create("deployments.apps", deployment("other"))
    server.create("replicasets.apps", replicaset("web-1", web))
    with run_in_process("-A", path="tests/operators/files/owning.py") as operator:
        yield operator


def test_children_and_what_is_mapped_enqueue_deployments(server, operator):
    module, runs = operator.module, operator.module.runs
    eventually(lambda: module.controller.readiness == "processed", "all initial keys reconciled")
    assert set(runs) == {WEB, OTHER}
    web = server.get("deployments.apps", "web")

    def more_of(key, change):
        before, others = runs[key], runs[OTHER if key == WEB else WEB]
        change()
        eventually(lambda: runs[key] > before, f"a run for {key}")
        assert module.priorities[key] == 0
        assert runs[OTHER if key == WEB else WEB] == others

    more_of(WEB, lambda: server.create("replicasets.apps", replicaset("web-2", web)))
    more_of(WEB, lambda: server.patch("replicasets.apps", "web-2", {"spec": {"replicas": 3}}))
    more_of(WEB, lambda: server.delete("replicasets.apps", "web-2"))
    settings = {"metadata": {"name": "settings", "namespace": "default"}, "data": {"user": "other"}}
    more_of(OTHER, lambda: server.create("configmaps", settings))
    before = runs.copy()
    server.patch("configmaps", "settings", {"data": {"user": "web"}})
    eventually(lambda: runs[WEB] > before[WEB] and runs[OTHER] > before[OTHER], "a run for both, before and after")
    assert all(handler.errors == 0 for handler in module.replicasets.statistics().handlers)
