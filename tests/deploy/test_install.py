"""The commands of the documentation, by Helm and kubectl themselves: install, upgrade, remove, and nothing is left."""

import pytest

from tests.deploy.cluster import PLACES, path_of
from tests.deploy.rendering import BASE, CHART, FOOS, NAME, container, kubectl, render_base, render_chart

pytestmark = pytest.mark.deploy


def deployment_of(cluster, namespace, name):
    return cluster.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")


@pytest.fixture
def helm(control_plane):
    """Helm on the control plane, with releases in a namespace that does not exist yet."""
    import helm_python  # no package of the ordinary tests

    with helm_python.Config(kubeconfig_path=control_plane.kubeconfig, namespace="by-helm") as config:
        yield config


def test_helm_installs_upgrades_and_uninstalls(cluster, helm):
    namespace = {"kind": "Namespace", "metadata": {"name": "by-helm"}}
    try:
        made = helm.install(CHART, "pods", {"workers": 3}, namespace="by-helm", create_namespace=True)
        assert (made["status"], made["app_version"]) == ("deployed", "0.1.0")
        assert "rollout status deployment/pods-kopf-workqueue" in made["notes"]
        objects = render_chart(name="pods", namespace="by-helm")
        for each in objects:
            assert cluster.call("GET", path_of(each))["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert workers_of(deployment_of(cluster, "by-helm", f"pods-{NAME}")) == "3"

        helm.upgrade(CHART, "pods", {"workers": 8, "namespaces": ["default"]}, namespace="by-helm")
        assert workers_of(deployment_of(cluster, "by-helm", f"pods-{NAME}")) == "8"
        base, plural, _ = PLACES["ClusterRole"]
        assert cluster.find(f"{base}/{plural}/pods-{NAME}") is None, "from all namespaces to one: the rights shrink"
        base, plural, _ = PLACES["Role"]
        assert cluster.find(f"{base}/namespaces/default/{plural}/pods-{NAME}") is not None

        helm.uninstall("pods")
        assert cluster.find(f"{base}/namespaces/default/{plural}/pods-{NAME}") is None
        assert [each["kind"] for each in objects if cluster.find(path_of(each))] == []
        assert cluster.find("/api/v1/namespaces/by-helm") is not None, "a namespace may hold more than the release"
    finally:
        cluster.remove(namespace)


def test_helm_keeps_the_definition_of_foos_and_takes_it_over_again(cluster, helm):
    base, plural, _ = PLACES["CustomResourceDefinition"]
    path = f"{base}/{plural}/foos.samplecontroller.k8s.io"
    with_foos = {"foos": {"enabled": True}}
    try:
        helm.install(CHART, "pods", namespace="by-helm", create_namespace=True)
        assert cluster.find(path) is None
        helm.upgrade(CHART, "pods", with_foos, namespace="by-helm")
        made = cluster.call("GET", path)["metadata"]["uid"]
        helm.upgrade(CHART, "pods", {"workers": 5}, namespace="by-helm")
        assert container([deployment_of(cluster, "by-helm", f"pods-{NAME}")])["args"] == ["-A", "operator/pods.py"]
        assert cluster.call("GET", path)["metadata"]["uid"] == made, "with it all Foos would have gone"
        helm.upgrade(CHART, "pods", with_foos, namespace="by-helm")
        helm.uninstall("pods")
        assert cluster.call("GET", path)["metadata"]["uid"] == made
        helm.install(CHART, "pods", with_foos, namespace="by-helm")
        helm.uninstall("pods")
    finally:
        cluster.remove({"kind": "CustomResourceDefinition", "metadata": {"name": "foos.samplecontroller.k8s.io"}})
        cluster.remove({"kind": "Namespace", "metadata": {"name": "by-helm"}})


def workers_of(deployment):
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return next(each["value"] for each in found["env"] if each["name"] == "POD_WORKERS")


def test_helm_refuses_a_typo_before_anything_exists(cluster, helm):
    import helm_python  # no package of the ordinary tests

    try:
        with pytest.raises(helm_python.HelmError, match="'worker' not allowed"):
            helm.install(CHART, "pods", {"worker": 3}, namespace="by-helm", create_namespace=True)
        left = [each for each in render_chart(name="pods", namespace="by-helm") if cluster.find(path_of(each))]
        assert left == []
    finally:
        cluster.remove({"kind": "Namespace", "metadata": {"name": "by-helm"}})


@pytest.mark.parametrize("folder", [BASE, FOOS], ids=["base", "foos"])
def test_kubectl_applies_it_and_removes_it(control_plane, cluster, folder):
    objects = render_base(folder)
    try:
        first = kubectl("apply", "-k", str(folder), kubeconfig=control_plane.kubeconfig)
        assert first.stderr == ""
        assert [line.split()[-1] for line in first.stdout.splitlines()] == ["created"] * len(objects)
        again = kubectl("apply", "-k", str(folder), kubeconfig=control_plane.kubeconfig)
        assert {line.split()[-1] for line in again.stdout.splitlines()} == {"unchanged"}
        assert container([deployment_of(cluster, NAME, NAME)])["args"] == container(objects)["args"]
        # It does not wait for the end of the namespace: that is a controller's work, which may not be there.
        gone = kubectl("delete", "--wait=false", "-k", str(folder), kubeconfig=control_plane.kubeconfig)
        assert len(gone.stdout.splitlines()) == len(objects)
    finally:
        for each in reversed(objects):
            cluster.remove(each)


def test_kubectl_sees_a_mistake(control_plane, cluster, tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: [deployment.yaml]\n")
    text = (BASE / "deployment.yaml").read_text().replace("matchLabels: {}", "matchLabels: {a: b}")
    (tmp_path / "deployment.yaml").write_text(text.replace("strategy:", "strategi:"))
    with cluster.namespace("mistake") as name:
        options = ("-n", name, "--dry-run=server")
        (tmp_path / "kustomization.yaml").write_text(f"namespace: {name}\nresources: [deployment.yaml]\n")
        done = kubectl("apply", "-k", str(tmp_path), *options, kubeconfig=control_plane.kubeconfig, check=False)
    assert done.returncode == 1
    assert 'unknown field "spec.strategi"' in done.stderr
