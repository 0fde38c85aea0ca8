"""What looks into a cache cost, and how long readers and the writer are in each other's way; in a subject's process.

Who waits for Python's own lock waits up to five milliseconds for each thread that computes, whatever a cache does. That
would be all that is seen, so threads are switched every half a millisecond here.
"""

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.bench.intake.waiting import quantile
from workqueue.cache import Lister, Reader
from workqueue.informer import Informer

#: Looks of one kind at a time, and how often; the best time counts.
LOOKS, ROUNDS = 2_000, 5
#: Seconds between two switches of threads.
SWITCH = 0.0005
#: Seconds between two looks or writes whose time is taken.
PERIOD = 0.001
#: A page.
LIMIT = 500


def look_ups(reader: Reader) -> dict[str, float]:
    """Seconds for each look, by what is looked for, in random order."""
    chance = random.Random(7)
    entries = chance.sample(reader.entries(), min(len(reader), LOOKS))
    keys = [entry.key for entry in entries]
    nodes = [chance.choice(reader.list_index_func_values("node")) for _ in range(LOOKS // 20)]
    lister = Lister(reader)
    found = {
        "entry": best(reader.entry, keys),
        "get_by_key": best(reader.get_by_key, keys),
        "entries_by_index": best(lambda node: reader.entries_by_index("node", node), nodes),
        "by_index": best(lambda node: reader.by_index("node", node), nodes[:20]),
        "index_keys": best(lambda node: reader.index_keys("node", node), nodes),
    }
    began = time.perf_counter()
    page = lister.list(limit=LIMIT)
    return {**found, "page": time.perf_counter() - began, "in page": len(page)}


def best(look: Callable[[Any], object], places: list[Any]) -> float:
    """Seconds for one of these looks, in the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for place in places:
            look(place)
        rounds.append((time.perf_counter() - began) / len(places))
    return min(rounds)


def waits(informer: Informer, *, seconds: float) -> dict[str, float]:
    """How long a look and a write take, in seconds, while another reads all there is: 99 of 100, and the longest."""
    reader, over = informer.reader, threading.Event()
    chance = random.Random(11)
    some = chance.sample(reader.entries(), min(len(reader), 5_000))
    bodies = []
    for number, entry in enumerate(some):
        body = entry.decode()
        body["metadata"]["resourceVersion"] = str(int(body["metadata"]["resourceVersion"]) + number + 1)
        bodies.append(json.dumps(body, separators=(",", ":")).encode())
    readers: list[Callable[[], object]] = [
        lambda: [_ for _, _ in zip(reader, range(20_000), strict=False)],
        lambda: (reader.entries(), reader.list_keys()),
        lambda: Lister(reader).list(limit=LIMIT),
        lambda: [reader.by_index("node", node) for node in reader.list_index_func_values("node")[:50]],
        lambda: reader.index_keys("namespace", some[0].namespace),
    ]
    rounds = 0

    def read() -> None:
        nonlocal rounds
        while not over.is_set():
            for each in readers:
                each()
            rounds += 1

    looks: list[float] = []
    writes: list[float] = []

    def look() -> None:
        while not over.is_set():
            key = chance.choice(some).key
            began = time.perf_counter()
            reader.entry(key)
            looks.append(time.perf_counter() - began)
            time.sleep(PERIOD)

    def write() -> None:
        for body in bodies:
            if over.is_set():
                return
            began = time.perf_counter()
            informer.apply(body)
            writes.append(time.perf_counter() - began)
            informer.deliver()
            time.sleep(PERIOD)

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    threads = [threading.Thread(target=target) for target in (look, write, read)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    found = {"rounds": float(rounds)}
    for name, times in (("look", looks), ("write", writes)):
        ordered = sorted(times)
        found |= {
            f"{name} p50": quantile(ordered, 0.5),
            f"{name} p99": quantile(ordered, 0.99),
            f"{name} max": ordered[-1],
        }
    return found
