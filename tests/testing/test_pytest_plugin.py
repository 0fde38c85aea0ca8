"""The fixtures for others: in a pytest of their own, as a user has it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(folder, source, *options):
    """A pytest run of one file of tests; the plugin is named, so that it is there once, installed or not."""
    (folder / "test_users.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "workqueue.testing.pytest_plugin", *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_the_fixtures_do_what_they_say(tmp_path):
    ended = run(
        tmp_path,
        """
import os
import pathlib
import threading
import urllib.request

made = []

def test_a_harness(workqueue_harness):
    cluster = workqueue_harness(lambda request: None, resource="foos", kind="Foo", api_version="example.com/v1")
    made.append(cluster)
    cluster.apply({"metadata": {"name": "web", "namespace": "default"}})
    assert cluster.run_until_idle().outcomes == {"default/web": "success"}
    made.append(workqueue_harness(lambda request: None))

def test_that_all_were_closed():
    assert [each.queue.shutting_down for each in made] == [True, True]

def test_a_clock(fake_clock):
    before = fake_clock.now()
    fake_clock.step(30)
    assert fake_clock.now() - before == 30

def test_a_server(api_server):
    api_server.create("pods", {"metadata": {"name": "web", "namespace": "default"}})
    assert api_server.url in pathlib.Path(os.environ["KUBECONFIG"]).read_text()
    with urllib.request.urlopen(api_server.url + "/api/v1/namespaces/default/pods/web") as response:
        assert response.status == 200

def test_that_the_server_is_gone():
    assert "workqueue-kubeconfig" not in os.environ.get("KUBECONFIG", "")
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("workqueue")]
""",
    )
    assert "5 passed" in ended.stdout, ended.stdout + ended.stderr


def test_a_run_without_them_imports_nothing_but_the_plugin(tmp_path):
    ended = run(
        tmp_path,
        """
import sys

def test_what_is_loaded():
    ours = {name for name in sys.modules if name.partition(".")[0] == "workqueue"}
    assert ours == {"workqueue", "workqueue.testing", "workqueue.testing.pytest_plugin"}
    assert not {"aiohttp", "asyncio", "click", "kopf", "msgspec", "orjson", "zstandard"} & set(sys.modules)
""",
    )
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_without_aiohttp_the_server_says_what_is_missing_and_the_others_work(tmp_path):
    ended = run(
        tmp_path,
        """
import sys

sys.modules["aiohttp"] = None

def test_a_harness(workqueue_harness):
    workqueue_harness(lambda request: None)

def test_a_server(api_server):
    pass
""",
    )
    assert "1 passed, 1 error" in ended.stdout, ended.stdout + ended.stderr
    assert "the fixture api_server needs what is not installed: aiohttp" in ended.stdout


def test_a_failure_in_a_contract_is_told_with_its_values(tmp_path):
    ended = run(
        tmp_path,
        """
from workqueue.queues import Queue
from workqueue.testing.contracts import QueueContract

class Lossy(Queue):
    def __len__(self):
        return 7

class TestMine(QueueContract):
    def make_queue(self, clock):
        return Lossy(clock=clock)
""",
        "-k", "length",
    )  # fmt: skip
    assert "2 failed" in ended.stdout
    assert "assert 7 == 1" in ended.stdout, "the values are told, as in a file of tests"


def test_what_a_reconcile_function_raises_is_told_with_its_own_lines(tmp_path):
    ended = run(
        tmp_path,
        """
def reconcile(request):
    return request.get()["status"]["phase"]

def test_a_pod_without_status(workqueue_harness):
    cluster = workqueue_harness(reconcile)
    cluster.apply({"metadata": {"name": "web", "namespace": "default"}})
    cluster.run_until_idle()
""",
    )
    assert "E       KeyError: 'status'" in ended.stdout
    assert "reconcile function: 0 s  default/web  error (add, run 1): KeyError('status')" in ended.stdout
