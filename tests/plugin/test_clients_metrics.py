"""Requests are counted under client-go's names, whichever client makes them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import kopf
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.plugin.conftest import PATIENCE
from tests.plugin.gate import CLIENTS, Gate
from workqueue import Manager
from workqueue.plugin.throttle import Throttle
from workqueue.prometheus import PrometheusMetrics
from workqueue.testing import FakeClock

BOUNDS = ["0.005", "0.025", "0.1", "0.25", "0.5", "1.0", "2.0", "4.0", "8.0", "15.0", "30.0", "60.0", "+Inf"]


@pytest.fixture
def gate():
    with Gate(lambda visit: 200).running() as made:
        yield made


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def begin(login, gate, clock):
    def run(throttle=None, token="old"):
        login.begin(
            lambda: kopf.ConnectionInfo(server=gate.url, token="new"),
            workers=lambda: 4,
            throttle=throttle,
            clock=clock,
        )
        login.renew(kopf.ConnectionInfo(server=gate.url, token=token))

    return run


@pytest.fixture(params=CLIENTS)
def client(request, login):
    return CLIENTS[request.param](login)


def samples(login):
    """All samples by name and labels."""
    metrics = PrometheusMetrics()
    metrics.clients_opened(login.statistics)
    _, page = metrics.render()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name.startswith("rest_client_")
    }


def counted(login, gate):
    host = gate.url.removeprefix("http://")
    requests = login.statistics().requests
    assert {each for _, _, each in requests} <= {host}
    return {(code, method): count for (code, method, _), count in requests.items()}


def test_each_answer_is_counted_by_its_code_and_method(begin, client, gate, login):
    begin()
    client.get()
    client.get()
    gate.accept = lambda visit: 404
    client.get()
    client.post({})
    assert counted(login, gate) == {("200", "GET"): 2, ("404", "GET"): 1, ("404", "POST"): 1}


def test_a_request_that_is_repeated_is_two(begin, client, gate, login):
    begin()
    gate.accept = lambda visit: 200 if visit.authorization == "Bearer new" else 401
    client.get()
    assert counted(login, gate) == {("401", "GET"): 1, ("200", "GET"): 1}
    [durations] = login.statistics().durations.values()
    assert durations.count == 1


def test_a_request_without_an_answer_is_an_error(begin, client, gate, login):
    begin()
    gate.accept = lambda visit: None
    with pytest.raises(Exception, match=r"Connection|Remote"):
        client.get()
    assert counted(login, gate) == {("<error>", "GET"): 1}
    [durations] = login.statistics().durations.values()
    assert durations.count == 1


def test_how_long_an_answer_takes_is_measured(begin, client, gate, login, clock):
    begin()
    gate.accept = lambda visit: clock.step(3) or 200
    client.get()
    [((method, _), durations)] = login.statistics().durations.items()
    assert (method, durations.sum, durations.count) == ("GET", 3.0, 1)


def test_a_watch_is_counted_and_not_measured(begin, client, gate, login):
    begin()
    client.watch()
    assert counted(login, gate) == {("200", "GET"): 1}
    assert login.statistics().durations == {}


def test_the_page_has_them_as_client_go_does(begin, client, gate, login, clock):
    begin(Throttle(1, 1, clock=clock))
    host = gate.url.removeprefix("http://")
    client.get()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get)
        clock.wait_for_waiters(1)
        clock.step(1)
        waiting.result(PATIENCE)
    found = samples(login)
    assert found["rest_client_requests_total", ("code", "200"), ("host", host), ("method", "GET")] == 2
    for name in ("request", "rate_limiter"):
        family = f"rest_client_{name}_duration_seconds"
        assert [dict(key[1:])["le"] for key in found if key[0] == f"{family}_bucket"] == BOUNDS
        assert found[f"{family}_count", ("host", host), ("verb", "GET")] == 2
        assert found[f"{family}_sum", ("host", host), ("verb", "GET")] == 1
        assert found[f"{family}_bucket", ("host", host), ("le", "0.5"), ("verb", "GET")] == 1
        assert found[f"{family}_bucket", ("host", host), ("le", "1.0"), ("verb", "GET")] == 2


def test_without_a_rate_there_is_no_series_of_waiting(begin, client, login):
    begin()
    client.get()
    assert not any(name.startswith("rest_client_rate_limiter") for name, *_ in samples(login))


def test_a_manager_shows_its_clients_requests(gate):
    manager = Manager(registry=kopf.OperatorRegistry())
    login = manager._runtime.login
    login.renew(kopf.ConnectionInfo(server=gate.url, token="x"))
    manager.pykube().get(version="", base="/version", url="")
    _, page = manager._runtime.metrics.render()
    login.close()
    assert f'rest_client_requests_total{{code="200",host="{gate.url[7:]}",method="GET"}} 1.0' in page.decode()


def test_no_request_is_lost_where_many_threads_count(begin, client, gate, login):
    begin()
    together = threading.Barrier(8)

    def work(_):
        together.wait(PATIENCE)
        for _ in range(25):
            client.get()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert counted(login, gate) == {("200", "GET"): 200}
