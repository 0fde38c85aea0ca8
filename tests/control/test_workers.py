"""A controller has exactly as many threads as it was told, and no key is in two of them at once."""

import sys
import threading

import pytest

from tests.control.conftest import PATIENCE, alive, settle
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller
from workqueue.queues import RateLimitingQueue


@pytest.mark.parametrize("workers", [1, 4])
def test_there_are_exactly_as_many_threads_as_workers_from_start_to_stop_however_many_keys_wait(
    make, runs, gate, workers
):
    runs.answer = gate
    controller = make(runs, workers=workers)
    keys = [ObjectKey("default", f"pod-{number}") for number in range(10_000)]
    for key in keys:
        controller.add(key)
    assert alive() == []
    assert controller.statistics().workers == 0

    controller.start()
    runs.wait(workers)
    expected = [f"workqueue-pods-{number}" for number in range(workers)]
    assert alive() == expected
    assert controller.statistics().workers == controller.statistics().active == workers
    assert len(controller.queue) == 10_000 - workers

    gate.set()
    runs.wait(10_000)
    assert alive() == expected
    assert controller.stop(PATIENCE)
    assert alive() == []
    assert controller.statistics().workers == controller.statistics().active == 0
    assert sorted(runs.keys) == sorted(keys)
    assert {thread.name for thread in runs.threads} == set(expected)


def test_one_worker_takes_keys_in_the_order_in_which_they_were_added(make, runs):
    controller = make(runs)
    for name in "cab":
        controller.add(name)
    controller.start()
    settle(controller)
    assert [key.name for key in runs.keys] == ["c", "a", "b"]


def test_two_controllers_have_threads_of_their_own_names(make, runs, gate, clock):
    first = make(runs, workers=2)
    second = Controller("jobs", runs, queue=RateLimitingQueue(clock=clock), clock=clock)
    first.start()
    second.start()
    try:
        assert alive() == ["workqueue-jobs-0", "workqueue-pods-0", "workqueue-pods-1"]
    finally:
        second.stop(0)


def test_a_key_is_never_run_twice_at_once_and_no_change_is_lost(make):
    """Eight workers, one key, two threads that change it: each run sees all changes made before it began."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    changes, seen, at_once = [0, 0], [], []
    running = threading.Lock()

    def reconcile(request):
        if not running.acquire(blocking=False):
            at_once.append(request.key)
            return
        seen.append(tuple(changes))
        running.release()

    controller = make(reconcile, workers=8)
    controller.start()

    def change(number):
        for _ in range(500):
            changes[number] += 1
            controller.add("default/one")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(2)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        settle(controller)
    finally:
        sys.setswitchinterval(before)
    assert at_once == []
    assert seen[-1] == (500, 500)


def test_add_takes_a_key_a_pair_and_their_text(make, runs):
    controller = make(runs)
    controller.add(ObjectKey("default", "a"))
    controller.add(("default", "a"))
    controller.add("default/a")
    controller.add("node")
    controller.start()
    settle(controller)
    assert runs.keys == [ObjectKey("default", "a"), ObjectKey("", "node")]


@pytest.mark.parametrize("wrong", ["", "/a", "a/b/c", ("a", ""), 42, None])
def test_add_refuses_what_names_no_object(make, runs, wrong):
    controller = make(runs)
    with pytest.raises(ValueError, match="is no key"):
        controller.add(wrong)
    assert len(controller.queue) == 0


@pytest.mark.parametrize("workers", [1, 5])
def test_five_workers_hold_five_keys_at_once_and_one_holds_one(make, runs, gate, workers):
    runs.answer = gate
    controller = make(runs, workers=workers)
    for number in range(20):
        controller.add(("default", f"pod-{number}"))
    controller.start()
    runs.wait(workers)
    assert controller.queue.statistics().processing == workers
    gate.set()
    runs.wait(20)
