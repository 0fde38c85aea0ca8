"""What users get from the chart and from the kustomize base, as objects: rendered by Helm and kubectl themselves.

Both come from PyPI, into the virtual environment, and only by `make deploy`; so nothing here is imported before a test
wants it. What one has to know about helm-python-sdk 0.2.2 (Helm 4.2.3 in a shared library):

- `Chart.render` checks the values against the schema and gives NOTES.txt among the templates, but it has no
  API versions of its own choice, and it minds neither `kubeVersion` nor names that Kubernetes refuses: `lint` minds
  names, and `Config.install` everything.
- `lint` never raises for a bad chart, it reports; without `strict=True` a warning is no error.
- A chart is loaded once: what changes in its files afterwards is not seen.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/kopf-workqueue"
BASE = ROOT / "deploy/kustomize/base"
FOOS = ROOT / "deploy/kustomize/foos"
#: What the base is called, and a release must be to be the same.
NAME = "kopf-workqueue"

Object = dict[str, Any]


def render_files(
    values: Object | None = None, *, name: str = NAME, namespace: str = NAME, chart: Path = CHART
) -> dict[str, str]:
    """The chart's templates as text, by their names; HelmValuesError if the schema refuses the values."""
    import helm_python  # no package of the ordinary tests

    with helm_python.Chart.load(chart) as loaded:
        return {Path(path).name: text for path, text in loaded.render(values, name=name, namespace=namespace).items()}


def render_chart(
    values: Object | None = None, *, name: str = NAME, namespace: str = NAME, chart: Path = CHART
) -> list[Object]:
    """The chart's objects."""
    files = render_files(values, name=name, namespace=namespace, chart=chart)
    return [each for path, text in files.items() if path != "NOTES.txt" for each in _objects(text)]


def render_base(folder: Path = BASE) -> list[Object]:
    """The objects of a kustomization; it must not even be warned about."""
    made = kubectl("kustomize", str(folder))
    assert made.stderr == ""
    return list(_objects(made.stdout))


def kubectl(*args: str, kubeconfig: Path | str = "/dev/null", check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run the kubectl from PyPI, whatever else is on the PATH."""
    command = Path(sys.executable).with_name("kubectl")
    assert command.exists(), "no kubectl in the virtual environment: make deploy installs it"
    return subprocess.run(
        [str(command), "--kubeconfig", str(kubeconfig), *args], capture_output=True, text=True, timeout=120, check=check
    )


def one(objects: Iterable[Object], kind: str) -> Object:
    """The only object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def pod_template(objects: Iterable[Object]) -> Object:
    """What the Deployment makes pods from."""
    template: Object = one(objects, "Deployment")["spec"]["template"]
    return template


def container(objects: Iterable[Object]) -> Object:
    """The Deployment's only container."""
    (found,) = pod_template(objects)["spec"]["containers"]
    return dict(found)


def _objects(text: str) -> Iterator[Object]:
    return (each for each in yaml.safe_load_all(text) if each is not None)
