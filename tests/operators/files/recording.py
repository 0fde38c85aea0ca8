"""An operator that writes down what each reconcile run saw, and takes its time for it."""

import time

from workqueue import Manager, Request, field

manager = Manager()
pods = manager.informer("pods", indexers={"node": field("spec.nodeName")})
#: (key, uid and resourceVersion of what the run saw, or None), in the order of the runs of each key.
records: list[tuple[str, tuple[str, str] | None]] = []


def reconcile(request: Request) -> None:
    body = request.get()
    metadata = body["metadata"] if body is not None else None
    time.sleep(0.01)  # business logic: pods change while it is at work on them
    records.append((str(request.key), metadata and (metadata["uid"], metadata["resourceVersion"])))


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
