"""operator/foos.py on the whole control plane, as a user who has the deployed rights and no more.

Pods are made by the real controllers and run under kwok; a Foo's Deployment is deleted by the real garbage collector.
Events are read by the list that `kubectl describe` asks for: there is no kubectl among the end-to-end tests.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.client import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.e2e.admin import Admin
from tests.operators.harness import ROOT, InProcess, eventually, run_as_process, run_in_process

pytestmark = pytest.mark.e2e

OPERATOR = "operator/foos.py"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = yaml.safe_load((ROOT / "deploy/crds/foos.yaml").read_text(encoding="utf-8"))
#: All that the deployed role allows, and asking for one's rights.
GRANTED = {
    *(("pods", verb) for verb in ("list", "watch")),
    *(("foos", verb) for verb in ("list", "watch")),
    ("foos/status", "update"),
    *(("deployments", verb) for verb in ("list", "watch", "create", "update")),
    *(("events", verb) for verb in ("create", "patch")),
}


class Foos:
    """Foos of one namespace, and what came of them."""

    def __init__(self, admin: Admin, namespace: str) -> None:
        self.admin = admin
        self.namespace = namespace
        self.path = f"/apis/samplecontroller.k8s.io/v1alpha1/namespaces/{namespace}/foos"
        self.deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"

    def make(self, name: str, **spec: Any) -> dict[str, Any]:
        body = {
            "apiVersion": "samplecontroller.k8s.io/v1alpha1",
            "kind": "Foo",
            "metadata": {"name": name},
            "spec": {"deploymentName": f"{name}-web", "replicas": 2} | spec,
        }
        return self.admin.call("POST", self.path, body)

    def deployment(self, name: str) -> dict[str, Any] | None:
        return self.admin.find(f"{self.deployments}/{name}")

    def settles(self, name: str, replicas: int, *, but_not: str = "") -> dict[str, Any]:
        """Wait until the Deployment, its pods and the Foo's status agree on so many; returns the Deployment."""

        def is_settled() -> dict[str, Any] | None:
            found = self.deployment(f"{name}-web")
            if found is None or found["metadata"]["uid"] == but_not:
                return None
            status = found.get("status", {})
            pods = [pod for pod in self.admin.pods(self.namespace) if pod.startswith(f"{name}-web-")]
            counts = [found["spec"]["replicas"], status.get("replicas", 0), status.get("availableReplicas", 0)]
            counts += [len(pods), self.available(name) or 0]
            return found if set(counts) == {replicas} else None

        found: dict[str, Any] = eventually(is_settled, f"{replicas} replicas of {name}")
        return found

    def available(self, name: str) -> int | None:
        """What the Foo's status says."""
        status = self.admin.call("GET", f"{self.path}/{name}").get("status", {})
        found: int | None = status.get("availableReplicas")
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """As `kubectl describe foo` finds them."""
        query = f"fieldSelector=involvedObject.kind%3DFoo,involvedObject.name%3D{name}"
        return list(self.admin.call("GET", f"/api/v1/namespaces/{self.namespace}/events?{query}")["items"])

    def waits_for_event(self, name: str, reason: str) -> dict[str, Any]:
        def find() -> list[dict[str, Any]]:
            return [event for event in self.events(name) if event["reason"] == reason]

        found: list[dict[str, Any]] = eventually(find, f"an event {reason} of {name}")
        return found[0]


@pytest.fixture
def foos(admin: Admin, namespace: str, nodes: list[str]) -> Iterator[Foos]:
    """Foos are defined as they are deployed, and the user `operator` may look after them."""
    admin.call("POST", DEFINITIONS, DEFINITION)
    path = f"{DEFINITIONS}/{DEFINITION['metadata']['name']}"
    made = Foos(admin, namespace)

    def is_served() -> bool:
        """What was just defined is not found at first, then "(re)initializing"."""
        try:
            return bool(admin.call("GET", made.path))
        except ApiError as error:
            if error.code in (404, 429):
                return False
            raise

    try:
        eventually(is_served, "Foos")
        admin.let_operator_look_after_foos()
        yield made
    finally:
        admin.call("DELETE", path)
        eventually(lambda: admin.is_gone(path), "the end of the definition")


@pytest.fixture
def operator(control_plane: ControlPlane, foos: Foos, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    """The operator, and a Foo that was there before it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBECONFIG", control_plane.kubeconfig_for("operator"))
    foos.make("one")
    with run_in_process("-A", path=OPERATOR) as running:
        yield running


def test_a_foo_has_its_deployment_all_its_life(
    control_plane: ControlPlane, admin: Admin, foos: Foos, operator: InProcess
) -> None:
    audited_from = control_plane.audit_position()
    first = foos.settles("one", 2)
    owner = admin.call("GET", f"{foos.path}/one")["metadata"]
    (reference,) = first["metadata"]["ownerReferences"]
    assert reference["uid"] == owner["uid"]
    assert reference["controller"] is reference["blockOwnerDeletion"] is True
    assert (reference["apiVersion"], reference["kind"]) == ("samplecontroller.k8s.io/v1alpha1", "Foo")

    scale = f"{foos.deployments}/one-web/scale"
    admin.patch(scale, {"spec": {"replicas": 5}})
    eventually(lambda: admin.call("GET", scale)["spec"]["replicas"] == 2, "the correction")
    assert foos.settles("one", 2)["metadata"]["uid"] == first["metadata"]["uid"]

    admin.patch(f"{foos.path}/one", {"spec": {"replicas": 3}})
    foos.settles("one", 3)

    admin.call("DELETE", f"{foos.deployments}/one-web")
    foos.settles("one", 3, but_not=first["metadata"]["uid"])
    event = foos.waits_for_event("one", "Synced")
    assert (event["type"], event["message"]) == ("Normal", "Foo synced successfully")
    assert event["source"]["component"] == "sample-controller"
    assert event["involvedObject"]["uid"] == owner["uid"]

    before = operator.metric("controller_runtime_reconcile_total", controller="Foos", result="error")
    admin.call("DELETE", f"{foos.path}/one")
    eventually(lambda: foos.deployment("one-web") is None, "the end of the Deployment, by the garbage collector")
    eventually(lambda: not admin.pods(foos.namespace), "the end of its pods")
    operator.wait_until_seen(f"{foos.namespace}/one: foo does not exist anymore")
    assert before == operator.metric("controller_runtime_reconcile_total", controller="Foos", result="error") == 0

    asked = {}
    for each in control_plane.audit_events(since=audited_from):
        if each.get("user", {}).get("username") == "operator" and "objectRef" in each:
            what = each["objectRef"]
            name = "/".join(filter(None, (what["resource"], what.get("subresource"))))
            asked[name, each["verb"]] = each.get("responseStatus", {}).get("code")
    changes = {right for right in asked if right[1] not in ("get", "list", "watch") and "selfsubject" not in right[0]}
    assert changes <= GRANTED
    assert {("deployments", "create"), ("deployments", "update"), ("foos/status", "update")} <= changes
    assert 403 not in asked.values()


def test_the_status_follows_what_is_available(
    control_plane: ControlPlane, admin: Admin, foos: Foos, operator: InProcess
) -> None:
    foos.settles("one", 2)
    # A pod that no node is kept for never becomes available.
    admin.patch(
        f"{foos.deployments}/one-web",
        {
            "spec": {
                "strategy": {"type": "Recreate", "rollingUpdate": None},
                "template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}},
            }
        },
    )
    eventually(lambda: foos.available("one") == 0, "no available replica in the status")
    admin.patch(f"{foos.deployments}/one-web", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    foos.settles("one", 2)


def test_a_deployment_of_somebody_else_is_left_alone(
    admin: Admin, namespace: str, foos: Foos, operator: InProcess
) -> None:
    made = admin.make_deployment(namespace, "taken-web", replicas=1)
    foos.make("taken")
    event = foos.waits_for_event("taken", "ErrResourceExists")
    assert (event["type"], event["message"]) == (
        "Warning",
        'Resource "taken-web" already exists and is not managed by Foo',
    )
    operator.wait_until_seen(f"{namespace}/taken failed (run 3), will be retried in ")
    found = admin.call("GET", f"{foos.deployments}/taken-web")
    assert found["spec"] == made["spec"]
    assert "ownerReferences" not in found["metadata"]
    assert foos.available("taken") is None

    admin.call("DELETE", f"{foos.deployments}/taken-web")
    foos.settles("taken", 2)


def test_a_foo_of_the_same_name_gets_a_deployment_of_its_own(admin: Admin, foos: Foos, operator: InProcess) -> None:
    old = foos.settles("one", 2)
    admin.call("DELETE", f"{foos.path}/one")
    recreated = foos.make("one", replicas=1)
    new = foos.settles("one", 1, but_not=old["metadata"]["uid"])
    assert [owner["uid"] for owner in new["metadata"]["ownerReferences"]] == [recreated["metadata"]["uid"]]


def test_the_definition_refuses_what_makes_no_sense(foos: Foos) -> None:
    for wrong in ({"deploymentName": None}, {"deploymentName": ""}, {"replicas": 0}, {"replicas": 11}):
        with pytest.raises(ApiError) as caught:
            foos.make("wrong", **wrong)
        assert caught.value.code == 422


def test_two_workers(foos: Foos, operator: InProcess) -> None:
    for number in range(10):
        foos.make(f"many-{number}", replicas=1)
    for number in range(10):
        foos.settles(f"many-{number}", 1)
    workers = sorted(each.name for each in threading.enumerate() if each.name.startswith("workqueue-Foos-"))
    assert workers == ["workqueue-Foos-0", "workqueue-Foos-1"]


def test_the_literal_command_for_both_operators(
    control_plane: ControlPlane, admin: Admin, foos: Foos, tmp_path: Path
) -> None:
    foos.make("one")
    kubeconfig = control_plane.kubeconfig_for("operator")
    with run_as_process(
        "-A", "operator/pods.py", path=OPERATOR, kubeconfig=kubeconfig, log=tmp_path / "log"
    ) as operator:
        foos.settles("one", 2)
        for pod in admin.pods(foos.namespace):
            eventually(lambda pod=pod: f"{foos.namespace}/{pod}: pod created" in operator.output(), f"a run of {pod}")
        for name in ("pods", "Foos"):
            assert operator.metric("workqueue_adds_total", name=name) >= 1
            assert operator.metric("controller_runtime_reconcile_errors_total", controller=name) == 0
    assert operator.process.returncode == 0
    assert "Traceback" not in operator.output()
    assert "ERROR" not in operator.output()
