"""For `kopf run`: a plain handler of Kopf's own that sleeps, in as many threads of Kopf's as there are workers."""

import json
import os
import threading
import time

import kopf

objects, workers, sleep = (
    read(os.environ[f"BENCH_{name}"]) for name, read in (("OBJECTS", int), ("WORKERS", int), ("SLEEP", float))
)
lock = threading.Lock()
#: Guarded by lock. When the first began, and the pods that are through.
began: list[float] = []
through: set[str] = set()


@kopf.on.startup()
def settle(settings, **_):
    settings.execution.max_workers = workers


@kopf.on.event("pods")
def event(uid, **_):
    with lock:
        began.append(time.monotonic())
    time.sleep(sleep)
    with lock:
        through.add(uid)
        if len(through) == objects:
            print(json.dumps({"at": "through", "seconds": time.monotonic() - began[0]}), flush=True)
