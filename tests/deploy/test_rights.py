"""What is deployed does its job, with the rights it is given and no others, exactly as it is started in a pod.

The image's files, the pod's arguments and environment, the service account's own token, the roles as rendered, a real
kube-apiserver. Its audit log says what the operator asked for: no more than is granted, and nothing is granted in vain.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.deploy import container as containers
from tests.deploy.cluster import Cluster, path_of
from tests.deploy.dockerfile import Image
from tests.deploy.rendering import FOOS, NAME, container, kubectl, one, pod_template, render_base, render_chart
from tests.operators.harness import Subprocess, eventually

pytestmark = pytest.mark.deploy

#: Asking what one may do is every user's right, and changes nothing.
REVIEWS = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
#: What another command line than the Deployment's needs beyond the role: namespaces that fit a pattern, as they come.
FOR_PATTERNS = {("list", "", "namespaces", ""), ("watch", "", "namespaces", "")}


def always_used(objects: Iterable[dict]) -> set[tuple[str, str, str, str]]:
    """What is granted, but for the rights to list: a streaming list is a watch.

    A server without streaming lists is asked for pages, and after an interruption every server for one page.
    """
    return {right for right in granted(objects) if right[0] != "list"}


@pytest.fixture
def others(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Two namespaces with a pod in each: `present`."""
    with cluster.namespace("blue") as blue, cluster.namespace("green") as green:
        for each in (blue, green):
            make_pod(cluster, each, "present")
        yield blue, green


def make_pod(cluster: Cluster, namespace: str, name: str) -> None:
    spec = {"nodeName": "node", "containers": [{"name": "main", "image": "example.invalid/none"}]}
    cluster.call("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": spec})


def finish_pod(cluster: Cluster, namespace: str, name: str, **annotations: str) -> None:
    """What a kubelet says in the end."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    merge = "application/merge-patch+json"
    cluster.call("PATCH", path, {"metadata": {"annotations": annotations}}, kind=merge)
    cluster.call("PATCH", f"{path}/status", {"status": {"phase": "Succeeded"}}, kind=merge)


def granted(objects: Iterable[dict]) -> set[tuple[str, str, str, str]]:
    """(verb, group, resource, namespace or "" for everywhere) of all roles; each of them must be bound."""
    objects = list(objects)
    bound = {(each["roleRef"]["kind"], each["metadata"].get("namespace", "")) for each in objects if "roleRef" in each}
    roles = [each for each in objects if each["kind"] in ("Role", "ClusterRole")]
    assert {(each["kind"], each["metadata"].get("namespace", "")) for each in roles} == bound
    return {
        (verb, group, resource, role["metadata"].get("namespace", ""))
        for role in roles
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def _with_subresource(reference: dict[str, str]) -> str:
    return "/".join(filter(None, (reference["resource"], reference.get("subresource"))))


class Deployed:
    """The operator of rendered objects at work: `with` ends it, and takes the objects away."""

    def __init__(
        self, objects: list[dict], *, plane: ControlPlane, cluster: Cluster, image: Image, folder: Path
    ) -> None:
        self.objects = objects
        self.plane = plane
        self.cluster = cluster
        self.image = image
        self.folder = folder
        deployment = one(objects, "Deployment")
        self.namespace = deployment["metadata"]["namespace"]
        self.account = pod_template(objects)["spec"]["serviceAccountName"]
        self.audited_from = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Subprocess]:
        with self.cluster.applied(self.objects):
            token = self.cluster.token(self.namespace, self.account)
            kubeconfig = self.plane.kubeconfig_for("pod", token=token, namespace=self.namespace)
            self.audited_from = self.plane.audit_position()
            with containers.run(
                self.image, container(self.objects), kubeconfig=kubeconfig, folder=self.folder / "container"
            ) as operator:
                eventually(lambda: operator.process.poll() is not None or operator.get("/readyz").ok, "readiness")
                assert operator.process.poll() is None, operator.output()
                yield operator

    def requests(self) -> list[dict[str, Any]]:
        user = f"system:serviceaccount:{self.namespace}:{self.account}"
        found = self.plane.audit_events(since=self.audited_from)
        return [each for each in found if each.get("user", {}).get("username") == user]

    def asked(self) -> set[tuple[str, str, str, str]]:
        """(verb, group, resource, namespace or "") of everything it asked for, but for its own rights.

        The namespace is "" also for what was asked in one and is granted in all.
        """
        everywhere = {right[:3] for right in granted(self.objects) if not right[3]}
        references = [(each["verb"], each["objectRef"]) for each in self.requests() if "objectRef" in each]
        rights = [
            ((verb, what.get("apiGroup", ""), _with_subresource(what)), what.get("namespace", ""))
            for verb, what in references
            if not (verb == "create" and what["resource"] in REVIEWS)
        ]
        return {(*right, "" if right in everywhere else namespace) for right, namespace in rights}

    def refused(self) -> set[tuple[str, str]]:
        return {
            (each["verb"], each["requestURI"])
            for each in self.requests()
            if each.get("responseStatus", {}).get("code") in (401, 403)
        }


@pytest.fixture
def deployed(control_plane, cluster, image, tmp_path):
    def make(objects: list[dict]) -> Deployed:
        return Deployed(objects, plane=control_plane, cluster=cluster, image=image, folder=tmp_path)

    return make


def files_of(folder: Path) -> dict[str, int]:
    return {str(each): each.lstat().st_mtime_ns for each in folder.rglob("*")}


def does_its_job(operator: Subprocess, cluster: Cluster, namespaces: Iterable[str]) -> None:
    """The pods that were there, one that comes and goes."""

    def said(text: str) -> None:
        eventually(lambda: text in operator.output(), f"a line with {text!r}")

    for namespace in namespaces:
        said(f"{namespace}/present: pod created")
        make_pod(cluster, namespace, "late")
        said(f"{namespace}/late: pod created")
        cluster.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/late?gracePeriodSeconds=0")
        said(f"{namespace}/late: pod does not exist anymore")


def answers_its_probes(operator: Subprocess, spec: dict) -> None:
    ports = {each["name"] for each in spec["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = spec[probe]["httpGet"]
        assert asked["port"] in ports
        assert operator.get(asked["path"]).status_code == 200


@pytest.mark.parametrize("way", ["kustomize", "helm"])
def test_the_whole_cluster(way, deployed, cluster, others):
    if way == "kustomize":
        objects = render_base()
    else:
        made_by_helm = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chosen"}}
        objects = [made_by_helm, *render_chart(name="pods", namespace="chosen")]
    made = deployed(objects)
    before = files_of(made.image.root)
    with made.running() as operator:
        does_its_job(operator, cluster, others)
        answers_its_probes(operator, container(objects))
        eventually(lambda: made.asked() >= always_used(objects), "the use of every right")
    assert always_used(objects) <= made.asked() <= granted(objects), "all that is granted is used, and no more is tried"
    assert made.refused() == set()
    assert {each["verb"] for each in made.requests()} <= {"get", "list", "watch", "create"}
    assert files_of(made.image.root) == before, "a read-only file system would not do"
    assert [*(made.folder / "container/tmp").iterdir(), *(made.folder / "container/home").iterdir()] == []
    assert cluster.warnings == []


@pytest.mark.parametrize("way", ["kustomize", "helm", "helm in one namespace"])
def test_with_foos(way, deployed, cluster, others, control_plane):
    blue, green = others
    if way == "kustomize":
        objects = render_base(FOOS)
    else:
        values = {"foos": {"enabled": True}} | ({"namespaces": [blue]} if "one" in way else {})
        made_by_helm = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chosen"}}
        objects = [made_by_helm, *render_chart(values, name="foos", namespace="chosen")]
        objects.sort(key=lambda each: each["kind"] == "Deployment")  # as Helm does it: last
    made = deployed(objects)
    foos = f"/apis/samplecontroller.k8s.io/v1alpha1/namespaces/{blue}/foos"
    owned = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": blue, "name": "web"}}
    deployment = path_of(owned)
    merge = "application/merge-patch+json"
    body = {
        "apiVersion": "samplecontroller.k8s.io/v1alpha1",
        "kind": "Foo",
        "metadata": {"name": "one"},
        "spec": {"deploymentName": "web", "replicas": 2},
    }

    def replicas():
        found = cluster.find(deployment)
        return found and found["spec"]["replicas"]

    with made.running() as operator:
        does_its_job(operator, cluster, [blue])
        cluster.call("POST", foos, body)
        eventually(lambda: replicas() == 2, "the Deployment")
        cluster.call("PATCH", f"{deployment}/scale", {"spec": {"replicas": 5}}, kind=merge)
        eventually(lambda: replicas() == 2, "the correction")
        eventually(lambda: made.asked() >= always_used(objects), "the use of every right")
        shown = kubectl("describe", "foo", "one", "-n", blue, kubeconfig=control_plane.kubeconfig).stdout
        cluster.call("DELETE", f"{foos}/one")
        cluster.remove(owned)  # the garbage collector may be faster
    (line,) = [line.split() for line in shown.splitlines() if "Synced" in line]
    assert line[0] == "Normal"
    assert line[-3:] == ["Foo", "synced", "successfully"]
    assert "sample-controller" in line
    wanted = granted(objects) | ({("list", "", "namespaces", "")} if "one" in way else set())
    assert made.asked() <= wanted
    assert {each for each in made.refused() if not each[1].startswith("/api/v1/namespaces?")} == set()
    if "one" in way:
        assert {namespace for *_, namespace in granted(objects)} == {blue}
        assert green not in operator.output()


def test_with_a_time_to_live_it_may_delete_pods_and_tell_of_it(deployed, cluster, others):
    blue, green = others
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chosen"}},
        *render_chart({"podTtl": {"default": "0s", "dryRun": False}}, name="pods", namespace="chosen"),
    ]
    made = deployed(objects)
    make_pod(cluster, blue, "odd")
    with made.running() as operator:
        does_its_job(operator, cluster, others)
        finish_pod(cluster, blue, "present")
        path = f"/api/v1/namespaces/{blue}/pods"
        eventually(lambda: cluster.find(f"{path}/present") is None, "the end of the finished pod")
        finish_pod(cluster, blue, "odd", **{"workqueue.kopf.dev/ttl": "soon"})
        eventually(lambda: "workqueue.kopf.dev/ttl: 'soon'" in operator.output(), "a warning")
        finish_pod(cluster, blue, "odd", look="again")
        eventually(lambda: made.asked() >= always_used(objects), "the use of every right")
        assert cluster.find(f"{path}/odd")
        assert cluster.find(f"/api/v1/namespaces/{green}/pods/present")
    assert made.asked() <= granted(objects)
    assert made.refused() == set()


def test_with_namespaces_added_to_the_role_it_follows_a_pattern(deployed, cluster, others):
    blue, green = others
    objects = render_base()
    one(objects, "ClusterRole")["rules"][0]["resources"].append("namespaces")
    args = container(objects)["args"]
    args[:] = ["-n", f"{blue[:-2]}*", "operator/pods.py"]
    made = deployed(objects)
    with made.running() as operator:
        does_its_job(operator, cluster, [blue])
        eventually(lambda: made.asked() >= FOR_PATTERNS, "a look at the namespaces")
        assert green not in operator.output()
    assert granted(objects) >= FOR_PATTERNS
    assert made.refused() == set()


def test_named_namespaces_only(deployed, cluster, others, tmp_path):
    blue, green = others
    with cluster.namespace("operators") as home:
        values = {"namespaces": [blue, green], "logFormat": "json", "logLevel": "debug", "workers": 2}
        objects = render_chart(values, name="pods", namespace=home)
        made = deployed(objects)
        with cluster.namespace("red") as red:
            make_pod(cluster, red, "present")
            with made.running() as operator:
                does_its_job(operator, cluster, others)
                answers_its_probes(operator, container(objects))
                assert operator.metric("informer_objects", name="pods") == 2
                output = operator.output()
        wanted = granted(objects)
        assert {namespace for *_, namespace in wanted} == {blue, green}
        assert made.asked() >= always_used(objects), "least privilege: all that is granted is used"
        # Whether the namespaces exist, it may ask in vain; it does not insist.
        assert made.asked() - wanted <= {("list", "", "namespaces", "")}
        assert {each for each in made.refused() if not each[1].startswith("/api/v1/namespaces?")} == set()
        assert red not in output
    said = [json.loads(line) for line in output.splitlines()]
    assert any(each["severity"] == "debug" for each in said)


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_with_a_right_less_it_would_not_start(verb, deployed, others, cluster):
    """So the test above can fail. What is said is one line that names the right."""
    with cluster.namespace("operators") as home:
        objects = render_chart({"namespaces": [others[0]]}, name="pods", namespace=home)
        one(objects, "Role")["rules"][0]["verbs"].remove(verb)
        made = deployed(objects)
        with pytest.raises(AssertionError, match=f"no permission to {verb} pods"), made.running():
            pass


def test_quiet_is_quiet(deployed, others, cluster):
    with cluster.namespace("operators") as home:
        objects = render_chart({"namespaces": [others[0]], "logLevel": "warning"}, name="pods", namespace=home)
        with deployed(objects).running() as operator:
            eventually(lambda: operator.is_idle(1), "an idle queue")
        assert operator.output() == ""


def test_two_releases_side_by_side(deployed, others, cluster):
    """One for each namespace, in one and the same; neither touches what the other has."""
    with cluster.namespace("operators") as home:
        first = render_chart({"namespaces": [others[0]]}, name="first", namespace=home)
        second = render_chart({"namespaces": [others[1]]}, name="second", namespace=home)
        names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (first, second)]
        assert not names[0] & names[1]
        assert f"first-{NAME}" in {name for _, name in names[0]}
        with cluster.applied(second), deployed(first).running() as operator:
            does_its_job(operator, cluster, others[:1])
