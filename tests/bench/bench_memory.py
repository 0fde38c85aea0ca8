"""What a cached pod weighs, and whether memory grows with what passes through, though nobody collects garbage.

An intake without cycles of references needs no garbage collector; if there were a cycle for each event, a million of
them would show.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.intake.probe import resident
from tests.bench.intake.replayed import Replay, replay
from tests.bench.intake.subjects import GO_JSON, ON_EVENT_QUIET, OURS, SHARED_INFORMER, STREAM, Load
from tests.bench.intake.turns import Figures, SubjectTurn, chosen, start
from tests.bench.records import Records
from tests.bench.scale import scale
from tests.bench.sections import NOT_MEASURED, Section, Target, markdown
from tests.bench.turns import take

CACHED, PASSING = "memory, cached", "memory, passing"
#: How many objects the changes are of.
OBJECTS = 1_000
#: So often memory is looked at while changes pass.
STEPS = 10
#: How many times as many pods are cached the second time.
MORE = 10
#: Seconds of rest before memory is looked at, and seconds for which rest is looked at.
REST, IDLE = 6.0, 20.0
#: Keys that are put off meanwhile.
DELAYED = 10_000

TEXT = """
A pod: {few:,} and {many:,} pods that have little in common but their Deployments are replayed, listed and left alone
until the subject is at rest; what a pod weighs is the difference in resident memory between the two, for each pod that
the second process has more. Ours and client-go have indexes by namespace and node, handlers, and a controller's queue,
through which all keys have gone by then; the others count what they hear.

At rest: with {many:,} pods, ours puts {delayed:,} keys off for an hour. For {idle:g} seconds its CPU and the voluntary
switches of its threads are read from outside: each of these is a thread that was awake.

What passes: {total:,} changes of {objects:,} pods, as fast as they are read, with `gc.disable()` from the start; keys
go through the queue and are reconciled to nothing by 16 workers. Resident memory is read from outside after each tenth.
"""


def weight(records: Records, name: str) -> float | None:
    """Bytes for each pod: the slope between the two sizes."""
    sizes = records.sizes(CACHED)
    turns = [records.turns(CACHED, 0, name, size, "rss") for size in sizes]
    if len(sizes) != 2 or turns[0] is None or turns[1] is None:
        return None
    return (min(turns[1]) - min(turns[0])) / (sizes[1] - sizes[0])


def passing(records: Records) -> dict[str, dict[int, float]]:
    """Of each subject, bytes after so many changes."""
    return {
        record.contender: {int(name): found[0] for name, found in record.figures.items()}
        for record in records
        if record.task == PASSING
    }


def growth(memory: dict[int, float]) -> float:
    """Bytes for each change, after the first tenth: buffers have their size by then."""
    first, last = min(event for event in memory if event), max(memory)
    return (memory[last] - memory[first]) / (last - first)


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    found = weight(records, STREAM)
    shown = None if found is None else round(found / 1000, 2)
    yield Target(
        what="memory for each cached pod, stream lane",
        limit="at most 1 KB",
        measured=NOT_MEASURED if shown is None else f"{shown:.2f} KB",
        reached=None if shown is None else shown <= 1,
    )

    cpu = idle(records, "cpu")
    share = None if cpu is None else round(100 * cpu, 2)
    yield Target(
        what=f"at rest, {scale().pods * MORE:,} pods cached, {DELAYED:,} keys put off: CPU",
        limit="below 1 % of a core",
        measured=NOT_MEASURED if share is None else f"{share:.2f} %",
        reached=None if share is None else share < 1,
    )


def idle(records: Records, figure: str) -> float | None:
    """For each second of rest; None if it was not measured."""
    sizes = records.sizes(CACHED)
    found = records.turns(CACHED, 0, STREAM, sizes[-1], figure) if sizes else None
    return found[0] / IDLE if found else None


def section(records: Records) -> Section:
    """The page's part."""
    asked = scale()
    cached = []
    for name in records.contenders(CACHED):
        if (found := weight(records, name)) is not None:
            turns = [records.turns(CACHED, 0, name, size, "rss") or [0.0] for size in records.sizes(CACHED)]
            cached.append((name, *(f"{min(each) / 1e6:,.1f}" for each in turns), f"{found / 1000:,.2f}"))
    series = passing(records)
    events = sorted({event for memory in series.values() for event in memory})
    rows = [(f"{event:,}", *(f"{memory[event] / 1e6:,.1f}" for memory in series.values())) for event in events]
    if rows:
        rows.append(
            ("bytes for each change, after the first tenth", *(f"{growth(each):,.2f}" for each in series.values()))
        )
    cpu, switches = idle(records, "cpu"), idle(records, "switches")
    rest = ""
    if cpu is not None and switches is not None:
        rest = markdown(
            ("subject", "CPU, % of a core", "switches a second"), [(STREAM, f"{100 * cpu:.2f}", f"{switches:.1f}")]
        )
    header = ("subject", *(f"MB with {size:,} pods" for size in records.sizes(CACHED)), "KB for each pod")
    return Section(
        title="Memory",
        text=TEXT.format(
            few=asked.pods, many=asked.pods * MORE, total=asked.total, objects=OBJECTS, delayed=DELAYED, idle=IDLE
        ),
        targets=list(targets(records)),
        tables=[
            ("A pod:", markdown(header, cached) if cached else ""),
            ("At rest:", rest),
            ("MB after so many changes, no garbage collected:", markdown(("changes", *series), rows) if rows else ""),
        ],
    )


def measure_cached(name: str, pods: int, server: Replay) -> Figures:
    """Resident memory with so many pods; and what ours does at rest with many."""
    with start(name, Load(objects=pods), kubeconfig=server.kubeconfig) as subject:
        subject.hear("synced")
        subject.settle(least=REST)
        found = {"rss": resident(subject.pid)}
        if name == STREAM:
            subject.say("delay")
            subject.hear("delay")
            subject.settle(least=1.0)
            cpu, switches = subject.used(), switched(subject.pid)
            time.sleep(IDLE)
            found |= {"cpu": subject.used() - cpu, "switches": switched_since(switches, subject.pid)}
        return found


def switched(pid: int) -> dict[str, int]:
    """How often each thread of a process has gone to sleep by itself."""
    found = {}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):  # a thread that has ended
            line = next(each for each in status.read_text("utf-8").splitlines() if each.startswith("voluntary"))
            found[status.parent.name] = int(line.split()[1])
    return found


def switched_since(before: dict[str, int], pid: int) -> float:
    """How often the threads that are there now have gone to sleep since then; one that ended has taken its count along.

    :param before: what :func:`switched` said then.
    """
    return float(sum(times - before.get(thread, 0) for thread, times in switched(pid).items()))


def measure_passing(name: str, total: int, server: Replay) -> Figures:
    """Resident memory after each tenth of the changes."""
    with start(name, Load(objects=OBJECTS, gc=False), kubeconfig=server.kubeconfig) as subject:
        subject.hear("synced")
        subject.settle(least=REST)
        found = {"0": resident(subject.pid)}
        for step in range(1, STEPS + 1):
            server.send(total // STEPS)
            subject.settle(least=0.5)
            found[str(total // STEPS * step)] = resident(subject.pid)
        return found


#: Who caches. The handlers lane only if it is named: it takes as long as all others together.
CACHING = (STREAM, GO_JSON, ON_EVENT_QUIET, SHARED_INFORMER)


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    only = bool(os.environ.get("BENCH_ONLY"))
    names = chosen({**OURS, **dict.fromkeys(CACHING)} if only else CACHING)
    found = []
    for pods in (asked.pods, asked.pods * MORE):
        with replay(pods) as server:
            work = lambda name, pods=pods, server=server: measure_cached(name, pods, server)  # noqa: E731
            turns = [SubjectTurn(task=CACHED, contender=name, keys=pods, work=work) for name in names]
            found += take(turns, 1)
    with replay(OBJECTS) as server:
        work = lambda name: measure_passing(name, asked.total, server)  # noqa: E731
        passed = [name for name in names if name in OURS]
        turns = [SubjectTurn(task=PASSING, contender=name, keys=asked.total, work=work) for name in passed]
        found += take(turns, 1)
    print(section(Records(found)).render())


if __name__ == "__main__":
    main()
