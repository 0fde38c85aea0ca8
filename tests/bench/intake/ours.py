"""For `kopf run`: our informer of pods, with its indexes, and handlers that put keys into a controller's queue.

What a key costs a worker, the environment says: nothing, or a look into the cache, a sleep and some computing.
"""

import gc
import os
import time

from tests.bench.intake.first_request import notice
from tests.bench.intake.probe import Probe
from workqueue import Manager, Request
from workqueue.cache import field

SLEEP, SPIN = float(os.environ["BENCH_SLEEP"]), float(os.environ["BENCH_SPIN"])
WORKERS = int(os.environ["BENCH_WORKERS"])

if os.environ["BENCH_GC"] == "off":
    gc.disable()

manager = Manager(bind="0")
pods = manager.informer("pods", indexers={"node": field("spec.nodeName")}, lane=os.environ["BENCH_LANE"])
probe = Probe(synced=lambda: pods.has_synced)
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
