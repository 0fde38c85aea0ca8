"""An overlay, as users write them, gets what it asks for; the one in the documentation included."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.rendering import BASE, ROOT, container, one, render_base

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
