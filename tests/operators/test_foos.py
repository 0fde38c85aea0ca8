"""operator/foos.py: a Foo's Deployment is made, corrected, made again, and never taken from somebody else.

On the in-process API server there is no garbage collector and no Deployment controller: what they would do, tests do.
"""

import json
import runpy
import threading
from collections import Counter

import kopf
import pytest
import yaml
from kubernetes.client import ApiException
from kubernetes.client.rest import RESTClientObject

from tests.lanes.promises import LANES
from tests.operators.harness import ROOT, eventually, run_as_process, run_in_process
from tests.operators.objects import pod
from workqueue.plugin import official_client
from workqueue.testing.apiserver import Fault

FOOS = "operator/foos.py"
pytestmark = pytest.mark.lanes

DEFINITION = yaml.safe_load((ROOT / "deploy/crds/foos.yaml").read_text())
RESOURCE, DEPLOYMENTS = "foos.samplecontroller.k8s.io", "deployments.apps"
PATHS = {
    RESOURCE: "/apis/samplecontroller.k8s.io/v1alpha1/namespaces/default/foos",
    DEPLOYMENTS: "/apis/apps/v1/namespaces/default/deployments",
}


def foo(name="one", **spec):
    spec = {"deploymentName": f"{name}-web", "replicas": 2} | spec
    return {
        "apiVersion": "samplecontroller.k8s.io/v1alpha1",
        "kind": "Foo",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def foreign_deployment(name):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


class Writes:
    """What the official client was given to write: method, path, body; and a door to come in before it does."""

    def __init__(self, send):
        self._send = send
        self._lock = threading.Lock()
        # Both are guarded by _lock.
        self._made = []
        self._before = {}

    def before(self, method, path, call):
        """Do something just before the next write of that method and path."""
        with self._lock:
            self._before[method, path] = call

    def of(self, *resources):
        """The writes to resources, (method, path, body) of each."""
        with self._lock:
            return [each for each in self._made if each[1].startswith(tuple(PATHS[name] for name in resources))]

    def request(self, client, method, url, *args, **options):
        if method not in ("GET", "HEAD"):
            path = "/" + url.split("/", 3)[3].partition("?")[0]
            with self._lock:
                self._made.append((method, path, options.get("body")))
                call = self._before.pop((method, path), None)
            if call is not None:
                call()
        return self._send(client, method, url, *args, **options)


@pytest.fixture
def writes(monkeypatch):
    made = Writes(RESTClientObject.request)
    monkeypatch.setattr(RESTClientObject, "request", lambda *args, **options: made.request(*args, **options))
    return made


@pytest.fixture
def defined(server):
    """The server, with Foos, and one of them: see run_in_process."""
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    server.create(RESOURCE, foo())
    return server


def deployments(server):
    return {each["metadata"]["name"]: each for each in server.list(DEPLOYMENTS)}


def wait_for_deployment(server, name, *, replicas=2, but_not=""):
    def found():
        body = deployments(server).get(name)
        return body if body and body["spec"]["replicas"] == replicas and body["metadata"]["uid"] != but_not else None

    return eventually(found, f"deployment {name} with {replicas} replicas")


def wait_for_status(server, available, name="one"):
    def told():
        return (server.get(RESOURCE, name).get("status") or {}).get("availableReplicas") == available

    eventually(told, f"{available} available replicas in the status of {name}")


def told(server):
    """(type, reason) of all events of Foos: how often."""
    counts = Counter()
    for event in server.list("events"):
        if event["involvedObject"]["kind"] == "Foo":
            counts[event["type"], event["reason"]] += event["count"]
    return counts


def runs(operator, result):
    return operator.metric("controller_runtime_reconcile_total", controller="Foos", result=result)


def wait_until_settled(operator, server):
    """Nothing is queued, everything is done, and what was told has arrived."""

    def settled():
        sent = sum(operator.metric("recorder_events_total", result=result) for result in ("sent", "patched"))
        return operator.is_idle(1) and sent == told(server).total()

    eventually(settled, "the end of all work")


@pytest.mark.parametrize("lane", LANES)
def test_a_deployment_is_made_corrected_and_made_again(defined, writes, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    with run_in_process("-A", path=FOOS) as operator:
        first = wait_for_deployment(defined, "one-web")
        owner = defined.get(RESOURCE, "one")["metadata"]
        assert first["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "samplecontroller.k8s.io/v1alpha1",
                "kind": "Foo",
                "name": "one",
                "uid": owner["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert first["spec"]["selector"]["matchLabels"] == {"app": "nginx", "controller": "one"}
        wait_for_status(defined, 0)

        defined.patch(DEPLOYMENTS, "one-web", {"spec": {"replicas": 7}}, subresource="")
        corrected = wait_for_deployment(defined, "one-web")
        assert corrected["metadata"]["uid"] == first["metadata"]["uid"]

        defined.delete(DEPLOYMENTS, "one-web")
        wait_for_deployment(defined, "one-web", but_not=first["metadata"]["uid"])

        defined.patch(RESOURCE, "one", {"spec": {"replicas": 3}})
        wait_for_deployment(defined, "one-web", replicas=3)
        wait_until_settled(operator, defined)
        assert runs(operator, "error") == 0
        eventually(lambda: told(defined) == {("Normal", "Synced"): runs(operator, "success")}, "an event for each run")
    made = [(method, path) for method, path, _ in writes.of(DEPLOYMENTS)]
    assert made.count(("POST", PATHS[DEPLOYMENTS])) == 2, (
        "a run before the cache has what was written would write again"
    )
    assert len(made) == 4


@pytest.mark.parametrize("lane", LANES)
def test_the_status_is_the_deployments_and_written_only_when_it_differs(defined, writes, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        defined.patch(DEPLOYMENTS, "one-web", {"status": {"availableReplicas": 1}}, subresource="status")
        wait_for_status(defined, 1)
        defined.patch(DEPLOYMENTS, "one-web", {"status": {"unavailableReplicas": 1}}, subresource="status")
        defined.patch(DEPLOYMENTS, "one-web", {"metadata": {"labels": {"tier": "gold"}}})
        defined.patch(RESOURCE, "one", {"metadata": {"labels": {"tier": "gold"}}})
        defined.patch(DEPLOYMENTS, "one-web", {"status": {"availableReplicas": 2}}, subresource="status")
        wait_for_status(defined, 2)
        wait_until_settled(operator, defined)
        assert defined.get(RESOURCE, "one")["spec"] == foo()["spec"]
        refused = runs(operator, "requeue")  # as the Foo had changed; then it is written once more
    written = [body["status"]["availableReplicas"] for _, _, body in writes.of(RESOURCE)]
    assert list(dict.fromkeys(written)) == [0, 1, 2]
    assert len(written) == 3 + refused


def test_a_run_waits_until_the_cache_has_what_was_written(defined, writes):
    # The Deployments' watch says that there are none, if it is asked for what there is, and then nothing more.
    for streamed in (True, False):
        defined.script(
            Fault(
                path="/apis/apps/v1/deployments",
                query=lambda query, streamed=streamed: "watch" in query and ("sendInitialEvents" in query) == streamed,
                hang=True,
                after_events=1 if streamed else 0,
            )
        )
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        defined.patch(RESOURCE, "one", {"metadata": {"labels": {"look": "again"}}})
        eventually(lambda: operator.metric("workqueue_depth") == 1, "a key that waits for the end of its run")
        assert operator.module.controller.statistics().active == 1
        assert [method for method, *_ in writes.of(DEPLOYMENTS, RESOURCE)] == ["POST"]


def test_every_write_says_what_it_was_based_on(defined, writes):
    with run_in_process("-A", path=FOOS) as operator:
        made = wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        defined.patch(DEPLOYMENTS, "one-web", {"spec": {"replicas": 9}})
        wait_for_deployment(defined, "one-web")
        wait_until_settled(operator, defined)
    replaced = [body["metadata"] for method, _, body in writes.of(DEPLOYMENTS, RESOURCE) if method == "PUT"]
    assert {each["uid"] for each in replaced} == {
        made["metadata"]["uid"],
        defined.get(RESOURCE, "one")["metadata"]["uid"],
    }
    assert all(each["resourceVersion"] for each in replaced)
    assert not [method for method, *_ in writes.of(DEPLOYMENTS, RESOURCE) if method not in ("POST", "PUT")]


def test_what_another_changed_meanwhile_is_not_undone_and_is_no_error(defined, writes):
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        wait_until_settled(operator, defined)
        label = {"metadata": {"labels": {"tier": "gold"}}}
        path = f"{PATHS[DEPLOYMENTS]}/one-web"
        writes.before("PUT", path, lambda: defined.patch(DEPLOYMENTS, "one-web", label))
        defined.patch(DEPLOYMENTS, "one-web", {"spec": {"replicas": 9}})
        after = wait_for_deployment(defined, "one-web")
        assert after["metadata"]["labels"] == {"tier": "gold"}
        wait_until_settled(operator, defined)
        assert runs(operator, "requeue") >= 1
        assert runs(operator, "error") == 0
    assert not any("will be retried" in line for line in operator.said)


def test_a_deployment_that_is_gone_when_it_is_to_be_corrected_is_made_again(defined, writes):
    with run_in_process("-A", path=FOOS) as operator:
        first = wait_for_deployment(defined, "one-web")["metadata"]["uid"]
        wait_for_status(defined, 0)
        writes.before("PUT", f"{PATHS[DEPLOYMENTS]}/one-web", lambda: defined.delete(DEPLOYMENTS, "one-web"))
        defined.patch(DEPLOYMENTS, "one-web", {"spec": {"replicas": 9}})
        wait_for_deployment(defined, "one-web", but_not=first)
        wait_until_settled(operator, defined)
        assert runs(operator, "requeue") >= 1
        assert runs(operator, "error") == 0


def test_a_deployment_that_somebody_else_makes_meanwhile_is_not_taken(defined, writes):
    theirs = foreign_deployment("one-web")
    writes.before("POST", PATHS[DEPLOYMENTS], lambda: defined.create(DEPLOYMENTS, theirs))
    with run_in_process("-A", path=FOOS) as operator:
        eventually(lambda: runs(operator, "error") >= 1, "a run that finds whose it is")
        assert runs(operator, "requeue") >= 1, "to come too late is no error"
        assert deployments(defined)["one-web"]["spec"]["replicas"] == 1


def test_what_the_api_server_calls_invalid_is_told_and_not_tried_again(defined):
    defined.script(Fault(method="POST", path=PATHS[DEPLOYMENTS], status=422, times=None))
    with run_in_process("-A", path=FOOS) as operator:
        eventually(lambda: told(defined)["Warning", "ErrInvalid"] == 1, "the warning")
        operator.wait_until_seen("default/one failed and will not be retried: ")
        assert runs(operator, "error") == 1
        (event,) = [each for each in defined.list("events") if each["reason"] == "ErrInvalid"]
        assert event["message"] == "a scripted fault"
    assert deployments(defined) == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (json.dumps({"kind": "Status", "message": "spec.replicas: -1\nis too few"}), "spec.replicas: -1 is too few"),
        (json.dumps({"kind": "Status", "message": ""}), "Unprocessable Entity"),
        (json.dumps({"kind": "Status"}), "Unprocessable Entity"),
        (json.dumps(["message"]), "Unprocessable Entity"),
        ("null", "Unprocessable Entity"),
        ("<html>", "Unprocessable Entity"),
        (None, "Unprocessable Entity"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_api_server(body, message):
    before = kopf.get_default_registry()
    kopf.set_default_registry(kopf.OperatorRegistry())
    try:
        refusal = runpy.run_path(str(ROOT / FOOS))["refusal"]
    finally:
        kopf.set_default_registry(before)
    error = ApiException(status=422, reason="Unprocessable Entity")
    error.body = body
    assert refusal(error) == message


@pytest.mark.parametrize("lane", LANES)
def test_what_is_not_ours_is_never_adopted(defined, writes, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    theirs = defined.create(DEPLOYMENTS, foreign_deployment("one-web"))
    with run_in_process("-A", path=FOOS) as operator:
        operator.wait_until_seen("default/one failed (run 3), will be retried in ")
        assert defined.get(DEPLOYMENTS, "one-web") == theirs
        eventually(lambda: told(defined)["Warning", "ErrResourceExists"] >= 3, "warnings")
        (event,) = [each for each in defined.list("events") if each["reason"] == "ErrResourceExists"]
        assert event["message"] == 'Resource "one-web" already exists and is not managed by Foo'
        assert event["involvedObject"]["uid"] == defined.get(RESOURCE, "one")["metadata"]["uid"]
        assert operator.metric("workqueue_retries_total", name="Foos") >= 2
        assert writes.of(DEPLOYMENTS, RESOURCE) == []

        # It is asked for again while it waits for its retry, or comes by that.
        defined.delete(DEPLOYMENTS, "one-web")
        defined.patch(RESOURCE, "one", {"metadata": {"labels": {"look": "again"}}})
        wait_for_deployment(defined, "one-web")
    assert ("Normal", "Synced") in told(defined)


def test_an_owner_that_does_not_control_is_none(defined, writes):
    owner = defined.get(RESOURCE, "one")
    reference = {"apiVersion": owner["apiVersion"], "kind": "Foo", "name": "one", "uid": owner["metadata"]["uid"]}
    theirs = foreign_deployment("one-web")
    theirs["metadata"]["ownerReferences"] = [reference]
    defined.create(DEPLOYMENTS, theirs)
    with run_in_process("-A", path=FOOS) as operator:
        eventually(lambda: runs(operator, "error") >= 1, "a run that finds whose it is")
    assert writes.of(DEPLOYMENTS, RESOURCE) == []


@pytest.mark.parametrize("lane", LANES)
def test_a_foo_that_is_gone_is_a_success(defined, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        defined.delete(RESOURCE, "one")
        operator.wait_until_seen("default/one: foo does not exist anymore")
        operator.module.controller.add("default/never")
        operator.wait_until_seen("default/never: foo does not exist anymore")
        wait_until_settled(operator, defined)
        assert runs(operator, "error") == 0


def test_a_foo_that_is_being_deleted_is_left_alone(defined, writes):
    going = foo("going")
    going["metadata"]["finalizers"] = ["example.com/wait"]
    defined.create(RESOURCE, going)
    defined.delete(RESOURCE, "going")
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_until_settled(operator, defined)
        assert list(deployments(defined)) == ["one-web"]
        assert runs(operator, "error") == 0
    assert not [path for _, path, _ in writes.of(RESOURCE) if "going" in path]


@pytest.mark.parametrize("spec", [{"replicas": 1}, {"deploymentName": ""}, None])
def test_a_foo_that_names_no_deployment_is_absorbed(defined, writes, spec):
    """The definition forbids it, and the in-process server does not look at its schema."""
    wrong = foo("wrong") | {"spec": spec}
    defined.create(RESOURCE, wrong)
    with run_in_process("-A", path=FOOS) as operator:
        operator.wait_until_seen("default/wrong: foo has no spec.deploymentName")
        wait_for_deployment(defined, "one-web")
        wait_until_settled(operator, defined)
        assert runs(operator, "error") == 0
        assert len([line for line in operator.said if "default/wrong" in line]) == 1, "it was tried again"
        assert not [path for _, path, _ in writes.of(RESOURCE) if "wrong" in path]

        defined.patch(RESOURCE, "wrong", {"spec": {"deploymentName": "right", "replicas": 1}})
        wait_for_deployment(defined, "right", replicas=1)


@pytest.mark.parametrize("lane", LANES)
def test_a_foo_of_the_same_name_does_not_take_over(defined, monkeypatch, lane):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    with run_in_process("-A", path=FOOS) as operator:
        old = wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        wait_until_settled(operator, defined)
        defined.delete(RESOURCE, "one")
        recreated = defined.create(RESOURCE, foo(replicas=5))["metadata"]["uid"]
        eventually(lambda: runs(operator, "error") >= 2, "a retry")
        assert deployments(defined)["one-web"]["spec"]["replicas"] == 2
        assert deployments(defined)["one-web"]["metadata"] == old["metadata"]
        defined.delete(DEPLOYMENTS, "one-web")  # as the garbage collector does
        new = wait_for_deployment(defined, "one-web", replicas=5)
        assert new["metadata"]["ownerReferences"][0]["uid"] == recreated


def test_a_status_is_not_written_to_a_foo_of_the_same_name(defined, writes):
    def replace():
        defined.delete(RESOURCE, "one")
        defined.create(RESOURCE, foo())

    writes.before("PUT", f"{PATHS[RESOURCE]}/one/status", replace)
    with run_in_process("-A", path=FOOS) as operator:
        eventually(lambda: runs(operator, "error") >= 1, "the new Foo's run")
        assert "status" not in defined.get(RESOURCE, "one")
        assert runs(operator, "requeue") >= 1


def test_without_replicas_the_number_is_left_to_others(defined):
    defined.create(RESOURCE, foo("free", replicas=None))
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "free-web", replicas=1)
        wait_for_status(defined, 0, "free")
        before = runs(operator, "success")
        defined.patch(DEPLOYMENTS, "free-web", {"spec": {"replicas": 4}})
        eventually(lambda: runs(operator, "success") > before, "a look at it")
        wait_until_settled(operator, defined)
        assert deployments(defined)["free-web"]["spec"]["replicas"] == 4


def test_an_object_of_the_cache_is_never_changed(defined):
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        wait_until_settled(operator, defined)
        foos = operator.module.foos
        handed_out = foos.get("default/one")
        before = yaml.safe_dump(handed_out)
        operator.module.tell_status(handed_out, {"status": {"availableReplicas": 9}})
        assert yaml.safe_dump(handed_out) == before
        wait_for_status(defined, 0)  # a run brings it back to what the Deployment says
        eventually(lambda: foos.get("default/one") == defined.get(RESOURCE, "one"), "the cache as the server")


def test_two_workers_and_an_answer_that_never_comes_holds_up_one_for_a_while_only(defined, monkeypatch):
    with run_in_process("-A", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        workers = sorted(each.name for each in threading.enumerate() if each.name.startswith("workqueue-Foos-"))
        assert workers == ["workqueue-Foos-0", "workqueue-Foos-1"]
        wait_until_settled(operator, defined)
        monkeypatch.setattr(official_client, "READ", 5.0)
        defined.script(Fault(method="POST", path=PATHS[DEPLOYMENTS], hang=True))
        defined.create(RESOURCE, foo("held"))
        eventually(lambda: operator.module.controller.statistics().active == 1, "a run that is held up")
        defined.create(RESOURCE, foo("free"))
        wait_for_deployment(defined, "free-web")
        assert "held-web" not in deployments(defined), "the second worker was to be faster"
        wait_for_deployment(defined, "held-web")


def test_both_operators_in_one_process(defined, monkeypatch):
    defined.create("pods", pod("web"))
    with run_in_process("-A", "operator/pods.py", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        operator.wait_until_seen("default/web: pod created")
        for name in ("Foos", "pods"):
            eventually(
                lambda name=name: (
                    operator.metric("controller_runtime_reconcile_total", controller=name, result="success") >= 1
                ),
                f"a run of {name}",
            )
            assert operator.metric("workqueue_adds_total", name=name) >= 1
        wait_until_settled(operator, defined)
    left = [each.name for each in threading.enumerate()]
    assert not [name for name in left if name.startswith(("workqueue-Foos-", "workqueue-pods-"))]


def test_the_literal_command_for_both_ends_with_status_0(defined, kubeconfig, tmp_path):
    defined.create("pods", pod("web"))
    with run_as_process("-A", "operator/pods.py", kubeconfig=kubeconfig, log=tmp_path / "log", path=FOOS) as operator:
        wait_for_deployment(defined, "one-web")
        wait_for_status(defined, 0)
        eventually(lambda: operator.is_idle(2), "an idle operator")
        assert operator.metric("informer_objects", name="pods") == 1
    assert operator.process.returncode == 0
    assert "Traceback" not in operator.output()


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5"])
def test_a_number_of_workers_that_is_none_is_one_line(defined, kubeconfig, tmp_path, text):
    with run_as_process(
        "-A", kubeconfig=kubeconfig, log=tmp_path / "log", path=FOOS, ready=False, FOO_WORKERS=text
    ) as operator:
        assert operator.process.wait(60) == 1
    (line,) = operator.output().splitlines()
    assert f"FOO_WORKERS={text}: expected a whole number of at least 1" in line
