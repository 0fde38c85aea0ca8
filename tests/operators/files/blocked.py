"""Four reconcilers that wait for an event, which only the test sets."""

import threading
from collections import Counter

from workqueue import Manager, ObjectKey, Request

manager = Manager()
pods = manager.informer("pods")
released = threading.Event()
runs: Counter[ObjectKey] = Counter()
lock = threading.Lock()


def reconcile(request: Request) -> None:
    with lock:
        runs[request.key] += 1
    released.wait()


controller = pods.controller(reconcile, workers=4)


@pods.on_add
def pod_created(key, **_):
    controller.add(key)


@pods.on_update
def pod_updated(key, **_):
    controller.add(key)


@pods.on_delete
def pod_deleted(key, **_):
    controller.add(key)
