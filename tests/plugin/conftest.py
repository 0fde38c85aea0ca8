"""The in-process API server and clients for it."""

import asyncio

import kopf
import pytest

from workqueue.plugin.login import Login
from workqueue.testing.apiserver import ApiServer

PATIENCE = 30.0


@pytest.fixture
def server():
    with ApiServer() as running:
        yield running


@pytest.fixture
def login():
    made = Login()
    yield made
    made.close()


@pytest.fixture
def client(server, login):
    """A pykube client for the server."""
    login.renew(kopf.ConnectionInfo(server=server.url))
    made = login.pykube()
    yield made
    made.session.close()


class Pauses:
    """Stands in for asyncio where the code under test sleeps: pauses are written down and move the clock."""

    def __init__(self, clock):
        self.made = []
        #: What each pause waits for, beyond its time.
        self.until = None
        self._clock = clock

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        self.made.append(seconds)
        if self.until is not None:
            await self.until.wait()
        self._clock.step(seconds)


DEFINITION = {
    "metadata": {"name": "foos.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList", "shortNames": ["fo"]},
        "versions": [
            {
                "name": version,
                "served": True,
                "storage": version == "v1",
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
            for version in ("v1", "v1beta1")
        ],
    },
}
