"""Tells of each pod by an event; of some only once the operator stops."""

import time

from workqueue import Manager, Request

manager = Manager(grace=5)
recorder = manager.recorder("teller")
pods = manager.informer("pods")


def reconcile(request: Request) -> None:
    pod = request.get()
    if request.name.startswith("at-the-end"):
        manager._runtime._stopping.wait(30)
        time.sleep(0.05)  # so that the drain takes longer than the first things of a stop
    if pod is not None:
        recorder.event(pod, type="Normal", reason="Seen", message=f"{request.name} was seen")


controller = pods.controller(reconcile)


@pods.on_add
def added(key, **_):
    controller.add(key)
