"""The probes of an operator: what fails a check, what does not, and where they are served."""

import asyncio
import contextlib
import logging
import socket
import threading
from types import SimpleNamespace

import pytest

from tests.control.conftest import until
from tests.plugin.conftest import PATIENCE
from tests.status.conftest import get
from workqueue.base.clock import RealClock
from workqueue.base.errors import ConfigurationError
from workqueue.plugin import probes
from workqueue.plugin.controllers import ManagedController
from workqueue.prometheus import PrometheusMetrics
from workqueue.status import health

ANY = "127.0.0.1:0"


class BackgroundLoop:
    """A loop in a thread, as Kopf's is for the server of the probes."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    @contextlib.contextmanager
    def blocked(self):
        """Something blocks the loop for as long."""
        release, blocking = threading.Event(), threading.Event()

        def block():
            blocking.set()
            assert release.wait(PATIENCE)

        self.loop.call_soon_threadsafe(block)
        assert blocking.wait(PATIENCE)
        try:
            yield
        finally:
            release.set()

    def close(self):
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(PATIENCE)
            self.loop.close()


@pytest.fixture
def kopf_loop():
    made = BackgroundLoop()
    yield made
    made.close()


@pytest.fixture
def stopping():
    return threading.Event()


@pytest.fixture
def serve(kopf_loop, stopping):
    """``serve(bind, informers=…, controllers=…)``; all servers are stopped after the test."""
    started = []

    def run(bind=ANY, *, informers=(), controllers=None):
        server = probes.serve(
            bind,
            loop=kopf_loop.loop,
            informers=informers,
            controllers=controllers or {},
            metrics=PrometheusMetrics(),
            stopping=stopping.is_set,
        )
        started.append(server)
        return server

    yield run
    for server in started:
        if server is not None:
            server.stop()


@pytest.fixture
def controller():
    made = ManagedController(
        "pods",
        lambda request: None,
        wait_for=(),
        workers=2,
        max_retries=None,
        timeout=None,
        max_replacements=None,
        options={},
        loop=lambda: None,
        clock=RealClock(),
        metrics=PrometheusMetrics(),
    )
    yield made
    made.controller.stop(0)
    until(lambda: made.statistics().workers == 0)


def informer(problem=None):
    """An informer as the probes see it."""
    return SimpleNamespace(is_ready=problem is None, lane=SimpleNamespace(problem=problem or "stale words"))


def text(server, path):
    answer = get(server, path)
    return answer.status, answer.text


# The loop.


def test_a_loop_that_answers_is_well(serve):
    assert text(serve(), "/livez/loop") == (200, "ok")


def test_a_loop_that_is_blocked_does_not_answer_until_it_goes_on(serve, kopf_loop, monkeypatch):
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 0.2)
    server = serve()
    with kopf_loop.blocked():
        for _ in range(2):
            assert text(server, "/livez") == (
                500,
                "[-]loop failed: no answer within 0.2 s\n[+]workers ok\nlivez check failed\n",
            )
        assert text(server, "/readyz") == (200, "ok"), "a restart is all that mends it"
        assert get(server, "/metrics").status == 200
    monkeypatch.setattr(health, "CHECK_TIMEOUT", PATIENCE)
    assert text(server, "/livez") == (200, "ok")


def test_a_loop_that_is_closed_is_gone(serve, kopf_loop):
    server = serve()
    kopf_loop.close()
    assert text(server, "/livez/loop") == (500, "[-]loop failed: Kopf's loop is gone\nlivez check failed\n")


# The workers.


def test_a_controller_that_has_not_started_is_well(serve, controller):
    assert text(serve(controllers={"pods": controller}), "/livez/workers") == (200, "ok")


def test_workers_that_live_are_well(serve, controller):
    controller.controller.start()
    assert text(serve(controllers={"pods": controller}), "/livez") == (200, "ok")


def end_all(controller):
    controller.controller.start()
    controller.controller.stop(0)
    until(lambda: controller.statistics().workers == 0)


def test_workers_that_are_dead_fail_the_check(serve, controller):
    end_all(controller)
    assert text(serve(controllers={"pods": controller}), "/livez") == (
        500,
        "[+]loop ok\n[-]workers failed: controller pods: 2 of 2 workers are dead\nlivez check failed\n",
    )


def test_one_dead_worker_of_two_fails_the_check(serve, controller):
    controller.controller.start()
    dead = threading.Thread()
    dead.start()
    dead.join()
    worker = controller.controller._pool._workers[1]
    living, worker.thread = worker.thread, dead
    try:
        answer = text(serve(controllers={"pods": controller}), "/livez/workers")
    finally:
        worker.thread = living
    assert answer == (500, "[-]workers failed: controller pods: 1 of 2 workers are dead\nlivez check failed\n")


def test_workers_that_went_home_as_the_operator_stops_are_well(serve, controller, stopping):
    stopping.set()
    end_all(controller)
    assert text(serve(controllers={"pods": controller}), "/livez") == (200, "ok")


def test_a_controller_that_is_renewed_for_another_run_is_well(serve, controller):
    end_all(controller)
    server = serve(controllers={"pods": controller})
    assert get(server, "/livez").status == 500
    controller.renew()
    assert text(server, "/livez") == (200, "ok")


# Readiness.


def test_it_is_ready_when_all_caches_are_synced(serve):
    assert text(serve(informers=[informer(), informer()]), "/readyz?verbose") == (
        200,
        "[+]stopping ok\n[+]caches ok\nreadyz check passed\n",
    )


def test_each_cache_that_is_not_synced_says_why(serve):
    server = serve(informers=[informer("pods: not logged in"), informer(), informer("foos: not served")])
    assert text(server, "/readyz") == (
        500,
        "[+]stopping ok\n[-]caches failed: pods: not logged in; foos: not served\nreadyz check failed\n",
    )
    assert text(server, "/livez") == (200, "ok")


def test_an_operator_that_stops_is_not_ready_and_lives(serve, stopping):
    server = serve(informers=[informer()])
    stopping.set()
    assert text(server, "/readyz") == (
        500,
        "[-]stopping failed: the operator is stopping\n[+]caches ok\nreadyz check failed\n",
    )
    assert text(server, "/livez") == (200, "ok")


# The address.


@pytest.fixture
def port():
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_metrics_are_served_too(serve):
    answer = get(serve(), "/metrics")
    assert answer.status == 200
    assert answer.content_type.startswith("text/plain")


def test_where_they_are_is_logged(serve, caplog):
    caplog.set_level(logging.INFO, "workqueue.plugin")
    server = serve()
    assert [record.getMessage() for record in caplog.records] == [
        f"probes and metrics at http://127.0.0.1:{server.port}/livez /readyz /metrics"
    ]


def test_the_environment_says_where_if_nobody_else_does(serve, monkeypatch, port):
    monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", f"127.0.0.1:{port}")
    assert serve(None).port == port


def test_what_the_manager_was_told_goes_before_the_environment(serve, monkeypatch, port):
    monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", "0")
    assert serve(f"127.0.0.1:{port}").port == port


@pytest.mark.parametrize("given", [None, ""])
@pytest.mark.parametrize("environment", [None, ""])
def test_empty_is_as_if_nothing_was_said(serve, monkeypatch, port, given, environment):
    monkeypatch.setattr(probes, "DEFAULT_BIND", f"127.0.0.1:{port}")
    monkeypatch.delenv("WORKQUEUE_BIND_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", environment)
    assert serve(given).port == port


@pytest.mark.parametrize(("given", "environment"), [("0", None), ("0", ANY), (None, "0"), ("", "0")])
def test_0_is_nowhere_and_said(serve, monkeypatch, caplog, given, environment):
    caplog.set_level(logging.INFO, "workqueue.plugin")
    monkeypatch.delenv("WORKQUEUE_BIND_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", environment)
    assert serve(given) is None
    assert [record.getMessage() for record in caplog.records] == ["probes and metrics: off"]


def test_a_port_in_use_is_told_in_one_line_with_what_to_do(serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError) as caught:
            serve(address)
    said = str(caught.value)
    assert said.startswith(f"cannot serve probes and metrics at {address} (")
    assert said.endswith("): set WORKQUEUE_BIND_ADDRESS to a free address, or to 0 for none")
    assert "\n" not in said


def test_an_address_of_another_machine_is_told_in_one_line(serve):
    with pytest.raises(ConfigurationError, match=r"cannot serve probes and metrics at 192\.0\.2\.1:0 \("):
        serve("192.0.2.1:0")


def test_an_address_that_is_none_is_told(serve, monkeypatch):
    monkeypatch.setenv("WORKQUEUE_BIND_ADDRESS", "everywhere")
    with pytest.raises(ConfigurationError, match="bind address 'everywhere': expected host:port"):
        serve(None)


# How many there are.


def test_a_number_of_workers_stays_for_the_next_run_though_there_were_no_threads_for_it(controller, monkeypatch):
    controller.controller.start()

    def none_left(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            controller.resize(5)
    assert controller.workers == controller.controller.workers == 5


def test_a_number_of_workers_that_is_none_changes_nothing(controller):
    with pytest.raises(ConfigurationError, match="workers=0"):
        controller.resize(0)
    assert controller.workers == controller.controller.workers == 2
