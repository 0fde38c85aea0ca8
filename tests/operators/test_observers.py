"""What Kopf's observers of namespaces and definitions cannot have seen is served all the same."""

import pytest

from tests.operators.harness import eventually, run_in_process
from tests.operators.objects import pod
from tests.plugin.conftest import DEFINITION
from workqueue.testing.apiserver import Fault

NAMESPACES = "/api/v1/namespaces"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def is_watch(query) -> bool:
    return query.get("watch") == "true"


@pytest.fixture
def meanwhile(server):
    """``meanwhile(path, change)``: changes something while nobody can watch, so that only the next listing tells."""

    def run(path, change):
        server.script(Fault(path=path, query=is_watch, status=503, times=None))
        asked = len(server.requests)
        server.disconnect_watches()
        refused = lambda: any(r.path == path and is_watch(r.query) for r in server.requests[asked:])  # noqa: E731
        eventually(refused, "a watch that is refused")
        change()
        server.compact()
        server.clear_faults()

    return run


def test_a_namespace_that_came_while_nobody_watched_is_served(server, meanwhile, monkeypatch):
    monkeypatch.setattr("workqueue.plugin.endurance.FIRST_PAUSE", 0.05)
    server.create("namespaces", {"metadata": {"name": "team-a"}})
    server.create("pods", pod("web", "team-a"))
    with run_in_process("-n", "team-*") as operator:
        operator.wait_until_seen("team-a/web: pod created")
        meanwhile(NAMESPACES, lambda: server.create("namespaces", {"metadata": {"name": "team-b"}}))
        server.create("pods", pod("web", "team-b"))
        operator.wait_until_seen("team-b/web: pod created")


FOOS = """
from workqueue import Manager
manager = Manager()
foos = manager.informer("foos", group="example.com", version="v1")

def reconcile(request):
    request.logger.info("seen")

controller = foos.controller(reconcile)

@foos.on_add
def added(key, **_):
    controller.add(key)
"""


def test_a_definition_that_came_while_nobody_watched_is_served(server, meanwhile, monkeypatch, tmp_path):
    monkeypatch.setattr("workqueue.plugin.presence_watch.DISCOVERY_PERIOD", 0.1)
    monkeypatch.setattr("workqueue.plugin.endurance.FIRST_PAUSE", 0.05)
    file = tmp_path / "foos.py"
    file.write_text(FOOS)
    with run_in_process("-A", path=str(file), ready=False) as operator:
        watched = lambda: any(r.path == DEFINITIONS and is_watch(r.query) for r in server.requests)  # noqa: E731
        eventually(watched, "a watch of definitions")
        meanwhile(DEFINITIONS, lambda: server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION))
        server.create("foos.example.com", {"metadata": {"name": "web", "namespace": "default"}})
        operator.wait_until_seen("default/web: seen")
        operator.wait_until_ready()
