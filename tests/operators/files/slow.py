"""An operator whose every key takes two seconds, or as long as SLOW_SECONDS says."""

import os
import time

from workqueue import Manager

manager = Manager(grace=float(os.environ.get("SLOW_GRACE", "20")))
pods = manager.informer("pods")


def reconcile(request):
    request.logger.info("begun")
    time.sleep(float(os.environ.get("SLOW_SECONDS", "2")))
    request.logger.info("finished")


controller = pods.controller(reconcile, workers=4)


@pods.on_add
def added(key, **_):
    controller.add(key)
