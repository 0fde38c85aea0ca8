"""A request says why its key was asked for since it was last handed out."""

import pytest

from tests.control.conftest import settle, until
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, LOW_PRIORITY, Origin, origin
from workqueue.control.reasons import Reasons

KEY = ObjectKey("default", "a")
UPDATE, DELETE = Origin("update"), Origin("delete")
RESYNC = Origin("resync", LOW_PRIORITY, news=False)


@pytest.fixture
def seen(runs, make):
    """``seen(controller)`` runs what is queued; the reasons of each run so far."""
    told = []
    answers = []

    def answer(request):
        told.append(set(request.reasons))
        return answers.pop(0) if answers else None

    runs.answer = answer
    controller = make(runs)

    def run():
        if not controller.statistics().started:
            controller.start()
        settle(controller)
        return told

    run.controller = controller
    run.answers = answers
    return run


def add(controller, *origins, key=KEY):
    for each in origins:
        with origin(each):
            controller.add(key)


@pytest.mark.parametrize("each", [INITIAL, UPDATE, DELETE, RESYNC], ids=lambda each: each.reason)
def test_the_reason_is_what_the_handler_was_told(seen, each):
    add(seen.controller, each)
    assert seen() == [{each.reason}]


def test_adds_that_were_merged_leave_all_their_reasons_each_once(seen):
    add(seen.controller, INITIAL, UPDATE, UPDATE, RESYNC, UPDATE, DELETE)
    assert seen() == [{"initial list", "update", "resync", "delete"}]


def test_an_add_by_hand_has_none(seen):
    seen.controller.add(KEY)
    assert seen() == [set()]


def test_an_add_by_hand_takes_none_away(seen):
    add(seen.controller, UPDATE)
    seen.controller.add(KEY)
    assert seen() == [{"update"}]


def test_they_are_of_one_run_and_not_of_the_next(seen):
    add(seen.controller, UPDATE)
    seen()
    add(seen.controller, DELETE)
    assert seen() == [{"update"}, {"delete"}]


def test_each_key_has_its_own(seen):
    add(seen.controller, UPDATE)
    add(seen.controller, DELETE, key=ObjectKey("default", "b"))
    assert seen() == [{"update"}, {"delete"}]


def test_a_retry_has_none_and_one_with_news_has_those(seen, clock):
    seen.answers[:] = [ValueError(), ValueError()]
    add(seen.controller, UPDATE)
    seen()
    clock.step(0.005)
    until(lambda: len(seen()) == 2)
    add(seen.controller, DELETE)
    until(lambda: len(seen()) == 3)
    assert seen() == [{"update"}, set(), {"delete"}]


def test_a_resync_of_a_key_that_fails_gives_its_retry_no_reason(seen, clock):
    seen.answers[:] = [ValueError()]
    add(seen.controller, UPDATE)
    seen()
    add(seen.controller, RESYNC)
    clock.step(0.005)
    until(lambda: len(seen()) == 2)
    assert seen() == [{"update"}, set()]


def test_an_add_during_a_run_is_the_reason_of_the_next_one(make, runs, gate):
    told = []

    def answer(request):
        told.append(set(request.reasons))
        gate(request)

    runs.answer = answer
    controller = make(runs)
    controller.start()
    add(controller, INITIAL)
    runs.wait(1)
    add(controller, UPDATE)
    gate.set()
    runs.wait(2)
    settle(controller)
    assert told == [{"initial list"}, {"update"}]


def test_what_is_kept_goes_with_the_keys():
    reasons = Reasons()
    for number in range(1000):
        reasons.add(ObjectKey("", str(number)), "update")
        reasons.add(ObjectKey("", str(number)), "delete")
    assert len({id(each) for each in reasons._reasons.values()}) == 1, "a set is kept once, however many keys have it"
    for number in range(1000):
        assert reasons.take(ObjectKey("", str(number))) == {"update", "delete"}
    assert reasons._reasons == {}
    assert len(reasons._unions) == 2
    assert reasons.take(KEY) == frozenset()
