"""What a key costs on its way through a queue: added, got, (forgotten,) done; one thread.

All keys are added first and then taken, so that the queue holds as many as the table says. Ours stand
beside ``queue.Queue``, which neither de-duplicates nor knows who holds a key. Contenders take turns, so
that a busy moment of the machine falls on all of them; the minimum is the figure to compare, the median
says how quiet the machine was. ``BENCH_SIZES=1000,20000`` chooses other sizes.
"""

import gc
import os
import queue
import statistics
import time
from collections.abc import Callable

from workqueue.base.keys import ObjectKey
from workqueue.queues import Queue, RateLimitingQueue

SIZES = (1_000, 100_000, 1_000_000)
#: How often each contender has its turn.
REPEATS = 5
#: Keys of one measurement at least: a smaller queue is filled and emptied several times.
KEYS = 100_000


def plain(keys: list[ObjectKey], rounds: int) -> None:
    """Our Queue."""
    ours = Queue[ObjectKey]()
    add, get, done = ours.add, ours.get, ours.done
    for _ in range(rounds):
        for key in keys:
            add(key)
        for _ in keys:
            done(get())


def rate_limiting(keys: list[ObjectKey], rounds: int) -> None:
    """Our RateLimitingQueue, each key also forgotten, as a controller does after a success."""
    ours = RateLimitingQueue[ObjectKey]()
    add, get, forget, done = ours.add, ours.get, ours.forget, ours.done
    for _ in range(rounds):
        for key in keys:
            add(key)
        for _ in keys:
            key = get()
            forget(key)
            done(key)


def standard(keys: list[ObjectKey], rounds: int) -> None:
    """The standard library's queue.Queue."""
    theirs: queue.Queue[ObjectKey] = queue.Queue()
    put, get, task_done = theirs.put, theirs.get, theirs.task_done
    for _ in range(rounds):
        for key in keys:
            put(key)
        for _ in keys:
            get()
            task_done()


CONTENDERS: dict[str, Callable[[list[ObjectKey], int], None]] = {
    "queue.Queue put+get+task_done": standard,
    "Queue add+get+done": plain,
    "RateLimitingQueue add+get+forget+done": rate_limiting,
}


def measure(size: int) -> dict[str, list[float]]:
    """Nanoseconds for each key, of each contender, once for each turn."""
    keys = [ObjectKey(f"namespace-{number % 100}", f"pod-{number}") for number in range(size)]
    rounds = max(1, KEYS // size)
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(REPEATS):
        for name, run in CONTENDERS.items():
            gc.collect()
            start = time.perf_counter_ns()
            run(keys, rounds)
            times[name].append((time.perf_counter_ns() - start) / (size * rounds))
    return times


def main() -> None:
    """Print one table."""
    sizes = [int(size) for size in os.environ.get("BENCH_SIZES", "").split(",") if size] or SIZES
    print(f"{'keys':>9}  {'contender':38}  {'min ns':>7}  {'median ns':>9}  {'ratio of min':>12}")
    for size in sizes:
        times = measure(size)
        peer = min(next(iter(times.values())))
        for name, turns in times.items():
            best = min(turns)
            print(f"{size:9,}  {name:38}  {best:7.0f}  {statistics.median(turns):9.0f}  {best / peer:12.2f}")


if __name__ == "__main__":
    main()
