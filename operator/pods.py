"""The pod controller: every pod of the cluster, through a queue; and finished pods are deleted when their time is over.

    kopf run -A operator/pods.py          # or -n NAMESPACE

Three handlers add keys and do nothing else. Workers take the keys and look the pods up in the
cache. They say what became of each pod, and look after the finished ones: a pod that has succeeded,
failed or was evicted has a time to live, of its annotation ``workqueue.kopf.dev/ttl`` or of POD_TTL.
When it is over the pod is deleted, unless it belongs to a Job, which looks after its pods itself.
Nothing is polled: a pod's key is put off until its time.

| variable | default | |
| --- | --- | --- |
| POD_TTL | never | how long finished pods without an annotation stay: ``90s``, ``15m``, ``36h``, ``7d``, ``never`` |
| POD_TTL_DRY_RUN | true | say which pods would be deleted, and delete none |
| POD_WORKERS | 4 | how many pods are worked on at once |
| POD_RESYNC | 0 | after how many seconds each pod is looked at again; 0 is never |
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
import pykube
import requests

from workqueue import Manager, ObjectKey, Request, Result, default_controller_rate_limiter, field
from workqueue.base.environment import count, duration, duration_text, flag, period, setting
from workqueue.base.text import one_line

#: How long a pod stays after it has finished; ``never`` is for ever, whatever the default is.
TTL_ANNOTATION = "workqueue.kopf.dev/ttl"
#: Seconds until a pod is tried again that the API server could not delete.
PATIENCE = 15.0


def time_to_live(text: str) -> float | None:
    """Seconds, or None for ever.

    :raises ValueError: if it is neither a duration nor "never".
    """
    return None if text.strip() == "never" else duration(text)


DURATION = "a time with its unit, such as 90s, 15m, 36h or 7d, or never"
DEFAULT_TTL = setting("POD_TTL", time_to_live, default="never", expected=DURATION)
DRY_RUN = setting("POD_TTL_DRY_RUN", flag, default="true", expected="true or false")

manager = Manager()
recorder = manager.recorder("pod-controller")
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


def reconcile(request: Request) -> Result | None:
    """Look at one pod as it is now."""
    body = request.get()
    if body is None:
        uid = acquaintances.part(request.key)
        request.logger.info("pod does not exist anymore%s", f" (was uid {uid})" if uid else "")
        return None
    pod = pykube.Pod(manager.pykube(), body)
    uid, version = pod.metadata.get("uid", ""), pod.metadata.get("resourceVersion", "")
    uid_before, version_before = acquaintances.meet(request.key, uid, version)
    changed = (uid_before, version_before) != (uid, version)
    if not uid_before:
        request.logger.info("pod created (uid %s): %s", uid, describe(pod))
    elif uid_before != uid:
        request.logger.info("pod recreated (uid %s, was uid %s): %s", uid, uid_before, describe(pod))
    elif version_before != version:
        request.logger.info("pod changed: %s", describe(pod))
    else:
        request.logger.debug("pod unchanged")
    return clean_up(request, pod, changed=changed) if is_cleanable(body) else None


def describe(pod: pykube.Pod) -> str:
    """A pod in a few words."""
    phase = (pod.obj.get("status") or {}).get("phase", "Unknown")
    if "deletionTimestamp" in pod.metadata:
        phase = f"{phase}, terminating"
    node = (pod.obj.get("spec") or {}).get("nodeName")
    ready = ", ready" if phase == "Running" and pod.ready else ""
    return f"{phase}{ready}{f' on {node}' if node else ', not scheduled'}"


# Pods whose time is over.


@kopf.on.startup()
async def say_what_is_deleted(logger: kopf.Logger, **_: object) -> None:
    """What becomes of finished pods, before any of them is looked at."""
    if DEFAULT_TTL is None:
        what = f"only finished pods with the annotation {TTL_ANNOTATION} are deleted"
    else:
        after = duration_text(DEFAULT_TTL)
        what = f"finished pods are deleted {after} after their end, or as their annotation {TTL_ANNOTATION} says"
    logger.info("%s%s", what, " (dry run: nothing is deleted)" if DRY_RUN else "")


def is_cleanable(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has finished, nobody deletes it yet, and no Job looks after it."""
    metadata = pod["metadata"]
    return (
        (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        and "deletionTimestamp" not in metadata
        and not any(
            owner.get("kind") == "Job" and owner.get("apiVersion", "").startswith("batch/")
            for owner in metadata.get("ownerReferences") or ()
        )
    )


def finished_at(pod: Mapping[str, Any]) -> datetime:
    """When a finished pod has done so: the last thing that is known to have happened to it.

    That is the end of its last container; or, of one that was evicted or never ran, the last change of a condition.
    """
    times = [time for text in _times(pod) if text and (time := _read(text)) is not None]
    # Times are cut to whole seconds: it has finished within the one after that.
    return max(times) + timedelta(seconds=1) if times else datetime.now(UTC)


def _read(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _times(pod: Mapping[str, Any]) -> Iterator[str | None]:
    yield pod["metadata"].get("creationTimestamp")
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(kind) or ():
            yield ((container.get("state") or {}).get("terminated") or {}).get("finishedAt")
    for condition in status.get("conditions") or ():
        yield condition.get("lastTransitionTime")


def clean_up(request: Request, pod: pykube.Pod, *, changed: bool) -> Result | None:
    """Delete a finished pod if its time is over, else come again when it is."""
    text = (pod.metadata.get("annotations") or {}).get(TTL_ANNOTATION)
    try:
        ttl = DEFAULT_TTL if text is None else time_to_live(text)
    except ValueError:
        if changed:
            problem = f"{TTL_ANNOTATION}: {str(text)[:100]!r} is not {DURATION}; the pod stays"
            request.logger.warning("%s", problem)
            tell(pod, "Warning", "InvalidTTL", problem)
        return None
    if ttl is None:
        return None
    age = (datetime.now(UTC) - finished_at(pod.obj)).total_seconds()
    if age < ttl:
        return Result.requeue(after=ttl - age)
    if DRY_RUN:
        request.logger.info("pod would be deleted: it finished %d s ago, its time to live is %g s", age, ttl)
        return None
    return delete(request, pod, why=f"deleted {age:.0f} s after it finished, its time to live was {ttl:g} s")


def delete(request: Request, pod: pykube.Pod, *, why: str) -> Result | None:
    """Delete this pod as it was looked at, and nothing newer: neither another of its name, nor a later state of it."""
    seen = {name: pod.metadata[name] for name in ("uid", "resourceVersion")}  # without one it would be any pod
    try:
        answer = pod.api.delete(**pod.api_kwargs(data=json.dumps({"preconditions": seen})))
    except requests.RequestException as error:
        return once_more(request, one_line(error))
    if answer.status_code == 404:
        return None
    if answer.status_code == 429 or answer.status_code >= 500:
        return once_more(request, f"the API server answers {answer.status_code}")
    if answer.status_code == 409:
        request.logger.info("pod is not deleted: it has changed since it was looked at")
        return Result.requeue()
    pod.api.raise_for_status(answer)
    request.logger.info("pod %s", why)
    tell(pod, "Normal", "TTLExpired", why)
    return None


def once_more(request: Request, problem: str) -> Result:
    """The API server cannot do it now. That is no fault of this pod, which is not given up for it."""
    request.logger.warning("pod is not deleted yet: %s; next try in %g s", problem, PATIENCE)
    return Result.requeue(after=PATIENCE)


def tell(pod: pykube.Pod, kind: str, reason: str, message: str) -> None:
    """An event, unless nothing is to be written."""
    if not DRY_RUN:
        recorder.event(pod, type=kind, reason=reason, message=message)


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
