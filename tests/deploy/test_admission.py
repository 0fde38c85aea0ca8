"""A real API server takes every object as it is, and the pod also where only the restricted standard is let in."""

import copy

import pytest

from tests.deploy.cluster import Refused
from tests.deploy.rendering import NAME, one, pod_template, render_base, render_chart

pytestmark = pytest.mark.deploy

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
#: All that the chart can be asked for at once.
EVERYTHING = {
    "image": {"repository": "registry.example.com/kwq", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "workers": 64,
    "podTtl": {"default": "90s", "dryRun": False},
    "foos": {"enabled": True, "crd": True},
    "logLevel": "debug",
    "logFormat": "json",
    "resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"ephemeral-storage": "1Gi", "cpu": "1.5"}},
    "serviceAccount": {"create": True, "name": "robot"},
}


@pytest.fixture
def home(cluster):
    with cluster.namespace("home", **RESTRICTED) as name:
        yield name


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"namespaces": ["default"]}], ids=["plain", "everything", "named"])
def test_the_chart_is_accepted_as_a_trial_and_for_good(cluster, home, values):
    objects = render_chart(values, name="trial", namespace=home)
    accepted(cluster, objects)


def test_the_base_is_accepted_as_a_trial_and_for_good(cluster):
    namespace, *objects = render_base()
    assert namespace["kind"] == "Namespace"
    assert namespace["metadata"]["labels"].items() >= {"pod-security.kubernetes.io/enforce": "restricted"}.items()
    cluster.apply(namespace, query="&dryRun=All")
    with cluster.applied([namespace]):  # a trial of what is inside needs it
        accepted(cluster, objects)


def accepted(cluster, objects):
    for each in objects:
        cluster.apply(each, query="&dryRun=All")
    with cluster.applied(objects):
        for each in objects:
            found = cluster.apply(each)
            assert found["metadata"]["name"] == each["metadata"]["name"]
            assert found["metadata"].get("generation", 1) == 1, "applied twice, it is another"
    assert cluster.warnings == []


def test_a_field_that_does_not_exist_would_be_refused(cluster, home):
    deployment = one(render_chart(namespace=home), "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(Refused, match="terminationGracePeriod"):
        cluster.apply(deployment, query="&dryRun=All")


def pods_of(objects):
    """A pod as the Deployment's controller makes it."""
    template = copy.deepcopy(pod_template(objects))
    return {"apiVersion": "v1", "kind": "Pod", **template}


@pytest.mark.parametrize("render", [render_base, render_chart], ids=["kustomize", "helm"])
def test_the_pod_meets_the_restricted_standard(cluster, home, render):
    pod = pods_of(render())
    pod["metadata"] |= {"name": NAME, "namespace": home}
    with cluster.applied([pod]):
        found = cluster.call("GET", f"/api/v1/namespaces/{home}/pods/{NAME}")
    assert found["spec"]["securityContext"]["runAsNonRoot"] is True
    assert cluster.warnings == []


def without(*path):
    """Takes a field away."""

    def change(spec):
        *above, last = path
        for key in above:
            spec = spec[key]
        del spec[last]

    return change


def set_to(value, *path):
    def change(spec):
        *above, last = path
        for key in above:
            spec = spec[key]
        spec[last] = value

    return change


CONTAINER = ("containers", 0, "securityContext")
#: What the standard refuses, and what it says.
WORSE = [
    (without("securityContext", "runAsNonRoot"), "runAsNonRoot != true"),
    (without("securityContext", "seccompProfile"), "seccompProfile"),
    (without(*CONTAINER, "allowPrivilegeEscalation"), "allowPrivilegeEscalation != false"),
    (without(*CONTAINER, "capabilities"), "unrestricted capabilities"),
    (set_to(0, "securityContext", "runAsUser"), "runAsUser=0"),
    (set_to([{"name": "tmp", "hostPath": {"path": "/tmp"}}], "volumes"), "restricted volume types"),
]


@pytest.mark.parametrize(("change", "complaint"), WORSE, ids=[complaint for _, complaint in WORSE])
def test_a_worse_pod_is_refused_there(cluster, home, change, complaint):
    """So the test above can fail: the standard is enforced."""
    pod = pods_of(render_base())
    pod["metadata"] |= {"name": NAME, "namespace": home}
    change(pod["spec"])
    with pytest.raises(Refused, match=complaint) as caught:
        cluster.apply(pod, query="&dryRun=All")
    assert 'violates PodSecurity "restricted:latest"' in str(caught.value)


def test_the_bases_own_namespace_is_such_a_one(cluster):
    namespace, *objects = render_base()
    pod = pods_of(objects)
    pod["metadata"] |= {"name": NAME, "namespace": namespace["metadata"]["name"]}
    deployment = one(objects, "Deployment")
    with cluster.applied([namespace]):
        cluster.apply(pod, query="&dryRun=All")
        assert cluster.warnings == []
        for spec in (pod["spec"], deployment["spec"]["template"]["spec"]):
            del spec["securityContext"]["runAsNonRoot"]
        with pytest.raises(Refused, match="runAsNonRoot"):
            cluster.apply(pod, query="&dryRun=All")
        # A Deployment is no pod, and is let in; its author shall know all the same.
        cluster.warnings.clear()
        cluster.apply(deployment, query="&dryRun=All")
        assert "runAsNonRoot" in cluster.warnings[0]
