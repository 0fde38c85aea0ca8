"""Every value of the chart does something, is described where users look, and is refused if it makes no sense."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.rendering import CHART, NAME, container, one, pod_template, render_chart

pytestmark = pytest.mark.deploy

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
DIGEST = f"sha256:{'ab' * 32}"


def leaves(node: Any, path: str = "") -> Iterator[str]:
    """Paths of what is no mapping, or an empty one: image.tag."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path


def values_with(path: str, value: Any) -> dict[str, Any]:
    """What `--set-json PATH=VALUE` makes of nothing."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def image(objects):
    return container(objects)["image"]


def args(objects):
    return container(objects)["args"]


def accounts(objects):
    named = [each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"]
    bound = [subject["name"] for each in objects for subject in each.get("subjects", ())]
    return named, bound, pod_template(objects)["spec"]["serviceAccountName"]


def resources(objects):
    return container(objects)["resources"]


def variables(objects):
    """Those of the environment that say something of the time to live."""
    return {each["name"]: each["value"] for each in container(objects)["env"] if each["name"].startswith("POD_TTL")}


def time_to_live(objects):
    return variables(objects), rules(objects)


def rules(objects):
    """What may be done, as group/resource: verbs."""
    found = one(objects, "ClusterRole")["rules"]
    return {f"{each['apiGroups'][0]}/{each['resources'][0]}": each["verbs"] for each in found}


READ_PODS = {"/pods": ["list", "watch"]}
TELL = {"/events": ["create", "patch"]}
LOOK_AFTER_FOOS = {
    "samplecontroller.k8s.io/foos": ["list", "watch"],
    "samplecontroller.k8s.io/foos/status": ["update"],
    "apps/deployments": ["list", "watch", "create", "update"],
}


def with_foos(objects):
    definitions = [each["metadata"]["name"] for each in objects if each["kind"] == "CustomResourceDefinition"]
    return args(objects), rules(objects), definitions


BOTH = ["-A", "operator/pods.py", "operator/foos.py"]
#: What each value does: (path, value, what to look at, what is there then). The first row of a path is a change.
EFFECTS: list[tuple[str, Any, Callable[[list[dict]], Any], Any]] = [
    ("image.repository", "example.com:5000/a/b", image, "example.com:5000/a/b:0.1.0"),
    ("image.tag", "1.10", image, f"{NAME}:1.10"),
    ("image.digest", DIGEST, image, f"{NAME}@{DIGEST}"),
    ("image.pullPolicy", "Always", lambda objects: container(objects)["imagePullPolicy"], "Always"),
    (
        "imagePullSecrets",
        [{"name": "a"}, {"name": "b.c"}],
        lambda objects: pod_template(objects)["spec"]["imagePullSecrets"],
        [{"name": "a"}, {"name": "b.c"}],
    ),
    ("workers", 12345678, lambda objects: container(objects)["env"][0], {"name": "POD_WORKERS", "value": "12345678"}),
    ("workers", 1, lambda objects: container(objects)["env"][0], {"name": "POD_WORKERS", "value": "1"}),
    ("podTtl.default", "7d", time_to_live, ({"POD_TTL": "7d"}, READ_PODS)),
    ("podTtl.default", "never", variables, {"POD_TTL": "never"}),
    ("podTtl.default", "1.5h", variables, {"POD_TTL": "1.5h"}),
    (
        "podTtl.dryRun",
        False,
        time_to_live,
        ({"POD_TTL_DRY_RUN": "false"}, {"/pods": ["list", "watch", "delete"]} | TELL),
    ),
    ("podTtl.dryRun", True, time_to_live, ({}, READ_PODS)),
    (
        "foos.enabled",
        True,
        with_foos,
        (BOTH, READ_PODS | LOOK_AFTER_FOOS | TELL, ["foos.samplecontroller.k8s.io"]),
    ),
    ("foos", {"enabled": True, "crd": False}, with_foos, (BOTH, READ_PODS | LOOK_AFTER_FOOS | TELL, [])),
    ("foos.crd", True, with_foos, (BOTH[:2], READ_PODS, [])),
    ("namespaces", ["a", "b-1"], args, ["-n", "a", "-n", "b-1", "operator/pods.py"]),
    ("logLevel", "warning", args, ["--quiet", "-A", "operator/pods.py"]),
    ("logLevel", "info", args, ["-A", "operator/pods.py"]),
    ("logLevel", "debug", args, ["--verbose", "-A", "operator/pods.py"]),
    ("logFormat", "json", args, ["--log-format=json", "-A", "operator/pods.py"]),
    ("resources.requests.cpu", 2, lambda objects: resources(objects)["requests"]["cpu"], 2),
    ("resources.requests.memory", "1.5Gi", lambda objects: resources(objects)["requests"]["memory"], "1.5Gi"),
    ("resources.limits.memory", "900M", lambda objects: resources(objects)["limits"]["memory"], "900M"),
    ("resources.limits.cpu", "500m", lambda objects: resources(objects)["limits"]["cpu"], "500m"),
    ("resources.limits", {"memory": None}, lambda objects: resources(objects)["limits"], {}),
    ("serviceAccount.name", "robot", accounts, (["robot"], ["robot"], "robot")),
    ("serviceAccount", {"create": False, "name": "robot"}, accounts, ([], ["robot"], "robot")),
]


@pytest.mark.parametrize(
    ("path", "value", "look", "expected"), EFFECTS, ids=[f"{path}={value}" for path, value, *_ in EFFECTS]
)
def test_a_value_does_what_it_says(path, value, look, expected):
    assert look(render_chart(values_with(path, value))) == expected


def test_every_value_does_something():
    """None is there in vain, and none is missing from the table above."""
    tried: dict[str, Any] = {}
    for path, value, *_ in EFFECTS:
        for leaf in leaves(value, path):
            tried.setdefault(leaf, values_with(path, value))
    assert set(leaves(DEFAULTS)) <= set(tried)
    plain = render_chart()
    assert [path for path in leaves(DEFAULTS) if render_chart(tried[path]) == plain] == []


def test_digest_beats_tag():
    assert image(render_chart({"image": {"tag": "1.2", "digest": DIGEST}})) == f"{NAME}@{DIGEST}"


#: Mistakes, and what the refusal must name.
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"worker": 8}, "'worker'"),
    ({"workers": 0}, "/workers"),
    ({"workers": -1}, "/workers"),
    ({"workers": 1.5}, "/workers"),
    ({"workers": "abc"}, "/workers"),
    ({"workers": "4"}, "/workers"),
    ({"workers": None}, "'workers'"),
    ({"podTtl": {"default": "7 days"}}, "/podTtl/default"),
    ({"podTtl": {"default": "-1h"}}, "/podTtl/default"),
    ({"podTtl": {"default": "90"}}, "/podTtl/default"),
    ({"podTtl": {"default": 90}}, "/podTtl/default"),
    ({"podTtl": {"dryRun": "no"}}, "/podTtl/dryRun"),
    ({"podTtl": {"dryrun": False}}, "'dryrun'"),
    ({"podTtl": "7d"}, "/podTtl"),
    ({"foos": True}, "/foos"),
    ({"foos": {"enabled": "yes"}}, "/foos/enabled"),
    ({"foos": {"enable": True}}, "'enable'"),
    ({"namespaces": "blue"}, "/namespaces"),
    ({"namespaces": ["Blue_1"]}, "/namespaces/0"),
    ({"namespaces": ["blue", "team-*"]}, "/namespaces/1"),
    ({"namespaces": [""]}, "/namespaces/0"),
    ({"namespaces": ["-blue"]}, "/namespaces/0"),
    ({"namespaces": ["b" * 64]}, "/namespaces/0"),
    ({"namespaces": ["blue", "blue"]}, "/namespaces"),
    ({"namespaces": [1]}, "/namespaces/0"),
    ({"logLevel": "loud"}, "/logLevel"),
    ({"logLevel": "INFO"}, "/logLevel"),
    ({"loglevel": "debug"}, "'loglevel'"),
    ({"logFormat": "yaml"}, "/logFormat"),
    ({"image": "kopf-workqueue:1.0"}, "/image"),
    ({"image": {"name": "kopf-workqueue"}}, "'name'"),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"image": {"repository": "example.com/a b"}}, "/image/repository"),
    ({"image": {"tag": 1.1}}, "/image/tag"),
    ({"image": {"tag": "a:b"}}, "/image/tag"),
    ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    ({"image": {"pullPolicy": "always"}}, "/image/pullPolicy"),
    ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
    ({"imagePullSecrets": [{}]}, "/imagePullSecrets/0"),
    ({"imagePullSecrets": [{"name": "registry", "key": "x"}]}, "'key'"),
    ({"resources": {"limit": {"memory": "1Gi"}}}, "'limit'"),
    ({"resources": {"limits": {"mem": "1Gi"}}}, "'mem'"),
    ({"resources": {"limits": {"memory": "1 GB"}}}, "/resources/limits/memory"),
    ({"resources": {"limits": {"memory": -1}}}, "/resources/limits/memory"),
    ({"serviceAccount": {"create": "no"}}, "/serviceAccount/create"),
    ({"serviceAccount": {"create": False}}, "/serviceAccount/name"),
    ({"serviceAccount": {"name": "Robot"}}, "/serviceAccount/name"),
    ({"serviceAccount": {"annotations": {}}}, "'annotations'"),
    ({"rbac": {"create": False}}, "'rbac'"),
]


@pytest.mark.parametrize(("values", "named"), MISTAKES, ids=[str(values)[:60] for values, _ in MISTAKES])
def test_a_mistake_is_refused_by_name(values, named):
    import helm_python  # no package of the ordinary tests

    with pytest.raises(helm_python.HelmValuesError) as caught:
        render_chart(values)
    assert named in str(caught.value)


def test_every_value_is_refused_when_it_is_of_another_kind():
    import helm_python  # no package of the ordinary tests

    for path in [*leaves(DEFAULTS), "image", "resources", "serviceAccount", "podTtl", "foos"]:
        with pytest.raises(helm_python.HelmValuesError, match=f"/{path.replace('.', '/')}"):
            render_chart(values_with(path, [{"odd": True}]))


def described() -> dict[str, str]:
    """The `# --` comments of values.yaml, by the path of the value below them."""
    found: dict[str, str] = {}
    above: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text, depth = line.strip(), (len(line) - len(line.lstrip())) // 2
        if text.startswith("#"):
            comment = [text.removeprefix("# -- ")] if text.startswith("# -- ") else [*comment, text.removeprefix("# ")]
        elif key := re.match(r"([\w-]+):", text):
            above = [*above[:depth], key[1]]
            if comment:
                found[".".join(above)] = " ".join(comment)
            comment = []
        elif not text:
            comment = []
    return found


def default_of(path: str) -> Any:
    value = copy.deepcopy(DEFAULTS)
    for key in path.split("."):
        value = value[key]
    return value


def test_every_value_is_described():
    paths = [f"{path}." for path in described()]
    assert [leaf for leaf in leaves(DEFAULTS) if not f"{leaf}.".startswith(tuple(paths))] == []


def test_the_readme_has_the_values_as_they_are():
    rows = [
        f"| `{path}` | `{json.dumps(default_of(path))}` | {description} |" for path, description in described().items()
    ]
    table = "\n".join(["| value | default | what it is |", "| --- | --- | --- |", *rows])
    assert table in (CHART / "README.md").read_text(), f"the table must be:\n{table}"


def test_objects_do_not_change_for_the_same_values():
    assert render_chart() == render_chart(copy.deepcopy(DEFAULTS))
    assert one(render_chart(), "Deployment")["spec"]["replicas"] == 1
