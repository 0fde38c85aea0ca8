"""How often a queue wakes anybody while nothing happens: keys wait, none is due, consumers are asleep."""

from collections.abc import Iterator

from tests.bench.records import Records
from tests.bench.scale import Scale, scale
from tests.bench.sections import NOT_MEASURED, Section, Target, markdown
from tests.bench.turns import Turn, take

KEYS, CONSUMERS = 10_000, 8
OURS = ("DelayingQueue", "DelayingQueue, metrics", "PriorityQueue as controllers, metrics")
THEIRS = (
    "client-go delaying queue",
    "client-go delaying queue, metrics",
    "controller-runtime priority queue",
    "controller-runtime priority queue, metrics",
)

TEXT = """
{keys:,} keys are put off for an hour and {consumers} consumers wait for them. For {seconds:g} seconds the voluntary
switches of all threads of the process are counted (`getrusage`: each is a thread that goes to sleep, so it was awake),
and beside them those of the same process before it had a queue, since the thread that looks on sleeps, too. Every turn
is shown.
"""


def turns(scale: Scale) -> Iterator[Turn]:
    """Who does what in each round of turns."""
    for name in (*OURS, *THEIRS):
        yield Turn(task="idle", contender=name, keys=KEYS, consumers=CONSUMERS, seconds=scale.seconds)


def woken(records: Records, name: str) -> list[int] | None:
    """In each turn, the switches more than without a queue."""
    switches = records.turns("idle", CONSUMERS, name, KEYS, "switches")
    without = records.turns("idle", CONSUMERS, name, KEYS, "without")
    if switches is None or without is None:
        return None
    return [int(some - few) for some, few in zip(switches, without, strict=True)]


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    for name in OURS:
        found = woken(records, name)
        yield Target(
            what=f"{name}: idle, {KEYS:,} keys put off, {CONSUMERS} consumers",
            limit="0 wake-ups",
            measured=NOT_MEASURED if found is None else f"{max(found)} at most in a turn",
            reached=None if found is None else max(found) == 0,
        )


def section(records: Records) -> Section:
    """The page's part."""
    rows = []
    for name in (*OURS, *THEIRS):
        if (found := woken(records, name)) is not None:
            before = records.turns("idle", CONSUMERS, name, KEYS, "without") or []
            rows.append((name, ", ".join(map(str, found)), ", ".join(f"{each:.0f}" for each in before)))
    return Section(
        title="Idle",
        text=TEXT.format(keys=KEYS, consumers=CONSUMERS, seconds=scale().seconds),
        targets=list(targets(records)),
        tables=[("Wake-ups:", markdown(("queue", "switches more", "without a queue"), rows) if rows else "")],
    )


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    print(section(take(list(turns(asked)), asked.repeats)).render())


if __name__ == "__main__":
    main()
