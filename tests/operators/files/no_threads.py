"""An operator for whose third worker there is no thread left."""

import threading

from workqueue import Manager

start = threading.Thread.start


def scarce_start(thread: threading.Thread) -> None:
    if thread.name == "workqueue-pods-2":
        raise RuntimeError("can't start new thread")
    start(thread)


threading.Thread.start = scarce_start

manager = Manager(grace=5)
controller = manager.informer("pods").controller(lambda request: None, workers=4)
