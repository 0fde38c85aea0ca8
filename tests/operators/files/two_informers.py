"""An operator with two informers of one resource; the second one's transform fails on some objects."""

import threading

from workqueue import Manager, Request

lock = threading.Lock()
runs: dict[str, set[str]] = {"whole": set(), "small": set()}


def shrink(body):
    if body["metadata"]["name"].startswith("odd"):
        raise ValueError("too odd")
    return {"metadata": body["metadata"]}


manager = Manager()
whole = manager.informer("pods")
small = manager.informer("pods", transform=shrink)


def controller_of(informer, name):
    def reconcile(request: Request) -> None:
        with lock:
            runs[name].add(request.name)

    controller = informer.controller(reconcile, name=name)
    informer.on_add(lambda key, **_: controller.add(key))
    return controller


controllers = controller_of(whole, "whole"), controller_of(small, "small")
