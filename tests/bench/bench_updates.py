"""How many changes a second are taken in, and what each costs."""

from collections.abc import Iterator

from tests.bench.intake.replayed import Replay, replay
from tests.bench.intake.subjects import GO_JSON, HANDLERS, ON_EVENT, ON_EVENT_QUIET, SHARED_INFORMER, SINK, STREAM, Load
from tests.bench.intake.tables import compared, size, table, versions
from tests.bench.intake.turns import Figures, SubjectTurn, chosen, start
from tests.bench.records import Record, Records, save
from tests.bench.scale import scale
from tests.bench.sections import Section, Target
from tests.bench.turns import take

TASK, SERVED = "updates", "updates, served"
SUBJECTS = (SINK, STREAM, GO_JSON, HANDLERS, SHARED_INFORMER, ON_EVENT, ON_EVENT_QUIET)
PAIRS = tuple(
    (ours, peer) for ours in (STREAM, HANDLERS) for peer in (SINK, GO_JSON, SHARED_INFORMER, ON_EVENT, ON_EVENT_QUIET)
)
#: Seconds of rest between the list and the changes at least: Kopf keeps a task for each object for five.
REST = 6.0

TEXT = """
A process that does nothing else replays {events} changes of {size} bytes each over plain HTTP, one of each of as many
pods, as fast as they are read: JSON lines, each a chunk of its own, as an API server sends them. The subject is synced
and at rest when they begin. Time is that between the server's first write and the last change's arrival at the handler;
CPU is that of the subject's whole process.

Ours and client-go's handlers add keys to a controller's queue, 16 workers take them, and to reconcile is to return at
once. The others' handlers count; by default Kopf logs a line for each event (here to a file), with `--quiet` it does
not. The empty sink counts line ends, and shows what the server can do. client-go gets JSON, since the server that
replays has nothing else; real ones give it protobuf, which costs it a fraction.

{versions}.
"""


def section(records: Records) -> Section:
    """The page's part."""
    columns = {"rate": ("events a second", (",.0f", 1)), "cpu": ("µs of CPU for each", (",.0f", 1e-6))}
    sizes = next((record.figures["size"] for record in records if record.task == SERVED), None)
    text = TEXT.format(
        events=f"{size(records, TASK) or scale().events:,}",
        size=f"{sizes[0]:,.0f}" if sizes else "about 6,700",
        versions=versions(),
    )
    return Section(
        title="A stream of changes",
        text=text,
        targets=list(targets(records)),
        tables=[
            ("Changes:", table(records, TASK, columns)),
            ("Changes compared:", compared(records, TASK, PAIRS, {"wall": "time", "cpu": "CPU"})),
        ],
    )


def targets(records: Records) -> Iterator[Target]:
    """Nothing was to be reached here: what matters of it is reached with the latency."""
    yield from ()


def measure(name: str, events: int, server: Replay) -> Figures:
    """One subject's turn."""
    with start(name, Load(objects=events, events=events), kubeconfig=server.kubeconfig) as subject:
        subject.hear("synced")
        subject.settle(least=REST)
        subject.say("mark")
        marked = subject.hear("marked")
        sent = server.send(events)
        done = subject.hear("done")
    wall = done["now"] - sent.began
    return {"wall": wall / events, "cpu": (done["cpu"] - marked["cpu"]) / events, "rate": events / wall}


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    with replay(asked.events) as server:
        served = Record(task=SERVED, keys=asked.events, consumers=0, contender="", figures={"size": [server.size]})
        save([served])
        turns = [
            SubjectTurn(
                task=TASK, contender=name, keys=asked.events, work=lambda name: measure(name, asked.events, server)
            )
            for name in chosen(SUBJECTS)
        ]
        found = take(turns, asked.repeats)
    print(section(Records([served, *found])).render())


if __name__ == "__main__":
    main()
