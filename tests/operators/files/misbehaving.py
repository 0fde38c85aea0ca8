"""An operator whose logic does what the label ``do`` of each pod says, and writes down each of its runs."""

import threading
import time

from workqueue import Manager, Request
from workqueue.queues import ItemExponentialFailureRateLimiter

manager = Manager(grace=10)
pods = manager.informer("pods", resync=1)
lock = threading.Lock()
#: Guarded by lock. Name and uid of each run, in the order in which they began; and the names of those under way.
runs: list[tuple[str, str | None]] = []
under_way: list[str] = []
#: Guarded by lock. The most that ever were under way; and keys that were in two hands.
most = 0
doubled: list[str] = []


def reconcile(request: Request) -> None:
    global most
    body = request.get()
    with lock:
        runs.append((request.name, request.uid))
        if request.name in under_way:
            doubled.append(request.name)
        under_way.append(request.name)
        most = max(most, len(under_way))
    try:
        behave((body or {}).get("metadata", {}).get("labels", {}).get("do"))
    finally:
        with lock:
            under_way.remove(request.name)


def behave(how: str | None) -> None:
    if how == "fail":
        raise ValueError("never well")
    if how == "crash":
        raise SystemExit("the end")
    time.sleep(0.02)


controller = pods.controller(
    reconcile, workers=5, max_retries=10, rate_limiter=ItemExponentialFailureRateLimiter(0.001, 0.1)
)


@pods.on_add
@pods.on_update
@pods.on_delete
def changed(key, **_):
    controller.add(key)
