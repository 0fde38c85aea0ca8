"""An operator whose Kopf makes one try at each request, and logs what its reconcile function sees."""

import kopf

from workqueue import Manager

manager = Manager()
pods = manager.informer("pods")


@kopf.on.startup()
def hasten(settings, **_):
    settings.networking.error_backoffs = ()


def reconcile(request):
    request.logger.info("seen")


controller = pods.controller(reconcile)


@pods.on_add
def added(key, **_):
    controller.add(key)
