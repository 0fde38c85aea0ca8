"""An operator with a time limit, and one key whose every run hangs for ever."""

import threading

from workqueue import Manager

manager = Manager(grace=30)
pods = manager.informer("pods")
#: Runs that hang wait for it; a test may let them go.
go_on = threading.Event()
done = set()


def reconcile(request):
    if request.name == "hung":
        go_on.wait()
    done.add(request.name)


controller = pods.controller(reconcile, workers=1, timeout=0.5)


@pods.on_add
def added(key, **_):
    controller.add(key)
