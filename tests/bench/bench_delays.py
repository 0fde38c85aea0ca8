"""What it costs to put a key off: added for later, got when it is due, done.

The more keys wait, the more there is to order.
"""

from collections.abc import Iterator

from tests.bench.bench_queue import growth
from tests.bench.records import Records
from tests.bench.scale import Scale, scale
from tests.bench.sections import Section, Target, figures, ratios
from tests.bench.tasks import BETWEEN, WAITING
from tests.bench.turns import Turn, take

PAIRS = (
    ("DelayingQueue", "client-go delaying queue"),
    ("DelayingQueue, metrics", "client-go delaying queue, metrics"),
    ("PriorityQueue", "controller-runtime priority queue"),
    ("PriorityQueue as controllers", "controller-runtime priority queue"),
    ("PriorityQueue as controllers, metrics", "controller-runtime priority queue, metrics"),
)
#: Each once; peers are neighbours.
CONTENDERS = tuple(dict.fromkeys(name for pair in PAIRS for name in pair))

BESIDE = tuple(name for name in CONTENDERS if "metrics" not in name)

TEXT = """
Nanoseconds of CPU for each key: of the whole process, Go's goroutines that move keys when they are due included. Time
means nothing here, as most of it is waiting. One thread puts all keys off, so that all of them wait at once; then it
gets, forgets (in priority queues) and finishes them as they come due, half a microsecond after each other, in an order
that has nothing to do with the order in which they were added.

"Beside {waiting:,} keys that wait": keys are added, got, forgotten and done in one thread, as if nothing were put off,
but {waiting:,} others are, for an hour. An operator whose keys come back every hour is always like that.
"""


def shortest(size: int) -> float:
    """The shortest delay, in seconds: so long that all keys are there before the first one is due."""
    return 0.02 + size * 5e-6


def turns(scale: Scale) -> Iterator[Turn]:
    """Who does what in each round of turns."""
    for size in scale.sizes:
        for name in CONTENDERS:
            if size < 1_000_000 or "metrics" not in name:
                rounds = scale.rounds(size, part=6)
                yield Turn(task="delayed", contender=name, keys=size, rounds=rounds, seconds=shortest(size))
    for size in scale.sizes:
        for name in BESIDE:
            if size < 1_000_000:
                yield Turn(task="beside", contender=name, keys=size, rounds=scale.rounds(size, part=3))


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    for name, peer in (PAIRS[0], PAIRS[2]):
        yield growth(records, "delayed", (name, peer), f"`{name}`, add_after + get + done, one thread", figure="cpu")


def late(records: Records) -> list[str]:
    """Whose first keys were due before the last ones were added: these queues never held as many as the table says."""
    return [
        f"{record.contender} at {record.keys:,} keys"
        for record in records
        if record.task == "delayed" and max(record.figures["adding"]) > shortest(record.keys)
    ]


def section(records: Records) -> Section:
    """The page's part."""
    text = TEXT.format(waiting=WAITING)
    if names := late(records):
        text += f"\nFewer waited at once, as the first were due before the last were added: {', '.join(names)}.\n"
    return Section(
        title="Keys that are put off",
        text=text,
        targets=list(targets(records)),
        tables=[
            ("CPU:", figures(records, "delayed", figure="cpu")),
            ("CPU compared:", ratios(records, "delayed", 0, PAIRS, figure="cpu")),
            (f"Beside {WAITING:,} keys that wait, time:", figures(records, "beside")),
            (f"Beside {WAITING:,} keys that wait, time compared:", ratios(records, "beside", 0, PAIRS)),
        ],
    )


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    assert BETWEEN == 5e-7, "the text says so"
    print(section(take(list(turns(asked)), asked.repeats)).render())


if __name__ == "__main__":
    main()
