"""operator/pods.py deletes finished pods when their time is over, and nothing else."""

import asyncio
import json
import runpy
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import kopf
import pykube
import pytest

from tests.operators.harness import PATIENCE, ROOT, eventually, run_in_process
from tests.operators.objects import pod
from workqueue.base.environment import duration, duration_text, flag
from workqueue.base.errors import BadSetting
from workqueue.control import Result
from workqueue.testing.apiserver import Fault

TTL = "workqueue.kopf.dev/ttl"
DRY = " (dry run: nothing is deleted)"
JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "import", "uid": "1", "controller": True}


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(seconds):
    """A container that ended so long ago."""
    return {"name": "main", "state": {"terminated": {"exitCode": 0, "finishedAt": ago(seconds)}}}


def finished(name, *, ttl=None, seconds=101, phase="Succeeded", **metadata):
    """A pod that has finished so long ago."""
    if ttl is not None:
        metadata["annotations"] = {TTL: ttl}
    created = {"creationTimestamp": ago(1000), **metadata}
    return pod(name, **created) | {"status": {"phase": phase, "containerStatuses": [ended(seconds)]}}


# What is to be deleted, and when.


@pytest.fixture
def operator(monkeypatch):
    """The names of the operator's file, loaded into a registry of its own: ``operator(POD_TTL="1h")``."""
    before = kopf.get_default_registry()

    def load(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        kopf.set_default_registry(kopf.OperatorRegistry())
        return SimpleNamespace(**runpy.run_path(str(ROOT / "operator/pods.py")))

    yield load
    kopf.set_default_registry(before)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (finished("a"), True),
        (finished("a", phase="Failed"), True),
        (pod("evicted") | {"status": {"phase": "Failed", "reason": "Evicted"}}, True),
        (finished("a", phase="Running"), False),
        (finished("a", phase="Pending"), False),
        (finished("a", phase="Unknown"), False),
        (pod("new"), False),
        (finished("a", deletionTimestamp=ago(1)), False),
        (finished("a", ownerReferences=[JOB]), False),
        (finished("a", ownerReferences=[{"kind": "Owner", "apiVersion": "v1"}, JOB]), False),
        (finished("a", ownerReferences=[{**JOB, "apiVersion": "batch/v1beta1", "controller": False}]), False),
        (finished("a", ownerReferences=[{**JOB, "apiVersion": "batch.volcano.sh/v1alpha1"}]), True),
        (finished("a", ownerReferences=[{**JOB, "kind": "ReplicaSet", "apiVersion": "apps/v1"}]), True),
        (finished("a", ownerReferences=None), True),
    ],
)
def test_finished_pods_are_cleaned_up_unless_a_job_or_somebody_else_does(operator, body, answer):
    assert operator().is_cleanable(body) is answer


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        (lambda: {"containerStatuses": [ended(50), ended(20), ended(70)]}, 20),
        (lambda: {"initContainerStatuses": [ended(30)], "containerStatuses": None}, 30),
        (lambda: {"ephemeralContainerStatuses": [ended(5)], "containerStatuses": [ended(10)]}, 5),
        (lambda: {"containerStatuses": [{"state": {"waiting": {}}}, ended(10)]}, 10),
        (lambda: {"conditions": [{"lastTransitionTime": ago(40)}, {"lastTransitionTime": None}]}, 40),
        (lambda: {"conditions": [{"lastTransitionTime": ago(3)}], "containerStatuses": [ended(10)]}, 3),
        (dict, 1000),
        (lambda: None, 1000),
    ],
)
def test_a_pod_has_finished_when_the_last_thing_happened_to_it(operator, status, seconds):
    module, before = operator(), datetime.now(UTC)
    body = finished("a") | {"status": status()}
    at = module.finished_at(body) - timedelta(seconds=1)  # within the second that was written down
    assert before - timedelta(seconds=seconds + 1) <= at <= datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["x", "10000-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "yesterday"])
def test_a_time_that_cannot_be_read_is_none(operator, text):
    module = operator()
    read = module.finished_at(finished("a") | {"status": {"conditions": [{"lastTransitionTime": text}]}})
    assert read == module.finished_at(finished("a") | {"status": None})


def test_a_time_without_a_zone_is_utc(operator):
    with_zone, without = "2026-11-28T12:00:00Z", "2026-11-28T12:00:00"
    made = {"metadata": {"name": "a"}, "status": {"conditions": [{"lastTransitionTime": without}]}}
    assert operator().finished_at(made) == datetime.fromisoformat(with_zone) + timedelta(seconds=1)


def test_a_pod_without_any_time_has_finished_only_now(operator):
    body = {"metadata": {"name": "a"}, "status": {"phase": "Failed"}}
    before = datetime.now(UTC)
    assert before <= operator().finished_at(body) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), (" 0 ", 0), ("0s", 0), ("90s", 90), ("1.5m", 90), (" 36h ", 129_600), ("7d", 604_800), ("0.5s", 0.5)],
)
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", ".", "1w", "1 h", "1h30m", "ten", "-1s", "nans", "infs", "1e3s", "\u0661s"),
        *("7", "90", "0.5", "0.0", "00", "-0", "-1", "nan", "inf", "1e3", "\u0661"),
        *("9" * 400 + "s", "9" * 308 + "d"),
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "0.5s"), (90, "90s"), (5400, "90m"), (3600, "1h"), (129_600, "36h"), (604_800, "7d")],
)
def test_durations_are_written_as_they_are_read(seconds, text):
    assert duration_text(seconds) == text
    assert duration(text) == seconds


@pytest.mark.parametrize(("text", "value"), [("true", True), (" YES", True), ("1", True), ("No", False), ("0", False)])
def test_flags(text, value):
    assert flag(text) is value


@pytest.fixture
def clean_up(operator):
    """``clean_up(body, **environment)`` is what the operator answers, and what it would say."""

    def run(body, *, changed=True, **environment):
        module = operator(**environment)
        said = []
        logger = SimpleNamespace(
            info=lambda text, *args: said.append(text % args), warning=lambda text, *args: said.append(text % args)
        )
        return module.clean_up(SimpleNamespace(logger=logger), pykube.Pod(None, body), changed=changed), said

    return run


@pytest.mark.parametrize(
    ("ttl", "environment", "left"),
    [
        ("1h", {}, 3500),
        ("1h", {"POD_TTL": "1s"}, 3500),
        (None, {"POD_TTL": "200s"}, 100),
    ],
)
def test_a_pod_whose_time_is_not_over_comes_again_when_it_is(clean_up, ttl, environment, left):
    answer, said = clean_up(finished("a", ttl=ttl), **environment)
    assert answer.outcome == "requeue_after"
    assert left - PATIENCE <= answer.after <= left + 1
    assert said == []


@pytest.mark.parametrize(
    ("ttl", "environment"), [(None, {}), ("never", {}), ("never", {"POD_TTL": "1s"}), (None, {"POD_TTL": "never"})]
)
def test_a_pod_without_a_time_to_live_stays(clean_up, ttl, environment):
    assert clean_up(finished("a", ttl=ttl), **environment) == (None, [])


def test_in_a_dry_run_it_is_said_which_pod_would_be_deleted(clean_up):
    answer, [said] = clean_up(finished("a", ttl="10s"))
    assert answer is None
    assert said.startswith("pod would be deleted: it finished 10")
    assert said.endswith("its time to live is 10 s")


@pytest.mark.parametrize("ttl", ["soon", "7"])
def test_a_time_to_live_that_is_none_is_said_once_for_each_change_and_the_pod_stays(clean_up, ttl):
    body = finished("a", ttl=ttl)
    expected = [f"{TTL}: '{ttl}' is not a time with its unit, such as 90s, 15m, 36h or 7d, or never; the pod stays"]
    assert clean_up(body, POD_TTL="1s") == (None, expected)
    assert clean_up(body, changed=False, POD_TTL="1s") == (None, [])


def test_a_time_to_live_without_a_unit_ends_the_operator_at_its_start(operator):
    with pytest.raises(BadSetting, match=r"^POD_TTL=7: expected a time with its unit, such as 90s, 15m, 36h or 7d"):
        operator(POD_TTL="7")


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, f"only finished pods with the annotation {TTL} are deleted{DRY}"),
        ({"POD_TTL_DRY_RUN": "false"}, f"only finished pods with the annotation {TTL} are deleted"),
        (
            {"POD_TTL": "168h", "POD_TTL_DRY_RUN": "false"},
            f"finished pods are deleted 7d after their end, or as their annotation {TTL} says",
        ),
        (
            {"POD_TTL": "0"},
            f"finished pods are deleted 0s after their end, or as their annotation {TTL} says{DRY}",
        ),
    ],
)
def test_what_is_deleted_is_said_at_the_start(operator, environment, line):
    said = []
    module = operator(**environment)
    logger = SimpleNamespace(info=lambda text, *args: said.append(text % args))
    asyncio.run(module.say_what_is_deleted(logger=logger))
    assert said == [line]


# Against an API server.


@pytest.fixture
def wet(monkeypatch):
    monkeypatch.setenv("POD_TTL_DRY_RUN", "false")


def deletions(server):
    return [request for request in server.requests if request.method == "DELETE"]


def names(server):
    return sorted(found["metadata"]["name"] for found in server.list("pods"))


def test_pods_whose_time_is_over_are_deleted_as_they_were_seen_and_an_event_tells(server, wet):
    made = server.create("pods", finished("over", ttl="1m"))
    for body in (finished("kept"), finished("later", ttl="1h"), finished("of-a-job", ttl="0", ownerReferences=[JOB])):
        server.create("pods", body)
    server.create("pods", pod("running", annotations={TTL: "0"}) | {"status": {"phase": "Running"}})
    with run_in_process("-A") as operator:
        eventually(lambda: "over" not in names(server), "the deletion")
        operator.wait_until_seen("default/over: pod does not exist anymore")
        operator.wait_until_idle(6)
        [event] = eventually(lambda: server.list("events"), "the event")
    assert names(server) == ["kept", "later", "of-a-job", "running"]
    [request] = deletions(server)
    seen = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert request.path == "/api/v1/namespaces/default/pods/over"
    assert (event["type"], event["reason"], event["involvedObject"]["uid"]) == ("Normal", "TTLExpired", seen["uid"])
    assert event["source"] == {"component": "pod-controller"}
    assert event["message"].startswith("deleted 10")


def test_a_dry_run_is_the_default_and_writes_nothing(server):
    server.create("pods", finished("over", ttl="1m"))
    server.create("pods", finished("wrong", ttl="soon"))
    with run_in_process("-A") as operator:
        operator.wait_until_seen("pod would be deleted")
        operator.wait_until_seen("'soon' is not a time")
        operator.wait_until_idle(2)
    assert operator.runner.output.count(f" are deleted{DRY}") == 1
    assert names(server) == ["over", "wrong"]
    assert not [each for each in server.requests if each.writes and "selfsubject" not in each.path]


@pytest.mark.parametrize("what", ["recreated", "changed"])
def test_a_pod_that_is_another_by_then_is_not_deleted(server, wet, what):
    server.create("pods", finished("web", ttl="1h"))
    at_the_door, go_on = threading.Event(), threading.Event()
    with run_in_process("-A") as operator:
        module = operator.module
        operator.wait_until_idle(1)
        delete = module.delete

        def delete_late(request, found, *, why):
            at_the_door.set()
            assert go_on.wait(PATIENCE)
            module.delete = delete
            return delete(request, found, why=why)

        module.delete = delete_late
        server.patch("pods", "web", {"metadata": {"annotations": {TTL: "1m"}}}, namespace="default")
        assert at_the_door.wait(PATIENCE)
        if what == "recreated":
            server.delete("pods", "web", namespace="default")
            server.create("pods", pod("web"))
        else:
            server.patch("pods", "web", {"metadata": {"annotations": {TTL: "never"}}}, namespace="default")
        go_on.set()
        operator.wait_until_seen("pod is not deleted: it has changed")
        operator.wait_until_idle(3)
    assert names(server) == ["web"]
    assert len(deletions(server)) == 1


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"status": 500}])
def test_a_pod_that_the_api_server_cannot_delete_now_is_not_given_up(server, wet, monkeypatch, fault):
    server.create("pods", finished("over", ttl="1h"))
    with run_in_process("-A") as operator:
        operator.wait_until_idle(1)
        operator.module.PATIENCE = 0.01
        server.script(Fault(method="DELETE", path="/api/v1/namespaces/default/pods/over", times=20, **fault))
        server.patch("pods", "over", {"metadata": {"annotations": {TTL: "1m"}}}, namespace="default")
        eventually(lambda: names(server) == [], "the deletion")
        operator.wait_until_seen("pod is not deleted yet: ")
        assert operator.metric("controller_runtime_reconcile_errors_total") == 0
    assert len(deletions(server)) >= 20


def test_a_deletion_whose_answer_is_cut_is_looked_after(server, wet):
    server.create("pods", finished("over", ttl="1h"))
    with run_in_process("-A") as operator:
        operator.wait_until_idle(1)
        operator.module.PATIENCE = 0.01
        server.script(Fault(method="DELETE", path="/api/v1/namespaces/default/pods/over", cut_after_bytes=1))
        server.patch("pods", "over", {"metadata": {"annotations": {TTL: "1m"}}}, namespace="default")
        operator.wait_until_seen("pod does not exist anymore")
        operator.wait_until_seen("pod is not deleted yet: ")
        assert operator.metric("controller_runtime_reconcile_errors_total") == 0
    assert names(server) == []


def test_a_deletion_that_is_forbidden_fails_and_is_parked_in_the_end(server, wet):
    server.create("pods", finished("over", ttl="1m"))
    server.deny(verb="delete", resource="pods")
    with run_in_process("-A") as operator:
        eventually(lambda: operator.metric("workqueue_parked", name="pods") == 1, "the end of all retries")
        assert operator.metric("controller_runtime_reconcile_errors_total", controller="pods") == 11
        [parked] = operator.module.controller.parked()
        assert "forbidden" in parked.error.lower()
        assert operator.metric("workqueue_parked", controller="pods") == 1
    assert names(server) == ["over"]


def test_the_body_of_a_deletion_has_the_preconditions(operator):
    asked = []
    answer = SimpleNamespace(status_code=200)
    api = SimpleNamespace(
        delete=lambda **kwargs: asked.append(kwargs) or answer, raise_for_status=lambda found: None, config=None
    )
    module = operator()
    found = pykube.Pod(
        api,
        finished("over") | {"metadata": {"name": "over", "namespace": "default", "uid": "u-1", "resourceVersion": "7"}},
    )
    request = SimpleNamespace(logger=SimpleNamespace(info=lambda *args: None))
    assert not isinstance(module.delete(request, found, why="over"), Result)
    assert json.loads(asked[0]["data"]) == {"preconditions": {"uid": "u-1", "resourceVersion": "7"}}


@pytest.mark.parametrize("missing", ["uid", "resourceVersion"])
def test_a_pod_that_lacks_what_a_precondition_needs_is_not_deleted(operator, missing):
    metadata = {"name": "over", "namespace": "default", "uid": "u-1", "resourceVersion": "7"}
    del metadata[missing]
    with pytest.raises(KeyError, match=missing):
        operator().delete(None, pykube.Pod(None, finished("over") | {"metadata": metadata}), why="over")
