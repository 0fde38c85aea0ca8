"""The chart is one that Helm has nothing against, whatever it is called and wherever it goes."""

import json
import re
import shutil

import pytest
import yaml

from tests.deploy.rendering import CHART, NAME, container, one, render_chart, render_files

pytestmark = pytest.mark.deploy

#: Full of words and numbers that YAML would take for something else, if they were not quoted.
AWKWARD = {
    "namespaces": ["789", "true"],
    "serviceAccount": {"create": True, "name": "000"},
    "image": {"repository": "registry.example.com:5000/1e3", "tag": "1.10"},
    "imagePullSecrets": [{"name": "null"}],
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
}


@pytest.mark.parametrize("values", [{}, AWKWARD], ids=["defaults", "awkward"])
def test_lint_has_nothing_to_say(values):
    import helm_python  # no package of the ordinary tests

    report = helm_python.lint(CHART, values, strict=True)
    assert report["errors"] == []
    # There is no picture of the project yet.
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_lint_would_have_something_to_say(tmp_path):
    import helm_python  # no package of the ordinary tests

    copied = shutil.copytree(CHART, tmp_path / NAME)
    (copied / "templates/serviceaccount.yaml").write_text("kind: ServiceAccount\nmetadata: {name: No_Name}\n")
    assert helm_python.lint(copied, strict=True)["errors"]


def test_awkward_names_stay_text():
    objects = render_chart(AWKWARD, name="123", namespace="456")
    text = [
        *(each["metadata"]["name"] for each in objects),
        *(each["metadata"]["namespace"] for each in objects),
        *(label for each in objects for label in each["metadata"]["labels"].values()),
        *container(objects)["args"],
        *(each["value"] for each in container(objects)["env"] if "value" in each),
    ]
    assert [each for each in text if not isinstance(each, str)] == []
    assert {each["metadata"]["namespace"] for each in objects} == {"456", "789", "true"}
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "000"
    assert one(objects, "Deployment")["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"


@pytest.mark.parametrize(
    ("release", "called"),
    [(NAME, NAME), ("pods", f"pods-{NAME}"), (f"my-{NAME}", f"my-{NAME}"), ("r" * 53, f"{'r' * 53}-kopf-work")],
)
def test_what_everything_is_called(release, called):
    objects = render_chart(name=release)
    assert {each["metadata"]["name"] for each in objects} == {called}
    assert len(called) <= 63
    deployment = one(objects, "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector["app.kubernetes.io/instance"] == release
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_a_new_version_of_the_chart_alone_restarts_nothing(tmp_path):
    copied = shutil.copytree(CHART, tmp_path / NAME)
    definition = yaml.safe_load((copied / "Chart.yaml").read_text())
    (copied / "Chart.yaml").write_text(yaml.safe_dump({**definition, "version": "99.0.0"}))
    before, after = one(render_chart(), "Deployment"), one(render_chart(chart=copied), "Deployment")
    assert before["metadata"] != after["metadata"]
    assert before["spec"] == after["spec"]


def test_in_named_namespaces_there_is_nothing_cluster_wide():
    objects = render_chart({"namespaces": ["blue", "green"]}, namespace="mine")
    assert sorted((each["kind"], each["metadata"]["namespace"]) for each in objects) == [
        ("Deployment", "mine"),
        ("Role", "blue"),
        ("Role", "green"),
        ("RoleBinding", "blue"),
        ("RoleBinding", "green"),
        ("ServiceAccount", "mine"),
    ]
    assert container(objects)["args"] == ["-n", "blue", "-n", "green", "operator/pods.py"]
    subjects = [each["subjects"] for each in objects if each["kind"] == "RoleBinding"]
    assert subjects == [[{"kind": "ServiceAccount", "name": NAME, "namespace": "mine"}]] * 2


def test_in_named_namespaces_foos_and_the_time_to_live_have_rights_there_only():
    values = {"namespaces": ["blue", "green"], "foos": {"enabled": True, "crd": False}, "podTtl": {"dryRun": False}}
    objects = render_chart(values, namespace="mine")
    roles = [each for each in objects if each["kind"] == "Role"]
    assert [each["metadata"]["namespace"] for each in roles] == ["blue", "green"]
    assert not [each for each in objects if each["kind"].startswith("Cluster")]
    everywhere = one(render_chart({**values, "namespaces": []}), "ClusterRole")["rules"]
    assert [each["rules"] for each in roles] == [everywhere, everywhere]
    assert container(objects)["args"] == ["-n", "blue", "-n", "green", "operator/pods.py", "operator/foos.py"]


def test_it_can_be_a_part_of_another_chart(tmp_path):
    (tmp_path / "outer/charts").mkdir(parents=True)
    shutil.copytree(CHART, tmp_path / "outer/charts" / NAME)
    dependencies = [{"name": NAME, "version": "0.1.0", "repository": ""}]
    definition = {"apiVersion": "v2", "name": "outer", "version": "1.0.0", "dependencies": dependencies}
    (tmp_path / "outer/Chart.yaml").write_text(yaml.safe_dump(definition))
    values = {"global": {"team": "blue"}, NAME: {"workers": 7}}
    objects = render_chart(values, name="outer", chart=tmp_path / "outer")
    assert {"name": "POD_WORKERS", "value": "7"} in container(objects)["env"]


def test_the_notes_name_what_there_is():
    notes = render_files({"namespaces": ["blue", "green"]}, name="pods", namespace="mine")["NOTES.txt"]
    commands = [line.split() for line in notes.splitlines() if line.startswith("    kubectl")]
    assert [each[:5] for each in commands] == [
        ["kubectl", "--namespace", "mine", "rollout", "status"],
        ["kubectl", "--namespace", "mine", "logs", f"deployment/pods-{NAME}"],
        ["kubectl", "--namespace", "mine", "port-forward", f"deployment/pods-{NAME}"],
    ]
    assert commands[0][5] == f"deployment/pods-{NAME}"
    assert "blue, green" in notes
    assert "whole cluster" in render_files()["NOTES.txt"]


def test_the_notes_say_what_else_is_done():
    plain = render_files()["NOTES.txt"]
    assert "Foos" not in plain
    assert "deletes" not in plain
    assert "looks after the Foos" in render_files({"foos": {"enabled": True}})["NOTES.txt"]
    deleting = render_files({"podTtl": {"default": "7d", "dryRun": False}})["NOTES.txt"]
    assert "It deletes finished pods after 7d" in deleting.replace("\n", " ")
    annotated = render_files({"podTtl": {"dryRun": False}})["NOTES.txt"]
    assert "It deletes finished pods that are annotated" in annotated.replace("\n", " ")


def test_the_notes_warn_of_an_image_that_is_in_no_registry():
    assert f"The image {NAME}:0.1.0 is in no registry" in render_files()["NOTES.txt"].replace("\n", " ")
    image = {"repository": f"registry.example.com/{NAME}"}
    assert "is in no registry" not in render_files({"image": image})["NOTES.txt"].replace("\n", " ")


def test_the_schema_lets_nothing_unknown_pass_anywhere():
    """Each object in it is closed; but `global` is another chart's."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def open_objects(node, path=""):
        if isinstance(node, dict):
            if node.get("type") == "object" and node.get("additionalProperties") is not False:
                yield path
            for key, value in node.items():
                yield from open_objects(value, f"{path}/{key}")
        if isinstance(node, list):
            for number, value in enumerate(node):
                yield from open_objects(value, f"{path}/{number}")

    assert list(open_objects(schema)) == ["/properties/global"]


def test_the_readme_leads_to_files():
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (CHART / "README.md").read_text())
    assert links
    assert [link for link in links if not (CHART / link).exists()] == []
