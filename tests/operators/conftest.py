"""The in-process API server, and a kubeconfig that leads to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operators.harness import ROOT
from workqueue.testing.apiserver import ApiServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server of the test's own; KUBECONFIG leads to it, and the working folder is the repository."""
    with ApiServer() as running:
        kubeconfig = tmp_path / "kubeconfig"
        running.write_kubeconfig(kubeconfig)
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.chdir(ROOT)
        yield running


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"
