"""The pod controller: every pod of the cluster, through a queue.

    kopf run -A operator/pods.py          # or -n NAMESPACE

Three handlers add keys and do nothing else. Workers take the keys and look the pods up in the
cache; what they do here is small on purpose: say what became of each pod.

POD_WORKERS (4) says how many workers, POD_RESYNC (0, never) after how many seconds each pod is
looked at again.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import pykube

from workqueue import ConfigurationError, Manager, ObjectKey, Request, default_controller_rate_limiter, field

Value = TypeVar("Value")


def setting(name: str, read: Callable[[str], Value], *, default: str, expected: str) -> Value:
    """A variable of the environment; a value that cannot be read ends `kopf run` with one line."""
    text = os.environ.get(name) or default
    try:
        return read(text)
    except ValueError:
        raise ConfigurationError(f"{name}={text}: expected {expected}") from None


def count(text: str) -> int:
    """How many; at least one."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def period(text: str) -> float:
    """Seconds; 0 is never."""
    seconds = float(text)
    if seconds != 0 and not seconds >= 1:
        raise ValueError(text)
    return seconds


manager = Manager()
pods = manager.informer(
    "pods",
    indexers={"node": field("spec.nodeName")},
    resync=setting("POD_RESYNC", period, default="0", expected="seconds, at least 1, or 0 for never"),
)


class Acquaintances:
    """Which pod was last seen under each key, so that a recreated one is recognised by its uid."""

    def __init__(self, *, gone: int) -> None:
        """:param gone: how many pods to remember after they are gone."""
        self._lock = threading.Lock()
        # Both are guarded by _lock. No key is in both.
        self._present: dict[ObjectKey, tuple[str, str]] = {}
        self._gone: OrderedDict[ObjectKey, str] = OrderedDict()
        self._limit = gone

    def meet(self, key: ObjectKey, uid: str, version: str) -> tuple[str, str]:
        """Remember a pod; return the uid and resourceVersion seen before, "" for what is not known."""
        with self._lock:
            before = self._present.get(key) or (self._gone.pop(key, ""), "")
            self._present[key] = (uid, version)
            return before

    def part(self, key: ObjectKey) -> str:
        """The pod is gone; return the uid seen before, "" if there was none."""
        with self._lock:
            uid, _ = self._present.pop(key, ("", ""))
            if uid:
                self._gone[key] = uid
                if len(self._gone) > self._limit:
                    self._gone.popitem(last=False)
            return uid


acquaintances = Acquaintances(gone=1000)


def reconcile(request: Request) -> None:
    """Look at one pod as it is now."""
    body = request.get()
    if body is None:
        uid = acquaintances.part(request.key)
        request.logger.info("pod does not exist anymore%s", f" (was uid {uid})" if uid else "")
        return
    pod = pykube.Pod(manager.pykube(), body)
    uid, version = pod.metadata.get("uid", ""), pod.metadata.get("resourceVersion", "")
    uid_before, version_before = acquaintances.meet(request.key, uid, version)
    if not uid_before:
        request.logger.info("pod created (uid %s): %s", uid, describe(pod))
    elif uid_before != uid:
        request.logger.info("pod recreated (uid %s, was uid %s): %s", uid, uid_before, describe(pod))
    elif version_before != version:
        request.logger.info("pod changed: %s", describe(pod))
    else:
        request.logger.debug("pod unchanged")


def describe(pod: pykube.Pod) -> str:
    """A pod in a few words."""
    phase = (pod.obj.get("status") or {}).get("phase", "Unknown")
    if "deletionTimestamp" in pod.metadata:
        phase = f"{phase}, terminating"
    node = (pod.obj.get("spec") or {}).get("nodeName")
    ready = ", ready" if phase == "Running" and pod.ready else ""
    return f"{phase}{ready}{f' on {node}' if node else ', not scheduled'}"


controller = pods.controller(
    reconcile,
    workers=setting("POD_WORKERS", count, default="4", expected="a whole number of at least 1"),
    rate_limiter=default_controller_rate_limiter(),
    max_retries=10,
)


@pods.on_add
def pod_created(key: ObjectKey, **_: object) -> None:
    """A pod exists."""
    controller.add(key)


@pods.on_update
def pod_updated(key: ObjectKey, **_: object) -> None:
    """A pod changed."""
    controller.add(key)


@pods.on_delete
def pod_deleted(key: ObjectKey, **_: object) -> None:
    """A pod is gone."""
    controller.add(key)
