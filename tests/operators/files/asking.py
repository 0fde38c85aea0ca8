"""An operator that asks the API server for each pod, by clients that it made once; for "late" when it is told to."""

import threading

import pykube
from kubernetes.client import ApiException, CoreV1Api

from workqueue import Manager, Request

lock = threading.Lock()
#: What each run found: by the official client, and by pykube.
found: list[tuple[str, str]] = []
apis: dict[str, CoreV1Api] = {}
begun, go_on = threading.Event(), threading.Event()
#: What the run for "late" was refused with.
refused: list[int] = []

manager = Manager(qps=1000, burst=500)
pods = manager.informer("pods")


def reconcile(request: Request) -> None:
    if request.name == "late":
        begun.set()
        go_on.wait(60)
        try:
            CoreV1Api(manager.kubernetes()).read_namespaced_pod(request.name, request.namespace)
        except ApiException as error:
            refused.append(error.status)
        return
    with lock:
        api = apis.setdefault("core", CoreV1Api(manager.kubernetes()))
    official = api.read_namespaced_pod(request.name, request.namespace).metadata.uid
    pod = pykube.Pod.objects(manager.pykube()).filter(namespace=request.namespace).get_by_name(request.name)
    with lock:
        found.append((official, pod.metadata["uid"]))


controller = pods.controller(reconcile, workers=7)
pods.on_add(lambda key, **_: controller.add(key))
