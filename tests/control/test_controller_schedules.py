"""A small controller under every schedule of a few threads: workers, a producer, and one who interferes.

Whatever the order: no key in two hands, a run after the last change of each key, as many workers as wanted, and a stop
that returns.
"""

import logging
import math
import os
import threading
import time
from collections import Counter

import pytest

from workqueue.base.keys import ObjectKey
from workqueue.control import Controller
from workqueue.control.pool import Pool
from workqueue.queues import PriorityQueue, RateLimitingQueue
from workqueue.testing import ScheduleFailed, explore, explore_random

#: Beyond the preemptions that a test asks for.
MORE = int(os.environ.get("WORKQUEUE_MORE_PREEMPTIONS", "0"))

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """What a controller says is not looked at here, and thousands of runs say much."""
    monkeypatch.setattr(logging.getLogger("workqueue.control"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("workqueue.queues"), "disabled", True)


pytestmark = pytest.mark.schedules


@pytest.fixture(params=[PriorityQueue, RateLimitingQueue])
def queue_class(request):
    return request.param


class Scene:
    """A controller, what was asked of it, and what it did. One for each run; needs no lock."""

    def __init__(self, run, queue_class, *, workers=2, sabotage=None, reconcile=None, **options):
        self.clock = run.clock
        self.reconcile = reconcile
        self.changed, self.seen, self.begun = Counter(), Counter(), Counter()
        #: When the run of each key in hands began.
        self.in_hands = {}
        #: Runs at once that had time left, at most.
        self.most = 0
        self.timeout = options.get("timeout", math.inf)
        queue = queue_class(clock=run.clock)
        self.controller = Controller("pods", self, queue=queue, workers=workers, clock=run.clock, **options)
        if sabotage is not None:
            sabotage(self.controller)

    def __call__(self, request):
        key = request.key
        assert key not in self.in_hands, f"{key} is in two hands"
        now = self.clock.now()
        self.in_hands[key] = now
        self.most = max(self.most, sum(now < began + self.timeout for began in self.in_hands.values()))
        self.seen[key] = self.changed[key]
        self.begun[key] += 1
        try:
            return self.reconcile(request) if self.reconcile is not None else None
        finally:
            del self.in_hands[key]

    def change(self, *keys):
        for key in keys:
            self.changed[key] += 1
            self.controller.add(key)

    def idle(self):
        queue = self.controller.queue.statistics()
        return not (queue.depth or queue.processing or queue.delayed)

    def check(self, *, workers=0):
        statistics = self.controller.statistics()
        assert self.seen == self.changed, "no run began after the last change"
        assert statistics.restarts == 0, "a worker's own loop has failed"
        assert statistics.workers == workers
        self.controller.queue._check()


def later(scene, then):
    """Virtual seconds later, when everybody has done what there was to do."""
    time.sleep(60)
    then(scene)


def stopped(scene, *, drained=True):
    assert scene.controller.stop(20.0) is drained


# A stop.


def drained_amid_work(queue_class, sabotage=None):
    def scenario(run):
        scene = Scene(run, queue_class, sabotage=sabotage)
        scene.change(A)
        scene.controller.start()
        run.thread(lambda: (scene.change(A), scene.change(B), stopped(scene)), name="end")
        run.afterwards(scene.check)

    return scenario


def test_a_stop_amid_work_loses_nothing_that_was_added_before(queue_class):
    report = explore(drained_amid_work(queue_class), preemptions=1 + MORE)
    assert report.schedules > 100


def test_two_stops_at_once_both_return(queue_class):
    def scenario(run):
        scene = Scene(run, queue_class, workers=1)
        scene.change(A)
        scene.controller.start()
        run.threads(lambda: stopped(scene), count=2, name="end")
        run.afterwards(scene.check)

    assert explore(scenario, preemptions=1 + MORE).schedules > 50


# Resizing.


def resized(run, sabotage=None):
    """A pool whose workers wait for what never comes."""
    changed = threading.Condition()

    def work(worker):
        while True:
            with changed:
                while not pool.may_not_take(worker):
                    changed.wait()
            if not pool.stays(worker):
                return

    def wake():
        with changed:
            changed.notify_all()

    pool = Pool("pods", size=2, max_replacements=None, wake=wake, went_home=lambda: None)
    if sabotage is not None:
        sabotage(pool)
    pool.start(work)
    run.thread(lambda: pool.resize(1), name="down")
    run.thread(lambda: pool.resize(2), name="up")

    @run.thread
    def end():
        time.sleep(60)
        assert pool.alive() == pool.size, "as many as wanted"
        pool.close()


def test_after_a_resize_down_and_one_up_there_are_as_many_workers_as_wanted():
    explore_random(resized, seed=1, runs=500)


def replaced(run, sizes, sabotage=None):
    """Two workers are stuck, of whom one may be replaced; then both end, one after the other, amid resizes."""
    changed = threading.Condition()
    hands, ended = [], []

    def work(worker):
        with changed:
            if len(hands) < 2:
                hands.append(worker)
                changed.notify_all()
                while worker not in ended:
                    changed.wait()
        if worker in hands:
            pool.returned(worker)
        while True:
            with changed:
                while not pool.may_not_take(worker):
                    changed.wait()
            if not pool.stays(worker):
                return

    def wake():
        with changed:
            changed.notify_all()

    pool = Pool("pods", size=2, max_replacements=1, wake=wake, went_home=lambda: None)
    if sabotage is not None:
        sabotage(pool)
    pool.start(work)

    def end(worker):
        with changed:
            ended.append(worker)
            changed.notify_all()

    def resize(size):
        time.sleep(10)
        pool.resize(size)

    for size in sizes:
        run.thread(lambda size=size: resize(size), name=f"to {size}")

    @run.thread
    def watch():
        with changed:
            while len(hands) < 2:
                changed.wait()
        first, second = hands
        assert (pool.replace(first), pool.replace(second)) == ("taken", "lost")
        time.sleep(10)
        end(first)
        time.sleep(60)
        assert second.place != "lost", "the place of the one that has ended is free"
        assert pool.alive() == pool.size
        end(second)
        time.sleep(60)
        assert pool.alive() == pool.size, "as many as wanted"
        assert len(pool.threads()) == pool.size
        pool.close()


@pytest.mark.parametrize("sizes", [(), (3,), (1, 2), (1, 3)])
def test_places_of_stuck_workers_are_given_away_amid_resizes(sizes):
    explore_random(lambda run: replaced(run, sizes), seed=1, runs=500)


def test_a_resize_amid_a_stop_loses_nothing_and_holds_nothing(queue_class):
    def scenario(run):
        scene = Scene(run, queue_class, workers=1)
        scene.change(A, B)
        scene.controller.start()
        run.thread(lambda: (scene.controller.resize(2), scene.controller.resize(1)), name="resize")
        run.thread(lambda: stopped(scene), name="end")
        run.afterwards(scene.check)

    assert explore(scenario, preemptions=1 + MORE).schedules > 100


# Pausing.


def test_a_pause_and_a_resume_amid_work_lose_nothing(queue_class):
    def scenario(run):
        scene = Scene(run, queue_class, workers=1)
        scene.controller.start()
        run.thread(lambda: scene.change(A), name="producer")

        @run.thread
        def interfere():
            scene.controller.pause()
            scene.controller.resume()
            later(scene, stopped)

        run.afterwards(scene.check)

    assert explore(scenario, preemptions=1 + MORE).schedules > 100


def test_a_pause_amid_a_stop_does_not_hold_it_to_the_end_of_its_grace(queue_class):
    def scenario(run):
        scene = Scene(run, queue_class, workers=1)
        scene.change(A, B)
        scene.controller.start()
        run.thread(scene.controller.pause)

        @run.thread
        def end():
            scene.controller.stop(20.0)
            assert run.clock.now() < 1020.0, "nobody is there who would resume"

        @run.afterwards
        def check():
            assert scene.controller.statistics().workers == 0
            outcomes.add(scene.seen == scene.changed)

    outcomes = set()
    assert explore(scenario, preemptions=1 + MORE).schedules > 50
    assert outcomes == {True, False}


def test_a_stop_of_a_paused_controller_does_not_wait_for_what_is_queued(queue_class):
    def scenario(run):
        scene = Scene(run, queue_class, workers=2)
        scene.controller.pause()
        scene.controller.start()
        scene.change(A)

        @run.thread
        def end():
            stopped(scene, drained=False)
            assert run.clock.now() < 1020.0

        @run.afterwards
        def check():
            assert not scene.begun
            assert scene.controller.statistics().workers == 0

    assert explore(scenario, preemptions=1 + MORE).schedules > 20


# Time limits.


def late(queue_class, sabotage=None, *, seconds=10.0, timeout=10.0):
    """A run ends at the very instant at which its time is over: in time or not, but one or the other."""

    def reconcile(request):
        time.sleep(seconds if request.key == A and request.retry == 0 else 1.0)

    def scenario(run):
        scene = Scene(run, queue_class, sabotage=sabotage, reconcile=reconcile, workers=1, timeout=timeout)
        scene.change(A)
        scene.controller.start()

        @run.thread
        def end():
            time.sleep(5)
            scene.change(B)
            time.sleep(60)
            statistics = scene.controller.statistics()
            assert scene.idle()
            assert statistics.stuck == ()
            assert (statistics.workers, statistics.lost, statistics.active) == (1, 0, 0)
            assert statistics.error == statistics.timeout == scene.begun[A] - 1
            assert statistics.success == 2
            assert scene.most == 1, "one worker"
            met.add((statistics.timeout, statistics.replaced))
            scene.controller.stop(20.0)

        run.afterwards(scene.check)

    met = set()
    return scenario, met


def test_a_run_that_ends_at_the_end_of_its_time_has_one_outcome(queue_class):
    scenario, met = late(queue_class)
    explore_random(scenario, seed=1, runs=300)
    assert met == {(0, 0), (1, 0)}


def test_a_run_that_ends_late_leaves_no_worker_too_many_and_none_too_few(queue_class):
    scenario, met = late(queue_class, seconds=15.0)
    explore_random(scenario, seed=1, runs=300)
    assert met == {(1, 1)}
    scenario, met = late(queue_class, seconds=11.0)
    explore_random(scenario, seed=1, runs=300)
    assert met == {(1, 0), (1, 1)}


def test_a_stop_while_a_run_is_stuck_does_not_wait_for_it(queue_class):
    def reconcile(request):
        time.sleep(1000)

    def scenario(run):
        scene = Scene(run, queue_class, reconcile=reconcile, workers=1, timeout=10.0)
        scene.change(A)
        scene.controller.start()

        @run.thread
        def end():
            time.sleep(10)
            stopped(scene, drained=False)
            assert run.clock.now() <= 1012.0, "until it is stuck, and the join"
            assert len(scene.controller.left()) == 1

    assert explore(scenario, preemptions=1 + MORE).schedules > 20


# More, and by chance.


def test_a_stop_and_a_time_limit_in_all_schedules(queue_class):
    cases = {
        "stop": drained_amid_work(queue_class),
        "at the end of its time": late(queue_class)[0],
        "when it is about to be stuck": late(queue_class, seconds=11.0)[0],
        "late": late(queue_class, seconds=15.0)[0],
    }
    for name, scenario in cases.items():
        print(f"\n{queue_class.__name__}, {name}: {explore(scenario, preemptions=1 + MORE)}")


@pytest.mark.parametrize("seed", [1, 2])
def test_all_of_it_at_once_in_random_schedules(queue_class, seed):
    def reconcile(request):
        if request.key == A and request.retry == 0:
            time.sleep(2.0)

    def scenario(run):
        scene = Scene(run, queue_class, reconcile=reconcile, timeout=1.0, max_retries=3)
        scene.controller.start()
        run.thread(lambda: (scene.change(A), time.sleep(1.0), scene.change(B, A)), name="producer")
        run.thread(lambda: [scene.controller.resize(size) for size in (1, 3, 2)], name="resize")
        run.thread(lambda: (scene.controller.pause(), scene.controller.resume()), name="pause")

        @run.thread
        def end():
            time.sleep(100)
            assert scene.idle()
            assert scene.controller.statistics().workers == 2
            scene.controller.stop(20.0)

        run.afterwards(scene.check)

    print(explore_random(scenario, seed=seed, runs=150))


# That bugs would be found.


def without_waiting_for_the_watch(controller):
    """A run may end while the watch is at it."""
    runs = controller._runs

    def end(run):
        with runs._lock:
            for each in (runs._runs, runs._timed, runs._ending):
                each.pop(run, None)
            return run.failed_at is None

    runs.end = end


def without_farewell(pool):
    """A worker that goes home may be asked to stay, though it will not."""
    plain = pool.stays

    def stays(worker):
        staying = plain(worker)
        worker.gone = False
        return staying

    pool.stays = stays


def without_looking_for_lost_places(pool):
    """A worker goes home, and nobody looks whether another that is stuck may be replaced now."""
    plain = pool._replace_locked

    def replace_locked():
        if threading.current_thread().name == "watch":
            plain()

    pool._replace_locked = replace_locked


def test_a_lost_place_that_nobody_gives_away_would_be_found():
    with pytest.raises(ScheduleFailed, match="the place of the one that has ended is free"):
        explore_random(lambda run: replaced(run, (3,), without_looking_for_lost_places), seed=1, runs=500)


def test_a_worker_that_is_asked_to_stay_when_it_has_gone_would_be_found():
    with pytest.raises(ScheduleFailed, match="as many as wanted"):
        explore_random(lambda run: resized(run, without_farewell), seed=1, runs=500)


def test_a_run_that_ends_while_the_watch_is_at_it_would_be_found(queue_class):
    with pytest.raises(ScheduleFailed):
        explore_random(late(queue_class, without_waiting_for_the_watch, seconds=11.0)[0], seed=1, runs=5000)
