"""An operator that is stopped just as its workers are about to start, on a loop that is gone by then."""

import threading

from workqueue import Manager
from workqueue.control import Controller

stopping = threading.Event()
stop = Controller.stop


def late_start(controller: Controller) -> None:
    stopping.wait()
    raise RuntimeError("no loop to run on")


def stop_meanwhile(controller: Controller, grace: float) -> bool:
    stopping.set()
    for thread in threading.enumerate():
        if thread.name == "workqueue-start-pods":
            thread.join()
    return stop(controller, grace)


Controller.start = late_start
Controller.stop = stop_meanwhile

manager = Manager(grace=5)


async def reconcile(request: object) -> None:
    """It never comes to that."""


controller = manager.informer("pods").controller(reconcile)
