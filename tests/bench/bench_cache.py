"""A cache of a million pods beside one of a thousand: what it weighs, what a look costs, who is in whose way."""

from collections.abc import Iterator

from tests.bench.intake.probe import resident
from tests.bench.intake.replayed import Replay, replay
from tests.bench.intake.subjects import STREAM, Load
from tests.bench.intake.turns import Figures, SubjectTurn, start
from tests.bench.records import Records
from tests.bench.scale import scale
from tests.bench.sections import NOT_MEASURED, Section, Target, markdown
from tests.bench.turns import take

TASK = "cache"
FEW = 1_000
#: Seconds for which readers are in each other's way.
SECONDS = 20.0
#: Seconds of rest before memory is looked at.
REST = 6.0
#: How much dearer a look may become.
DEARER = 1.5
#: Bytes that a process with a million pods may have.
ROOM = 1.25 * 2**30
#: Seconds that nobody may be in the way of another.
WAY = 0.005

LOOKS = {
    "entry": "`entry(key)`: what is stored, not decoded",
    "get_by_key": "`get_by_key(key)`: a private copy",
    "entries_by_index": "`entries_by_index(node)`: of 100 pods",
    "by_index": "`by_index(node)`: private copies of 100 pods",
    "index_keys": "`index_keys(node)`: 100 keys, sorted",
}
WAITS = {"look": "a look, `entry(key)`", "write": "an event, from its bytes into the cache"}

TEXT = """
{many:,} pods are replayed by a process that makes them up as it sends them, which takes most of the time: 5,000 a
second. The subject, run by `kopf run`, has indexes by namespace and node (100 pods each) and a controller, as in the
benchmarks of the intake. Once it is at rest its memory is read from outside. Then it is told to time looks, {looks:,}
random ones of a kind, of which the best of five rounds counts; and after that to be busy with itself for {seconds:g}
seconds: a thread iterates over twenty thousand objects, copies all entries and all keys, asks for a page, looks under
fifty values of an index and sorts the keys of a namespace, again and again. Meanwhile another looks up a key, and a
third brings an event, each a thousand times a second; how long these take is what is shown. Threads are switched every
half a millisecond for that, instead of every five: otherwise all that one would see is how long Python lets others
compute.
"""


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    sizes = records.sizes(TASK)
    few, many = (sizes[0], sizes[-1]) if len(sizes) == 2 else (0, 0)

    def figure(name: str, size: int = many) -> float | None:
        return min(found) if (found := records.turns(TASK, 0, STREAM, size, name)) else None

    rss = figure("rss")
    shown = None if rss is None else round(rss / 2**30, 2)
    yield Target(
        what=f"one process with {many or scale().million:,} pods: memory",
        limit=f"at most {ROOM / 2**30:g} GiB",
        measured=NOT_MEASURED if shown is None else f"{shown:.2f} GiB",
        reached=None if shown is None else shown <= ROOM / 2**30,
    )
    for name in LOOKS:
        one, other = figure(name, few), figure(name)
        dearer = None if one is None or other is None else round(other / one, 2)
        yield Target(
            what=f"`{name}` with {many or scale().million:,} pods",
            limit=f"at most {DEARER:g} times that with {few or FEW:,}",
            measured=NOT_MEASURED if dearer is None else f"{dearer:.2f}",
            reached=None if dearer is None else dearer <= DEARER,
        )
    for name in WAITS:
        p99 = figure(f"{name} p99")
        longest = None if p99 is None else round(p99 * 1e3, 2)
        yield Target(
            what=f"{WAITS[name]}, while all of {many or scale().million:,} pods are read: p99",
            limit=f"at most {WAY * 1e3:g} ms",
            measured=NOT_MEASURED if longest is None else f"{longest:.2f} ms",
            reached=None if longest is None else longest <= WAY * 1e3,
        )


def section(records: Records) -> Section:
    """The page's part."""
    sizes = records.sizes(TASK)

    def cell(name: str, size: int, unit: float, form: str = ",.2f") -> str:
        found = records.turns(TASK, 0, STREAM, size, name)
        return format(min(found) * unit, form) if found else ""

    def table(rows: dict[str, str], unit: float, form: str = ",.2f") -> str:
        made = [(text, *(cell(name, size, unit, form) for size in sizes)) for name, text in rows.items()]
        return markdown(("", *(f"{size:,} pods" for size in sizes)), made) if sizes else ""

    whole = {"rss": "resident memory, MB"}
    synced = {"synced": "until it was synced, most of it the replaying process's"}
    waits = {f"{name} {share}": f"{text}: {share}" for name, text in WAITS.items() for share in ("p50", "p99", "max")}
    return Section(
        title="A million pods",
        text=TEXT.format(many=scale().million, looks=2_000, seconds=SECONDS),
        targets=list(targets(records)),
        tables=[
            ("Memory:", table(whole, 1e-6, ",.1f")),
            ("Seconds:", table(synced, 1, ",.1f")),
            ("Microseconds for a look:", table(LOOKS, 1e6)),
            ("Milliseconds for a page of 500 in the order of the keys:", table({"page": "`list(limit=500)`"}, 1e3)),
            ("Milliseconds while all is read:", table(waits, 1e3)),
        ],
    )


def measure(pods: int, server: Replay) -> Figures:
    """All of it with so many pods."""
    with start(STREAM, Load(objects=pods, seconds=SECONDS), kubeconfig=server.kubeconfig) as subject:
        asked, synced = subject.hear("asked"), subject.hear("synced")
        subject.settle(least=REST)
        rss = resident(subject.pid)
        subject.say("look-ups")
        looks = subject.hear("look-ups")
        subject.say("waits")
        found = {**looks, **subject.hear("waits")}
        return {
            "rss": rss,
            "synced": synced["now"] - asked["now"],
            **{name: value for name, value in found.items() if name not in ("at", "in page")},
        }


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    found = []
    for pods in (FEW, asked.million):
        with replay(pods) as server:
            work = lambda _, pods=pods, server=server: measure(pods, server)  # noqa: E731
            found += take([SubjectTurn(task=TASK, contender=STREAM, keys=pods, work=work)], 1)
    print(section(Records(found)).render())


if __name__ == "__main__":
    main()
