"""Kopf's own kind of handlers, put before the queue one at a time."""

import kopf

from workqueue import Manager, Request

manager = Manager()
controller = manager.controller("things", lambda request: reconcile(request))
runs: list[str] = []


def reconcile(request: Request) -> None:
    runs.append(str(request.key))


@kopf.on.create("configmaps")
@kopf.on.update("configmaps")
@kopf.on.delete("configmaps")
async def changed(namespace, name, **_):
    controller.add((namespace, name))
