"""With real threads: random adds against what ran in the end. No key is lost, and none is in two hands."""

import random
import sys
import threading
import time
from collections import Counter

import pytest

from tests.control.conftest import PATIENCE, until
from workqueue.base.clock import RealClock
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, Result
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue

KEYS = [ObjectKey("default", str(number)) for number in range(50)]


@pytest.mark.usefixtures("hectic")
@pytest.mark.parametrize("queue_class", [PriorityQueue, RateLimitingQueue])
@pytest.mark.parametrize("workers", [1, 2, 100])
def test_every_change_is_followed_by_a_run_whatever_runs_answer_and_whoever_interferes(workers, queue_class):
    seed = random.randrange(sys.maxsize)
    print(f"seed {seed}")
    dice = random.Random(seed)
    answers = [dice.choices(("done", "error", "requeue", "after", "slow"), (80, 8, 5, 5, 2))[0] for _ in range(1000)]
    changed, seen, count = Counter(), Counter(), Counter()
    in_hands, twice = set(), []

    def reconcile(request):
        key = request.key
        if key in in_hands:
            twice.append(key)
        in_hands.add(key)
        try:
            seen[key] = changed[key]
            count[key] += 1
            match answers[(hash(key) + count[key]) % len(answers)]:
                case "error":
                    raise RuntimeError("by chance")
                case "requeue":
                    return Result.requeue()
                case "after":
                    return Result.requeue(after=0.001)
                case "slow":
                    time.sleep(0.01)
            return None
        finally:
            in_hands.discard(key)

    queue = queue_class(clock=RealClock(), rate_limiter=ItemExponentialFailureRateLimiter(1e-4, 1e-3))
    controller = Controller("pods", reconcile, queue=queue, workers=workers, timeout=60.0)
    controller.start()

    def produce(number):
        mine = KEYS[number::4]  # a key has one producer, so that its changes are counted right
        own = random.Random(f"{seed} {number}")
        for _ in range(500):
            key = own.choice(mine)
            changed[key] += 1
            controller.add(key)

    def interfere():
        own = random.Random(f"{seed} interfere")
        for _ in range(100):
            controller.resize(own.randint(1, workers))
            if own.random() < 0.3:
                controller.pause()
                controller.resume()
        controller.resize(workers)

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
    threads.append(threading.Thread(target=interfere))
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        until(lambda: seen == changed, "a run after the last change of each key")
        until(lambda: controller.statistics().workers == workers)
    finally:
        controller.stop(PATIENCE)
    assert twice == []
    assert controller.statistics().restarts == 0
    queue._check()
