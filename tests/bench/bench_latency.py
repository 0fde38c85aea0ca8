"""How long a change takes from the socket into a worker's hands while the workers are busy."""

import time
from collections.abc import Iterator
from statistics import median

from tests.bench.intake.process import Child
from tests.bench.intake.replayed import Replay, Sent, replay
from tests.bench.intake.subjects import GO_JSON, HANDLERS, ON_EVENT, ON_EVENT_QUIET, STREAM, Load
from tests.bench.intake.tables import compared, table
from tests.bench.intake.turns import Figures, SubjectTurn, chosen, start
from tests.bench.intake.waiting import quantile, waits
from tests.bench.records import Records
from tests.bench.scale import Scale, scale
from tests.bench.sections import NOT_MEASURED, Section, Target
from tests.bench.turns import take

TASK = "latency"
SUBJECTS = (STREAM, GO_JSON, HANDLERS, ON_EVENT, ON_EVENT_QUIET)
PAIRS = tuple((ours, peer) for ours in (STREAM, HANDLERS) for peer in (GO_JSON, ON_EVENT_QUIET))
#: Who works, and how many seconds each key takes of sleep and of computing: two thirds of the workers are busy.
WORKERS, SLEEP, SPIN = 16, 0.005, 0.00005
#: Each object changes once in so many seconds.
PERIOD = 2
#: Seconds of rest between the list and the changes at least, as in ``bench_updates``.
REST = 6.0
#: Seconds that a subject gets to handle what is left when the last change is sent.
GRACE = 60.0

TEXT = """
For {lasting} seconds {rate:,} changes a second come over plain HTTP, each a write of its own, of {objects:,} pods in
turn. {workers} workers take the keys; each key costs them a look into the cache, {sleep:g} ms of sleep and {spin:g} µs
of computing, which at this rate keeps two thirds of them busy ("busy" is what was measured, the waits for Python's lock
included). Latency is the time from the instant before a change's write into the socket to the one at which a run begins
that sees it, or a later change of the same pod: both are read from the machine's one monotonic clock. For
`kopf.on.event`, which has no workers, it ends in the handler, which does nothing. "Merged" are changes that shared a
run with a later one; "late" is how long after the last write the last change was seen; "sender behind" is how late its
latest write was. A subject that cannot keep up has latencies of the length of the test, and {grace:g} seconds more at
most. client-go gets JSON, since the server that replays has nothing else; real ones give it protobuf, which costs it a
fraction.
"""


def targets(records: Records, asked: Scale) -> Iterator[Target]:
    """What was to be reached; in milliseconds, of the median turn."""
    for figure, limit in (("p50", 2), ("p99", 10)):
        turns = records.turns(TASK, WORKERS, STREAM, asked.rate, figure)
        shown = None if turns is None else round(1000 * median(turns), 2)
        yield Target(
            what=f"from the socket into a worker's hands, {asked.rate:,} changes a second, {figure}, stream lane",
            limit=f"at most {limit} ms",
            measured=NOT_MEASURED if shown is None else f"{shown:.2f} ms",
            reached=None if shown is None else shown <= limit,
        )


def section(records: Records) -> Section:
    """The page's part."""
    asked = scale()
    milliseconds = (",.2f", 1e-3)
    columns = {
        "p50": ("p50, ms", milliseconds),
        "p99": ("p99, ms", milliseconds),
        "max": ("longest, ms", milliseconds),
        "cpu": ("CPU, % of a core", (",.0f", 0.01)),
        "busy": ("busy, %", (".0f", 0.01)),
        "merged": ("merged, %", (".1f", 0.01)),
        "late": ("late, ms", (",.0f", 1e-3)),
        "behind": ("sender behind, ms", (",.1f", 1e-3)),
    }
    return Section(
        title="From the socket into a worker's hands",
        text=TEXT.format(
            lasting=asked.lasting,
            rate=asked.rate,
            objects=asked.rate * PERIOD,
            workers=WORKERS,
            sleep=SLEEP * 1e3,
            spin=SPIN * 1e6,
            grace=GRACE,
        ),
        targets=list(targets(records, asked)),
        tables=[
            ("Latency:", table(records, TASK, columns)),
            ("Latency compared:", compared(records, TASK, PAIRS, {"p50": "p50", "p99": "p99", "cpu": "CPU"}, WORKERS)),
        ],
    )


def measure(name: str, asked: Scale, server: Replay) -> Figures:
    """One subject's turn."""
    objects = asked.rate * PERIOD
    load = Load(objects=objects, workers=WORKERS, sleep=SLEEP, spin=SPIN)
    with start(name, load, kubeconfig=server.kubeconfig) as subject:
        subject.hear("synced")
        subject.settle(least=REST)
        subject.say("mark")
        marked = subject.hear("marked")
        sent = server.send(asked.rate * asked.lasting, rate=asked.rate)
        return collect(subject, sent, asked.rate, marked)


def collect(subject: Child, sent: Sent, rate: float, marked: dict[str, float]) -> Figures:
    """What came out, once the subject has seen all, or has had its time: what is left has waited until then."""
    objects = int(rate * PERIOD)
    deadline = time.monotonic() + GRACE
    while True:
        subject.say("runs")
        told, now = subject.hear("runs"), time.monotonic()
        found, unseen = waits(sent, objects, told["runs"])
        if not unseen or now > deadline:
            break
        time.sleep(1)
    seen_at = now if unseen else max(began for began, version in told["runs"] if version >= sent.first)
    found = sorted([*found, *(now - sent.written[number] for number in unseen)])
    runs = sum(version >= sent.first for _, version in told["runs"])
    lasting = max(seen_at, sent.written[-1]) - sent.began
    return {
        "p50": quantile(found, 0.5),
        "p99": quantile(found, 0.99),
        "max": found[-1],
        "cpu": (told["cpu"] - marked["cpu"]) / lasting,
        "busy": told["busy"] / lasting / WORKERS,
        "merged": max(0.0, 1 - runs / len(found)),
        "late": seen_at - sent.written[-1],
        "behind": max(at - sent.began - number / rate for number, at in enumerate(sent.written)),
    }


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    with replay(asked.rate * PERIOD) as server:
        turns = [
            SubjectTurn(
                task=TASK,
                contender=name,
                keys=asked.rate,
                consumers=WORKERS,
                work=lambda name: measure(name, asked, server),
            )
            for name in chosen(SUBJECTS)
        ]
        print(section(take(turns, asked.repeats)).render())


if __name__ == "__main__":
    main()
