"""Clients that a user keeps go on working: refused credentials are renewed, once for all threads."""

import contextlib
import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import kopf
import pytest

from tests.plugin.conftest import PATIENCE
from tests.plugin.gate import CLIENTS, Gate
from workqueue.plugin.renewal import LIMIT, PAUSE
from workqueue.testing import FakeClock


class Fake:
    """A login with the next of some tokens each time; counts."""

    def __init__(self, gate, *tokens):
        self.gate = gate
        self.tokens = list(tokens)
        self.count = 0

    def __call__(self):
        self.count += 1
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if isinstance(token, Exception):
            raise token
        return self.info(token)

    def info(self, token):
        return kopf.ConnectionInfo(server=self.gate.url, token=token)


@pytest.fixture
def gate():
    """Lets "good" in; tests change that."""
    with Gate(lambda visit: 200 if visit.authorization == "Bearer good" else 401).running() as made:
        yield made


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def begin(login, gate, clock):
    """``begin("good")`` is a run with "old" credentials, in which a login brings others."""

    def run(*tokens, workers=4):
        made = Fake(gate, *tokens)
        login.begin(made, workers=lambda: workers, throttle=None, clock=clock)
        login.renew(made.info("old"))
        return made

    return run


@pytest.fixture(params=CLIENTS)
def client(request, login):
    """What a user has of either client."""
    return CLIENTS[request.param](login)


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "workqueue.plugin"]


def by_official(login, url, **options):
    """The answer of one GET as the official client makes it of its own requests."""
    return login.kubernetes().rest_client.pool_manager.request("GET", url, **options)


# A 401.


def test_refused_credentials_are_renewed_and_the_request_is_repeated(begin, client, gate, login):
    logged_in = begin("good")
    assert client.get() == 200
    assert gate.tokens == ["old", "good"]
    assert (logged_in.count, login.statistics().renewals) == (1, 1)
    assert client.get() == 200
    assert gate.tokens == ["old", "good", "good"]


def test_what_is_repeated_is_the_same_request(begin, client, gate):
    begin("good")
    assert client.post({"name": "é"}) == 200
    first, second = gate.visits
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    assert first.body
    assert first.connection != second.connection


def test_a_second_refusal_is_the_answer(begin, client, gate):
    logged_in = begin("bad")
    assert client.get() == 401
    assert gate.tokens == ["old", "bad"]
    assert logged_in.count == 1


def test_a_login_that_brings_the_same_credentials_repeats_nothing(begin, client, gate, caplog, clock):
    logged_in = begin("old")
    assert client.get() == 401
    assert gate.tokens == ["old"]
    assert told(caplog) == ["the API server refuses the credentials, and a login brought the same ones"]
    assert client.get() == 401
    assert logged_in.count == 1, "plugins are slow: not for each request"
    clock.step(PAUSE)
    assert client.get() == 401
    assert logged_in.count == 2


def test_a_login_that_fails_is_one_line_and_the_refusal_is_the_answer(begin, client, gate, caplog, clock):
    begin(RuntimeError("two\nlines"), "good")
    assert client.get() == 401
    assert gate.tokens == ["old"]
    assert told(caplog) == ["the API server refuses the credentials, and the login failed: two lines"]
    clock.step(PAUSE)
    assert client.get() == 200


def test_other_errors_renew_nothing(begin, client, gate):
    logged_in = begin("good")
    gate.accept = lambda visit: 403
    assert client.get() == 403
    assert (logged_in.count, len(gate.visits)) == (0, 1)


def test_before_a_run_has_begun_a_refusal_is_the_answer(login, client, gate):
    login.renew(kopf.ConnectionInfo(server=gate.url, token="old"))
    assert client.get() == 401
    assert len(gate.visits) == 1


def test_while_the_operator_stops_a_refusal_is_one_at_once(begin, client, gate, login):
    logged_in = begin("good")
    login.drain()
    assert client.get() == 401
    assert (logged_in.count, gate.tokens) == (0, ["old"])


def test_who_was_refused_while_kopf_logged_in_repeats_without_another_login(begin, client, gate, login):
    logged_in = begin("never")

    def accept(visit):
        if visit.authorization == "Bearer old":
            login.renew(logged_in.info("good"))
            return 401
        return 200

    gate.accept = accept
    assert client.get() == 200
    assert (logged_in.count, gate.tokens) == (0, ["old", "good"])


@pytest.mark.parametrize("header", ["Authorization", "authorization"])
def test_a_header_of_the_users_own_is_left_alone_and_its_refusal_renews_nothing(begin, login, gate, header):
    logged_in = begin("good")
    answer = by_official(login, f"{gate.url}/version", headers={header: "Bearer mine"})
    assert (answer.status, logged_in.count, gate.tokens) == (401, 0, ["mine"])
    answer = login.pykube().get(version="", base="/version", url="", headers={header: "Bearer mine"})
    assert (answer.status_code, logged_in.count, gate.tokens) == (401, 0, ["mine", "mine"])


def test_a_request_without_credentials_stays_one(begin, login, gate):
    """The official client sends none where its caller names no way to log in."""
    logged_in = begin("good")
    answer = by_official(login, f"{gate.url}/version")
    assert (answer.status, logged_in.count, gate.tokens) == (401, 0, [None])


def test_a_body_that_cannot_be_sent_again_is_not(begin, login, gate):
    begin("good")
    answer = login.pykube().post(version="", base="/version", url="", data=iter([b"once"]), headers={"X": "1"})
    assert (answer.status_code, len(gate.visits)) == (401, 1)


# Many threads.


def test_however_many_are_refused_one_login_is_made_for_all(begin, client, gate):
    logged_in = begin("good", workers=16)
    together = threading.Barrier(16)

    def accept(visit):
        if visit.authorization == "Bearer good":
            return 200
        together.wait(PATIENCE)
        return 401

    gate.accept = accept
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda _: client.get(), range(16))) == [200] * 16
    assert logged_in.count == 1
    assert sorted(gate.tokens) == ["good"] * 16 + ["old"] * 16


@pytest.fixture
def slow(begin, gate):
    """A login that takes until it is told to go on."""
    go_on = threading.Event()
    logged_in = begin("good")
    original = logged_in.info

    def info(token):
        if token == "good":
            assert go_on.wait(PATIENCE)
        return original(token)

    logged_in.info = info
    yield go_on
    go_on.set()


def test_new_credentials_are_waited_for_ten_seconds(slow, client, clock, login, gate):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get)
        clock.wait_for_waiters(1)
        clock.step(LIMIT - 0.1)
        assert clock.waiters() == 1
        clock.step(0.1)
        assert waiting.result(PATIENCE) == 401
        assert client.get() == 401, "not another ten seconds, and not another login"
        with login.changed:
            slow.set()
            assert login.changed.wait_for(lambda: login._info.token == "good", PATIENCE)
        assert client.get() == 200, "a login that took longer is good for later requests"


@pytest.mark.parametrize("end", ["drain", "close"])
def test_who_waits_for_new_credentials_is_woken_by_the_stop(slow, client, clock, login, end):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get)
        clock.wait_for_waiters(1)
        getattr(login, end)()
        assert waiting.result(PATIENCE) == 401
    slow.set()


def test_a_login_that_comes_after_the_end_brings_nobody_back(slow, client, clock, login):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get)
        clock.wait_for_waiters(1)
        login.close()
        waiting.result(PATIENCE)
    slow.set()
    for thread in [each for each in threading.enumerate() if each.name == "workqueue-renewal"]:
        thread.join(PATIENCE)
    assert not login.is_logged_in


def test_no_request_mixes_credentials_and_no_connection_is_left(begin, login, gate, caplog):
    """Sixteen threads with both clients, and a new login all the time, by Kopf and by refusals."""
    lock, valid = threading.Lock(), {"token": "0"}
    made = begin("never", workers=16)

    def log_in():
        with lock:
            return made.info(valid["token"])

    def accept(visit):
        number = int(visit.authorization.rpartition(" ")[2])
        return 200 if number >= int(valid["token"]) - 1 else 401

    gate.accept = accept
    login.begin(log_in, workers=lambda: 16, throttle=None, clock=FakeClock())
    login.renew(log_in())
    stop = threading.Event()

    done = [0] * 16

    def work(number):
        client = list(CLIENTS.values())[number % 2](login)
        client = client.keep() if number % 3 else client
        statuses = []
        while not stop.is_set():
            statuses.append(client.get())
            done[number] += 1
        return statuses

    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(16) as pool:
        running = [pool.submit(work, number) for number in range(16)]
        try:
            for number in range(1, 60):
                before = list(done)
                with lock:
                    valid["token"] = str(number)
                if number % 2:
                    login.renew(made.info(str(number)))
                # Each request lives through one change at most: a second one could refuse it again.
                while any(now < then + 2 for now, then in zip(done, before, strict=True)):
                    assert not any(each.done() for each in running)
                    stop.wait(0.001)
        finally:
            stop.set()
        statuses = [status for each in running for status in each.result(PATIENCE)]
    assert set(statuses) == {200}
    assert len(set(gate.tokens)) > 30
    by_connection = {}
    for visit in gate.visits:
        by_connection.setdefault(visit.connection, set()).add(visit.authorization)
    assert all(len(tokens) == 1 for tokens in by_connection.values())
    assert [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")] == []
    login.close()
    wait_until_closed(gate)
    gc.collect()  # a socket that nobody closed would warn


def wait_until_closed(gate, leave=0):
    patience = threading.Event()
    for _ in range(int(PATIENCE * 100)):
        with gate.lock:
            left = len(gate.opened) - len(gate.closed)
        if left <= leave:
            break
        patience.wait(0.01)
    assert left == leave


# Connections.


def test_as_many_connections_are_kept_as_there_are_workers(begin, client, gate, caplog):
    begin("good", workers=12)
    together = threading.Barrier(12)

    def accept(visit):
        together.wait(PATIENCE)
        return 200

    gate.accept = accept
    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(12) as pool:
        for _ in range(3):
            assert list(pool.map(lambda _: client.get(), range(12))) == [200] * 12
    assert len(gate.opened) == 12
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []


def test_a_controller_that_is_made_larger_has_connections_for_all_its_workers(begin, client, gate, login, caplog):
    begin("good", workers=2)
    workers = {"number": 2}
    login.begin(lambda: None, workers=lambda: workers["number"], throttle=None, clock=FakeClock())
    gate.accept = lambda visit: 200
    client.get()
    workers["number"] = 20
    together = threading.Barrier(20)
    gate.accept = lambda visit: 200 if together.wait(PATIENCE) >= 0 else 500
    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(20) as pool:
        for _ in range(2):
            assert list(pool.map(lambda _: client.get(), range(20))) == [200] * 20
    assert len(gate.opened) == 1 + 20
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []


def test_a_thread_that_ends_leaves_its_connection_to_others(begin, client, gate):
    begin("good")
    gate.accept = lambda visit: 200
    for _ in range(5):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(client.get).result(PATIENCE) == 200
    assert len(gate.opened) == 1


def test_a_new_login_closes_the_connections_of_the_old_one(begin, client, gate, login):
    logged_in = begin("good")
    gate.accept = lambda visit: 200
    client.get()
    login.renew(logged_in.info("good"))
    wait_until_closed(gate)
    client.get()
    wait_until_closed(gate, leave=1)
    login.close()
    wait_until_closed(gate)


def test_a_request_under_way_ends_with_the_login_that_it_began_with(begin, client, gate, login):
    logged_in = begin("good")
    arrived, go_on = threading.Event(), threading.Event()

    def accept(visit):
        arrived.set()
        assert go_on.wait(PATIENCE)
        return 200

    gate.accept = accept
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(client.get)
        assert arrived.wait(PATIENCE)
        login.renew(logged_in.info("new"))
        go_on.set()
        assert under_way.result(PATIENCE) == 200
    assert gate.tokens == ["old"]
    wait_until_closed(gate)


def test_a_login_in_the_very_moment_of_a_request_leaves_no_connection(begin, client, gate, login, monkeypatch):
    """A request that has taken its credentials and not its connection yet still finds one, which is closed after it."""
    logged_in = begin("good")
    gate.accept = lambda visit: 200
    access = login._current()
    for manager in (access.pool, access.adapter.poolmanager):

        def meanwhile(*args, original=manager.connection_from_host, **kwargs):
            found = original(*args, **kwargs)
            login.renew(logged_in.info("new"))
            return found

        monkeypatch.setattr(manager, "connection_from_host", meanwhile)
    assert client.get() == 200
    assert gate.tokens == ["old"]
    wait_until_closed(gate)


def test_who_closes_a_client_closes_it_for_nobody(begin, login, gate):
    begin("good")
    gate.accept = lambda visit: 200
    official, pykube = (make(login) for make in CLIENTS.values())
    with login.kubernetes(), contextlib.closing(login.pykube().session):
        assert (official.get(), pykube.get()) == (200, 200)
    assert (official.get(), pykube.get()) == (200, 200)
    assert len(gate.opened) == 2, "one of each client, and none of them anew"


# What a user keeps.


def test_a_client_that_is_kept_works_after_a_new_login(begin, client, gate, login):
    logged_in = begin("good")
    kept = client.keep()
    gate.accept = lambda visit: 200
    kept.get()
    login.renew(logged_in.info("new"))
    kept.get()
    assert gate.tokens == ["old", "new"]
    assert client.keep().made is kept.made


def test_a_client_that_is_kept_follows_the_login_to_another_server(begin, client, gate, login):
    begin("good")
    kept = client.keep()
    with Gate(lambda visit: 200).running() as other:
        login.renew(kopf.ConnectionInfo(server=f"{other.url}/clusters/c-1/", token="new"))
        assert kept.get() == 200
        login.close()
    assert (gate.visits, other.tokens) == ([], ["new"])
    assert other.visits[0].path == "/clusters/c-1/version/"


def test_a_request_that_was_made_for_a_former_server_is_sent_to_the_present_one(begin, gate, login):
    """As one that was serialized before a renewal, or waited for its turn meanwhile."""
    begin("good")
    session = login.pykube().session
    with Gate(lambda visit: 200).running() as other:
        login.renew(kopf.ConnectionInfo(server=f"{other.url}/prefix", token="new"))
        assert by_official(login, f"{gate.url}/api/v1/pods?limit=1").status == 200
        assert session.get(f"{gate.url}/api/v1/pods?limit=1").status_code == 200
        login.close()
    assert gate.visits == []
    assert [visit.path for visit in other.visits] == ["/prefix/api/v1/pods?limit=1"] * 2


def test_a_url_of_somebody_else_is_no_concern_of_the_login(begin, gate, login):
    logged_in = begin("good")
    with Gate(lambda visit: 401).running() as other:
        by_official(login, f"{other.url}/version")
        login.pykube().session.get(f"{other.url}/version")
        login.close()
    assert (len(other.visits), logged_in.count, login.statistics().requests) == (2, 0, {})


def test_after_the_end_a_client_that_is_kept_says_so(begin, client, login):
    begin("good")
    kept = client.keep()
    login.close()
    with pytest.raises(RuntimeError, match="no client any more: the operator has stopped"):
        kept.get()


# Time limits.


@pytest.fixture
def hasty(monkeypatch):
    """The time that an answer is waited for is short."""
    monkeypatch.setattr("workqueue.plugin.official_client.READ", 0.2)
    monkeypatch.setattr("workqueue.plugin.pykube_client.TIMEOUT", (5.0, 0.2))


@pytest.fixture
def silent(gate):
    """The gate answers when it is told to."""
    answer = threading.Event()
    answer.arrived = threading.Event()

    def accept(visit):
        answer.arrived.set()
        answer.wait(PATIENCE)
        return 200

    gate.accept = accept
    yield answer
    answer.set()


def is_patient(asked, silent, gate):
    """Whether one request, and no second one, outlives the usual time limit."""
    assert silent.arrived.wait(PATIENCE)
    assert not threading.Event().wait(0.5)
    silent.set()
    return asked.result(PATIENCE) == 200 and len(gate.visits) == 1


def test_an_answer_is_not_waited_for_without_end(hasty, begin, client, silent):
    begin("good")
    with pytest.raises(Exception, match=r"[Tt]imed out|[Tt]imeout"):
        client.get()
    silent.set()


def test_who_gives_a_request_more_time_has_it(hasty, begin, client, silent, gate):
    begin("good")
    with ThreadPoolExecutor(1) as pool:
        assert is_patient(pool.submit(client.get, timeout=int(PATIENCE)), silent, gate)


def test_a_watch_may_be_silent_as_long_as_it_likes(hasty, begin, client, silent, gate):
    begin("good")
    with ThreadPoolExecutor(1) as pool:
        assert is_patient(pool.submit(client.watch), silent, gate)
