"""How far a controller has come with what existed at its start: synced, all queued, each reconciled once."""

import contextlib
import random
import sys
import threading
import uuid

import pytest

from tests.control.conftest import PATIENCE, settle, until
from workqueue.base.errors import ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, origin
from workqueue.control import Result, TerminalError
from workqueue.control.initial import InitialKeys
from workqueue.informer import Notification
from workqueue.queues import PriorityQueue, Queue, RateLimitingQueue
from workqueue.testing import explore

A, B, C = (ObjectKey("default", name) for name in "abc")


@pytest.fixture
def tracker():
    return InitialKeys()


def run(tracker, key):
    """A whole run."""
    if tracker.awaits(key):
        tracker.finished(key)


def list_keys(controller, *keys):
    """As a handler adds them, while the informer tells it of the initial list."""
    with origin(INITIAL):
        for key in keys:
            controller.add(key)


def test_it_is_the_informers_word_for_the_initial_list():
    assert Notification("add", None, None, initial=True).origin == INITIAL


# The tracker alone.


def test_what_it_needed_for_many_keys_it_gives_back(tracker):
    for number in range(10_000):
        tracker.add(ObjectKey("n", str(number)))
    tracker.upstream_done()
    for number in range(10_000):
        run(tracker, ObjectKey("n", str(number)))
    assert tracker.through
    assert sys.getsizeof(tracker._left) < 1000


def test_the_states_follow_each_other(tracker):
    assert tracker.state(synced=False) == ("syncing", 0)
    tracker.add(A)
    tracker.add(B)
    assert tracker.state(synced=True) == ("synced", 2)
    tracker.upstream_done()
    assert tracker.state(synced=True) == ("queued", 2)
    run(tracker, A)
    assert tracker.state(synced=True) == ("queued", 1)
    assert not tracker.through
    run(tracker, B)
    assert tracker.state(synced=True) == ("processed", 0)
    assert tracker.through


def test_from_queued_on_a_cache_that_is_interrupted_changes_nothing(tracker):
    tracker.add(A)
    assert tracker.state(synced=True)[0] == "synced"
    assert tracker.state(synced=False)[0] == "syncing"
    tracker.upstream_done()
    assert tracker.state(synced=False)[0] == "queued"
    run(tracker, A)
    assert tracker.state(synced=False)[0] == "processed"


def test_where_nothing_existed_all_is_processed_as_soon_as_all_is_queued(tracker):
    tracker.upstream_done()
    assert tracker.state(synced=True) == ("processed", 0)


def test_all_runs_are_over_before_the_list_is(tracker):
    tracker.add(A)
    run(tracker, A)
    assert tracker.state(synced=True) == ("synced", 0)
    tracker.upstream_done()
    assert tracker.state(synced=True) == ("processed", 0)


def test_a_key_counts_once_however_often_it_is_added(tracker):
    for _ in range(3):
        tracker.add(A)
    assert tracker.state(synced=True)[1] == 1
    run(tracker, A)
    tracker.add(A)
    assert tracker.state(synced=True)[1] == 0, "it was through already"
    tracker.upstream_done()
    assert tracker.through


def test_a_run_that_began_before_its_key_was_noted_is_not_the_one(tracker):
    began = tracker.awaits(A)
    tracker.add(A)
    tracker.upstream_done()
    assert began is False
    assert tracker.state(synced=True) == ("queued", 1)
    run(tracker, A)
    assert tracker.through


def test_what_comes_after_the_list_is_not_of_it(tracker):
    tracker.add(A)
    tracker.upstream_done()
    tracker.add(B)
    assert tracker.state(synced=True) == ("queued", 1)
    run(tracker, A)
    tracker.add(C)
    tracker.upstream_done()
    assert tracker.state(synced=True) == ("processed", 0)


def test_who_asks_in_the_instant_in_which_the_last_run_ends_hears_of_it(tracker):
    class Held:
        def __enter__(self):
            tracker._lock = lock
            tracker.finished(A)

        def __exit__(self, *_):
            pass

    tracker.add(A)
    tracker.upstream_done()
    lock, tracker._lock = tracker._lock, Held()
    assert tracker.state(synced=True) == ("processed", 0)


def test_other_keys_are_not_its_business(tracker):
    tracker.add(A)
    tracker.upstream_done()
    run(tracker, B)
    assert tracker.state(synced=True) == ("queued", 1)


def test_once_all_are_through_it_takes_no_lock_and_holds_no_key(tracker):
    for key in (A, B):
        tracker.add(key)
        run(tracker, key)
    tracker.upstream_done()
    assert not tracker._left
    assert not tracker._processed
    tracker._lock = None
    tracker.add(C)
    assert tracker.awaits(A) is False


@pytest.mark.parametrize("seed", range(50))
def test_random_walks_agree_with_a_simple_model(tracker, seed):
    chance = random.Random(seed)
    keys = [ObjectKey("default", str(number)) for number in range(5)]
    noted, processed, running, done = set(), set(), {}, False
    for _ in range(200):
        key = chance.choice(keys)
        match chance.choice(["add", "begin", "end", "begin", "end", "done"]):
            case "add":
                tracker.add(key)
                noted |= {key} if not done else set()
            case "begin" if key not in running:
                running[key] = key in noted
                awaited = tracker.awaits(key)
                assert awaited == (key in noted and key not in processed)
            case "end" if key in running:
                if running.pop(key):
                    if key not in processed:
                        tracker.finished(key)
                    processed.add(key)
            case "done" if chance.random() < 0.1:
                tracker.upstream_done()
                done = True
        state = "synced" if not done else "queued" if noted - processed else "processed"
        assert tracker.state(synced=True) == (state, len(noted - processed))
        assert tracker.through == (state == "processed")


def test_in_every_order_of_a_list_a_user_and_two_workers_it_is_through_when_each_key_had_its_run_and_not_before():
    """Each run that is waited for begins after its key was noted, and at the end all are through."""

    def scenario(run):
        queue, tracker = Queue(clock=run.clock), InitialKeys()
        noted, proved = set(), set()

        def lister():
            for key in (A, B):
                tracker.add(key)
                noted.add(key)
                queue.add(key)
            tracker.upstream_done()
            assert proved == {A, B} or not tracker.through
            assert queue.shut_down_with_drain()

        def worker():
            with contextlib.suppress(ShutDown):
                while True:
                    key = queue.get()
                    awaited = tracker.awaits(key)
                    assert not awaited or key in noted
                    if awaited:
                        proved.add(key)
                        tracker.finished(key)
                    assert proved == {A, B} or not tracker.through
                    queue.done(key)

        run.thread(lister)
        run.thread(lambda: queue.add(A), name="user")
        run.threads(worker, count=2, name="worker")

        @run.afterwards
        def all_are_through():
            assert tracker.state(synced=True) == ("processed", 0)

    assert explore(scenario, preemptions=1).schedules > 1_000


# The controller.


def test_a_controller_goes_through_the_states(make, runs, gate):
    runs.answer = gate
    synced = threading.Event()
    controller = make(runs, synced=synced.is_set)
    list_keys(controller, A, B)
    assert controller.readiness == "syncing"
    synced.set()
    assert controller.readiness == "synced"
    controller.initial_keys_queued()
    controller.start()
    runs.wait(1)
    statistics = controller.statistics()
    assert (controller.readiness, statistics.readiness, statistics.initial_keys_left) == ("queued", "queued", 2)
    gate.set()
    until(lambda: controller.readiness == "processed")
    statistics = controller.statistics()
    assert (statistics.readiness, statistics.initial_keys_left, statistics.success) == ("processed", 0, 2)
    assert set(runs.keys) == {A, B}


@pytest.mark.parametrize(
    "answer",
    [
        ValueError("never well"),
        TerminalError("no use"),
        SystemExit(1),
        Result.requeue(),
        Result.requeue(after=9),
        "text",
    ],
    ids=repr,
)
def test_whatever_comes_of_the_first_run_it_counts_and_retries_are_not_waited_for(make, runs, answer):
    """The clock stands still: no retry ever comes."""
    runs.answer = answer
    controller = make(runs)
    list_keys(controller, A)
    controller.initial_keys_queued()
    controller.start()
    until(lambda: controller.readiness == "processed")
    assert len(runs) == 1


def test_keys_of_users_and_of_later_changes_are_not_waited_for(make, runs, gate):
    runs.answer = lambda request: None if request.key == A else gate(request)
    controller = make(runs, workers=2)
    controller.add(B)
    list_keys(controller, A)
    controller.initial_keys_queued()
    with origin(INITIAL):  # a handler that was added late
        controller.add(C)
    assert controller.statistics().initial_keys_left == 1
    controller.start()
    until(lambda: controller.readiness == "processed")
    assert controller.queue.statistics().processing > 0, "the others are not through"


def test_a_key_in_several_lists_counts_once(make, runs):
    controller = make(runs)
    for _ in range(3):
        list_keys(controller, A, "default/a", ("default", "a"))
    assert controller.statistics().initial_keys_left == 1


def test_the_run_that_was_under_way_when_the_list_named_its_key_is_not_the_one(make, runs, gate):
    runs.answer = gate
    controller = make(runs)
    controller.start()
    controller.add(A)
    runs.wait(1)
    list_keys(controller, A)
    controller.initial_keys_queued()
    runs.answer = last = type(gate)()
    gate.set()
    runs.wait(2)
    assert controller.readiness == "queued"
    last.set()
    until(lambda: controller.readiness == "processed")


def test_a_key_that_was_reconciled_before_its_add_returned_is_through(make, runs, clock):
    class Hasty(RateLimitingQueue):
        def add(self, key):
            super().add(key)
            settle(controller)

    controller = make(runs, queue=Hasty(clock=clock))
    controller.start()
    list_keys(controller, A)
    assert controller.statistics().initial_keys_left == 0
    controller.initial_keys_queued()
    assert controller.readiness == "processed"


def test_a_key_that_is_none_is_not_waited_for(make, runs):
    controller = make(runs)
    with pytest.raises(ValueError, match="is no key"):
        list_keys(controller, "a/b/c")
    controller.initial_keys_queued()
    assert controller.readiness == "processed"


def test_a_stop_makes_nothing_processed_and_says_how_many_keys_were_not_seen(make, runs, gate):
    runs.answer = gate
    controller = make(runs)
    list_keys(controller, A, B, C)
    controller.initial_keys_queued()
    controller.start()
    runs.wait(1)
    controller.stop(0)
    gate.set()
    until(lambda: not controller.statistics().active)
    assert (controller.readiness, controller.statistics().initial_keys_left) == ("queued", 2)


def test_a_key_that_came_after_the_stop_is_left(make, runs):
    controller = make(runs)
    controller.stop(0)
    list_keys(controller, A)
    controller.initial_keys_queued()
    assert (controller.readiness, controller.statistics().initial_keys_left) == ("queued", 1)


def test_a_drain_reconciles_the_initial_keys_as_well(make, runs):
    controller = make(runs)
    list_keys(controller, A, B, C)
    controller.initial_keys_queued()
    controller.start()
    assert controller.stop(PATIENCE)
    assert controller.readiness == "processed"


def test_a_key_that_never_got_to_its_run_is_left_until_it_does(make, runs, clock, monkeypatch):
    made, uuid4 = [], uuid.uuid4

    def broken():
        made.append(True)
        if len(made) == 1:
            raise OSError("no randomness today")
        return uuid4()

    monkeypatch.setattr(uuid, "uuid4", broken)
    controller = make(runs)
    list_keys(controller, A)
    controller.initial_keys_queued()
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    assert controller.readiness == "queued"
    clock.wait_for_waiters(1)
    clock.step(1)
    until(lambda: controller.readiness == "processed")


def test_a_key_that_was_taken_back_is_left_until_something_adds_it(make, runs, clock):
    controller = make(runs, queue=PriorityQueue(clock=clock))
    list_keys(controller, A)
    controller.initial_keys_queued()
    controller.queue.cancel(A)
    controller.start()
    settle(controller)
    assert controller.readiness == "queued"
    controller.add(A)
    until(lambda: controller.readiness == "processed")


@pytest.mark.parametrize("seed", range(5))
def test_with_many_threads_it_is_processed_exactly_when_each_initial_key_had_a_run_after_it_was_listed(
    make, clock, hectic, seed
):
    """Lists of several informers overlap, users add the same keys, and runs end in all ways there are."""
    keys = [ObjectKey("default", str(number)) for number in range(300)]
    listed, served, lock = set(), set(), threading.Lock()

    def reconcile(request):
        with lock:
            if request.key in listed:
                served.add(request.key)
        return chance.choice([lambda: None, Result.requeue, lambda: Result.requeue(after=5), fail])()

    def fail():
        raise TerminalError("as it happens")

    def list_some(mine):
        for key in mine:
            with lock:
                listed.add(key)
            list_keys(controller, key)

    def use(mine):
        for key in mine:
            controller.add(key)

    chance = random.Random(seed)
    controller = make(reconcile, workers=4)
    jobs = [(job, chance.choices(keys, k=200)) for job in (list_some, list_some, list_some, use, use)]
    threads = [threading.Thread(target=job, args=(mine,)) for job, mine in jobs]
    for thread in threads[:2]:
        thread.start()
    controller.start()
    for thread in threads[2:]:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    expected = {key for job, mine in jobs if job is list_some for key in mine}
    assert listed == expected
    assert controller.readiness == "synced"
    controller.initial_keys_queued()
    until(lambda: controller.readiness == "processed")
    assert served == expected
    assert controller.statistics().initial_keys_left == 0


def test_afterwards_an_add_and_a_run_cost_no_lock_of_it(make, runs):
    controller = make(runs)
    controller.initial_keys_queued()
    controller._books.initial._lock = None
    controller.start()
    list_keys(controller, A)
    settle(controller)
    assert len(runs) == 1
