"""What can be done to watches that are open, and to the port."""

from typing import Any

import pytest
import requests

from tests.cluster.meddler import OPEN_CUT, OPEN_INJECTED, OPEN_STALLED, CutBetweenEvents, Meddler, Meddling
from tests.cluster.meddler.lines import NO_JSON, error_event
from tests.meddler.conftest import ALL, Client, newest
from tests.meddler.line import PODS
from workqueue.testing.apiserver import ApiServer


@pytest.mark.parametrize("how", ["reset", "close", "end"])
def test_open_watches_are_cut_by_their_path(meddler: Meddler, server: ApiServer, client: Client, how: Any) -> None:
    with client.watch() as watch, client.watch("/api/v1/pods") as other:
        assert watch.names(5) == other.names(5) == ALL
        assert meddler.cut_watches("/api/v1/namespaces/*", how=how) == 1
        assert meddler.statistics().open_watches == 1
        assert watch.rest() == b""
        assert watch.ending == how
        newest(server)
        assert other.names(1)[0].startswith("ADDED zz-")
    assert meddler.statistics().faults[OPEN_CUT] == 1


def test_open_watches_stall_until_they_are_healed_or_cut(meddler: Meddler, server: ApiServer, client: Client) -> None:
    with client.watch() as watch, client.watch() as other, client.watch("/api/v1/pods") as third:
        for each in (watch, other, third):
            assert each.names(5) == ALL
        assert meddler.stall_watches(PODS) == 2
        assert meddler.stall_watches(PODS) == 0
        newest(server)
        assert watch.is_silent()
        assert other.is_silent(0.0001)
        assert third.names(1)[0].startswith("ADDED zz-")
        assert meddler.statistics().stalled_watches == 2
        meddler.heal()
        assert (watch.rest(), watch.ending, other.rest(), other.ending) == (b"", "reset", b"", "reset")
        assert meddler.stall_watches() == 1
        assert meddler.cut_watches(how="close") == 1
        assert (third.rest(), third.ending) == (b"", "close")
    assert meddler.statistics().faults == {OPEN_STALLED: 3, OPEN_CUT: 1}


def test_lines_are_put_into_open_watches(meddler: Meddler, server: ApiServer, client: Client) -> None:
    with client.watch() as watch:
        assert watch.names(5) == ALL
        assert meddler.inject_into_watches(error_event(500), NO_JSON) == 1
        assert watch.names(2) == ["ERROR", NO_JSON.decode().strip()]
        newest(server)
        assert watch.names(1)[0].startswith("ADDED zz-")
    assert meddler.statistics().faults == {OPEN_INJECTED: 1}


def test_healing_disarms_watches_that_have_begun(meddler: Meddler, server: ApiServer, client: Client) -> None:
    meddler.add(Meddling(verb="watch", what=CutBetweenEvents(after=6), times=None))
    with client.watch() as watch:
        assert watch.names(5) == ALL
        meddler.heal()
        newest(server)
        newest(server)
        assert len(watch.names(2)) == 2
    assert not meddler.statistics().faults


def test_while_it_refuses_open_watches_go_on_and_nobody_gets_in(
    meddler: Meddler, server: ApiServer, client: Client
) -> None:
    with requests.Session() as session:
        session.trust_env = False
        idle = session.get(f"{meddler.url}{PODS}", stream=True, timeout=9)
        assert len(idle.json()["items"]) == 5
    with client.watch() as watch:
        assert watch.names(5) == ALL
        meddler.refuse()
        meddler.refuse()
        with pytest.raises(ConnectionRefusedError):
            client.ask()
        with pytest.raises(requests.ConnectionError, match="refused"):  # the idle connection is closed
            session.get(f"{meddler.url}{PODS}", timeout=9)
        newest(server)
        assert watch.names(1)[0].startswith("ADDED zz-")
    meddler.accept()
    meddler.accept()
    with client.ask() as answer:
        assert answer.status == 200
    meddler.refuse()
    meddler.heal()
    with client.ask() as answer:
        assert answer.status == 200
