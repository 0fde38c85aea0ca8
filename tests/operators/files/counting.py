"""An operator that is run several times in one process: it counts, and notes what each run begins with."""

import os
from collections import Counter
from dataclasses import dataclass

import kopf

from workqueue import Manager, Request, Result
from workqueue.control import ControllerStatistics

manager = Manager(grace=10)
pods = manager.informer("pods", resync=float(os.environ.get("COUNTING_RESYNC", "0")))
runs: Counter[str] = Counter()
#: (kind, name) of all that the handlers were told.
told: Counter[tuple[str, str]] = Counter()


@dataclass
class Begun:
    """What a run began with."""

    objects: int
    synced: bool
    ready: bool
    queued: int
    requeues: int
    statistics: ControllerStatistics


begun: list[Begun] = []


def reconcile(request: Request) -> Result | None:
    runs[request.name] += 1
    if request.name.startswith("failing"):
        raise ValueError("never well")
    return Result.requeue(after=3600) if request.name.startswith("waiting") else None


controller = pods.controller(reconcile, workers=2)


@kopf.on.startup()
def note_the_beginning(**_):
    statistics = controller.statistics()
    queue = controller.queue
    requeues = sum(queue.num_requeues(("default", name)) for name in runs)
    begun.append(Begun(len(pods.indexer), pods.has_synced, not queue.shutting_down, len(queue), requeues, statistics))


@pods.on_add
def pod_created(key, **_):
    told["add", key.name] += 1
    controller.add(key)


@pods.on_update
def pod_updated(key, **_):
    told["update", key.name] += 1
    controller.add(key)


@pods.on_delete
def pod_deleted(key, **_):
    told["delete", key.name] += 1
    controller.add(key)
