"""An operator with a handler that hangs for ever, in the thread of the resync."""

import threading

from workqueue import Manager

manager = Manager(grace=1)
pods = manager.informer("pods", resync=1)
controller = pods.controller(lambda request: None)


@pods.on_update
def hang(**_):
    print("hung in", threading.current_thread().name, flush=True)
    threading.Event().wait()
