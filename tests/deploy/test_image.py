"""The Dockerfile's steps work, and make what is wanted: the operator, its dependencies, and nothing else."""

import re
import subprocess
import tomllib

import pytest

from tests.deploy.dockerfile import Builder, Context, instructions
from tests.deploy.rendering import ROOT, container, pod_template, render_base

pytestmark = pytest.mark.deploy

DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """A lock file's packages: version, and hashes."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / path).read_text()):
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", block).groups()
        found[name] = (version, frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)))
    return found


def in_image(image, *command):
    """Run a command of the image, in its environment and nothing else."""
    path = image.environment["PATH"].split(":")[0]
    done = subprocess.run(
        [f"{path}/{command[0]}", *command[1:]],
        cwd=image.at(image.workdir),
        env=image.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", ["deploy/docker/requirements.lock", "deploy/docker/build.lock"])
def test_the_image_gets_the_versions_that_are_tested(path):
    tested = pins("requirements.lock")
    locked = pins(path)
    assert locked
    assert all(hashes for _, hashes in locked.values())
    assert locked.items() <= tested.items()
    assert "://" not in (ROOT / path).read_text(), "whoever builds chooses the package index"


def test_the_image_has_its_dependencies_and_no_tools(image):
    program = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"
    (site,) = image.at("/opt/workqueue/lib").glob("python*/site-packages")
    found = {each.lower().replace("_", "-") for each in in_image(image, "python", "-c", program).split()}
    wanted = {f"{name}=={version}" for name, (version, _) in pins("deploy/docker/requirements.lock").items()}
    assert found - {f"kopf-workqueue=={PROJECT['version']}"} <= wanted, "something that is no dependency"
    # Some are for other platforms or older Pythons only.
    assert {"kopf", "aiohttp", "orjson", "pykube-ng", "kubernetes"} <= {each.split("==")[0] for each in found}
    assert f"kopf-workqueue=={PROJECT['version']}" in found
    assert not (site / "pip").exists()
    assert sorted(each.name for each in image.root.iterdir()) == ["app", "opt"]
    assert [each.name for each in image.at("/opt").iterdir()] == ["workqueue"]


def test_the_image_has_the_operators_as_they_are(image):
    operators = {each.name: each.read_bytes() for each in (ROOT / "operator").glob("*.py")}
    assert {"foos.py", "pods.py"} <= operators.keys()
    assert {each.name: each.read_bytes() for each in image.at("/app/operator").iterdir()} == operators
    assert [each.name for each in image.at("/app").iterdir()] == ["operator"]
    assert not list(image.at("/app").rglob("__pycache__"))


def test_the_package_is_installed_and_not_linked(image):
    where = in_image(image, "python", "-c", "import workqueue; print(workqueue.__file__)").strip()
    assert where.startswith(str(image.at("/opt/workqueue")))
    assert (image.at("/opt/workqueue") / "bin/kopf").exists()
    assert "--all-namespaces" in in_image(image, "kopf", "run", "--help")


def test_the_whole_package_is_there(image):
    (installed,) = image.at("/opt/workqueue/lib").glob("python*/site-packages/workqueue")
    wanted = {each.relative_to(ROOT / "workqueue") for each in (ROOT / "workqueue").rglob("*.py")}
    assert {each.relative_to(installed) for each in installed.rglob("*.py")} == wanted
    assert (installed / "py.typed").exists()


def test_it_runs_as_the_user_that_the_pod_asks_for(image):
    security = pod_template(render_base())["spec"]["securityContext"]
    assert image.user == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert all(int(each) > 0 for each in image.user.split(":")), "only a number proves that it is not root"


def test_it_does_by_itself_what_the_pod_says(image):
    wanted = container(render_base())
    assert image.command == wanted["args"]
    assert image.ports == [str(each["containerPort"]) for each in wanted["ports"]]


def test_nothing_is_let_into_the_build_that_is_not_copied(image, context):
    assert set(context.allowed) == context.copied


def test_the_base_is_the_same_at_both_ends():
    assert [rest for name, rest in instructions(DOCKERFILE) if name == "FROM"] == [
        "${PYTHON_IMAGE} AS build",
        "${PYTHON_IMAGE}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("COPY operator", "COPY operators", "operators is ignored"),
        ("/opt/workqueue /opt/workqueue", "/opt/other /opt/workqueue", "there is no"),
        ("USER", "USR", "_usr"),
        ("python -m venv --without-pip", "exit 3 #", "RUN exit 3"),
    ],
)
def test_a_mistake_in_the_dockerfile_would_be_noticed(tmp_path, old, new, complaint):
    assert old in DOCKERFILE
    steps = instructions(DOCKERFILE.replace(old, new))
    # Without those that take time: they are tried above.
    slow = (" -m pip ", "venv /opt/build")
    quick = "\n".join(f"{name} {rest}" for name, rest in steps if not any(each in rest for each in slow))
    with pytest.raises((AssertionError, AttributeError), match=complaint):
        Builder(Context(ROOT), tmp_path).build(quick)
