"""An operator that waits for its cache half a second, and says at its end which threads it ever started."""

import atexit
import threading

from workqueue import Manager

started: list[str] = []
start = threading.Thread.start


def noted_start(thread: threading.Thread) -> None:
    started.append(thread.name)
    start(thread)


threading.Thread.start = noted_start
atexit.register(lambda: print("threads:", *started, flush=True))

manager = Manager(grace=1)
pods = manager.informer("pods", cache_sync_timeout=0.5)
controller = pods.controller(lambda request: None, workers=3)
