"""An operator whose reconcile function is an ``async def`` that does what the name of its pod says."""

import asyncio
import logging
import os
import threading
import time
from contextvars import ContextVar

import kopf

from workqueue import Manager, Request

manager = Manager(grace=float(os.environ.get("COROUTINES_GRACE", "20")))
pods = manager.informer("pods")
foreign = logging.getLogger("foreign")
released = threading.Event()
module_level = ContextVar("module_level", default="unset")
module_level.set("by the file")
by_a_run = ContextVar("by_a_run", default="unset")
#: By name, what each run saw: thread, variables, attempts.
seen: dict[str, tuple[object, ...]] = {}
done: list[str] = []


@kopf.on.startup()
async def note(**_):
    if path := os.environ.get("COROUTINES_LOG"):
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(reconcile_id)s %(message)s", defaults={"reconcile_id": "-"}))
        foreign.addHandler(handler)
    seen["startup"] = (threading.current_thread(), module_level.get())


def block() -> None:
    while not released.is_set():
        time.sleep(0.01)


async def reconcile(request: Request) -> None:
    seen[request.name] = (threading.current_thread(), module_level.get(), by_a_run.get())
    by_a_run.set(request.name)
    foreign.info("run of %s", request.name)
    request.logger.info("begun")
    if request.name.startswith("blocking"):
        block()
    elif request.name.startswith("slow"):
        await asyncio.sleep(1)
    elif request.name.startswith("endless"):
        await asyncio.sleep(3600)
    elif request.name.startswith("stubborn"):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                foreign.info("swallowed")
    elif request.name.startswith("exiting") and request.retry == 0:
        raise SystemExit("out of here")
    elif request.name.startswith("failing"):
        raise kopf.PermanentError("it is as it is")
    await asyncio.sleep(0)
    done.append(request.name)


controller = pods.controller(reconcile, workers=4)


@pods.on_add
def added(key, **_):
    controller.add(key)
