"""Every mistake at the start is answered by one line and a status other than 0; what can be lived with ends nothing."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest

from tests.cluster.proxy import Proxy
from tests.lanes.promises import LANES
from tests.operators.harness import eventually, free_port, run_as_process, run_in_process
from tests.operators.objects import pod
from tests.operators.preloaded import Preloaded, preloaded
from tests.operators.wrong_ways import FILES, HANG_UP, HEAD, HERE, KUBECONFIG, PODS, RUNS, Way
from tests.plugin.conftest import DEFINITION
from workqueue.testing.apiserver import ApiServer, Fault

#: Seconds in which each must have ended. 15 are promised; one that waits for an answer takes 10, the rest is the
#: start of Python on a machine that may be busy with other tests.
LIMIT = 20.0


@contextlib.contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """A port on loopback; whoever connects is answered these bytes, or nothing ever if they are none."""
    with socket.socket() as server, contextlib.ExitStack() as open_ones:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = open_ones.enter_context(server.accept()[0])
                    if answer:
                        with contextlib.suppress(OSError):
                            connection.recv(65536)
                            connection.sendall(b"" if answer is HANG_UP else answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def assert_one_line(output: str, expected: str) -> None:
    assert [line for line in output.splitlines() if line.startswith("error: ")] == [f"error: {expected}"], output
    assert output.splitlines()[-1].startswith("error: "), output
    assert "Traceback" not in output


@pytest.mark.parametrize("way", FILES, ids=lambda way: way.name)
def test_a_mistake_in_a_file_is_answered_by_one_line_when_kopf_loads_it(way: Way, server, tmp_path):
    file = tmp_path / "my_operator.py"
    file.write_text(HEAD + (way.body or ""))
    with run_in_process("-A", path=str(file), ready=False, fails=True) as operator:
        pass
    assert operator.runner.exit_code == 1
    assert_one_line(operator.runner.output, way.line.format(file=file))
    assert server.requests == ()


@dataclass(frozen=True)
class Outcome:
    """How a wrong way ended."""

    status: int
    output: str
    expected: str
    #: The API server was asked to change something.
    wrote: bool


def go(way: Way, folder: Path, forks: Preloaded) -> Outcome:
    """Go a wrong way to its end, with an API server of its own."""
    with ApiServer() as server, listener(way.answer) as port:
        url = f"http://127.0.0.1:{port}" if way.answer is not None and way.kubeconfig else server.url
        words = {"url": url, "tls": url.replace("http:", "https:"), "address": f"127.0.0.1:{port}"}
        path = folder / "kubeconfig"
        if way.kubeconfig is None:
            server.write_kubeconfig(path)
        elif way.kubeconfig:
            path.write_text(Template(way.kubeconfig).substitute(server=words["url"], tls=words["tls"]))
        context = "in-process" if way.kubeconfig is None else "here"
        file = folder / "my_operator.py"
        file.write_text(HEAD + (way.body or ""))
        way.prepare(server)
        environment = {name: text.format(**words) for name, text in way.environment.items()}
        status = forks.run(
            *way.args,
            path=PODS if way.body is None else str(file),
            kubeconfig=path,
            log=folder / "log",
            patience=LIMIT,
            **environment,
        )
        wrote = any(request.writes for request in server.requests)
    expected = way.line.format(kubeconfig=path, context=context, **words)
    return Outcome(status, (folder / "log").read_text(), expected, wrote)


def log_in_for_long(folder: Path) -> str:
    """Log in by a plugin that never ends, until that is said, and stop: what was said."""
    plugin = folder / "plugin"
    pid = folder / "pid"
    plugin.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n")
    plugin.chmod(0o755)
    path = folder / "hanging"
    path.write_text(
        HERE.replace(
            '{token: "good"}',
            f"{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}, interactiveMode: Never}}}}",
        )
    )
    said = f"the login takes long, waiting for the plugin '{plugin}' of kubeconfig {path} (context here)"
    with run_as_process(
        "-A", path="tests/operators/files/hasty_login.py", kubeconfig=path, log=folder / "log", ready=False
    ) as operator:
        try:
            eventually(lambda: said in operator.output(), "a line about the plugin")
            operator.process.terminate()
            assert operator.process.wait(60) == 0
        finally:
            os.kill(int(pid.read_text()), signal.SIGKILL)  # it would outlive the operator
    return operator.output()


@dataclass(frozen=True)
class Outcomes:
    """What takes long and hardly any work, made at a time."""

    ways: dict[str, Future[Outcome]]
    login: Future[str]


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """How the ways that were chosen ended, by name, and a long login beside them. Those that wait are the first."""
    tests = [item for item in request.session.items if item.originalname == test_a_wrong_way_in.__name__]
    ways = [item.callspec.params["way"] for item in tests]
    ways.sort(key=lambda way: way.answer != b"")
    with preloaded() as forks, ThreadPoolExecutor(4) as pool:
        login = pool.submit(log_in_for_long, tmp_path_factory.mktemp("login"))
        return Outcomes({way.name: pool.submit(go, way, tmp_path_factory.mktemp("way"), forks) for way in ways}, login)


@pytest.mark.parametrize("way", RUNS, ids=lambda way: way.name)
def test_a_wrong_way_in(way: Way, outcomes):
    outcome = outcomes.ways[way.name].result()
    assert outcome.status == 1
    assert_one_line(outcome.output, outcome.expected)
    assert way.tells_more == ("ERROR" in outcome.output)
    assert not outcome.wrote


def test_a_login_that_takes_long_says_what_it_waits_for(outcomes):
    assert "Traceback" not in outcomes.login.result()


def test_an_api_server_that_is_not_up_yet_is_waited_for_where_that_was_asked(tmp_path):
    port = free_port()
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.replace("$server", f"http://127.0.0.1:{port}"))
    with run_as_process(
        "-A",
        path="tests/operators/files/hasty_login.py",
        kubeconfig=path,
        log=tmp_path / "log",
        ready=False,
        WORKQUEUE_API_SERVER_TIMEOUT="60",
    ) as operator:
        for pause in (0.2, 0.4):
            waiting = (
                f"no API server answers at http://127.0.0.1:{port} (connection refused): is it running, and is the "
                f"server of kubeconfig {path} (context here) the right one?; waiting up to 60 s, next try in {pause} s"
            )
            eventually(lambda waiting=waiting: waiting in operator.output(), f"a line about the pause of {pause} s")
        with ApiServer(port=port) as server:
            server.create("pods", pod("web"))
            eventually(lambda: operator.get("/readyz").ok, "readiness")
            operator.process.terminate()
            assert operator.process.wait(60) == 0
    assert "Traceback" not in operator.output()


def test_a_pattern_that_fits_no_namespace_is_a_named_cause_and_mends_when_one_comes(server, monkeypatch):
    monkeypatch.setattr("workqueue.plugin.presence_watch.DISCOVERY_PERIOD", 0.1)
    with run_in_process("-n", "team-*", ready=False) as operator:
        cause = "pods: no namespace fits -n 'team-*'"
        eventually(lambda: cause in operator.get("/readyz?verbose").text, "the cause")
        assert operator.get("/readyz").status_code != 200
        assert operator.get("/livez").ok
        operator.wait_until_seen(f"{cause}; waiting for one (are the patterns right?)")
        server.create("namespaces", {"metadata": {"name": "team-a"}})
        server.create("pods", pod("web", "team-a"))
        operator.wait_until_seen("team-a/web: pod created")
        operator.wait_until_ready()


def test_one_of_two_namespaces_that_is_missing_is_served_as_soon_as_it_is_there(server):
    server.create("pods", pod("web"))
    with run_in_process("-n", "default", "-n", "later") as operator:
        operator.wait_until_seen("namespace later: not there yet; served as soon as it is")
        operator.wait_until_seen("default/web: pod created")
        server.create("namespaces", {"metadata": {"name": "later"}})
        server.create("pods", pod("web", "later"))
        operator.wait_until_seen("later/web: pod created")


def test_exact_namespaces_need_no_rights_outside_of_them(server):
    for resource in ("namespaces", "customresourcedefinitions"):
        server.deny(resource=resource)
    server.deny(resource="pods", namespace="")
    server.create("pods", pod("web"))
    with run_in_process("-n", "default") as operator:
        operator.wait_until_seen("default/web: pod created")
        operator.wait_until_seen(
            "no permission to watch namespaces and custom resource definitions: "
            "what is created later is noticed at the next start"
        )
        assert not any("/customresourcedefinitions" in request.path for request in server.requests)
    assert "ERROR" not in operator.runner.output


@pytest.mark.parametrize("args", [("-A",), ("-n", "def*")], ids=["all", "a pattern"])
def test_pods_need_no_rights_on_custom_resource_definitions(server, args):
    server.deny(resource="customresourcedefinitions")
    server.create("pods", pod("web"))
    with run_in_process(*args) as operator:
        operator.wait_until_seen("default/web: pod created")
        assert not any("/customresourcedefinitions" in request.path for request in server.requests)
    assert "ERROR" not in operator.runner.output


def test_a_server_without_access_reviews_is_taken_at_its_word(server):
    server.script(Fault(path="/apis/authorization.k8s.io/*", status=404, times=None))
    server.create("pods", pod("web"))
    with run_in_process("-A") as operator:
        operator.wait_until_seen("default/web: pod created")


BAD_KEYS = """
@pods.on_add
def added(key, **_):
    controller.add(key)
    controller.add("a/b/c")

def reconcile(request):
    request.logger.info("seen")
    pods.by_index("nodee", "node-1")

controller = pods.controller(reconcile, max_retries=0)
"""


def test_a_mistake_in_a_handler_or_a_reconcile_function_is_one_line_with_its_place(server, tmp_path, kubeconfig):
    file = tmp_path / "my_operator.py"
    file.write_text(HEAD + BAD_KEYS)
    server.create("pods", pod("a"))
    with run_as_process("-A", path=str(file), kubeconfig=kubeconfig, log=tmp_path / "log") as operator:
        server.create("pods", pod("b"))
        eventually(lambda: operator.metric("workqueue_work_duration_seconds_count") == 2, "both runs")
        assert operator.get("/readyz").ok, "the operator goes on"
    output = operator.output()
    assert operator.process.returncode == 0
    for name in "ab":
        assert (
            f"handler added failed on add of default/{name}: 'a/b/c' is no key: expected 'namespace/name', or 'name' "
            f"in the cluster scope ({file}:9)\n"
        ) in output
        assert (
            f"controller pods: default/{name} given up after 1 runs: Index with name nodee does not exist; "
            f"there are: namespace ({file}:13)\n"
        ) in output
    assert "Traceback" not in output


def is_watch(query) -> bool:
    return query.get("watch") == "true"


def test_after_the_first_sync_an_api_server_that_forbids_or_errs_ends_nothing(server, monkeypatch):
    """Kopf alone ends at each of these; hasty.py keeps it from trying nine times before that.

    tests/lanes has the same for the lane on which Kopf does not watch itself.
    """
    monkeypatch.setenv("WORKQUEUE_LANE", "handlers")
    monkeypatch.setattr("workqueue.plugin.endurance.FIRST_PAUSE", 0.05)
    server.create("pods", pod("web-0"))
    error = b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: no leader"}}\n'
    troubles = [
        Fault(path="/api/v1/pods", query=is_watch, status=403),
        Fault(path="/api/v1/pods", query=is_watch, status=500),
        Fault(path="/api/v1/pods", query=is_watch, status=404),
        Fault(path="/api/v1/pods", query=is_watch, inject=(error,)),
        Fault(path="/api/v1/pods", query=is_watch, inject=(b"<html>\n",)),
    ]
    with run_in_process("-A", path="tests/operators/files/hasty.py") as operator:
        operator.wait_until_seen("default/web-0: seen")

        def failures() -> list[str]:
            return [line for line in operator.said if line.startswith("the watch of pods failed, next try in ")]

        for number, trouble in enumerate(troubles, start=1):
            server.script(trouble)
            server.disconnect_watches()
            eventually(lambda number=number: len(failures()) == number, f"the line about trouble {number}")
            server.create("pods", pod(f"web-{number}"))
            operator.wait_until_seen(f"default/web-{number}: seen")
        assert operator.get("/livez").ok


@pytest.mark.parametrize("status", [403, 500])
def test_a_discovery_that_fails_ends_nothing(server, monkeypatch, status):
    """Kopf asks which resources there are at its start, and again for each definition that comes."""
    monkeypatch.setattr("workqueue.plugin.endurance.FIRST_PAUSE", 0.05)
    server.create("pods", pod("web"))
    with run_in_process("-A", path="tests/operators/files/hasty.py") as operator:
        operator.wait_until_seen("default/web: seen")
        server.script(Fault(path="/apis/example.com/v1", status=status, times=3))
        server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
        eventually(
            lambda: sum(line.startswith("discovery failed, next try in ") for line in operator.said) == 3, "three tries"
        )
        server.create("pods", pod("later"))
        operator.wait_until_seen("default/later: seen")


def test_credentials_that_are_refused_for_good_after_the_first_sync_end_nothing(server, monkeypatch):
    monkeypatch.setattr("workqueue.plugin.entrance.FIRST_PAUSE", 0.05)
    server.create("pods", pod("web"))
    with run_in_process("-A") as operator:
        operator.wait_until_seen("default/web: pod created")
        server.script(Fault(path="/api/v1/pods", status=401, times=None))
        server.disconnect_watches()
        for pause in (0.05, 0.1, 0.2):
            operator.wait_until_seen(f"the API server does not accept the login; next one in {pause:g} s")
        server.clear_faults()
        server.create("pods", pod("later"))
        operator.wait_until_seen("default/later: pod created")


def test_an_api_server_that_is_away_ends_nothing(server, tmp_path, kubeconfig):
    server.create("pods", pod("web"))
    with Proxy("127.0.0.1", int(server.url.rpartition(":")[2])) as proxy:
        through = proxy.kubeconfig(kubeconfig, into=tmp_path / "through")
        with run_as_process("-A", kubeconfig=through, log=tmp_path / "log") as operator:
            operator.wait_until_idle(1)
            proxy.refuse()
            proxy.cut(how="reset")
            server.create("pods", pod("later"))
            eventually(lambda: "will retry" in operator.output(), "a refused connection")
            assert operator.get("/livez").ok
            assert "default/later" not in operator.output()
            proxy.accept()
            eventually(lambda: "default/later: pod created" in operator.output(), "the pod made meanwhile")
            operator.process.terminate()
            assert operator.process.wait(60) == 0
    assert "Traceback" not in operator.output()


@pytest.mark.parametrize("lane", LANES)
def test_a_resource_that_is_not_there_is_told_at_once_and_again_by_whom_it_is_waited_for(
    server, monkeypatch, tmp_path, lane
):
    monkeypatch.setenv("WORKQUEUE_LANE", lane)
    monkeypatch.setattr("workqueue.plugin.lack.REPEAT", 0.2)
    file = tmp_path / "my_operator.py"
    file.write_text(HEAD + "manager.informer('podz').controller(lambda request: None)\n")
    server.create("pods", pod("web"))
    line = (
        "podz is not served by the cluster; waiting for it (is the name right, is its definition there? did you mean "
        "pods?), and so is controller podz"
    )
    with run_in_process("-A", path=str(file), ready=False) as operator:
        eventually(lambda: operator.said.count(line) > 2, "the line, three times")
        assert "podz is not served by the cluster" in operator.get("/readyz?verbose").text
