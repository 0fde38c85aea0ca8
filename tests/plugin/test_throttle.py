"""QPS and burst: how many requests are let go, when, and who is refused."""

from concurrent.futures import ThreadPoolExecutor

import kopf
import pytest

from tests.plugin.conftest import PATIENCE
from tests.plugin.gate import CLIENTS, Gate, Official, Pykube
from workqueue import Manager
from workqueue.base.errors import ConfigurationError
from workqueue.plugin.throttle import Throttle, Throttled
from workqueue.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def test_a_burst_goes_at_once_and_then_so_many_a_second(clock):
    throttle = Throttle(2, 3, clock=clock)
    assert [throttle.wait(limit=None) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(Throttled):
        throttle.wait(limit=0.4)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(throttle.wait, limit=None)
        clock.wait_for_waiters(1)
        clock.step(0.4)
        assert clock.waiters() == 1
        clock.step(0.1)
        assert waiting.result(PATIENCE) == pytest.approx(0.5)


def test_who_comes_first_goes_first(clock):
    throttle = Throttle(1, 1, clock=clock)
    throttle.wait(limit=None)
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for number in range(3):
            waiting.append(pool.submit(throttle.wait, limit=None))
            clock.wait_for_waiters(number + 1)
        for number in range(3):
            clock.step(1)
            assert waiting[number].result(PATIENCE) == pytest.approx(number + 1)
            assert not any(each.done() for each in waiting[number + 1 :])


def test_a_time_without_requests_saves_no_more_than_a_burst(clock):
    throttle = Throttle(1, 2, clock=clock)
    clock.step(1000)
    assert [throttle.wait(limit=0) for _ in range(2)] == [0, 0]
    with pytest.raises(Throttled):
        throttle.wait(limit=0.9)


def test_who_would_be_too_late_is_told_at_once_and_takes_nobodys_turn(clock):
    throttle = Throttle(0.5, 1, clock=clock)
    throttle.wait(limit=None)
    for _ in range(10):
        with pytest.raises(Throttled) as caught:
            throttle.wait(limit=1.5)
        assert str(caught.value) == (
            "the request would wait 2 s for its turn, longer than its time limit of 1.5 s: "
            "qps=0.5 and burst=1 are too few for what is asked"
        )
        assert isinstance(caught.value, TimeoutError)
    clock.step(2)
    assert throttle.wait(limit=0) == 0


def test_at_the_end_nobody_waits(clock):
    throttle = Throttle(1, 1, clock=clock)
    throttle.wait(limit=None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(throttle.wait, limit=None)
        clock.wait_for_waiters(1)
        throttle.close()
        assert waiting.result(PATIENCE) == 0
    assert throttle.wait(limit=0.1) == 0


# The clients.


@pytest.fixture
def gate():
    with Gate(lambda visit: 200).running() as made:
        yield made


@pytest.fixture
def begin(login, gate, clock):
    def run(qps, burst):
        login.begin(
            lambda: kopf.ConnectionInfo(server=gate.url, token="new"),
            workers=lambda: 4,
            throttle=Throttle(qps, burst, clock=clock),
            clock=clock,
        )
        login.renew(kopf.ConnectionInfo(server=gate.url, token="old"))

    return run


@pytest.mark.parametrize("clients", [(Official, Pykube), (Pykube, Official)], ids=["pykube waits", "kubernetes waits"])
def test_both_clients_draw_from_one_bucket(begin, login, gate, clock, clients):
    first, second = clients
    begin(1, 1)
    assert first(login).get() == 200
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second(login).get)
        clock.wait_for_waiters(1)
        assert len(gate.visits) == 1
        clock.step(1)
        assert waiting.result(PATIENCE) == 200
    [(_, waits)] = login.statistics().waits.items()
    assert (waits.count, waits.sum) == (2, 1.0)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("timeout", [2, (1, 1)], ids=["a number", "a pair"])
def test_a_request_waits_no_longer_than_its_own_time_limit(begin, login, gate, client, timeout):
    begin(0.1, 1)
    asks = CLIENTS[client](login)
    assert asks.get() == 200
    with pytest.raises(TimeoutError, match=r"longer than its time limit of 2 s"):
        asks.get(timeout=timeout)
    assert len(gate.visits) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_who_waits_for_a_turn_is_sent_with_the_credentials_of_then(begin, login, gate, clock, client):
    begin(1, 1)
    asks = CLIENTS[client](login)
    asks.get()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asks.get)
        clock.wait_for_waiters(1)
        login.renew(kopf.ConnectionInfo(server=gate.url, token="new"))
        clock.step(1)
        assert waiting.result(PATIENCE) == 200
    assert gate.tokens == ["old", "new"]


# The manager.


def manager(**options):
    return Manager(registry=kopf.OperatorRegistry(), **options)


def test_by_default_nothing_is_held_back():
    assert manager()._runtime.said.rate is None


@pytest.mark.parametrize(
    ("options", "rate"),
    [({"qps": 5}, (5, 10)), ({"qps": 0.5, "burst": 1}, (0.5, 1))],
    ids=["client-go's burst", "both"],
)
def test_the_manager_takes_a_rate(options, rate):
    assert manager(**options)._runtime.said.rate == rate


@pytest.mark.parametrize("qps", [0, -1, float("inf"), float("nan"), "5", True], ids=repr)
def test_a_rate_that_is_none_is_refused_in_one_line(qps):
    with pytest.raises(ConfigurationError) as caught:
        manager(qps=qps, burst=5)
    assert str(caught.value) == f"Manager(qps={qps!r}): expected requests a second, more than 0"


@pytest.mark.parametrize("burst", [0, -1, 1.5, "5", True], ids=repr)
def test_a_burst_that_is_none_is_refused_in_one_line(burst):
    with pytest.raises(ConfigurationError) as caught:
        manager(qps=5, burst=burst)
    assert str(caught.value) == f"Manager(burst={burst!r}): expected a whole number of at least 1"
