"""Finished pods are deleted when their time is over: on the real control plane, by what its audit log says."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.e2e.admin import Admin
from tests.operators.harness import PATIENCE, ROOT, InProcess, eventually, run_in_process

pytestmark = pytest.mark.e2e

TTL = "workqueue.kopf.dev/ttl"
DEFAULT = 12.0
#: Seconds that a pod stays, by the text of its annotation; "" has the default.
TIMES = {"0": 0.0, "5s": 5.0, "0.1m": 6.0, "": DEFAULT, "20s": 20.0}
PODS = 500
#: What the operator may do, besides what is deployed.
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


@contextlib.contextmanager
def granted(admin: Admin, name: str, rules: list[dict[str, Any]]) -> Iterator[None]:
    """The user `operator` may do more, for a while."""
    path = "/apis/rbac.authorization.k8s.io/v1"
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    admin.call("POST", f"{path}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    admin.call("POST", f"{path}/clusterrolebindings", binding)
    try:
        yield
    finally:
        for kind in ("clusterrolebindings", "clusterroles"):
            admin.call("DELETE", f"{path}/{kind}/{name}")


def finish(admin: Admin, namespace: str, name: str, *, number: int) -> datetime:
    """Let a pod be finished from now on, in one of three ways; returns when, as it is written down."""
    now = datetime.now(UTC).replace(microsecond=0)
    text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    terminated = {"exitCode": number % 2, "finishedAt": text, "startedAt": text}
    container = {"name": "main", "image": "nginx", "imageID": "", "ready": False, "restartCount": 0}
    status: dict[str, Any] = {
        "phase": "Failed" if number % 2 else "Succeeded",
        "containerStatuses": [{**container, "state": {"terminated": terminated}}],
    }
    if number % 10 == 9:
        disrupted = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": text}
        status = {"phase": "Failed", "reason": "Evicted", "containerStatuses": None, "conditions": [disrupted]}
    admin.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": status})
    return now


def is_running(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running"


def deletions(plane: ControlPlane, namespace: str, *, since: int) -> list[tuple[str, int, datetime]]:
    """Name, status and instant of each deletion that the operator asked for."""
    found = []
    for event in plane.audit_events(since=since):
        if event["user"].get("username") == "operator" and event["verb"] in ("delete", "deletecollection"):
            about = event["objectRef"]
            assert (about["resource"], about["namespace"]) == ("pods", namespace), event
            arrived = datetime.fromisoformat(event["requestReceivedTimestamp"])
            found.append((about["name"], event["responseStatus"]["code"], arrived))
    return found


def told(operator: InProcess, text: str) -> set[str]:
    """The keys of the pods of which that was said."""
    return {line.split("] ")[1].split(": ")[0] for line in operator.said if text in line}


def test_five_hundred_finished_pods_go_in_time_and_nothing_else_does(
    control_plane: ControlPlane, admin: Admin, namespace: str, nodes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBECONFIG", control_plane.kubeconfig_for("operator"))
    monkeypatch.setenv("POD_WORKERS", "8")
    began = control_plane.audit_position()

    # Pods that run, under kwok; and those of a Job, which kwok ends.
    ttls = list(TIMES)
    chosen = {f"over-{number:03}": ttls[number % len(ttls)] for number in range(PODS)}
    others = {"never": "never", "wrong": "soon", "last-moment": "0"} | {f"running-{n}": "0" for n in range(10)}
    for number, (name, ttl) in enumerate((chosen | others).items()):
        annotations = {TTL: ttl} if ttl else {}
        admin.make_pod(namespace, name, nodes[number % len(nodes)], annotations=annotations)
    template = {"containers": [{"name": "main", "image": "nginx"}], "restartPolicy": "Never"}
    annotated = {"metadata": {"annotations": {TTL: "0"}}, "spec": template}
    job = {"metadata": {"name": "job"}, "spec": {"completions": 3, "parallelism": 3, "template": annotated}}
    admin.call("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)

    def under_way() -> bool:
        pods = admin.pods(namespace)
        of_job = [pod for name, pod in pods.items() if name.startswith("job-")]
        rest = [pod for name, pod in pods.items() if not name.startswith("job-")]
        return sum(pod["status"].get("phase") == "Succeeded" for pod in of_job) == 3 and all(map(is_running, rest))

    eventually(under_way, "pods that run, and a Job that is through", patience=3 * PATIENCE)

    # A dry run, which is the default: those whose time is over are told, and nothing is written.
    at_once = [name for name, ttl in chosen.items() if ttl == "0"]
    ends = {name: finish(admin, namespace, name, number=int(name[-3:])) for name in at_once}
    with run_in_process("-n", namespace) as operator:
        eventually(lambda: len(told(operator, "pod would be deleted")) == len(at_once), "the dry run")
    assert told(operator, "pod would be deleted") == {f"{namespace}/{name}" for name in at_once}
    writes = [
        event
        for event in control_plane.audit_events(since=began)
        if event["user"].get("username") == "operator" and event["verb"] not in ("get", "list", "watch")
    ]
    assert {event["objectRef"]["resource"] for event in writes} <= {"selfsubjectaccessreviews"}

    # Now in earnest, with a restart in the middle.
    monkeypatch.setenv("POD_TTL", f"{DEFAULT:g}s")
    monkeypatch.setenv("POD_TTL_DRY_RUN", "false")
    since = control_plane.audit_position()
    at_the_door, go_on = threading.Event(), threading.Event()
    with granted(admin, "time-to-live", RULES):
        with run_in_process("-n", namespace) as operator:
            module = operator.module
            delete = module.delete

            def delete_late(request: Any, pod: Any, *, why: str) -> Any:
                if request.name == "last-moment":
                    at_the_door.set()
                    assert go_on.wait(PATIENCE)
                return delete(request, pod, why=why)

            module.delete = delete_late
            for number, name in enumerate(["never", "wrong", "last-moment"]):
                finish(admin, namespace, name, number=number)
            assert at_the_door.wait(PATIENCE)
            admin.delete_pod(namespace, "last-moment")
            recreated = admin.make_pod(namespace, "last-moment", nodes[0])["metadata"]["uid"]
            go_on.set()
            operator.wait_until_seen("last-moment: pod is not deleted: it has changed")
            for name in chosen:
                if name not in ends:
                    ends[name] = finish(admin, namespace, name, number=int(name[-3:]))
            eventually(lambda: len(admin.pods(namespace)) < PODS - 150, "the first deletions")
        stopped = datetime.now(UTC)
        left = len(admin.pods(namespace))
        with run_in_process("-n", namespace) as operator:
            again = datetime.now(UTC)
            eventually(lambda: not chosen.keys() & admin.pods(namespace).keys(), "all deletions", patience=2 * PATIENCE)
            eventually(lambda: operator.metric("workqueue_delayed", name="pods") == 0, "nothing that waits")

    assert 0 < left - len(others) - 3 < PODS, "the restart was in the middle"
    pods = admin.pods(namespace)
    assert {name for name in pods if not name.startswith("job-")} == others.keys()
    assert len(pods) == len(others) + 3, "the pods of the Job are there"
    assert pods["last-moment"]["metadata"]["uid"] == recreated
    asked = deletions(control_plane, namespace, since=since)
    assert [(name, code) for name, code, _ in asked if code != 200] == [("last-moment", 409)]
    gone = {name: at for name, code, at in asked if code == 200}
    assert sorted(name for name, code, _ in asked if code == 200) == sorted(chosen), "each once"
    # A time is cut to whole seconds: it has finished within the one after that.
    due = {name: ends[name] + timedelta(seconds=1 + TIMES[chosen[name]]) for name in chosen}
    early = {name: (due[name], gone[name]) for name in chosen if gone[name] < due[name]}
    assert not early
    # Nobody was there to delete what fell due between the two runs, or before the first one in earnest.
    lateness = sorted(
        (gone[name] - due[name]).total_seconds()
        for name in chosen
        if name not in at_once and not (stopped - timedelta(seconds=1) < due[name] < again)
    )
    assert len(lateness) > PODS / 4
    print(
        f"\n{len(gone)} pods deleted; of {len(lateness)} that fell due while an operator ran: "
        f"late by p50 {lateness[len(lateness) // 2]:.3f} s, p99 {lateness[int(len(lateness) * 0.99)]:.3f} s, "
        f"at most {lateness[-1]:.3f} s"
    )
    events = admin.call("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=reason%3DTTLExpired")["items"]
    assert {event["involvedObject"]["name"] for event in events} == chosen.keys()
