"""Whoever installs by Helm and whoever applies the kustomize base gets the same, and of the project's version."""

import copy
import tomllib

import pytest
import yaml

from tests.deploy.rendering import BASE, CHART, FOOS, NAME, ROOT, container, one, render_base, render_chart

pytestmark = pytest.mark.deploy

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def by_identity(objects):
    """Objects by kind, namespace and name; a second one of the same is an error."""
    found = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each for each in objects}
    assert len(found) == len(objects)
    return found


def without_helms_own_labels(document):
    """The two labels that say that Helm made it, which must be there, and are nobody else's."""
    document = copy.deepcopy(document)
    labels = document["metadata"]["labels"]
    assert labels.pop("app.kubernetes.io/managed-by") == "Helm"
    assert labels.pop("helm.sh/chart") == f"{NAME}-{yaml.safe_load((CHART / 'Chart.yaml').read_text())['version']}"
    return document


def test_the_chart_as_it_is_gives_the_kustomize_base_but_for_the_namespace():
    base = by_identity(render_base())
    chart = by_identity([without_helms_own_labels(each) for each in render_chart()])
    # Helm makes a release's namespace itself (--create-namespace), and a chart that holds it cannot be installed twice.
    del base["Namespace", None, NAME]
    assert chart == base


def test_the_chart_with_foos_gives_the_overlay_with_foos():
    overlay = by_identity(render_base(FOOS))
    chart = by_identity([without_helms_own_labels(each) for each in render_chart({"foos": {"enabled": True}})])
    del overlay["Namespace", None, NAME]
    definition = chart["CustomResourceDefinition", None, "foos.samplecontroller.k8s.io"]
    # In the other it is nobody's: whoever made it.
    del definition["metadata"]["labels"]
    assert definition["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
    assert chart == overlay


def test_the_comparison_sees_a_difference():
    base = by_identity(render_base())
    chart = by_identity([without_helms_own_labels(each) for each in render_chart({"workers": 5})])
    different = [identity for identity in chart if chart[identity] != base[identity]]
    assert different == [("Deployment", NAME, NAME)]


def test_the_role_of_the_end_to_end_tests_is_the_role_of_the_base():
    written = yaml.safe_load((BASE / "rbac.yaml").read_text())
    assert written["rules"] == one(render_base(), "ClusterRole")["rules"]


def test_everything_is_of_the_projects_version():
    version = PROJECT["version"]
    assert str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]) == version
    for objects in (render_base(), render_chart()):
        assert container(objects)["image"] == f"{NAME}:{version}"
        assert {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in objects} == {version}
    assert f"-t {NAME}:{version} ." in (ROOT / "deploy/docker/Dockerfile").read_text()
    assert f"-t {NAME}:{version} ." in (ROOT / "docs/deploying.md").read_text()
