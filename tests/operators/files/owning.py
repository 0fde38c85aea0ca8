"""An operator for deployments that hears of their replica sets, and of configmaps that name a deployment."""

import os
import threading
from collections import Counter

from workqueue import Manager, ObjectKey, Request

lock = threading.Lock()
runs: Counter[ObjectKey] = Counter()
priorities: dict[ObjectKey, int] = {}

manager = Manager()
lane = os.environ["OWNING_LANE"]
deployments = manager.informer("deployments.apps", lane=lane)
replicasets = manager.informer("replicasets.apps", lane=lane)
configmaps = manager.informer("configmaps", lane=lane)


def reconcile(request: Request) -> None:
    with lock:
        runs[request.key] += 1
        priorities[request.key] = request.priority


def users_of(configmap):
    return [(configmap["metadata"]["namespace"], name) for name in configmap.get("data", {}).values()]


controller = deployments.controller(reconcile, workers=2)
controller.owns(replicasets)
controller.maps(configmaps, by=users_of)
deployments.on_add(lambda key, **_: controller.add(key))
