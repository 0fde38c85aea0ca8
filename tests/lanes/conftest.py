"""Each lane in turn, an operator on it, and a world that it watches."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import pytest

from tests.lanes.promises import LANES, NOT_PROMISED, WANTS_1_45
from tests.operators.conftest import kubeconfig, server
from tests.operators.harness import InProcess, eventually, run_in_process
from workqueue.testing.apiserver import ApiServer

__all__ = ["kubeconfig", "server"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "watch" in metafunc.fixturenames:
        name = metafunc.function.__name__
        lanes = [lane for lane in LANES if lane == "stream" or name not in NOT_PROMISED]
        if name in WANTS_1_45 and not hasattr(kopf.OperatorSettings().watching, "label_selectors"):
            lanes = []
        metafunc.parametrize("lane", lanes)


class Watched:
    """An operator that runs, and the server that it watches."""

    def __init__(self, operator: InProcess, server: ApiServer, plural: str = "pods") -> None:
        self.operator = operator
        self.module = operator.module
        self.server = server
        self.plural = plural

    @property
    def cached(self) -> dict[str, str]:
        return {str(entry.key): entry.resource_version for entry in self.module.pods.indexer.entries()}

    def listed(self, namespaces: tuple[str, ...] = ()) -> dict[str, str]:
        found = {}
        for each in self.server.list(self.plural):
            metadata = each["metadata"]
            if not namespaces or metadata["namespace"] in namespaces:
                found[f"{metadata['namespace']}/{metadata['name']}"] = metadata["resourceVersion"]
        return found

    def settles(self, *namespaces: str) -> None:
        """The cache equals the server's list, and what handlers were told gives the cache."""
        eventually(lambda: self.cached == self.listed(namespaces), "a cache that equals the list")
        witness = self.module.witness
        eventually(lambda: witness.gives(self.module.pods.indexer), "handlers that know of it")
        witness.check(self.module.pods.indexer)


@pytest.fixture
def watch(
    server: ApiServer, lane: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., contextlib.AbstractContextManager[Watched]]:
    """Start an operator on the lane: ``with watch("-n", "a", KOPF_TOO="1") as watched``."""
    monkeypatch.setenv("WORKQUEUE_LANE", lane)

    @contextlib.contextmanager
    def start(*args: str, plural: str = "pods", ready: bool = True, **environment: str) -> Iterator[Watched]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with run_in_process(*(args or ("-A",)), path="tests/lanes/files/witnessed.py", ready=ready) as operator:
            operator.wait_until_seen(f": {lane} lane")  # the file is loaded by then, and it is not an earlier run's
            made: Any = Watched(operator, server, plural)
            yield made

    return start
