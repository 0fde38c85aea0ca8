"""One process, one module, one registry, several runs: each begins as if there had been none before."""

import contextlib
import importlib
import sys
from importlib import metadata

import kopf
import pytest

from tests.operators.harness import PATIENCE, eventually, run_in_process
from tests.operators.objects import pod
from workqueue.testing.apiserver import ApiServer, Fault

MODULE = "tests.operators.files.counting"


class Restarted:
    """The module, loaded by the first run, and the registry that all runs share."""

    def __init__(self, monkeypatch, folder):
        self._monkeypatch = monkeypatch
        self._folder = folder
        self._registry = kopf.OperatorRegistry()

    @property
    def module(self):
        return importlib.import_module(MODULE)

    @contextlib.contextmanager
    def run(self, server, **options):
        """One run, against a server."""
        self._monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(self._folder / "kubeconfig")))
        with run_in_process("-A", "-m", MODULE, path="", registry=self._registry, **options) as operator:
            yield operator

    def take(self):
        """What was counted since the last time: the runs, and what the handlers were told."""
        counted = dict(self.module.runs), dict(self.module.told)
        self.module.runs.clear()
        self.module.told.clear()
        return counted

    def assert_fresh(self):
        """The last run has begun with nothing."""
        last = self.module.begun[-1]
        assert (last.objects, last.synced) == (0, False)
        assert (last.ready, last.queued, last.requeues) == (True, 0, 0)
        statistics = last.statistics
        assert not statistics.started
        assert (statistics.workers, statistics.success, statistics.error, statistics.requeue_after) == (0, 0, 0, 0)


@pytest.fixture
def restarted(monkeypatch, tmp_path):
    sys.modules.pop(MODULE, None)
    yield Restarted(monkeypatch, tmp_path)
    sys.modules.pop(MODULE, None)


@pytest.fixture
def servers(server):
    """Two clusters with pods of one name and others."""
    with ApiServer() as second:
        for name in ("both", "first", "failing-first", "waiting-first"):
            server.create("pods", pod(name))
        for name in ("both", "second"):
            second.create("pods", pod(name))
        yield server, second


def test_a_second_run_knows_nothing_of_the_first(servers, restarted):
    first, second = servers
    with restarted.run(first) as operator:
        module = restarted.module
        eventually(lambda: module.runs["failing-first"] > 2 and len(module.runs) == 4, "the runs for 4 pods")
        eventually(lambda: module.controller.queue.statistics().delayed == 2, "a retry and a pause")
        assert len(module.pods.indexer) == 4
    restarted.assert_fresh()
    runs, told = restarted.take()
    assert set(runs) == {"both", "first", "failing-first", "waiting-first"}
    assert set(told) == {("add", name) for name in runs}

    with restarted.run(second) as operator:
        assert restarted.module is module, "it was not loaded again"
        restarted.assert_fresh()
        eventually(lambda: module.controller.statistics().success == 2, "two runs")
        assert [key.name for key in sorted(module.pods.indexer.list_keys())] == ["both", "second"]
        assert module.pods.get("default/both")["metadata"]["uid"] == second.get("pods", "both")["metadata"]["uid"]
        assert operator.metric("informer_objects", name="pods") == 2
        second.patch("pods", "second", {"metadata": {"labels": {"a": "b"}}})
        eventually(lambda: module.controller.statistics().success == 3, "a run for the change")
        second.delete("pods", "both")
        eventually(lambda: module.told["delete", "both"], "the deletion")
        eventually(lambda: module.controller.statistics().success >= 4, "a run for the deletion")
    runs, told = restarted.take()
    assert set(runs) == {"both", "second"}
    told.pop(("update", "both"), None)  # a deletion may begin with one
    assert told == {("add", "both"): 1, ("add", "second"): 1, ("update", "second"): 1, ("delete", "both"): 1}
    assert len(module.begun) == 2


def test_a_second_run_resyncs_its_own_objects_and_no_others(servers, restarted, monkeypatch):
    monkeypatch.setenv("COUNTING_RESYNC", "1")
    first, second = servers
    with restarted.run(first):
        module = restarted.module
        eventually(lambda: module.told["update", "first"] >= 1, "a resync")
    restarted.take()
    with restarted.run(second):
        restarted.assert_fresh()
        eventually(lambda: module.told["update", "second"] >= 2, "two resyncs")
    runs, told = restarted.take()
    assert set(runs) == {"both", "second"}
    assert set(told) == {(kind, name) for kind in ("add", "update") for name in runs}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of Kopf's, where SystemExit ends its loop
@pytest.mark.skipif(
    metadata.version("kopf").startswith("1.44."), reason="its KopfRunner lets the end of an operator out of its thread"
)
def test_a_run_after_one_that_failed_works(servers, restarted):
    first, second = servers
    with restarted.run(first) as operator:
        module = restarted.module
        eventually(lambda: len(module.runs) == 4, "the runs for 4 pods")
    restarted.take()

    patience, module.pods.cache_sync_timeout = module.pods.cache_sync_timeout, 0.2
    hang = Fault(
        path="/api/v1/pods", query=lambda query: "limit" in query or "watch" in query, hang=True, times=None
    )  # whichever way its lane lists
    second.script(hang)
    with restarted.run(second, ready=False, fails=True) as operator:
        assert operator.runner.future.result(PATIENCE).exit_code == 1
    assert "error: the cache of pods did not sync within 0.2 s" in operator.runner.output
    assert restarted.take()[0] == {}, "no worker was started"
    second.clear_faults()
    module.pods.cache_sync_timeout = patience

    with restarted.run(second) as operator:
        restarted.assert_fresh()
        eventually(lambda: module.controller.statistics().success == 2, "two runs")
        assert operator.get("/livez").text == "ok"
    assert restarted.take() == ({"both": 1, "second": 1}, {("add", "both"): 1, ("add", "second"): 1})
