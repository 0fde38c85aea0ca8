"""An API server of this process with five pods, the meddler before it, and a client that knows of the meddler only."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.meddler import Meddler
from tests.meddler.line import PODS, Answer
from workqueue.testing.apiserver import ApiServer

ALL = [f"ADDED pod-{number}" for number in range(5)]
SPEC = {"containers": [{"name": "main", "image": "nginx"}]}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        for number in range(5):
            made.create("pods", {"metadata": {"name": f"pod-{number}", "namespace": "default"}, "spec": SPEC})
        yield made


@pytest.fixture
def meddler(server: ApiServer) -> Iterator[Meddler]:
    with Meddler(server.url) as made:
        yield made


class Client:
    def __init__(self, meddler: Meddler) -> None:
        self._meddler = meddler

    def ask(self, path: str = PODS, **query: Any) -> Answer:
        return Answer(self._meddler, path, **query)

    def watch(self, path: str = PODS, **query: str) -> Answer:
        return self.ask(path, **{"watch": "true", "resourceVersion": "0", "allowWatchBookmarks": "true", **query})

    def streaming_list(self, path: str = PODS) -> Answer:
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
        return self.watch(path, **query)


@pytest.fixture
def client(meddler: Meddler) -> Client:
    return Client(meddler)


def newest(server: ApiServer) -> str:
    made = server.create("pods", {"metadata": {"generateName": "zz-", "namespace": "default"}})
    return str(made["metadata"]["resourceVersion"])
