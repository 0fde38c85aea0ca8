"""For `kopf run`: our informer of pods, with its indexes, and handlers that put keys into a controller's queue.

What a key costs a worker, the environment says: nothing, or a look into the cache, a sleep and some computing.
"""

import gc
import os
import time

from tests.bench.intake.costs import look_ups, waits
from tests.bench.intake.first_request import notice
from tests.bench.intake.probe import Probe
from workqueue import Manager, Request
from workqueue.base.keys import ObjectKey
from workqueue.cache import field

SLEEP, SPIN = float(os.environ["BENCH_SLEEP"]), float(os.environ["BENCH_SPIN"])
#: Keys that are put off where an idle process is looked at, and seconds for which readers are in each other's way.
DELAYED, SECONDS = 10_000, float(os.environ["BENCH_SECONDS"])
WORKERS = int(os.environ["BENCH_WORKERS"])

if os.environ["BENCH_GC"] == "off":
    gc.disable()

INDEXERS = {"node": field("spec.nodeName")}

manager = Manager(bind="0")
pods = manager.informer(
    "pods", indexers=INDEXERS, lane=os.environ["BENCH_LANE"], cache_sync_timeout=600.0
)  # who replays a million makes them up


def delay() -> dict[str, int]:
    """Put some keys off for an hour."""
    keys = [body["metadata"] for body in pods.indexer.list(limit=DELAYED)]
    for each in keys:
        controller.queue.add_after(ObjectKey(each["namespace"], each["name"]), 3600.0)
    return {"delayed": len(keys)}


probe = Probe(
    synced=lambda: pods.has_synced,
    more={
        "delay": delay,
        "look-ups": lambda: look_ups(pods.indexer),
        "waits": lambda: waits(pods.informer, seconds=SECONDS),
    },
)
notice(probe.asks)


def reconcile(request: Request) -> None:
    if not SLEEP:
        return
    began = time.monotonic()
    pod = request.get()
    if pod is None:
        return
    probe.runs.append((began, int(pod["metadata"]["resourceVersion"])))
    time.sleep(SLEEP)
    until = time.monotonic() + SPIN
    while time.monotonic() < until:
        pass
    probe.busy.append(time.monotonic() - began)


controller = pods.controller(reconcile, workers=WORKERS)


@pods.on_add
def pod_created(key, **_):
    controller.add(key)
    probe.added()


@pods.on_update
def pod_updated(key, **_):
    controller.add(key)
    probe.changed()


@pods.on_delete
def pod_deleted(key, **_):
    controller.add(key)
