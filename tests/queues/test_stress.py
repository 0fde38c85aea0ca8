"""Many real threads on one priority queue, switched as often as the interpreter can, with and without its options."""

import random
import threading
import time
from collections import Counter

import pytest

from workqueue.queues import Debounce, ItemExponentialFailureRateLimiter, PriorityQueue, ShutDown

from .conftest import PATIENCE

PRODUCERS, WORKERS, CANCELLERS = 6, 8, 2
KEYS, TAKEN_BACK = range(40), range(100, 110)

OPTIONS = {
    "plain": {},
    "ageing": {"max_starvation": 0.002},
    "fairness": {"fairness": lambda key: key % 5},
    "steady": {"backoff": "steady"},
    "debounce": {"debounce": Debounce(0.0005, 0.002)},
}
OPTIONS["everything"] = {name: value for options in OPTIONS.values() for name, value in options.items()}
NOT_GATHERED = {name: options for name, options in OPTIONS.items() if "debounce" not in options}


class Crowd:
    """Who produces, works, and takes back; and what they saw."""

    def __init__(self, queue, background):
        self.queue = queue
        self.seed = random.randrange(2**32)
        print("seed", self.seed)
        self.lock = threading.Lock()
        self.caught_up = threading.Condition(self.lock)
        self.changed = Counter()  # what each key should be at
        self.handled = Counter()  # what each key was at when its last run began
        self.held = Counter()
        self.certain = {}  # what each key was at when it was added for certain before any shutdown
        self.stop = threading.Event()
        self.workers = [background(self.work, number) for number in range(WORKERS)]
        self.cancellers = [background(self.take_back, number) for number in range(CANCELLERS)]
        self.producers = [background(self.produce, number) for number in range(PRODUCERS)]

    def produce(self, number):
        luck = random.Random(self.seed + number)
        for _ in range(300):
            if self.stop.is_set():
                return
            key = luck.choice(KEYS)
            with self.lock:
                self.changed[key] += 1
                at = self.changed[key]
            luck.choice(
                [
                    self.queue.add,
                    lambda key: self.queue.add_with(key, priority=luck.randrange(-3, 3)),
                    lambda key: self.queue.add_with(key, KEYS[0], KEYS[1]),
                    lambda key: self.queue.add_after(key, luck.random() / 500 - 0.001),
                ]
            )(key)
            self.queue.add(key)
            if not self.queue.shutting_down:
                with self.lock:
                    self.certain[key] = max(at, self.certain.get(key, 0))

    def take_back(self, number):
        luck = random.Random(-1 - self.seed - number)
        for _ in range(300):
            key = luck.choice(TAKEN_BACK)
            luck.choice([self.queue.add, self.queue.add_rate_limited])(key)
            self.queue.cancel(key)

    def work(self, number):
        luck = random.Random(self.seed + 1_000 + number)
        while True:
            try:
                key = self.queue.get() if luck.random() < 0.5 else self.queue.get_with_priority(timeout=PATIENCE)[0]
            except ShutDown:
                return
            with self.lock:
                self.held[key] += 1
                assert self.held[key] == 1, "a key is in two hands"
                seen = self.changed[key]
            if luck.random() < 0.1:
                self.queue._check()
            fails = luck.random() < 0.3
            with self.lock:
                self.held[key] -= 1
                self.handled[key] = seen
                self.caught_up.notify_all()
            if fails:
                self.queue.add_rate_limited(key)
            else:
                self.queue.forget(key)
            self.queue.done(key)

    def is_caught_up(self):
        return all(self.handled[key] == self.changed[key] for key in KEYS)


def make(options):
    return PriorityQueue(rate_limiter=ItemExponentialFailureRateLimiter(0.0001, 0.001), **options)


def is_over(queue):
    queue._check()
    statistics = queue.statistics()
    return (statistics.depth, statistics.processing, statistics.delayed, queue._getters, queue._woken) == (0,) * 5


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_each_add_is_followed_by_a_run_that_began_after_it_and_no_key_is_in_two_hands(options, background, hectic):
    queue = make(options)
    crowd = Crowd(queue, background)
    for future in (*crowd.producers, *crowd.cancellers):
        future.result(PATIENCE)
    with crowd.caught_up:
        assert crowd.caught_up.wait_for(crowd.is_caught_up, PATIENCE), "a change was never handled"
    assert queue.shut_down_with_drain(PATIENCE) is True
    for worker in crowd.workers:
        worker.result(PATIENCE)
    assert is_over(queue)


@pytest.mark.parametrize("drain", [True, False], ids=["drain", "shut_down"])
@pytest.mark.parametrize("options", NOT_GATHERED.values(), ids=NOT_GATHERED)
def test_a_shutdown_in_the_middle_loses_no_add_that_came_before_it(options, background, hectic, drain):
    queue = make(options)
    crowd = Crowd(queue, background)
    time.sleep(random.Random(crowd.seed).random() * 0.1)
    if drain:
        assert queue.shut_down_with_drain(PATIENCE) is True
        assert (queue.statistics().depth, queue.statistics().processing) == (0, 0)
    else:
        queue.shut_down()
    crowd.stop.set()
    for future in (*crowd.producers, *crowd.cancellers, *crowd.workers):
        future.result(PATIENCE)
    assert is_over(queue)
    lost = {key for key, at in crowd.certain.items() if crowd.handled[key] < at}
    assert not lost


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_getters_that_give_up_all_the_time_leave_no_key_behind(options, background, hectic):
    # Timeouts that race with wake-ups: a wake-up sent to one who gives up must not be lost.
    queue = make(options)
    taken, stop = [], threading.Event()

    def get_impatiently(number):
        luck = random.Random(number)
        while not stop.is_set():
            try:
                with queue.item(timeout=luck.random() / 2_000) as key:
                    taken.append(key)
            except TimeoutError:
                continue
            except ShutDown:
                return

    def get_patiently():
        while True:
            try:
                with queue.item() as key:
                    taken.append(key)
            except ShutDown:
                return

    getters = [background(get_impatiently, number) for number in range(4)] + [background(get_patiently)]
    for key in range(600):
        if key % 4:
            queue.add(key)
        else:
            queue.add_after(key, key % 7 / 4_000)
        if key % 50 == 0:
            time.sleep(0.0005)
    deadline = time.monotonic() + PATIENCE
    while len(taken) < 600:  # the impatient go on, but the patient one alone must do
        stop.set()
        assert time.monotonic() < deadline, f"{600 - len(taken)} keys were left, and nobody was woken"
        time.sleep(0.001)
    assert queue.shut_down_with_drain(PATIENCE) is True
    for getter in getters:
        getter.result(PATIENCE)
    assert sorted(taken) == list(range(600))
    assert is_over(queue)
