"""How long it takes from nothing to a cache of all pods of a real control plane, what it costs and what it keeps."""

from collections.abc import Iterator

from tests.bench.intake.loading import load
from tests.bench.intake.subjects import (
    GO_JSON,
    GO_PROTOBUF,
    HANDLERS,
    ON_EVENT,
    ON_EVENT_QUIET,
    SHARED_INFORMER,
    SINK,
    STREAM,
    Load,
)
from tests.bench.intake.tables import at_least, compared, size, table, versions
from tests.bench.intake.turns import Figures, SubjectTurn, chosen, start
from tests.bench.records import Record, Records, save
from tests.bench.scale import scale
from tests.bench.sections import Section, Target, at_most
from tests.bench.turns import take
from tests.cluster.controlplane import ControlPlane

TASK, LOADED = "sync", "sync, loaded"
SUBJECTS = (SINK, STREAM, GO_PROTOBUF, GO_JSON, HANDLERS, SHARED_INFORMER, ON_EVENT, ON_EVENT_QUIET)
PAIRS = (
    (STREAM, SINK),
    (STREAM, GO_PROTOBUF),
    (STREAM, GO_JSON),
    (STREAM, ON_EVENT),
    (STREAM, ON_EVENT_QUIET),
    (STREAM, SHARED_INFORMER),
    (HANDLERS, SINK),
    (HANDLERS, GO_PROTOBUF),
    (HANDLERS, GO_JSON),
    (HANDLERS, ON_EVENT),
    (HANDLERS, ON_EVENT_QUIET),
    (HANDLERS, SHARED_INFORMER),
)

TEXT = """
A kube-apiserver and an etcd, both real, have {pods} pods of {size} bytes of JSON each on average: those of 50
Deployments, with names, hashes and addresses of their own, each created by one manager and given its status by
another, so that the server keeps `managedFields`. A subject begins as a new process; then it has to list and watch them
over TLS.

- Time, CPU (user and system, of the whole process) and resident memory are those between the instant just before the
  subject first asks for pods and the one at which it is synced and each pod has been handed to its handlers. What it
  does before, to start, to log in, to discover, is not in them; the last column is all CPU from the process's start.
- Ours, in either lane: run by `kopf run`; indexes by namespace and node, handlers that add keys to a controller's
  queue. Its 16 workers begin when it is synced, and so after the measurement.
- client-go: a `SharedIndexInformer` with the same indexes, handlers and queue, as it is by default, which is with a
  streaming list.
- `kopf.on.event`: one coroutine that counts uids; by default Kopf logs a line for each event (here to a file), with
  `--quiet` it does not. kubernetes' `SharedInformer`: a handler that counts.
- The empty sink: aiohttp asks for a streaming list, reads it to its closing bookmark, and drops it.

{versions}.
"""


def targets(records: Records) -> Iterator[Target]:
    """What was to be reached."""
    keys = size(records, TASK) or scale().pods
    what = f"sync of {keys:,} real pods, stream lane"
    for figure, word, limits in (
        ("wall", "time", ((SINK, 1.1), (GO_JSON, 0.4))),
        ("cpu", "CPU", ((GO_PROTOBUF, 0.7), (GO_JSON, 0.15))),
    ):
        for peer, limit in limits:
            found = records.ratio(TASK, 0, (STREAM, peer), (keys, keys), figure)
            yield at_most(f"{what}: {word}", limit, f"that of {peer}", found)
    for figure, word, limit in (("wall", "time", 12), ("cpu", "CPU", 25)):
        found = records.ratio(TASK, 0, (ON_EVENT, STREAM), (keys, keys), figure)
        yield at_least(f"{what}: {word}", limit, f"less than that of `{ON_EVENT}`", found)


def section(records: Records) -> Section:
    """The page's part."""
    columns = {
        "wall": ("seconds", (",.2f", 1)),
        "cpu": ("seconds of CPU", (",.2f", 1)),
        "rss": ("KB of memory for each pod", (",.1f", 1000)),
        "whole": ("seconds of CPU since the start", (",.2f", 1)),
    }
    sizes = next((record.figures["size"] for record in records if record.task == LOADED), None)
    text = TEXT.format(
        pods=f"{size(records, TASK) or scale().pods:,}",
        size=f"{sizes[0]:,.0f}" if sizes else "about 10,000",
        versions=versions(),
    )
    return Section(
        title="From nothing to a synced cache",
        text=text,
        targets=list(targets(records)),
        tables=[
            ("Sync:", table(records, TASK, columns)),
            ("Sync compared:", compared(records, TASK, PAIRS, {"wall": "time", "cpu": "CPU", "rss": "memory"})),
        ],
    )


def measure(name: str, pods: int, kubeconfig: str) -> Figures:
    """One subject's turn."""
    with start(name, Load(objects=pods), kubeconfig=kubeconfig) as subject:
        asked, synced = subject.hear("asked"), subject.hear("synced")
    return {
        "wall": synced["now"] - asked["now"],
        "cpu": synced["cpu"] - asked["cpu"],
        "rss": (synced["rss"] - asked["rss"]) / pods,
        "whole": synced["cpu"],
    }


def main() -> None:
    """Measure, save and print."""
    asked = scale()
    with ControlPlane() as plane:
        average = load(plane, asked.pods)
        loaded = Record(task=LOADED, keys=asked.pods, consumers=0, contender="", figures={"size": [average]})
        save([loaded])
        kubeconfig = plane.kubeconfig
        turns = [
            SubjectTurn(
                task=TASK, contender=name, keys=asked.pods, work=lambda name: measure(name, asked.pods, kubeconfig)
            )
            for name in chosen(SUBJECTS)
        ]
        found = take(turns, asked.repeats)
    print(section(Records([loaded, *found])).render())


if __name__ == "__main__":
    main()
