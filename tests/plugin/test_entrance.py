"""The way in: waiting where waiting is right, one line where it is not, and no way out again."""

import asyncio
import dataclasses
import datetime as dt
import itertools
import logging
import threading
import time
from types import SimpleNamespace

import kopf
import pytest

from tests.plugin.conftest import PATIENCE, Pauses
from workqueue.base.errors import ConfigurationError
from workqueue.plugin import entrance
from workqueue.plugin.endurance import Endurance
from workqueue.plugin.entrance import GOOD, TIMEOUT_VARIABLE, Entrance, patience
from workqueue.plugin.login import Login
from workqueue.plugin.preflight import Clearance, Preflight
from workqueue.plugin.reachability import NotReachable
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.testing import FakeClock
from workqueue.testing.apiserver import Fault

INFO = kopf.ConnectionInfo(server="https://one.test", token="secret")
AWAY = NotReachable("no API server answers")
PODS = ResourceSpec.parse("pods")


@pytest.fixture
def clock():
    return FakeClock(start=0.0)


@pytest.fixture(autouse=True)
def pauses(monkeypatch, clock):
    made = Pauses(clock)
    monkeypatch.setattr(entrance, "asyncio", made)
    return made


@pytest.fixture(autouse=True)
def kubeconfig(monkeypatch, tmp_path):
    """A kubeconfig to be named in messages; what the environment says does not count."""
    path = tmp_path / "kubeconfig"
    path.write_text("{current-context: here, contexts: [{name: here, context: {}}]}")
    monkeypatch.setenv("KUBECONFIG", str(path))
    for name in ("KUBERNETES_SERVICE_HOST", TIMEOUT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return path


class Script:
    """Answers one after the other, the last one again and again: exceptions are raised, functions called."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.count = 0

    def set(self, *answers):
        self._answers = list(answers)

    def next(self):
        self.count += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ScriptedLogin(Login):
    """Logs in as scripted, and hands out clients that talk to nobody."""

    def __init__(self, script):
        super().__init__()
        self._script = script
        self.kwargs = []
        self.renewed = []
        self.clients = []

    def log_in(self, **kwargs):
        self.kwargs.append(kwargs)
        return self._script.next()

    def client_for(self, info):
        client = SimpleNamespace(info=info, session=SimpleNamespace(closed=0))
        client.session.close = lambda: setattr(client.session, "closed", client.session.closed + 1)
        self.clients.append(client)
        return client

    def renew(self, info):
        self.renewed.append(info)


@pytest.fixture
def logins():
    return Script(INFO)


@pytest.fixture
def login(logins):
    return ScriptedLogin(logins)


def clearance(*, namespaces=True, definitions=True):
    return Clearance(version="v1.36.3", may_watch_namespaces=namespaces, may_watch_definitions=definitions)


@pytest.fixture
def looks(monkeypatch):
    """What the preflights find, one after the other; ``asked`` is what they were made and called with."""
    script = Script(clearance())
    script.asked = []

    class Preflight:
        answers = 0

        def __init__(self, client, **kwargs):
            self._made = client.info, kwargs

        def run(self, specs, scope):
            script.asked.append((*self._made, specs, scope))
            return script.next()

    monkeypatch.setattr(entrance, "Preflight", Preflight)
    return script


class KeptEndurance(Endurance):
    """Remembers what it was told to leave out."""

    def __init__(self, clock):
        super().__init__(clock)
        self.told = []

    def leave_out(self, resource):
        self.told.append(resource)
        super().leave_out(resource)


@pytest.fixture
def endurance(clock):
    return KeptEndurance(clock)


@pytest.fixture
def make(login, endurance, clock):
    """``make(…)`` is an entrance on that login."""

    def build(*, scope=Scope(), waits=0.0, login=login, specs=(PODS,)):  # noqa: B008  # frozen
        return Entrance(login, scope=scope, specs=lambda: iter(specs), patience=waits, endurance=endurance, clock=clock)

    return build


def log_in(made, settings=None):
    """One call of Kopf's."""

    async def run():
        async with asyncio.timeout(PATIENCE):
            return await made.log_in(settings=settings or kopf.OperatorSettings(), reason="test")

    return asyncio.run(run())


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# How long to wait.


@pytest.mark.parametrize("given", [0.0, 0, 5.0, float("inf")])
@pytest.mark.parametrize("text", [None, "60", "soon"])
def test_what_the_manager_says_counts_whatever_the_environment_says(monkeypatch, given, text):
    if text is not None:
        monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    assert patience(given) == given


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 0.0),
        ("", 0.0),
        ("0", 0.0),
        ("60", 60.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("1e3", 1000.0),
        ("inf", float("inf")),
    ],
)
def test_else_the_environment_says_how_long_and_without_it_nobody_waits(monkeypatch, text, expected):
    if text is not None:
        monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    assert patience(None) == expected


@pytest.mark.parametrize("text", ["soon", "-1", "-0.001", "nan", "1m", "1,5", "0x10", " ", "-inf"])
def test_an_environment_that_says_no_number_of_seconds_is_told_in_one_line(monkeypatch, text):
    monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    with pytest.raises(ConfigurationError) as caught:
        patience(None)
    assert str(caught.value) == f"WORKQUEUE_API_SERVER_TIMEOUT={text}: expected seconds, 0 or more"


# The first login.


def test_a_first_login_that_goes_well_is_handed_to_kopf_and_to_our_clients(
    make, *, login, looks, pauses, caplog, kubeconfig
):
    caplog.set_level(logging.INFO, "workqueue.plugin")
    settings = kopf.OperatorSettings()
    assert log_in(make(), settings) is INFO
    assert login.renewed == [INFO]
    assert login.kwargs == [{"settings": settings, "reason": "test"}]
    assert pauses.made == []
    assert [record.getMessage() for record in caplog.records] == [
        f"API server v1.36.3 at https://one.test: kubeconfig {kubeconfig} (context here)"
    ]


def test_the_look_is_told_all_that_it_needs_and_its_client_is_closed(make, login, looks, kubeconfig):
    scope = Scope(("default",))
    log_in(make(scope=scope))
    told = {"server": "https://one.test", "source": f"kubeconfig {kubeconfig} (context here)", "token": "secret"}
    assert looks.asked == [(INFO, told, [PODS], scope)]
    assert [client.session.closed for client in login.clients] == [1]


def test_an_api_server_that_is_not_up_yet_is_waited_for(make, *, login, logins, looks, pauses, caplog):
    renewed = dataclasses.replace(INFO, token="renewed")
    logins.set(INFO, INFO, INFO, renewed)
    looks.set(AWAY, AWAY, AWAY, clearance())
    assert log_in(make(waits=60.0)) is renewed
    assert pauses.made == [1, 2, 4]
    assert warnings(caplog) == [
        f"no API server answers; waiting up to 60 s, next try in {pause} s" for pause in (1, 2, 4)
    ]
    assert [asked[0] for asked in looks.asked] == [INFO, INFO, INFO, renewed], "each try logs in anew"
    assert login.renewed == [renewed], "nobody uses what did not work"
    assert [client.session.closed for client in login.clients] == [1] * 4


def test_a_login_may_be_what_finds_nobody(make, login, logins, looks, pauses):
    logins.set(AWAY, AWAY, INFO)
    assert log_in(make(waits=60.0)) is INFO
    assert pauses.made == [1, 2]
    assert len(looks.asked) == 1


def test_without_patience_the_first_try_is_the_last(make, login, looks, pauses, caplog):
    looks.set(AWAY)
    with pytest.raises(ConfigurationError, match=r"^no API server answers$"):
        log_in(make())
    assert (looks.count, pauses.made, login.renewed, warnings(caplog)) == (1, [], [], [])


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        (0.25, [0.25]),
        (1.0, [1]),
        (2.5, [1, 1.5]),
        (60.0, [1, 2, 4, 8, 16, 29]),
        (200.0, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 19]),
    ],
)
def test_when_the_time_is_over_the_reason_is_told_with_how_long_it_was(
    make, *, login, looks, pauses, clock, waits, expected
):
    looks.set(AWAY)
    with pytest.raises(ConfigurationError) as caught:
        log_in(make(waits=waits))
    assert str(caught.value) == f"no API server answers (waited {waits:g} s)"
    assert pauses.made == expected
    assert clock.now() == waits, "to the end, and no longer"
    assert looks.count == len(expected) + 1, "the last try is made when the time is over"
    assert login.renewed == []


def test_the_time_that_tries_take_counts(make, looks, pauses, clock):
    def slow():
        clock.step(10.0)
        return AWAY

    looks.set(slow)
    with pytest.raises(ConfigurationError, match=r"waited 25 s"):
        log_in(make(waits=25.0))
    assert pauses.made == [1, 2]
    assert clock.now() == 33.0


def test_a_pause_that_is_cut_short_is_told_as_short_as_it_is(make, looks, caplog):
    looks.set(AWAY)
    with pytest.raises(ConfigurationError):
        log_in(make(waits=1.25))
    assert [line.partition("next try in ")[2] for line in warnings(caplog)] == ["1 s", "0.25 s"]


@pytest.mark.parametrize("where", ["login", "look"])
@pytest.mark.parametrize(
    "error", [ConfigurationError("no permission"), RuntimeError("a plugin failed")], ids=["no permission", "other"]
)
def test_what_waiting_does_not_mend_ends_it_at_once_however_much_patience_there_is(
    make, *, login, logins, looks, pauses, where, error
):
    {"login": logins, "look": looks}[where].set(AWAY, error)
    with pytest.raises(type(error)) as caught:
        log_in(make(waits=float("inf")))
    assert caught.value is error
    assert pauses.made == [1]
    assert login.renewed == []
    assert all(client.session.closed == 1 for client in login.clients)


def test_a_stop_while_waiting_ends_the_wait(make, looks, pauses):
    async def run():
        pauses.until = asyncio.Event()
        looks.set(AWAY)
        task = asyncio.create_task(make(waits=60.0).log_in(settings=kopf.OperatorSettings()))
        async with asyncio.timeout(PATIENCE):
            while not pauses.made:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


# A server that never answers.


class LoginTo(Login):
    """Logs in to that server with everything real but the login itself."""

    def __init__(self, url):
        super().__init__()
        self._url = url

    def log_in(self, **kwargs):
        return kopf.ConnectionInfo(server=self._url)


@pytest.fixture
def real_login(server):
    made = LoginTo(server.url)
    yield made
    made.close()


def test_a_real_look_at_a_real_server(make, server, real_login, caplog, kubeconfig):
    caplog.set_level(logging.INFO, "workqueue.plugin")
    info = log_in(make(login=real_login))
    assert info.server == server.url
    assert real_login.is_logged_in
    version = server_version(real_login)
    assert f"API server {version} at {server.url}: kubeconfig {kubeconfig} (context here)" in caplog.messages


def server_version(login):
    client = login.pykube()
    try:
        return client.get(version="", base="/version", url="").json()["gitVersion"]
    finally:
        client.session.close()


def test_a_server_that_never_answers_is_given_up_after_the_limit(make, server, real_login, monkeypatch, kubeconfig):
    monkeypatch.setattr(entrance, "LIMIT", 0.05)
    server.script(Fault(path="/version", hang=True, times=None))
    with pytest.raises(ConfigurationError) as caught:
        log_in(make(login=real_login))
    assert str(caught.value) == (
        f"no API server answers at {server.url} (no answer within 0.05 s): is it running, and is the server of "
        f"kubeconfig {kubeconfig} (context here) the right one?"
    )
    assert not real_login.is_logged_in


def test_a_slow_server_gets_its_time_as_long_as_it_answers(make, server, real_login, monkeypatch):
    """Each answer takes a part of the limit, all twelve of them nearly twice as long as it is."""
    monkeypatch.setattr(entrance, "LIMIT", 1.0)
    asked = Preflight._may

    def slowly(preflight, *what):
        time.sleep(0.15)
        return asked(preflight, *what)

    monkeypatch.setattr(Preflight, "_may", slowly)
    names = [f"team-{number}" for number in range(3)]
    for name in names:
        server.create("namespaces", {"metadata": {"name": name}})
    server.deny(resource="pods", namespace="")
    specs = [ResourceSpec.parse("pods")]
    log_in(make(login=real_login, scope=Scope(tuple(names)), specs=specs))
    assert real_login.is_logged_in


def test_a_server_that_does_not_answer_yet_is_waited_for(make, looks, pauses, monkeypatch):
    monkeypatch.setattr(entrance, "LIMIT", 0.05)
    release = threading.Event()

    def hang():
        assert release.wait(PATIENCE)
        return clearance()

    looks.set(hang, hang, clearance())
    try:
        assert log_in(make(waits=float("inf"))) is INFO
    finally:
        release.set()
    assert pauses.made[:2] == [1, 2]


# What is kept from Kopf.

ALL, EXACT, PATTERN = Scope(), Scope(("default", "other")), Scope(("team-*",))
DEFINITIONS = "no permission to watch custom resource definitions: what is created later is noticed at the next start"
BOTH = DEFINITIONS.replace("watch custom", "watch namespaces and custom")
LEFT_OUT = "no permission to watch custom resource definitions: later ones are noticed at the next start"


@pytest.mark.parametrize(
    ("scope", "namespaces", "definitions", "disabled", "left_out", "said"),
    [
        (ALL, True, True, False, [], None),
        (ALL, False, True, False, [], None),
        (ALL, True, False, True, [], DEFINITIONS),
        (ALL, False, False, True, [], DEFINITIONS),
        (EXACT, True, True, False, [], None),
        (EXACT, False, True, True, [], BOTH),
        (EXACT, True, False, True, [], BOTH),
        (EXACT, False, False, True, [], BOTH),
        (PATTERN, True, True, False, [], None),
        (PATTERN, False, True, False, [], None),
        (PATTERN, True, False, False, ["customresourcedefinitions.apiextensions.k8s.io"], LEFT_OUT),
        (PATTERN, False, False, False, ["customresourcedefinitions.apiextensions.k8s.io"], LEFT_OUT),
    ],
    ids=str,
)
@pytest.mark.parametrize("by_user", [False, True], ids=["scanning", "scanning disabled"])
def test_kopf_is_kept_from_what_it_may_not_watch(
    make, *, looks, endurance, caplog, scope, namespaces, definitions, disabled, left_out, said, by_user
):
    caplog.set_level(logging.INFO, "workqueue.plugin")
    looks.set(clearance(namespaces=namespaces, definitions=definitions))
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = by_user
    log_in(make(scope=scope), settings)
    assert settings.scanning.disabled is (disabled or by_user)
    assert endurance.told == ([] if by_user else left_out)
    lines = [line for line in caplog.messages if "permission" in line]
    assert lines == ([said] if said and not by_user else [])


def test_nothing_is_kept_from_kopf_before_the_way_in_is_found(make, looks, endurance):
    looks.set(AWAY)
    settings = kopf.OperatorSettings()
    with pytest.raises(ConfigurationError):
        log_in(make(waits=3.0), settings)
    assert settings.scanning.disabled is False
    assert endurance.told == []


# Later logins.


@pytest.fixture
def entered(make, looks):
    made = make()
    log_in(made)
    looks.set(AssertionError("later logins do not look"))
    return made


def test_a_later_login_is_made_at_once_and_without_a_look(entered, login, pauses):
    info = log_in(entered)
    assert pauses.made == []
    assert info.token == "secret"
    assert len(login.renewed) == 2


def test_later_logins_come_with_growing_pauses(entered, pauses, caplog):
    for _ in range(8):
        log_in(entered)
    assert pauses.made == [1, 2, 4, 8, 16, 30, 30]
    assert warnings(caplog)[:2] == [
        f"the API server does not accept the login; next one in {pause} s" for pause in (1, 2)
    ]


@pytest.mark.parametrize(("held", "expected"), [(GOOD + 0.5, [1, 2, 1, 2]), (GOOD, [1, 2, 4, 8, 16])])
def test_pauses_begin_anew_after_a_login_that_held_for_a_good_while(entered, pauses, clock, held, expected):
    for _ in range(3):
        log_in(entered)
    clock.step(held)
    for _ in range(3):
        log_in(entered)
    assert pauses.made == expected


def test_a_first_login_that_did_not_hold_is_followed_by_one_at_once_all_the_same(entered, pauses, clock):
    clock.step(GOOD + 1)
    log_in(entered)
    log_in(entered)
    assert pauses.made == [1]


@pytest.mark.parametrize(
    "error", [ConfigurationError("no such file"), OSError("being written"), RuntimeError("x"), AWAY, SystemExit("x")]
)
def test_a_later_login_never_raises_and_is_tried_for_as_long_as_it_takes(
    entered, *, logins, login, pauses, caplog, error
):
    logins.set(*[error] * 7, INFO)
    assert log_in(entered).token == "secret"
    assert pauses.made == [1, 2, 4, 8, 16, 30, 30]
    told = [line for line in warnings(caplog) if line.startswith("the login failed and will be tried again: ")]
    assert len(told) == 7
    assert login.renewed == [INFO, INFO], "none that failed"


def test_a_stop_during_the_pause_of_a_later_login_ends_it(entered, pauses):
    async def run():
        pauses.until = asyncio.Event()
        await entered.log_in(settings=kopf.OperatorSettings())  # the first is made at once
        task = asyncio.create_task(entered.log_in(settings=kopf.OperatorSettings()))
        async with asyncio.timeout(PATIENCE):
            while not pauses.made:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_each_later_login_differs_from_all_before_though_the_credentials_are_the_same(make, looks):
    made = make()
    infos = [log_in(made) for _ in range(6)]
    assert infos[0] is INFO
    for one, other in itertools.combinations(infos, 2):
        assert one != other
    assert {dataclasses.replace(info, expiration=None) for info in infos} == {INFO}, "in nothing else"
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=365 * 1000)
    assert all(info.expiration > soon for info in infos[1:]), "and none ever expires"


def test_kopf_takes_the_same_credentials_again(make, looks):
    """What the difference is for: Kopf's vault takes no login that equals one that was refused before."""
    from kopf._cogs.structs.credentials import Vault

    made = make()

    async def run():
        vault = Vault({"login": await made.log_in(settings=kopf.OperatorSettings())})
        for _ in range(10):
            key, item = vault.select()
            refused = asyncio.create_task(vault.invalidate(key, item.info))
            await vault.wait_for_emptiness()
            await vault.populate({"login": await made.log_in(settings=kopf.OperatorSettings())})
            await refused
            assert vault.select()[1].info.token == "secret"

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_a_login_with_an_expiration_of_its_own_keeps_it(make, looks, logins):
    expiring = dataclasses.replace(INFO, expiration=dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
    logins.set(expiring)
    made = make()
    assert [log_in(made) for _ in range(3)] == [expiring] * 3


def test_a_second_run_begins_with_a_first_login(make, looks, pauses):
    """Each run of the operator has an entrance of its own."""
    log_in(make())
    log_in(make())
    assert looks.count == 2
    assert pauses.made == []
