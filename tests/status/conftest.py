"""Servers on free ports, and plain requests to them."""

import http.client
from dataclasses import dataclass

import pytest

from workqueue.status import StatusServer

PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    text: str


@pytest.fixture
def serve():
    """``serve(live=…, ready=…, pages=…)`` starts a server on a free port; all are stopped after the test."""
    started = []

    def run(*, live=None, ready=None, pages=None):
        server = StatusServer("127.0.0.1", 0, live=live or {}, ready=ready or {}, pages=pages or {})
        started.append(server)
        server.start()
        return server

    yield run
    for server in started:
        server.stop()


def get(server, path, *, method="GET"):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return Answer(response.status, response.headers.get("Content-Type", ""), response.read().decode())
    finally:
        connection.close()


def check(answer):
    """A check that answers so; an exception is raised."""

    async def run():
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return run
