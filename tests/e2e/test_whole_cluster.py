"""On the whole control plane: real controllers make, change and delete pods, and the cache and the queue keep up."""

import time
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.e2e.admin import Admin
from tests.operators.harness import ROOT, InProcess, eventually, run_in_process

pytestmark = pytest.mark.e2e

RECORDING = "tests/operators/files/recording.py"
#: uid and resourceVersion.
Version = tuple[str, str]


class Workload:
    """A Deployment, and what its pods look like to the API server."""

    def __init__(self, admin: Admin, namespace: str, *, replicas: int) -> None:
        self._admin = admin
        self._namespace = namespace
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
        #: Every key of which it is known that there was a pod.
        self.known: set[str] = set()
        # Half of them at a time: 300 pods are replaced in a few steps.
        at_once = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}}
        admin.make_deployment(namespace, "web", replicas=replicas, strategy=at_once)

    def scale(self, replicas: int) -> None:
        self._admin.patch(f"{self._path}/scale", {"spec": {"replicas": replicas}})

    def restart(self) -> None:
        """What `kubectl rollout restart` does."""
        annotations = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._admin.patch(self._path, {"spec": {"template": {"metadata": {"annotations": annotations}}}})

    def listed(self) -> dict[str, Version]:
        """A fresh list."""
        found = {
            f"{self._namespace}/{name}": (pod["metadata"]["uid"], pod["metadata"]["resourceVersion"])
            for name, pod in self._admin.pods(self._namespace).items()
        }
        self.known |= found.keys()
        return found

    def settle(self, replicas: int) -> dict[str, Version]:
        """Wait until nothing is left to do for anybody; returns the pods that there are then."""

        def is_settled() -> bool:
            deployment = self._admin.call("GET", self._path)
            status = deployment["status"]
            counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
            if status.get("observedGeneration") != deployment["metadata"]["generation"] or set(counts) != {replicas}:
                return False
            pods = self._admin.pods(self._namespace).values()
            return len(pods) == replicas and all(map(is_running, pods))

        eventually(is_settled, f"{replicas} pods")
        return self.listed()


def is_running(pod: dict[str, Any]) -> bool:
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def cached(operator: InProcess, namespace: str) -> dict[str, Version]:
    entries = operator.module.pods.indexer.entries_by_index("namespace", namespace)
    return {str(entry.key): (entry.uid, entry.resource_version) for entry in entries}


def last_seen(operator: InProcess, namespace: str) -> dict[str, Version | None]:
    """What the last run of each key saw."""
    return {key: seen for key, seen in list(operator.module.records) if key.startswith(f"{namespace}/")}


def catch_up(operator: InProcess, namespace: str, workload: Workload, listed: dict[str, Version]) -> None:
    """Wait until the cache equals the list and each key, also of what is gone, ran after its last change."""

    def missing() -> dict[str, tuple[object, ...]]:
        """By key: what the server has, what is cached, what the last run saw; where these differ."""
        held, seen = cached(operator, namespace), last_seen(operator, namespace)
        keys = listed.keys() | held.keys() | seen.keys() | workload.known
        facts = {key: (listed.get(key), held.get(key), seen.get(key, "no run")) for key in keys}
        return {key: fact for key, fact in facts.items() if set(fact) != {listed.get(key)}}

    try:
        eventually(lambda: not missing(), "an operator that has caught up")
    except AssertionError as error:
        raise AssertionError(f"{error}; listed, cached, seen: {missing()}") from None
    assert workload.listed() == listed, "the test looked too early"
    assert not missing()


def test_a_deployment_is_followed_through_all_its_life(
    control_plane: ControlPlane, admin: Admin, namespace: str, nodes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBECONFIG", control_plane.kubeconfig_for("operator"))
    workload = Workload(admin, namespace, replicas=200)
    listed = workload.settle(200)
    with run_in_process("-A", path=RECORDING) as operator:
        assert cached(operator, namespace) == listed, "synced means that everything is there"
        catch_up(operator, namespace, workload, listed)

        for replicas in (50, 300):
            workload.scale(replicas)
            catch_up(operator, namespace, workload, workload.settle(replicas))
        before = workload.listed()
        workload.restart()
        after = workload.settle(300)
        assert not before.keys() & after.keys()
        catch_up(operator, namespace, workload, after)
        found = {key for node in nodes for key in operator.module.pods.indexer.index_keys("node", node)}
        assert {str(key) for key in found if key.namespace == namespace} == after.keys()

        admin.call("DELETE", f"/api/v1/namespaces/{namespace}")
        eventually(lambda: admin.find(f"/api/v1/namespaces/{namespace}") is None, "the end of the namespace")
        assert len(workload.known) >= 200 + 250 + 300
        catch_up(operator, namespace, workload, {})
