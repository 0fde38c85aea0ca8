"""The reflector against a server that answers by a script: each way in which a watch or a list can go wrong.

After each scenario the cache is the truth, what the handlers heard folds to it, and nothing was told twice.
"""

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import pytest

from tests.cache.objects import pod
from tests.informer.streams import (
    END,
    CarefulFold,
    Following,
    Pauses,
    Scripted,
    added,
    bookmark,
    by_key,
    cached,
    closing,
    compact,
    deleted,
    error,
    line,
    modified,
    page,
    scenario,
    told,
)
from workqueue.cache import Indexer, field, label
from workqueue.informer import LISTED, Backoff, Informer, Interrupted, Reflector, Refused, liveness, reflector
from workqueue.informer.patience import Patience
from workqueue.testing import FakeClock

A1, A2, A3 = (pod("a", rv=rv, node=f"n{rv}") for rv in (11, 21, 31))
B1, B2 = (pod("b", rv=rv, uid="ub", labels={"app": "web"}) for rv in (12, 22))
C1 = pod("c", "other", rv=13, uid="uc")
A2_JSON = compact(A2)
BROKEN = Interrupted("the connection broke")
TOO_LARGE = Refused("Timeout: Too large resource version: 99, current: 5", code=504, reason="Timeout")
GONE = Refused("too old resource version", code=410, reason="Expired")
UNSUPPORTED = Refused("sendInitialEvents is forbidden", code=422, reason="Invalid")
NEVER = 3600.0


def refused(code, **kwargs):
    return Refused(f"it says {code}", code=code, **kwargs)


@pytest.fixture(autouse=True)
def settles_at_once(monkeypatch):
    monkeypatch.setattr(liveness, "SETTLING", 0.0)


@pytest.fixture
def never_settles(monkeypatch):
    monkeypatch.setattr(liveness, "SETTLING", NEVER)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(reflector, "BOOKMARK_PATIENCE", 0.01)


class World:
    """A reflector with one informer, or several, and its scripted server."""

    def __init__(self, *answers, transforms=(None,), backoff=None, clock=None, **kwargs):
        self.clock = clock or FakeClock()
        self.indexers = [
            Indexer({"node": field("spec.nodeName"), "app": label("app")}, transform=each) for each in transforms
        ]
        self.informers = [Informer("pods", indexer=each, clock=self.clock) for each in self.indexers]
        self.informer = self.informers[0]
        self.folds = [CarefulFold(informer, ["add", "update", "delete"]) for informer in self.informers]
        self.source = Scripted(*answers)
        self.pauses = Pauses()
        #: Each time it said that it had become live, or stale.
        self.states = []
        self.reflector = Reflector(
            "pods",
            source=self.source,
            informers=self.informers,
            clock=self.clock,
            backoff=backoff or self.pauses,
            changed=lambda: self.states.append(self.reflector.problem or "live"),
            **kwargs,
        )

    @asynccontextmanager
    async def follow(self, *, tap="nothing"):
        following = Following(self.reflector, self.source, tap=tap)
        try:
            await following.rest()
            yield following
            if not following.task.done() and not self.source.owes_an_answer:
                await following.stop()
        finally:
            await following.kill()
        assert not self.reflector.is_live
        self.check_handlers()

    def check_handlers(self):
        for indexer, informer, fold in zip(self.indexers, self.informers, self.folds, strict=True):
            indexer._check()
            assert fold.objects == cached(informer)
            assert fold.refused == 0, "told though nothing had changed"
            statistics = informer.statistics()
            assert not any(handler.errors for handler in statistics.handlers)
            assert statistics.pending == 0

    def check(self, *bodies):
        """It is live, and has these objects."""
        assert self.reflector.problem == ""
        assert self.reflector.is_live
        assert cached(self.informer) == by_key(*bodies)
        self.check_handlers()

    def check_stale(self, problem, *bodies):
        """It is not, says why, and has these objects still."""
        assert problem in self.reflector.problem
        assert not self.reflector.is_live
        assert self.reflector.statistics().problem == self.reflector.problem
        assert cached(self.informer) == by_key(*bodies)
        self.check_handlers()

    def good_while(self):
        """It works for so long that what goes wrong now is mended at once."""
        self.clock.step(10)

    def take_states(self):
        states, self.states = self.states, []
        return states


def listed(*bodies, version=20):
    """A streaming list, whole."""
    return [added(*bodies) + closing(version)]


# Streaming lists.


@scenario
async def test_a_streaming_list_ends_with_its_own_bookmark_and_goes_on_as_a_watch():
    world = World([added(A1), added(B1)])
    async with world.follow() as following:
        world.check_stale("not listed yet")
        await following.feed(bookmark(12))  # one that ends nothing
        world.check_stale("not listed yet")
        assert (world.reflector.listed, world.reflector.told) == (False, False)
        await following.feed(closing(20))
        world.check(A1, B1)
        assert (world.reflector.listed, world.reflector.told) == (True, True)
        assert world.take_states() == ["live", "live"]  # the second time, because the handlers were told
        await following.feed(modified(A2), deleted(B2), added(C1))
        world.check(A2, C1)
        assert world.source.take() == ["watch None"]
        statistics = world.reflector.statistics()
        assert (statistics.lists, statistics.watches, statistics.interruptions, statistics.ignored) == (1, 1, 0, 0)
        assert (statistics.live, statistics.problem, statistics.heard_at) == (True, "", world.clock.now())
    assert world.take_states() == ["paused"]


@scenario
async def test_what_changes_while_the_list_is_streamed_is_in_it():
    again = pod("a", rv=24, uid="again")
    async with (
        world := World([added(A1, B1, C1), modified(A2), deleted(B2), deleted(pod("never", rv=23))])
    ).follow() as f:
        world.check_stale("not listed yet")
        await f.feed(deleted(pod("a", rv=23)), added(again), closing(30))
        world.check(again, C1)
        assert world.folds[0].calls == ["add", "add"]


@scenario
async def test_only_a_bookmark_with_true_ends_the_list():
    annotated = {"metadata": {"resourceVersion": "20", "annotations": {"k8s.io/initial-events-end": "false"}}}
    world = World([added(A1), line("BOOKMARK", annotated)])
    async with world.follow() as following:
        world.check_stale("not listed yet")
        await following.feed(closing(20))
        world.check(A1)


@scenario
async def test_an_empty_resource_is_listed_and_its_first_object_followed():
    world = World([closing(5)])
    async with world.follow() as following:
        world.check()
        assert world.reflector.told
        await following.feed(added(A1))
        world.check(A1)


@scenario
async def test_a_list_and_the_changes_after_it_may_come_in_one_piece_and_in_any_pieces():
    whole = added(A1, B1) + bookmark(12) + closing(20) + modified(A2) + deleted(B2) + added(C1) + bookmark(40)
    for size in (1, 2, 7, 64, 1000, len(whole)):
        world = World([whole[at : at + size] for at in range(0, len(whole), size)])
        async with world.follow() as following:
            world.check(A2, C1)
            await following.fails(BROKEN, page(version=40))
            assert world.source.take() == ["watch None", "list 1", "watch 40"]


@scenario
async def test_a_streaming_list_without_its_bookmark_is_given_up_for_pages(impatient):
    world = World([added(A1), bookmark(11)], page(A1, B1, version=15), [])
    async with world.follow() as following:
        await following.until(lambda: world.reflector.is_live)
        world.check(A1, B1)
        assert world.source.take() == ["watch None", "list 500", "watch 15"]
        assert world.take_states() == [
            "a streaming list without its end for 0.01 s, listing in pages from now on", "live", "live",
        ]  # fmt: skip
        await following.fails(error(410), page(A2, version=30), [])
        world.check(A2)
        assert world.source.take() == ["list 500", "watch 30"]


@scenario
async def test_patience_counts_from_the_last_new_object(monkeypatch):
    """That it is over after that, and when, is test_patience's."""
    renewed = []

    class Counted(Patience):
        def renew(self):
            renewed.append(self)
            super().renew()

    monkeypatch.setattr(reflector, "Patience", Counted)
    world = World([])
    async with world.follow() as following:
        for number in range(6):
            await following.feed(added(pod(f"p{number}", rv=number + 1)))
        await following.feed(added(pod("p0", rv=7)), closing(20))
        assert len(world.informer.reader) == 6
        assert world.source.take() == ["watch None"]
    assert len(renewed) == 1 + 6, "at its begin, and by each object that was not there before"
    assert len(set(map(id, renewed))) == 1


@pytest.mark.parametrize("code", [400, 422])
@pytest.mark.parametrize("as_event", [True, False])
@scenario
async def test_a_server_without_streaming_lists_is_listed_in_pages_at_once(code, as_event):
    world = World([error(code)] if as_event else refused(code), page(A1, version=20), [])
    async with world.follow() as following:
        world.check(A1)
        assert world.source.take() == ["watch None", "list 500", "watch 20"]
        assert world.pauses.take() == []
        await following.fails(error(410), page(A2, version=30), [])
        world.check(A2)
        assert world.source.take() == ["list 500", "watch 30"]


@scenario
async def test_after_two_failed_streaming_lists_one_is_tried_in_pages_and_then_they_are_tried_again():
    world = World(BROKEN, [added(A1), BROKEN], page(A1, B1, version=20), [])
    async with world.follow() as following:
        world.check(A1, B1)
        assert world.source.take() == ["watch None", "watch None", "list 500", "watch 20"]
        await following.fails(error(410), listed(A2, version=30))
        world.check(A2)
        assert world.source.take() == ["watch None"]


@pytest.mark.parametrize("how", [BROKEN, END, error(500), error(410), b"{nonsense}\n", b'{"type":"ADDED"}\n'])
@scenario
async def test_a_streaming_list_that_breaks_midway_changes_nothing(how):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(error(410), [added(A2)])
        world.check_stale("", A1, B1)
        await following.fails(how, [])
        world.check_stale("", A1, B1)
        await following.feed(added(A3, C1), closing(40))
        world.check(A3, C1)


# Pages.


@scenario
async def test_a_list_in_pages_is_all_of_them():
    world = World(
        UNSUPPORTED, page(A1, version=20, continue_="x"), page(B1, version=20, continue_="y"), page(C1, version=20), []
    )  # fmt: skip
    async with world.follow():
        world.check(A1, B1, C1)
        assert world.source.take() == ["watch None", "list 500", "list 500 x", "list 500 y", "watch 20"]
        assert {body["kind"] for body in world.informer.reader.list()} == {"Pod"}
        assert world.folds[0].calls == ["add"] * 3


@scenario
async def test_the_size_of_a_page_is_given():
    world = World(UNSUPPORTED, page(version=20), [], page=7)
    async with world.follow():
        assert world.source.take()[1] == "list 7"


@pytest.mark.parametrize(
    "how", [BROKEN, refused(500), refused(403), b"", b"[]", b'{"items":[{}', page(C1, version=9)[:-9]]
)
@scenario
async def test_a_list_in_pages_that_breaks_midway_changes_nothing(how):
    world = World(UNSUPPORTED, page(A1, B1, version=20), [])
    async with world.follow() as following:
        world.good_while()
        await following.fails(error(410), page(A2, version=30, continue_="x"))
        world.check_stale("", A1, B1)
        await following.then(how)
        world.check_stale("", A1, B1)
        await following.then(page(A3, version=40), [])
        world.check(A3)


@scenario
async def test_after_an_expired_page_the_list_is_asked_for_in_one_piece_and_the_next_in_pages_again():
    world = World(UNSUPPORTED, page(A1, version=20, continue_="x"), GONE, page(A1, B1, version=25), [])
    async with world.follow() as following:
        world.check(A1, B1)
        assert world.source.take() == ["watch None", "list 500", "list 500 x", "list 0", "watch 25"]
        await following.fails(error(410), page(A2, version=30), [])
        assert world.source.take() == ["list 500", "watch 30"]


@scenario
async def test_an_object_without_a_name_in_a_list_is_ignored_and_counted(caplog):
    world = World(UNSUPPORTED, page(A1, {"metadata": {"uid": "x"}}, {}, version=20), [])
    async with world.follow():
        world.check(A1)
        assert world.reflector.statistics().ignored == 2
    assert [each.getMessage() for each in caplog.records if "ignored" in each.getMessage()] == [
        "informer pods: an object of the list was ignored: object has no meta: no metadata.name to make a key of"
    ] * 2


# Watches that end.


@scenario
async def test_a_watch_that_ends_at_its_time_is_followed_by_the_next_without_a_probe_and_live_all_the_time():
    world = World(listed(A1))
    async with world.follow() as following:
        world.take_states()
        world.clock.step(300)
        await following.fails(END, [modified(A2)])
        world.check(A2)
        world.clock.step(299.5)
        await following.fails(END, [])
        assert world.source.take() == ["watch None", "watch 20", "watch 21"]
        assert world.take_states() == []
        assert world.reflector.statistics().interruptions == 0


@scenario
async def test_a_watch_that_ends_long_before_its_time_is_followed_by_a_probe():
    world = World(listed(A1))
    async with world.follow() as following:
        world.take_states()
        world.clock.step(200)
        await following.fails(END, page(version=99, continue_="more"), [])
        world.check(A1)
        assert world.source.take() == ["watch None", "list 1", "watch 20"]
        assert world.take_states() == []


@scenario
async def test_a_bookmark_moves_the_position():
    world = World(listed(A1))
    async with world.follow() as following:
        await following.feed(bookmark(33))
        world.clock.step(300)
        await following.fails(END, [])
        assert world.source.take() == ["watch None", "watch 33"]
        world.clock.step(300)
        await following.fails(END, [])
        assert world.source.take() == ["watch 33"]


@pytest.mark.parametrize("said", [[], [bookmark(20)]], ids=["nothing", "a bookmark"])
@scenario
async def test_a_watch_that_ends_at_once_is_a_failure(never_settles, said):
    world = World(listed(A1), page(version=20), [*said, END], page(version=20), [*said, END])
    async with world.follow() as following:
        world.good_while()
        await following.feed(END)
        world.check_stale("the watch ended at once", A1)
        assert world.pauses.take() == [0.0]  # none after the first: it had been good for a while
        await following.then(page(version=20), [*said, END])
        assert world.pauses.take() == [0.0]


@scenario
async def test_a_short_watch_with_an_event_is_none(never_settles):
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        world.take_states()
        await following.fails(END, page(version=20), [modified(A2), END], page(version=21), [])
        world.check(A2)
        assert world.take_states() == []
        assert world.pauses.take() == []


@pytest.mark.parametrize(
    "half", [b"", modified(A2)[:1], modified(A2)[:30], modified(A2)[:-2], modified(A2)[:-1]],
    ids=["between", "1 byte", "30 bytes", "but one", "but the line end"],
)  # fmt: skip
@pytest.mark.parametrize("how", [BROKEN, END], ids=["broken", "ended"])
@scenario
async def test_an_interruption_between_or_inside_of_events_loses_and_repeats_nothing(half, how):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        await following.feed(deleted(B2) + half)
        world.check(A1)
        world.source.then(page(version=22), [modified(A3)])
        await following.feed(how)
        world.check(A3)
        assert world.source.take() == ["watch None", "list 1", "watch 22"]
        assert world.folds[0].calls == ["add", "add", "delete", "update"]


@scenario
async def test_an_interruption_is_mended_at_once_and_live_only_when_it_has_settled(monkeypatch, never_settles):
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        world.take_states()
        await following.fails(BROKEN)
        world.check_stale("the connection broke", A1)
        assert world.source.take() == ["watch None", "list 1"]
        await following.then(page(version=30))
        world.check_stale("the connection broke", A1)
        await following.then([error(429)])
        world.check_stale("status 429", A1)
        monkeypatch.setattr(liveness, "SETTLING", 0.0)
        await following.then([])
        world.check(A1)
        assert world.take_states() == ["the connection broke", "status 429", "live"]
        assert world.pauses.take() == [0.0]


@scenario
async def test_what_fails_before_it_has_settled_does_not_become_live_later(monkeypatch):
    monkeypatch.setattr(liveness, "SETTLING", 0.02)
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(BROKEN, page(version=30), [error(429)])
        await asyncio.sleep(0.05)
        world.check_stale("status 429", A1)
        await following.then([])
        await following.until(lambda: world.reflector.is_live)


# Expired.


@pytest.mark.parametrize("as_event", [True, False])
@pytest.mark.parametrize("ever", [True, False])
@scenario
async def test_an_expired_version_is_answered_by_a_list(as_event, ever):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        if as_event:
            await following.fails(error(410, "too old", "Expired") if ever else error(410))
        else:
            world.clock.step(300)
            await following.fails(END, GONE)
        world.check_stale("too old" if ever or not as_event else "status 410", A1, B1)
        assert world.source.take()[-1] == "watch None"
        await following.then(listed(A2, C1, version=40))
        world.check(A2, C1)
        assert world.folds[0].calls == ["add", "add", "delete", "update", "add"]
        assert world.pauses.take() == []


@pytest.mark.parametrize(
    "how",
    [TOO_LARGE, Refused("x", code=504, causes=("ResourceVersionTooLarge",)), Refused("gone", code=0, reason="Gone")],
)
@scenario
async def test_a_version_of_the_future_is_answered_by_a_list(how):
    world = World(listed(A1))
    async with world.follow() as following:
        world.clock.step(300)
        await following.fails(END, how, listed(A2))
        world.check(A2)
        assert world.source.take() == ["watch None", "watch 20", "watch None"]


# ERROR events.


@pytest.mark.parametrize(
    "event",
    [error(500), error(0), error(400), error(403), line("ERROR", b"{}"), line("ERROR", b"null"), line("ERROR", b"[1]")]
)  # fmt: skip
@scenario
async def test_after_an_error_event_a_list_follows(event):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(event)
        world.check_stale("", A1, B1)
        assert len(world.pauses.take()) == 1
        assert world.source.take() == ["watch None", "watch None"]
        await following.then(listed(A2))
        world.check(A2)


@scenario
async def test_after_an_error_event_of_400_streaming_lists_are_still_asked_for():
    # It is no answer to the question whether there are any.
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        for _ in range(2):
            await following.fails(error(400), listed(A1, version=40))
        assert world.source.take() == ["watch None"] * 3


@scenario
async def test_an_error_event_of_429_is_waited_for_and_the_watch_goes_on_where_it_was():
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        await following.feed(modified(A2))
        await following.fails(error(429, "too many requests", "TooManyRequests", retryAfterSeconds=7))
        world.check_stale("too many requests", A2)
        assert world.pauses.take() == [7.0]
        await following.then([modified(A3)])
        world.check(A3)
        assert world.source.take() == ["watch None", "watch 21"]


@pytest.mark.parametrize("code", [500, 503, 504])
@scenario
async def test_after_a_server_error_the_storage_is_looked_at_before_the_watch_goes_on(code):
    """Its storage may be what was away."""
    world = World(listed(A1))
    async with world.follow() as following:
        world.clock.step(300)
        await following.fails(END, refused(code))
        world.check_stale(f"it says {code}", A1)
        await following.then(page(version=20), [modified(A2)])
        world.check(A2)
        assert world.source.take() == ["watch None", "watch 20", "list 1", "watch 20"]


@scenario
async def test_a_server_without_versions_is_listed_whenever_a_watch_ends():
    world = World(refused(422), page(A1, B1, version=""), [])
    async with world.follow() as following:
        world.check(A1, B1)
        await following.feed(modified(A2))
        assert world.source.take() == ["watch None", "list 500", "watch 0"]


@pytest.mark.parametrize("code", [429, 403, 404, 401, 400])
@scenario
async def test_a_refused_watch_is_asked_for_again_from_its_position(code):
    world = World(listed(A1))
    async with world.follow() as following:
        world.clock.step(300)
        await following.fails(END, refused(code, retry_after=5.0), refused(code))
        world.check_stale(f"it says {code}", A1)
        await following.then([modified(A2)])
        world.check(A2)
        assert world.pauses.take() == [5.0, 0.0]
        assert world.source.take() == ["watch None"] + ["watch 20"] * 3


@pytest.mark.parametrize("last", [error(429), error(500), error(410), b"nonsense\n", BROKEN])
@scenario
async def test_what_came_before_the_end_in_the_same_piece_is_told_at_once_and_heard(last):
    world = World(listed(A1, B1))
    async with world.follow(tap="all") as following:
        following.take()
        before = modified(A2) + deleted(B2)
        if isinstance(last, bytes):
            await following.feed(before + last)
        else:
            await following.feed(before, last)
        world.check_stale("", A2)
        assert following.take() == ["MODIFIED a 21", "DELETED b 22"]


# The storage went back in time.


@scenario
async def test_a_storage_that_went_back_is_found_out_before_the_watch_goes_on_and_listed_anew():
    world = World(listed(A2, B1, version=50))
    async with world.follow() as following:
        world.good_while()
        await following.fails(BROKEN, page(version=15, continue_="more"))
        world.check_stale("went back in time, from 50 to 15", A2, B1)
        assert world.source.take() == ["watch None", "list 1", "watch None"]
        other = {**B1, "spec": {"other": True}}
        await following.then(listed(A1, other, C1, version=15))
        assert cached(world.informer) == by_key(A1, other, C1)
        assert world.reflector.is_live
        # One resourceVersion, two states.
        assert world.folds[0].calls == ["add", "add", "update", "update", "add"]
        assert world.folds[0].refused == 1
        world.folds[0].forgive()
        await following.feed(modified(pod("a", rv=16)))
        world.check(pod("a", rv=16), other, C1)
        world.good_while()
        await following.fails(BROKEN, page(version=16), [])
        world.check(pod("a", rv=16), other, C1)


@pytest.mark.parametrize(
    ("seen", "now"), [(20, 20), (20, 21), (9, 10), (99, 100), ("opaque", 5), (20, "opaque"), (20, "")]
)
@scenario
async def test_a_storage_that_has_not_gone_back_as_far_as_anybody_can_tell_is_watched_on(seen, now):
    world = World(listed(A1, version=seen))
    async with world.follow() as following:
        world.good_while()
        await following.fails(BROKEN, page(version=now), [])
        world.check(A1)
        assert world.source.take() == ["watch None", "list 1", f"watch {seen}"]


@pytest.mark.parametrize("how", [BROKEN, refused(500), refused(403), refused(429)])
@scenario
async def test_a_probe_that_fails_is_made_again(how):
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(BROKEN, how, how)
        world.check_stale("", A1)
        await following.then(page(version=20), [])
        world.check(A1)
        assert world.source.take() == ["watch None", "list 1", "list 1", "list 1", "watch 20"]


# Events that cannot be read.


@pytest.mark.parametrize(
    "event",
    [
        b"nonsense\n", b"{}\n", b'{"type":"MODIFIED"}\n', b'{"object":{}}\n', b'{"type":7,"object":{}}\n',
        line("MODIFIED", b"{"), line("MODIFIED", b"null"), line("MODIFIED", b"[]"), line("DELETED", b"{}"),
        line("MODIFIED", b'{"metadata":{}}'), line("DELETED", b'{"metadata":{"uid":"u1"}}'),
        line("MODIFIED", b'{"metadata":{"name":"a","namespace":"default"}'), line("SYNC", A2),
        line("BOOKMARK", b"{}"), line("BOOKMARK", b"null"), b"\xff\xfe\n", b'{"type":"MODIFIED","object":"\xff"}\n',
        line("MODIFIED", b'{"metadata":{"name":"a\xff"}}'), line("MODIFIED", b'{"metadata":{"name":"a/b"}}'),
    ],
)  # fmt: skip
@scenario
async def test_after_an_event_that_cannot_be_read_a_list_follows(event):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(event + deleted(B2))
        world.check_stale("", A1, B1)
        assert world.source.take() == ["watch None", "watch None"]
        assert world.pauses.take() == [0.0]
        await following.then(listed(A2))
        world.check(A2)


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED"])
@scenario
async def test_an_event_that_is_damaged_while_a_list_is_streamed_is_not_lost_though_a_state_before_is_known(kind):
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        damaged = line(kind, A2_JSON.replace(b'"n21"', rb'"\ud800"'))
        await following.fails(error(410), [added(A1) + damaged + closing(40)], listed(A2, B1))
        world.check(A2, B1)


#: A deletion of A that was damaged on the way, so that it does not tell which object it is of.
DAMAGED_DELETIONS = [
    A2_JSON.replace(was, becomes)
    for was in (b'"uid"', b'"namespace"', b'"default"', b'"u1"', b'"21"', b'"a"', b'"metadata"')
    for becomes in (b'"\xff"', rb'"\ud800"', rb'"\x"', b'"\x01"')
]


@pytest.mark.parametrize("damaged", DAMAGED_DELETIONS)
@scenario
async def test_after_a_deletion_that_does_not_tell_of_what_a_list_follows(damaged):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(line("DELETED", damaged))
        world.check_stale("", A1, B1)
        await following.then(listed(B1))
        world.check(B1)


@pytest.mark.parametrize("damaged", DAMAGED_DELETIONS)
@scenario
async def test_a_deletion_that_does_not_tell_of_what_is_not_lost_to_a_streaming_list(damaged):
    world = World([added(A1, B1) + line("DELETED", damaged) + closing(20)], listed(B1))
    async with world.follow():
        world.check(B1)
        assert world.source.take() == ["watch None", "watch None"]


@pytest.mark.parametrize("damage", [b'"\xff":1', rb'"\ud800":1', b'"a":"\xff"', rb'"a":"\ud800"'])
@scenario
async def test_a_deletion_that_is_damaged_elsewhere_is_understood(damage):
    damaged = line("DELETED", A2_JSON.replace(b'"spec":{', b'"spec":{"a":1},%s,"more":{' % damage))
    world = World([added(A1, B1, C1) + damaged + closing(20)])
    async with world.follow() as following:
        world.check(B1, C1)
        await following.feed(added(A1), damaged)
        world.check(B1, C1)
        assert world.source.take() == ["watch None"]


@scenario
async def test_a_deletion_that_an_informer_fails_on_is_not_lost(monkeypatch):
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        monkeypatch.setattr(world.informer, "remove", None)
        await following.fails(deleted(A2), listed(B1))
        world.check(B1)


@scenario
async def test_lines_that_are_blank_say_nothing():
    world = World([b"\n" + added(A1) + b"\r\n \n" + closing(20)])
    async with world.follow() as following:
        world.check(A1)
        await following.feed(b"\n", modified(A2).replace(b"\n", b"\r\n"))
        world.check(A2)
        assert world.source.take() == ["watch None"]


@scenario
async def test_a_line_without_an_end_is_followed_by_a_list(monkeypatch):
    monkeypatch.setattr("workqueue.informer.wire.MAXIMUM_LINE", 1000)
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(b"x" * 1001, listed(A2))
        world.check(A2)


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
@scenario
async def test_an_event_that_cannot_be_read_while_a_list_is_streamed_is_not_lost(kind):
    world = World([added(A1) + line(kind, b'{"metadata":{"name":') + closing(20)], listed(A2, B1))
    async with world.follow():
        world.check(A2, B1)
        assert world.source.take() == ["watch None", "watch None"]


DEEP = (
    b'{"metadata":{"name":"deep","namespace":"default","resourceVersion":"%d"},"spec":'
    + b"[" * 5000
    + b"]" * 5000
    + b"}"
)


@scenario
async def test_an_object_nested_too_deep_for_anybody_is_ignored_and_holds_up_nothing_else():
    # An API server takes up to 10,000 levels; whoever may write such an object should not stop all others' from coming.
    world = World([added(A1) + line("ADDED", DEEP % 12) + closing(20)])
    async with world.follow(tap="all") as following:
        world.check(A1)
        await following.feed(line("MODIFIED", DEEP % 21), modified(A2), added(C1))
        world.check(A2, C1)
        assert world.source.take() == ["watch None"]
        assert world.reflector.statistics().ignored == 2
        assert following.take() == ["None a 11", LISTED, "MODIFIED a 21", "ADDED c 13"]
        # It may have been stored when it was less deep: that state stays, and goes with it.
        shallow = pod("deep", rv=22)
        await following.feed(added(shallow), line("MODIFIED", DEEP % 23))
        world.check(A2, C1, shallow)
        await following.feed(line("DELETED", DEEP % 24))
        world.check(A2, C1)
        assert world.folds[0].calls[-1] == "delete"
        assert world.source.take() == []
        assert world.reflector.statistics().interruptions == 0


@scenario
async def test_an_object_nested_too_deep_in_a_streaming_list_can_go_again():
    shallow = pod("deep", rv=11)
    world = World([added(shallow) + added(A1) + line("DELETED", DEEP % 12) + closing(20)])
    async with world.follow():
        world.check(A1)


@scenario
async def test_an_object_nested_too_deep_in_a_page_holds_up_no_other():
    world = World(UNSUPPORTED, page(A1, version=20)[:-2] + b"," + DEEP % 12 + b"]}", [modified(A2)])
    async with world.follow():
        world.check(A2)
        assert world.reflector.statistics().ignored == 1


# Transforms.


def poisoned(body):
    if body["spec"].get("poison"):
        raise ArithmeticError("poison")
    return {**body, "spec": {**body["spec"], "transformed": True}}


def changed(body):
    return {**body, "spec": {**body["spec"], "transformed": True}}


def poison(body, **metadata):
    return {**body, "metadata": {**body["metadata"], **metadata}, "spec": {"poison": True}}


@scenario
async def test_an_event_whose_transform_raises_is_lost_to_that_informer_alone(caplog):
    world = World(listed(A1, B1), transforms=[poisoned, None])
    async with world.follow() as following:
        await following.feed(modified(poison(A2)), deleted(poison(B2)), added(C1))
        assert world.reflector.is_live
        assert cached(world.informer) == by_key(changed(A1), changed(C1))
        assert cached(world.informers[1]) == by_key(poison(A2), C1)
        assert world.reflector.statistics().ignored == 1
        assert world.source.take() == ["watch None"]
        await following.feed(modified(A3))
        assert cached(world.informer) == by_key(changed(A3), changed(C1))
    assert "informer pods: an event was not applied: ArithmeticError('poison')" in caplog.messages


@scenario
async def test_a_transform_that_makes_no_object_loses_events_and_no_more():
    world = World(listed(B1), transforms=[lambda body: {} if "poison" in body["spec"] else body])
    async with world.follow() as following:
        await following.feed(added(poison(A1)), modified(poison(A2)))
        world.check(B1)
        assert world.source.take() == ["watch None"]
        assert world.reflector.statistics().ignored == 2


@pytest.mark.parametrize("pages", [True, False])
@scenario
async def test_what_is_stored_of_an_object_whose_transform_raises_in_a_list_stays(pages, caplog):
    world = World(listed(A1, B1), transforms=[poisoned, None])
    async with world.follow() as following:
        world.good_while()
        bodies = [poison(A2), poison(C1), pod("d", rv=14)]
        if pages:
            await following.fails(error(410), UNSUPPORTED, page(*bodies, version=40), [])
        else:
            await following.fails(error(410), listed(*bodies))
        assert world.reflector.is_live
        assert cached(world.informer) == by_key(changed(A1), changed(bodies[2]))
        assert cached(world.informers[1]) == by_key(*bodies)
        assert world.reflector.statistics().ignored == 2
    assert [each for each in caplog.messages if "ignored" in each] == [
        "informer pods: default/a in the list, whose state before stays, was ignored: ArithmeticError('poison')",
        "informer pods: an object of the list was ignored: ArithmeticError('poison')",
    ]


@pytest.mark.parametrize("pages", [True, False])
@scenario
async def test_what_is_stored_of_a_former_object_goes_though_the_transform_raises_on_the_next(pages):
    world = World(listed(A1, B1), transforms=[poisoned])
    async with world.follow() as following:
        world.good_while()
        bodies = [poison(A2, uid="u2"), poison(B2, uid=None)]
        await following.fails(
            error(410), *([UNSUPPORTED, page(*bodies, version=40), []] if pages else [listed(*bodies)])
        )
        assert world.reflector.is_live
        assert cached(world.informer) == by_key(changed(B1)), "whose uid is not told may be the same"
        assert world.folds[0].calls[-1] == "delete"
        assert world.reflector.statistics().ignored == 2
        world.check_handlers()


@scenario
async def test_a_transform_that_raises_while_the_list_is_streamed_ends_nothing():
    b2 = poison(B2)
    world = World([added(A1, B1, C1), modified(poison(A2)), modified(b2), deleted(b2), deleted(poison(pod("x")))],
                  transforms=[poisoned])  # fmt: skip
    async with world.follow() as following:
        await following.feed(closing(30))
        assert world.source.take() == ["watch None"]
        assert world.reflector.is_live
        assert cached(world.informer) == by_key(changed(A1), changed(C1))


@scenario
async def test_a_transform_that_raises_while_a_list_is_streamed_takes_nothing_back():
    # Cached is version 11, the list has 21 and then 31, of which the transform raises: 21 is the newest that there is.
    world = World(listed(A1), transforms=[poisoned])
    async with world.follow() as following:
        world.good_while()
        await following.fails(error(410), [added(A2), modified(poison(A3)), closing(40)])
        assert cached(world.informer) == by_key(changed(A2))


@scenario
async def test_several_informers_follow_one_watch():
    world = World(listed(A1, B1), transforms=[None, changed, None])
    world.indexers[2].add_indexers({"uid": field("metadata.uid"), "version": lambda body: body["metadata"]["name"]})
    async with world.follow() as following:
        await following.feed(modified(A2), deleted(B2), added(C1))
        assert cached(world.informer) == cached(world.informers[2]) == by_key(A2, C1)
        assert cached(world.informers[1]) == by_key(changed(A2), changed(C1))
        world.good_while()
        await following.fails(error(410), UNSUPPORTED, page(A3, B2, version=40), [])
        assert cached(world.informer) == cached(world.informers[2]) == by_key(A3, B2)
        assert cached(world.informers[1]) == by_key(changed(A3), changed(B2))
        assert world.indexers[2].index_keys("version", "b") == [("default", "b")]
        world.check_handlers()


# Namespaces.


@scenario
async def test_a_reflector_of_a_namespace_leaves_the_others_alone():
    world = World(listed(A1, B1), namespace="default")
    world.informer.apply(C1)
    async with world.follow() as following:
        world.check(A1, B1, C1)
        world.good_while()
        await following.fails(error(410), listed(A2))
        world.check(A2, C1)
        await following.feed(bookmark(77))
        statistics = world.reflector.statistics()
        assert (statistics.namespace, statistics.lists) == ("default", 2)
        assert world.informer.progress._positions == {"default": 77}


# Told to stop, and to go on.


@scenario
async def test_a_stop_while_a_list_is_streamed_changes_nothing_and_the_next_run_lists():
    world = World([added(A1)])
    async with world.follow() as following:
        await following.stop()
        world.check_stale("paused")
    world.source.then(listed(A2))
    async with world.follow():
        world.check(A2)
        assert world.source.take() == ["watch None"] * 2


@pytest.mark.parametrize("rest", [page(B1, version=20), page(B1, version=20, continue_="y")], ids=["last", "not last"])
@scenario
async def test_a_stop_while_pages_come_ends_it_with_the_next_of_them_and_makes_nothing_live(rest):
    """Else a paused operator would be synced, and its workers would start."""
    world = World(UNSUPPORTED, page(A1, version=20, continue_="x"))
    async with world.follow() as following:
        following.stop_now()
        await following.then(rest)
        assert following.task.done()
        world.check_stale("paused")
        assert not world.informer.progress.synced_once
    world.source.then(page(A1, B1, version=20), [modified(A2)])
    async with world.follow():
        world.check(A2, B1)
        assert world.source.take() == ["watch None", "list 500", "list 500 x", "list 500", "watch 20"]


@scenario
async def test_a_stop_while_it_watches_keeps_the_position():
    world = World(listed(A1))
    async with world.follow() as following:
        await following.feed(modified(A2))
    world.check_stale("paused", A2)
    world.source.then(page(version=30), [modified(A3)])
    async with world.follow():
        world.check(A3)
        assert world.source.take() == ["watch None", "list 1", "watch 21"]


@scenario
async def test_a_storage_that_went_back_while_it_was_paused_is_found_out():
    world = World(listed(A2))
    async with world.follow():
        pass
    world.source.then(page(version=15), listed(A1, version=15))
    async with world.follow():
        world.check(A1)
        assert world.source.take() == ["watch None", "list 1", "watch None"]


@scenario
async def test_a_stop_while_a_watch_is_asked_for_ends_it_as_soon_as_it_is_answered():
    world = World(listed(A1))
    async with world.follow() as following:
        world.clock.step(300)
        await following.feed(END)
        following.stop_now()
        await following.then([])
        assert following.task.done()
        world.check_stale("paused", A1)


@scenario
async def test_a_stop_ends_a_pause():
    clock = FakeClock()
    world = World(BROKEN, clock=clock, backoff=Backoff(clock=clock, first=NEVER, maximum=NEVER))
    following = Following(world.reflector, world.source, tap="nothing")
    for _ in range(10):
        await asyncio.sleep(0)
    world.check_stale("the connection broke")
    await following.stop()
    world.check_stale("paused")


@scenario
async def test_a_stop_before_it_began_asks_nothing():
    world = World()
    stop = asyncio.get_running_loop().create_future()
    stop.set_result(None)
    assert [each async for each in world.reflector.run(stop)] == []
    assert world.source.take() == []


@scenario
async def test_a_run_that_is_cancelled_is_not_live_any_more():
    world = World(listed(A1))
    async with world.follow() as following:
        await following.kill()
        world.check_stale("paused", A1)
    world.source.then(page(version=20), [modified(A2)])
    async with world.follow():
        world.check(A2)
        assert world.source.take() == ["watch None", "list 1", "watch 20"]


@scenario
async def test_a_run_that_ends_by_an_error_of_its_own_is_not_live_any_more():
    world = World(listed(A1), ZeroDivisionError("a bug"))
    async with world.follow() as following:
        world.clock.step(300)
        with pytest.raises(ZeroDivisionError):
            await following.feed(END)
        world.check_stale("ZeroDivisionError", A1)
        world.reflector.want_list("an error")
    world.source.then(listed(A2))
    async with world.follow():
        world.check(A2)


@scenario
async def test_handlers_that_were_not_told_to_the_end_are_told_by_the_next_run(monkeypatch):
    world = World(listed(A1, B1))
    monkeypatch.setattr(reflector, "SLICE", 1)
    killed = []

    def kill(**_):
        if not killed:
            killed.append(following.task.cancel())

    world.informer.add_handler(kill, kind="add")
    following = Following(world.reflector, world.source, tap="nothing")
    await asyncio.wait([following.task])
    assert not world.reflector.told
    world.source.then(page(version=20), [])
    async with world.follow():
        assert world.reflector.told
        assert world.folds[0].objects == by_key(A1, B1)


# A list because somebody wants it.


@scenario
async def test_a_wanted_list_is_made_at_once_and_finds_what_has_one_version_and_two_states():
    world = World(listed(A1, B1))
    async with world.follow() as following:
        world.good_while()
        world.source.then(listed({**A1, "spec": {"other": 1}}, B1))
        world.reflector.want_list("somebody doubts")
        await following.rest()
        assert cached(world.informer) == by_key({**A1, "spec": {"other": 1}}, B1)
        assert world.reflector.is_live
        assert "somebody doubts" in world.take_states()
        assert world.folds[0].refused == 1
        world.folds[0].forgive()
        assert world.source.take() == ["watch None", "watch None"]


@scenario
async def test_what_is_only_written_in_another_way_is_told_to_nobody():
    world = World(listed(A1, B1))
    async with world.follow() as following:
        body = {"metadata": A1["metadata"], "spec": A1["spec"], "kind": "Pod", "apiVersion": "v1"}
        world.source.then(
            [line("ADDED", json.dumps(body, indent=1).replace("\n", " ").encode()) + added(B1), closing(30)]
        )
        world.reflector.want_list("somebody doubts")
        await following.rest()
        await following.feed(bookmark(31))
        world.check(A1, B1)
        assert world.folds[0].calls == ["add", "add"]


@scenario
async def test_a_list_that_was_wanted_while_it_did_not_run_is_made_when_it_does():
    world = World(listed(A1))
    async with world.follow():
        pass
    world.reflector.want_list("somebody doubts")
    world.source.then(listed(A2))
    async with world.follow() as following:
        world.check(A2)
        world.clock.step(300)
        await following.fails(END, [])
        assert world.source.take() == ["watch None", "watch None", "watch 20"]


@scenario
async def test_a_list_that_is_wanted_while_one_is_streamed_begins_it_anew():
    world = World([added(A1)])
    async with world.follow() as following:
        world.source.then(listed(A2))
        world.reflector.want_list("somebody doubts")
        await following.rest()
        world.check(A2)


# What Kopf gets.


@scenario
async def test_kopf_gets_the_list_and_then_each_event_after_the_informers_have_it():
    world = World([added(A1, B1), modified(A2)], transforms=[None, changed])
    async with world.follow(tap="all") as following:
        assert following.take() == []
        await following.feed(closing(21) + added(C1), bookmark(30), deleted(B2))
        assert following.take() == ["None a 11", "None b 12", "MODIFIED a 21", LISTED, "ADDED c 13", "DELETED b 22"]
    heard = []
    world.source.then(listed(A1), [])
    stop = asyncio.get_running_loop().create_future()
    async for each in world.reflector.run(stop, tap="all"):
        known = [fold.objects.keys() for fold in world.folds]
        assert known == [cached(informer).keys() for informer in world.informers]
        heard.append((each if each == LISTED else told(each), len(known[0])))
        if each == LISTED:
            world.source.stream.send(modified(A2), added(C1) + deleted(A3))
        if len(heard) == 5:
            stop.set_result(None)
    assert heard == [("None a 11", 1), (LISTED, 1), ("MODIFIED a 21", 1), ("ADDED c 13", 1), ("DELETED a 31", 1)]
    world.check_handlers()


@scenario
async def test_kopf_gets_a_list_in_pages_with_what_each_object_is():
    world = World(UNSUPPORTED, page(A1, version=20, continue_="x"), page(B1, version=20), [added(C1)])
    async with world.follow(tap="all") as following:
        bodies = [json.loads(each.raw) for each in following.heard if each != LISTED]
        assert bodies == [A1, B1, C1]
        assert following.take() == ["None a 11", "None b 12", LISTED, "ADDED c 13"]
        await following.fails(error(410), page(A2, version=40), [])
        assert following.take() == ["None a 21", LISTED]


@scenario
async def test_kopf_gets_a_list_at_the_start_of_each_run():
    world = World(listed(A1))
    for number in range(2):
        async with world.follow(tap="all") as following:
            assert following.take() == ["None a 11", LISTED]
            assert world.source.take() == ["watch None"]
        if number == 0:
            world.source.then(listed(A1))


@scenario
async def test_kopf_gets_nothing_of_a_list_that_breaks():
    world = World([added(A1), BROKEN], [added(A1, B1), error(500)], page(B1, version=20), [])
    async with world.follow(tap="all") as following:
        assert following.take() == ["None b 12", LISTED]


@scenario
async def test_kopf_gets_nothing_that_it_could_not_read():
    items = [b"{}", b"null", b"[]", b'"text"', b"7", b'{"metadata":{"name":"\xff"}}']
    raw = page(A1, version=20)[:-2] + b"," + b",".join(items) + b"]}"
    world = World(UNSUPPORTED, raw, [])
    async with world.follow(tap="all") as following:
        world.check(A1)
        assert [json.loads(each.raw) for each in following.heard if each != LISTED] == [A1]
        assert following.heard[-1] == LISTED


@scenario
async def test_who_wants_nothing_gets_nothing():
    world = World(UNSUPPORTED, page(A1, version=20), [added(B1)])
    async with world.follow() as following:
        world.check(A1, B1)
        assert following.heard == []


# Telling.


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def infos(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]


@scenario
async def test_the_first_list_is_told_in_one_line(caplog):
    caplog.set_level(logging.INFO, "workqueue")
    async with World(listed(A1, B1), namespace="default").follow():
        assert caplog.messages == ["informer pods in default: 2 objects listed as a stream in 0.00 s, watching"]
    caplog.clear()
    async with World(UNSUPPORTED, page(A1, version=20), []).follow():
        assert caplog.messages == ["informer pods: 1 objects listed in pages in 0.00 s, watching"]


@scenario
async def test_an_outage_that_is_mended_at_once_is_one_line(caplog):
    caplog.set_level(logging.INFO, "workqueue")
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        caplog.clear()
        await following.fails(BROKEN, page(version=20), [])
        assert caplog.messages == [
            "informer pods: live again after 0.00 s (the connection broke), watching on where it was"
        ]


@pytest.mark.parametrize("first", [BROKEN, error(500, "it says 500"), error(429)])
@pytest.mark.parametrize("good", [True, False])
@scenario
async def test_a_long_outage_is_one_warning_and_one_line_at_its_end(caplog, first, good):
    caplog.set_level(logging.INFO, "workqueue")
    world = World(listed(A1))
    async with world.follow() as following:
        if good:
            world.good_while()
        caplog.clear()
        await following.fails(first, *[BROKEN] * 6)
        assert len(warnings(caplog)) == 1
        world.clock.step(30)
        lists = world.source.asked[-1] != "list 1"
        await following.then(*([page(A2, version=30)] if lists else [page(version=20)]), [])
        assert world.reflector.is_live
        assert len(warnings(caplog)) == 1
        [line] = infos(caplog)
        assert "live again after 30.00 s" in line
        assert ("1 of 1 objects differed" in line) is lists


@scenario
async def test_each_state_is_told_when_it_is_so():
    world = World(refused(500), BROKEN, page(A1, version=20))
    async with world.follow() as following:
        assert world.take_states() == ["it says 500", "the connection broke", "live", "live"]
        await following.then([])
        assert world.take_states() == []
        world.good_while()
        await following.fails(BROKEN, Interrupted("no answer"), page(version=20), [])
        assert world.take_states() == ["the connection broke", "no answer", "live"]
        assert world.reflector.statistics().interruptions == 4
    assert world.take_states() == ["paused"]


@scenario
async def test_an_interruption_without_a_reason_is_one_all_the_same(never_settles):
    world = World(listed(A1))
    async with world.follow() as following:
        world.good_while()
        await following.fails(Interrupted(""))
        assert not world.reflector.is_live
        assert world.reflector.problem


# Pauses.


@scenario
async def test_what_fails_soon_or_again_waits_and_what_was_good_for_a_while_does_not():
    world = World(listed(A1))
    async with world.follow() as following:
        await following.fails(BROKEN, page(version=20), [])  # soon
        assert world.pauses.take() == [0.0]
        world.good_while()
        await following.fails(BROKEN, page(version=20), [])
        assert world.pauses.take() == []
        await following.fails(BROKEN, BROKEN, BROKEN, page(version=20), [])  # soon, and again
        assert world.pauses.take() == [0.0] * 3


@scenario
async def test_the_first_list_of_all_waits_when_nobody_answers():
    world = World(BROKEN, BROKEN, BROKEN, refused(403))
    async with world.follow() as following:
        assert world.source.take() == ["watch None", "watch None", "list 500", "list 500", "list 500"]
        assert world.pauses.take() == [0.0] * 4
        await following.then(page(A1, version=20), [])
        world.check(A1)


@scenario
async def test_lists_that_expire_one_after_the_other_wait():
    world = World(listed(A1))
    async with world.follow() as following:
        for _ in range(5):
            await following.fails(error(410), listed(A1))
        assert world.pauses.take() == [0.0] * 5
        world.check(A1)
