"""An overlay, as users write them, gets what it asks for; the one in the documentation included."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.rendering import BASE, FOOS, ROOT, container, one, pod_template, render_base, render_chart

pytestmark = pytest.mark.deploy

DOCUMENTED = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/deploying.md").read_text(), re.DOTALL)


@pytest.fixture
def overlay(tmp_path):
    """Makes an overlay's folder from its kustomization, beside a link to the base: a path from elsewhere is refused."""
    (tmp_path / "kopf-workqueue").symlink_to(ROOT)

    def make(text: str) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(text)
        return folder

    return make


def test_the_documented_overlay_says_where_the_image_is(overlay):
    (text,) = (each for each in DOCUMENTED if "kind: Kustomization" in each)
    wanted = yaml.safe_load(text)
    (image,) = wanted["images"]
    objects = render_base(overlay(text))
    assert container(objects)["image"] == f"{image['newName']}:{image['newTag']}"
    assert len(objects) == len(render_base())


def test_another_namespace_reaches_everything_that_names_it(overlay):
    text = "namespace: elsewhere\nresources: [../kopf-workqueue/deploy/kustomize/base]\n"
    objects = render_base(overlay(text))
    assert one(objects, "Namespace")["metadata"]["name"] == "elsewhere"
    assert one(objects, "ServiceAccount")["metadata"]["namespace"] == "elsewhere"
    assert one(objects, "Deployment")["metadata"]["namespace"] == "elsewhere"
    (subject,) = one(objects, "ClusterRoleBinding")["subjects"]
    assert subject["namespace"] == "elsewhere", "the roles would be bound to nobody"


def test_no_file_of_the_base_is_forgotten():
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted([*named, "kustomization.yaml"]) == sorted(each.name for each in BASE.iterdir())


def test_no_definition_is_forgotten():
    named = yaml.safe_load((BASE / "../../crds/kustomization.yaml").read_text())["resources"]
    assert sorted([*named, "kustomization.yaml"]) == sorted(each.name for each in (BASE / "../../crds").iterdir())


def test_the_overlay_with_foos_adds_a_definition_rights_and_an_argument_and_nothing_else():
    plain, objects = render_base(), render_base(FOOS)
    definition = one(objects, "CustomResourceDefinition")
    assert definition == yaml.safe_load((ROOT / "deploy/crds/foos.yaml").read_text())
    objects.remove(definition)
    added = [each["value"] for each in yaml.safe_load((FOOS / "rights.yaml").read_text())]
    one(plain, "ClusterRole")["rules"] += added
    pod_template(plain)["spec"]["containers"][0]["args"].append("operator/foos.py")
    assert container(objects)["args"] == ["-A", "operator/pods.py", "operator/foos.py"]
    assert objects == plain


def test_the_documented_overlay_can_have_foos(overlay):
    (text,) = (each for each in DOCUMENTED if "kind: Kustomization" in each)
    assert "deploy/kustomize/base" in text
    objects = render_base(overlay(text.replace("deploy/kustomize/base", "deploy/kustomize/foos")))
    assert container(objects)["args"][-1] == "operator/foos.py"
    assert container(objects)["image"].startswith("registry.example.com/")


def test_the_documented_patch_lets_pods_be_deleted(overlay):
    (text,) = (each for each in DOCUMENTED if "POD_TTL_DRY_RUN" in each)
    objects = render_base(overlay(f"resources: [../kopf-workqueue/deploy/kustomize/base]\n{text}"))
    chart = render_chart({"podTtl": {"default": "7d", "dryRun": False}})
    variables = [{each["name"]: each.get("value") for each in container(made)["env"]} for made in (objects, chart)]
    assert variables[0] == variables[1]
    assert one(objects, "ClusterRole")["rules"] == one(chart, "ClusterRole")["rules"]
