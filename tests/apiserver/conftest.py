"""An in-process API server, and a client that reads its watches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from workqueue.testing.apiserver import ApiServer

PODS = "/api/v1/namespaces/default/pods"


class Client:
    """Plain HTTP to one server."""

    def __init__(self, server: ApiServer, session: requests.Session) -> None:
        self._server = server
        self._session = session

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self._session.request(method, self._server.url + path, json=body, timeout=10, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, params=query)

    @contextmanager
    def watch(self, path: str = PODS, **query: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """The events of a watch; the connection is closed at the end of the block."""
        options = {"params": {"watch": "true", **query}, "stream": True, "timeout": 10}
        with self._session.get(self._server.url + path, **options) as response:
            yield (json.loads(line) for line in response.iter_lines(chunk_size=None) if line)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """A server of the test's own."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    """A client of that server."""
    with requests.Session() as session:
        session.trust_env = False
        yield Client(server, session)


def pod(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields}
