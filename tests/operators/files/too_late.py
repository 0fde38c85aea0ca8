"""Makes an informer and controllers while the operator runs, which is too late."""

from workqueue import ConfigurationError, Manager

manager = Manager()
pods = manager.informer("pods")
refused = []


def reconcile(request):
    for late in (
        lambda: manager.informer("nodes"),
        lambda: manager.controller("late", reconcile),
        lambda: pods.controller(reconcile, name="later"),
    ):
        try:
            late()
        except ConfigurationError as error:
            refused.append(str(error))


controller = pods.controller(reconcile)
pods.on_add(lambda key, **_: controller.add(key))
