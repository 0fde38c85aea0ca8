"""The whole control plane: what is asked of it happens by itself, and each part can be taken away and given back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import commands
from tests.cluster.components import APISERVER, CONTROLLER_MANAGER, ETCD, KWOK, SCHEDULER, SERVERS, WHOLE
from tests.cluster.controlplane import ControlPlane, ControlPlaneError
from tests.e2e.admin import Admin
from tests.e2e.test_control_plane import alive, listening
from tests.operators.harness import eventually

NAMES = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
SELECTOR = {"matchLabels": {"app": "a"}}


def make_running_pod(admin: Admin, namespace: str, name: str) -> Callable[[], bool]:
    """Make a pod for the scheduler; returns what tells whether it runs."""
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    admin.call("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": spec})
    return lambda: admin.pods(namespace)[name]["status"]["phase"] == "Running"


@pytest.mark.e2e
def test_a_pod_is_scheduled_and_runs_on_one_of_kwoks_nodes(admin: Admin, namespace: str, nodes: list[str]) -> None:
    eventually(make_running_pod(admin, namespace, "a"), "a pod that runs")
    pod = admin.pods(namespace)["a"]
    assert pod["spec"]["nodeName"] in nodes
    assert pod["status"]["podIP"].startswith("10.")
    assert [each["ready"] for each in pod["status"]["containerStatuses"]] == [True]


@pytest.mark.e2e
def test_kwok_leaves_other_nodes_and_their_pods_alone(admin: Admin, namespace: str, nodes: list[str]) -> None:
    admin.call("POST", "/api/v1/nodes", {"metadata": {"name": "not-of-kwok"}})
    try:
        admin.make_pod(namespace, "not-of-kwok", "not-of-kwok")
        admin.make_pod(namespace, "nowhere", "no-such-node")
        eventually(make_running_pod(admin, namespace, "later"), "a pod that was made later and runs")
        pods = admin.pods(namespace)
        assert [pods[name]["status"]["phase"] for name in ("not-of-kwok", "nowhere")] == ["Pending", "Pending"]
        assert "conditions" not in admin.call("GET", "/api/v1/nodes/not-of-kwok")["status"]
    finally:
        admin.call("DELETE", "/api/v1/nodes/not-of-kwok")


@pytest.mark.e2e
def test_a_pod_of_nobodys_scheduler_is_left_alone(admin: Admin, namespace: str, nodes: list[str]) -> None:
    admin.make_pod(namespace, "left", None)
    left = admin.pods(namespace)["left"]
    eventually(make_running_pod(admin, namespace, "later"), "a pod that was made later and runs")
    assert admin.pods(namespace)["left"] == left


@pytest.mark.e2e
def test_what_an_owner_owns_goes_with_it(admin: Admin, namespace: str, nodes: list[str]) -> None:
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    admin.make_deployment(namespace, "web", replicas=3)
    eventually(lambda: len(admin.pods(namespace)) == 3, "pods")
    (replica_set,) = admin.call("GET", f"{apps}/replicasets")["items"]
    admin.call("DELETE", f"{apps}/deployments/web", {"propagationPolicy": "Background"})
    eventually(lambda: admin.is_gone(f"{apps}/replicasets/{replica_set['metadata']['name']}"), "the replica set's end")
    eventually(lambda: not admin.pods(namespace), "the pods' end")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("kind", "spec", "status"),
    [
        ("statefulsets", {"replicas": 2, "serviceName": "a", "selector": SELECTOR}, {"readyReplicas": 2}),
        ("daemonsets", {"selector": SELECTOR}, {"numberReady": 5}),
    ],
)
def test_other_kinds_of_sets_have_their_controllers(
    admin: Admin, namespace: str, *, nodes: list[str], kind: str, spec: dict[str, Any], status: dict[str, Any]
) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/{kind}"
    admin.call("POST", path, {"metadata": {"name": "a"}, "spec": {**spec, "template": TEMPLATE}})
    eventually(lambda: status.items() <= admin.call("GET", f"{path}/a")["status"].items(), f"{status} of {path}")


@pytest.mark.e2e
def test_a_job_completes(admin: Admin, namespace: str, nodes: list[str]) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    admin.call("POST", path, {"metadata": {"name": "a"}, "spec": {"completions": 2, "template": template}})
    eventually(lambda: admin.call("GET", f"{path}/a")["status"].get("succeeded") == 2, "a job that is done")


@pytest.mark.e2e
def test_endpoints_and_disruption_budgets_count_pods(admin: Admin, namespace: str, nodes: list[str]) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    admin.call("POST", f"/api/v1/namespaces/{namespace}/services", service)
    budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    admin.call("POST", budgets, {"metadata": {"name": "web"}, "spec": budget})
    admin.make_deployment(namespace, "web", replicas=3)
    eventually(lambda: admin.call("GET", f"{budgets}/web")["status"].get("disruptionsAllowed") == 2, "two to spare")

    def addresses() -> set[str]:
        slices = admin.call("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
        endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
        return {address for endpoint in endpoints for address in endpoint["addresses"]}

    pods = admin.pods(namespace).values()
    eventually(lambda: addresses() == {pod["status"]["podIP"] for pod in pods}, "the addresses of the pods")


@pytest.mark.e2e
def test_each_part_can_be_taken_away_and_given_back_and_all_are_gone_at_the_end() -> None:
    with ControlPlane(parts=WHOLE, service_accounts="mounted") as plane:
        pids, ports, directory = plane.pids, plane.ports, plane.directory
        assert sorted(pids) == sorted([*NAMES, "keeper"])
        assert sorted(ports) == sorted([*NAMES, "etcd peers"])
        assert all(map(alive, pids.values()))
        assert all(map(listening, ports.values()))
        assert plane.make_nodes(2, prefix="n") == ["n-0", "n-1"]
        with Admin(plane.url, token=plane.admin_token, ca_file=plane.ca_file) as admin:
            namespace = admin.make_namespace("parts-")
            path = f"/api/v1/namespaces/{namespace}"
            eventually(lambda: admin.find(f"{path}/serviceaccounts/default"), "the default service account")

            for part in (SCHEDULER, KWOK):
                plane.stop_part(part)
                assert not alive(pids[part.name])
                assert part.name not in plane.pids
                runs = make_running_pod(admin, namespace, part.name)
                assert not runs()
                plane.start_part(part)
                eventually(runs, f"a pod that runs again after {part.name} came back")
            plane.stop_part(CONTROLLER_MANAGER, grace=0)
            plane.stop_apiserver(grace=0)
            plane.stop_etcd(grace=0)
            plane.start_etcd()
            plane.start_apiserver()
            plane.start_part(CONTROLLER_MANAGER)
            admin.make_deployment(namespace, "web", replicas=2)
            apps = f"/apis/apps/v1/namespaces/{namespace}"
            ready = "a deployment after the servers came back"
            eventually(lambda: admin.call("GET", f"{apps}/deployments/web")["status"].get("readyReplicas") == 2, ready)
            assert plane.ports == ports
            pids = {**pids, **plane.pids}
            assert all(map(alive, plane.pids.values()))

            pod = next(pod for name, pod in admin.pods(namespace).items() if name.startswith("web-"))
            assert pod["spec"]["serviceAccountName"] == "default"
            (volume,) = pod["spec"]["volumes"]
            assert "serviceAccountToken" in volume["projected"]["sources"][0]
            assert [each["name"] for each in pod["spec"]["containers"][0]["volumeMounts"]] == [volume["name"]]
            authority = admin.call("GET", f"{path}/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
            assert authority == Path(plane.ca_file).read_text(encoding="utf-8")
    assert not any(map(alive, pids.values()))
    assert not any(map(listening, ports.values()))
    assert not directory.exists()


@pytest.mark.e2e
def test_without_the_option_pods_have_no_service_account(admin: Admin, namespace: str) -> None:
    spec = admin.make_pod(namespace, "a", None)["spec"]
    assert "serviceAccountName" not in spec
    assert "volumes" not in spec


@pytest.mark.e2e
def test_a_part_that_will_not_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "scheduler", lambda place, **_: ["--no-such-flag"])
    plane = ControlPlane(parts=(*SERVERS, SCHEDULER))
    with pytest.raises(ControlPlaneError, match=r"(?s)kube-scheduler ended with status 1.*: --no-such-flag"):
        plane.start()
    assert not plane.pids
    assert not any(map(listening, plane.ports.values()))


@pytest.mark.parametrize("parts", [(), (ETCD,), (APISERVER, KWOK)])
def test_nothing_works_without_the_two_servers(parts: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="at least etcd and kube-apiserver"):
        ControlPlane(parts=parts)
