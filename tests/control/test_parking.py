"""A key that was given up is kept aside, seen, and comes back only for something new or by hand."""

import pytest

from tests.control.conftest import settle, until
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, Origin, origin
from workqueue.control import ParkedKey, TerminalError, Verdict
from workqueue.control import parking as room
from workqueue.control.parking import Parking
from workqueue.queues import RateLimitingQueue

KEY = ObjectKey("default", "a")
RESYNC = Origin("resync", -100, news=False)
UPDATE, DELETE = Origin("update"), Origin("delete")


@pytest.fixture
def parked(make, runs, clock):
    """A controller that has given KEY up, after 11 runs."""
    runs.answer = lambda request: RuntimeError("no luck") if request.key == KEY else None
    controller = make(runs, max_retries=10)
    controller.start()
    controller.add(KEY)
    fail_to_the_end(controller, clock)
    return controller


def fail_to_the_end(controller, clock):
    given_up = controller.statistics().given_up
    while controller.statistics().given_up == given_up:
        settle(controller)
        if controller.queue.statistics().delayed:
            clock.step(1000)
    settle(controller)


def add_as(controller, why, key=KEY):
    with origin(why):
        controller.add(key)


def test_after_10_retries_which_are_11_runs_a_key_is_parked_and_told_with_its_error(parked, runs, clock):
    assert len(runs) == 11
    assert parked.parked() == [ParkedKey(KEY, "RuntimeError('no luck')", 11, runs.instants[-1])]
    assert parked.statistics().parked == parked.statistics().given_up == 1
    assert parked.queue.num_requeues(KEY) == 0


@pytest.mark.parametrize("why", [RESYNC, INITIAL])
def test_nothing_new_leaves_it_parked(parked, runs, why):
    for _ in range(3):
        add_as(parked, why)
    settle(parked)
    assert len(runs) == 11
    assert parked.statistics().parked == 1


@pytest.mark.parametrize("why", [UPDATE, DELETE, Origin()], ids=["update", "deletion", "by hand"])
def test_news_or_a_hand_brings_it_back_with_all_its_retries(parked, runs, clock, why):
    add_as(parked, why)
    runs.wait(12)
    assert runs.retries[11] == 0
    fail_to_the_end(parked, clock)
    assert len(runs) == 22
    assert [each.runs for each in parked.parked()] == [11]


def test_a_key_that_runs_is_not_parked_whatever_made_it_run(parked, runs):
    runs.answer = lambda request: seen.append(parked.parked())
    seen = []
    parked.queue.add(KEY)
    runs.wait(12)
    settle(parked)
    assert seen == [[]]
    assert parked.statistics().parked == 0


@pytest.mark.parametrize("why", [RESYNC, INITIAL])
def test_nothing_new_during_the_last_run_does_not_save_it(make, runs, clock, gate, why):
    runs.answer = lambda request: gate(request) or RuntimeError()
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    add_as(controller, why)
    gate.set()
    until(lambda: controller.statistics().given_up == 1)
    settle(controller)
    assert (len(runs), controller.statistics().parked) == (1, 1)


def test_news_during_the_last_run_makes_another_and_parks_only_after_that(make, runs, clock, gate):
    runs.answer = lambda request: gate(request) or RuntimeError()
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    add_as(controller, UPDATE)
    gate.set()
    runs.wait(2)
    until(lambda: controller.statistics().given_up == 1)
    settle(controller)
    assert (len(runs), controller.statistics().error, controller.statistics().parked) == (2, 2, 1)


def test_a_key_that_had_news_during_its_last_run_waits_for_the_next_and_is_not_parked(make, runs, gate, caplog):
    runs.answer = lambda request: gate(request) or RuntimeError()
    controller = make(runs, max_retries=0)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    controller.pause()
    add_as(controller, UPDATE)
    gate.set()
    until(lambda: controller.statistics().error == 1)
    until(lambda: controller.queue.statistics().processing == 0)
    assert (controller.parked(), controller.queue.statistics().ready) == ([], 1)
    assert controller.statistics().given_up == 0
    assert "default/a starts anew, as there is news of it, after 1 runs: " in caplog.text


def test_nothing_new_leaves_a_key_to_its_retry_and_news_does_not_wait_for_it(make, runs, clock):
    runs.answer = RuntimeError()
    controller = make(runs, max_retries=10)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().error == 1)
    settle(controller)
    add_as(controller, RESYNC)
    settle(controller)
    assert len(runs) == 1
    add_as(controller, UPDATE)
    runs.wait(2)
    assert clock.now() == 0.0


def test_a_terminal_error_forgets_and_parks_nothing(make, runs, clock):
    answers = [RuntimeError(), TerminalError("no"), RuntimeError()]
    runs.answer = lambda _: answers.pop(0)
    controller = make(runs, max_retries=1)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    clock.step(1)
    until(lambda: controller.statistics().terminal == 1)
    settle(controller)
    assert (controller.parked(), controller.queue.num_requeues(KEY)) == ([], 0)
    add_as(controller, RESYNC)
    runs.wait(3)
    assert runs.retries == [0, 1, 0]


def test_an_initial_key_that_is_parked_is_not_waited_for(parked):
    add_as(parked, INITIAL)
    parked.initial_keys_queued()
    assert parked.readiness == "processed"


def test_a_retry_that_an_error_asks_for_itself_counts_as_one(make, runs, clock):
    runs.answer = RuntimeError()
    controller = make(runs, max_retries=2, judge=lambda error: Verdict(after=30))
    controller.start()
    controller.add(KEY)
    for count in (1, 2):
        until(lambda wanted=count: controller.statistics().error == wanted)
        settle(controller)
        clock.step(29.9)
        assert controller.queue.statistics().delayed == 1
        clock.step(0.1)
    until(lambda: controller.statistics().given_up == 1)
    assert runs.instants == [0.0, 30.0, 60.0]
    assert controller.queue.num_requeues(KEY) == 0, "the limiter was not asked"


def test_a_limiter_that_raises_when_a_key_is_given_up_does_not_keep_it_from_being_parked(make, runs, clock):
    class Limiter:
        def when(self, key):
            return 1.0

        def forget(self, key):
            raise OSError("it does not forget")

        def num_requeues(self, key):
            return 0

    runs.answer = RuntimeError()
    controller = make(runs, max_retries=0, queue=RateLimitingQueue(clock=clock, rate_limiter=Limiter()))
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    assert [each.key for each in controller.parked()] == [KEY]


# The room itself.


def test_parked_keys_are_told_the_latest_first_and_not_more_than_asked_for():
    parking = Parking()
    for number in range(5):
        parking.park(ObjectKey("", str(number)), error="no", runs=number, now=float(number))
    assert [each.key.name for each in parking.keys(limit=3)] == ["4", "3", "2"]
    parking.park(ObjectKey("", "0"), error="again", runs=9, now=9.0)
    assert [each.key.name for each in parking.keys(limit=100)] == ["0", "4", "3", "2", "1"]
    assert len(parking) == 5


def test_of_many_the_first_are_let_go_and_only_the_latest_keep_their_text(monkeypatch):
    monkeypatch.setattr(room, "MOST", 10)
    monkeypatch.setattr(room, "TOLD", 3)
    parking = Parking()
    for number in range(15):
        parking.park(ObjectKey("", str(number)), error=f"error {number}", runs=1, now=0.0)
    told = parking.keys(limit=100)
    assert [each.key.name for each in told] == [str(number) for number in range(14, 4, -1)]
    assert [each.error for each in told] == ["error 14", "error 13", "error 12"] + [""] * 7
    assert parking.admits(ObjectKey("", "0"), news=False)
    assert not parking.admits(ObjectKey("", "5"), news=False)
    assert parking.release(ObjectKey("", "14"))
    assert not parking.release(ObjectKey("", "14"))
    assert len(parking) == 9


def test_the_text_of_an_error_is_one_line_and_not_long():
    parking = Parking()
    parking.park(KEY, error="two\nlines \x1b[31m" + "x" * 10_000, runs=1, now=0.0)
    [told] = parking.keys(limit=1)
    assert told.error.startswith("two lines [31mx")
    assert len(told.error) <= room.LENGTH + 1


def test_a_last_run_that_was_never_settled_is_followed_by_one_that_is(make, runs, clock, gate):
    """A judge fails in the middle of its fate, and there was news of it meanwhile."""
    broken = [SystemExit("no verdict")]
    runs.answer = lambda request: gate(request) or RuntimeError("no luck")

    def judge(error):
        if broken:
            raise broken.pop()

    controller = make(runs, max_retries=0, judge=judge)
    controller.start()
    controller.add(KEY)
    runs.wait(1)
    add_as(controller, UPDATE)
    gate.set()
    until(lambda: controller.statistics().restarts == 1)
    until(lambda: clock.step(0.1) or controller.statistics().parked == 1)


def test_what_was_noted_of_a_last_run_is_gone_when_it_has_ended():
    parking = Parking()
    parking.last_run(KEY)
    assert not parking.admits(KEY, news=False)
    assert parking.admits(KEY, news=True)
    parking.run_ended(KEY)
    assert parking.admits(KEY, news=False)
    assert parking.park(KEY, error="", runs=1, now=0.0)


@pytest.mark.parametrize("limit", ["x", -1, True, 2.0, None])
def test_a_limit_that_is_no_number_of_keys_is_refused_in_a_line(make, runs, limit):
    controller = make(runs)
    with pytest.raises(ConfigurationError) as caught:
        controller.parked(limit=limit)
    assert str(caught.value) == f"parked(limit={limit!r}): expected a whole number, 0 or more"
    assert controller.parked(limit=0) == []
