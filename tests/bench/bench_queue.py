"""What a key costs on its way through a queue: added, got, (forgotten,) done.

Our queues stand beside Go's, which they are modelled on, and beside the standard library's, which neither
de-duplicate nor know who holds a key. All keys are added first and then taken, so that the queue holds as
many as the table says; or consumers in threads of their own take them as they come.
"""

from collections.abc import Iterator

from tests.bench.records import Records
from tests.bench.scale import Scale, scale
from tests.bench.sections import Section, Target, at_most, figures, ratios
from tests.bench.turns import Turn, take

QUEUE, PRIORITY, CONTROLLERS = "Queue", "PriorityQueue", "PriorityQueue as controllers"
CLIENT_GO, CONTROLLER_RUNTIME = "client-go queue", "controller-runtime priority queue"
STANDARD, STANDARD_PRIORITY = "queue.Queue", "queue.PriorityQueue"

#: Neighbours are compared, so they take their turns one after the other.
ALONE = (
    "queue.SimpleQueue",
    STANDARD,
    QUEUE,
    CLIENT_GO,
    "Queue, metrics",
    "client-go queue, metrics",
    "RateLimitingQueue",
    "client-go rate-limiting queue",
    STANDARD_PRIORITY,
    PRIORITY,
    CONTROLLERS,
    CONTROLLER_RUNTIME,
    "PriorityQueue as controllers, metrics",
    "controller-runtime priority queue, metrics",
)
MIXED = (STANDARD_PRIORITY, PRIORITY, CONTROLLERS, CONTROLLER_RUNTIME)
CROWD = tuple(name for name in ALONE if name not in ("RateLimitingQueue", "client-go rate-limiting queue"))
CONSUMERS = (1, 8, 64)
#: The number of consumers that the largest queue is measured with: the others take as long again each.
LARGE = 8

PAIRS = (
    (QUEUE, CLIENT_GO),
    (QUEUE, STANDARD),
    ("Queue, metrics", "client-go queue, metrics"),
    ("RateLimitingQueue", "client-go rate-limiting queue"),
    (PRIORITY, CONTROLLER_RUNTIME),
    (PRIORITY, STANDARD_PRIORITY),
    (CONTROLLERS, CONTROLLER_RUNTIME),
    ("PriorityQueue as controllers, metrics", "controller-runtime priority queue, metrics"),
)

TEXT = """
Nanoseconds for each key. Keys are `ObjectKey`s here and structs of two strings in Go, each with texts of its own, and
are made before the clock starts. Small queues are filled and emptied again and again until {keys:,} keys have passed;
garbage is collected before the clock starts, and as usual after that.

- One thread: all keys are added, then each is got, forgotten (in rate-limiting and priority queues) and done. For the
  standard library's queues that is `put`, `get` and `task_done`; `SimpleQueue` has no `task_done`. In Go only the
  queue's own goroutines run beside it.
- Ten priorities: the same, keys with the priorities 0 to 9 in turn. A third as many keys.
- One producer: consumers are asleep, one thread (in Go a goroutine) adds all keys, and the clock stops when the last
  one is done. A third as many keys; the largest queue with {large} consumers only.

"As controllers": with `max_starvation` and `backoff="steady"`, as the workers use it. "Metrics": ours tell
prometheus_client and are not scraped meanwhile; Go's have controller-runtime's own provider for Prometheus.
"""


def turns(scale: Scale) -> Iterator[Turn]:
    """Who does what in each round of turns."""
    for size in scale.sizes:
        for name in ALONE:
            yield Turn(task="alone", contender=name, keys=size, rounds=scale.rounds(size))
    for size in scale.sizes:
        for name in MIXED:
            yield Turn(task="mixed", contender=name, keys=size, rounds=scale.rounds(size, part=3))
    for consumers in CONSUMERS:
        for size in scale.sizes:
            if size < 1_000_000 or consumers == LARGE:
                for name in CROWD:
                    rounds = scale.rounds(size, part=3)
                    yield Turn(task="crowd", contender=name, keys=size, rounds=rounds, consumers=consumers)


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    what = "`Queue`, add + get + done, one thread"
    for size, limit in ((1_000, 3), (1_000_000, 1.5)):
        found = records.ratio("alone", 0, (QUEUE, CLIENT_GO), (size, size))
        yield at_most(f"{what}, {size:,} keys", limit, "client-go's queue", found)
    for size in records.sizes("alone"):
        found = records.ratio("alone", 0, (QUEUE, STANDARD), (size, size))
        yield at_most(f"{what}, {size:,} keys", 1, "`queue.Queue`'s put + get + task_done", found)
    kinds = ((PRIORITY, "`PriorityQueue`"), (CONTROLLERS, "`PriorityQueue` as controllers use it"))
    places = (("alone", 0, "one thread"), ("crowd", LARGE, "one producer and eight consumers"))
    for name, words in kinds:
        for task, consumers, place in places:
            for size in records.sizes(task, consumers):
                found = records.ratio(task, consumers, (name, CONTROLLER_RUNTIME), (size, size))
                what = f"{words}, add + get + forget + done, {place}, {size:,} keys"
                yield at_most(what, 1, "controller-runtime's priority queue", found)
    for name, words, peer in ((QUEUE, "`Queue`", CLIENT_GO), (PRIORITY, "`PriorityQueue`", CONTROLLER_RUNTIME)):
        yield growth(records, "alone", (name, peer), f"{words}, one thread")


def growth(records: Records, task: str, pair: tuple[str, str], words: str, *, figure: str = "wall") -> Target:
    """How much more a key costs in the largest queue than in the smallest; and of the other in the pair, its peer."""
    (name, peer), sizes = pair, (1_000_000, 1_000)
    theirs = records.ratio(task, 0, (peer, peer), sizes, figure)
    return at_most(
        f"{words}, a key at 1,000,000 keys",
        1.5,
        "a key at 1,000",
        records.ratio(task, 0, (name, name), sizes, figure),
        beside=f"; {peer}: {theirs.median:.2f}" if theirs else "",
    )


def section(records: Records) -> Section:
    """The page's part."""
    tables = []
    places = [("alone", 0, "One thread"), ("mixed", 0, "One thread, ten priorities")]
    places += [("crowd", number, f"One producer, consumers: {number}") for number in CONSUMERS]
    for task, consumers, place in places:
        tables.append((f"{place}, time:", figures(records, task, consumers)))
        tables.append((f"{place}, CPU of the whole process:", figures(records, task, consumers, figure="cpu")))
        tables.append((f"{place}, time compared:", ratios(records, task, consumers, PAIRS)))
    return Section(
        title="A key's way through a queue",
        text=TEXT.format(keys=scale().keys, large=LARGE),
        targets=list(targets(records)),
        tables=tables,
    )


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    print(section(take(list(turns(asked)), asked.repeats)).render())


if __name__ == "__main__":
    main()
