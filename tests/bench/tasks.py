"""One measurement of one of this process's queues; what it took is printed as one line of JSON.

One process makes one measurement: what the one before left in memory would slow the next, and what is
luck (where memory lies, how texts hash) is drawn anew each time. The tasks are, step for step, those of
``peers/tasks.go``.
"""

import argparse
import gc
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.subjects import Subject, Tally, make
from workqueue.base.keys import ObjectKey

#: Seconds that consumers get to fall asleep before each round.
PAUSE = 0.002
#: Seconds that lie between two delays, next to each other.
BETWEEN = 5e-7
#: Keys that wait all the time, beside.
WAITING = 1_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a measurement is told.

    queue: a name of :data:`tests.bench.subjects.SUBJECTS`; measured: with metrics; keys: how many are in the
    queue at once; rounds: how often it is filled and emptied; consumers: crowd and idle, how many wait for
    keys; seconds: delayed, the shortest delay; idle, how long to look on.
    """

    queue: str
    measured: bool = False
    keys: int = 1000
    rounds: int = 1
    consumers: int = 1
    seconds: float = 1.0


class Stopwatch:
    """Adds up the time, and the CPU of the whole process, between start and stop; in nanoseconds."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0

    def start(self) -> None:
        self.cpu -= time.process_time_ns()
        self.wall -= time.perf_counter_ns()

    def stop(self) -> None:
        self.wall += time.perf_counter_ns()
        self.cpu += time.process_time_ns()

    def per_key(self, options: Options) -> dict[str, float]:
        keys = options.keys * options.rounds
        return {"wall": self.wall / keys, "cpu": self.cpu / keys}


def make_keys(number: int) -> list[ObjectKey]:
    """Keys with texts of their own, as if each came from the network."""
    return [ObjectKey(f"namespace-{each % 100}", f"pod-{each}") for each in range(number)]


def make_delays(number: int, shortest: float) -> list[float]:
    """The shortest, and half a microsecond more for each key, in an order that has nothing to do with the keys'."""
    return [shortest + (each * 7_368_787 % number) * BETWEEN for each in range(1, number + 1)]


def alone(options: Options) -> dict[str, float]:
    """One thread adds all keys, then gets, forgets (where that exists) and finishes them."""
    return _fill_and_drain(options, make(options.queue, measured=options.measured))


def beside(options: Options) -> dict[str, float]:
    """As alone, while other keys, which are put off for an hour, wait in the queue."""
    subject = make(options.queue, measured=options.measured)
    for number in range(WAITING):
        subject.queue.add_after(ObjectKey("waiting", f"pod-{number}"), 3600.0 + number)
    return _fill_and_drain(options, subject)


def _fill_and_drain(options: Options, subject: Subject) -> dict[str, float]:
    keys, watch = make_keys(options.keys), Stopwatch()
    gc.collect()
    watch.start()
    for _ in range(options.rounds):
        subject.fill(keys)
        subject.drain(len(keys))
    watch.stop()
    return watch.per_key(options)


def mixed(options: Options) -> dict[str, float]:
    """As alone, with ten priorities in turn."""
    keys = make_keys(options.keys)
    priorities = [number % 10 for number in range(len(keys))]
    subject, watch = make(options.queue, measured=options.measured), Stopwatch()
    gc.collect()
    watch.start()
    for _ in range(options.rounds):
        subject.fill_mixed(keys, priorities)
        subject.drain(len(keys))
    watch.stop()
    return watch.per_key(options)


def crowd(options: Options) -> dict[str, float]:
    """Consumers are asleep, one thread adds all keys, and the clock stops when the last key is done."""
    keys = make_keys(options.keys)
    subject, watch, tally = make(options.queue, measured=options.measured), Stopwatch(), Tally(len(keys))
    consumers = [threading.Thread(target=subject.consume, args=[tally]) for _ in range(options.consumers)]
    for consumer in consumers:
        consumer.start()
    gc.collect()
    for _ in range(options.rounds):
        time.sleep(PAUSE)
        watch.start()
        subject.fill(keys)
        tally.finished.acquire()
        watch.stop()
    subject.close(len(consumers))
    for consumer in consumers:
        consumer.join()
    return watch.per_key(options)


def delayed(options: Options) -> dict[str, float]:
    """One thread puts all keys off, and then gets and finishes them as they come due.

    Most of the time is waiting, so only the process's CPU means something. ``adding`` is how many seconds
    putting off took at most: less than the shortest delay, or the queue never held all keys.
    """
    keys, delays = make_keys(options.keys), make_delays(options.keys, options.seconds)
    subject, watch = make(options.queue, measured=options.measured), Stopwatch()
    add_after = subject.queue.add_after
    gc.collect()
    latest = 0.0
    for _ in range(options.rounds):
        watch.start()
        began = time.perf_counter()
        for key, delay in zip(keys, delays, strict=True):
            add_after(key, delay)
        latest = max(latest, time.perf_counter() - began)
        subject.drain(len(keys))
        watch.stop()
    return {"cpu": watch.per_key(options)["cpu"], "adding": latest}


def idle(options: Options) -> dict[str, float]:
    """Keys that are put off for an hour, consumers that wait for them, and how often the process is woken meanwhile.

    Beside it what the same process does without a queue: the thread that looks on sleeps, too.
    """
    without = _switches(options.seconds)
    subject = make(options.queue, measured=options.measured)
    for key in make_keys(options.keys):
        subject.queue.add_after(key, 3600.0)
    tally = Tally(options.keys)
    consumers = [threading.Thread(target=subject.consume, args=[tally]) for _ in range(options.consumers)]
    for consumer in consumers:
        consumer.start()
    gc.collect()
    time.sleep(1.0)
    with_queue = _switches(options.seconds)
    subject.close(len(consumers))
    for consumer in consumers:
        consumer.join()
    return {"switches": with_queue, "without": without}


def _switches(seconds: float) -> float:
    """How often the threads of this process went to sleep within so many seconds."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    time.sleep(seconds)
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before)


TASKS: dict[str, Callable[[Options], dict[str, float]]] = {
    "alone": alone,
    "beside": beside,
    "mixed": mixed,
    "crowd": crowd,
    "delayed": delayed,
    "idle": idle,
}


def main(arguments: list[str]) -> None:
    """Do what the command line says; its options are those of the Go program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tasks", allow_abbrev=False)
    parser.add_argument("-task", choices=TASKS, required=True)
    parser.add_argument("-queue", required=True)
    parser.add_argument("-measured", action="store_true")
    parser.add_argument("-keys", type=int, default=Options.keys)
    parser.add_argument("-rounds", type=int, default=Options.rounds)
    parser.add_argument("-consumers", type=int, default=Options.consumers)
    parser.add_argument("-seconds", type=float, default=Options.seconds)
    asked = vars(parser.parse_args(arguments))
    task = TASKS[asked.pop("task")]
    print(json.dumps(task(Options(**asked))))


if __name__ == "__main__":
    main(sys.argv[1:])
