"""The sample controller: each Foo owns a Deployment.

    kubectl apply -f deploy/crds/foos.yaml
    kopf run -A operator/foos.py          # or together: kopf run -A operator/pods.py operator/foos.py

A Foo names a Deployment and says how many replicas it should have. The Deployment is made, corrected
when somebody scales it, made again when somebody deletes it, and goes with its Foo; the Foo's status
says how many replicas are available. What came of each Foo is told by events, ``Synced`` and
``ErrResourceExists``.

Source: client-go's sample-controller (kubernetes/sample-controller, controller.go). Unlike there, no
write is based on less than what was looked at: each carries the uid and resourceVersion of that, and
one that comes too late is refused. As there, a Foo that names another Deployment leaves the former one alone.

FOO_WORKERS (2) says how many Foos are worked on at once.
"""

import copy
import json
from typing import Any

from kubernetes import client

from workqueue import Manager, ObjectKey, Request, Result, TerminalError
from workqueue.base.environment import count, setting
from workqueue.base.text import one_line

GROUP, VERSION, PLURAL, KIND = "samplecontroller.k8s.io", "v1alpha1", "foos", "Foo"

manager = Manager()
recorder = manager.recorder("sample-controller")
foos = manager.informer(GROUP, VERSION, PLURAL)
deployments = manager.informer("deployments.apps")


class NotOurs(Exception):
    """There is a Deployment of that name, and it is not this Foo's: nothing may be done to it."""


def reconcile(request: Request) -> Result | None:
    """Bring the Deployment of one Foo to what the Foo says, and the Foo's status to what the Deployment is."""
    foo = request.get()
    if foo is None:
        request.logger.info("foo does not exist anymore")
        return None
    if "deletionTimestamp" in foo["metadata"]:
        return None  # its Deployment goes with it: the garbage collector sees to that
    name = (foo.get("spec") or {}).get("deploymentName")
    if not name:
        request.logger.error("foo has no spec.deploymentName")
        return None  # trying again is of no use: it comes again when somebody has changed it
    try:
        deployment = bring_about(foo, ObjectKey(request.namespace, name))
        tell_status(foo, deployment)
    except client.ApiException as error:
        if error.status in (404, 409):  # one of them was changed or deleted since it was looked at: look again
            request.logger.info("what was to be written is out of date (%s)", error.reason)
            return Result.requeue()
        if error.status == 422:  # such as a name that is none: it will be refused until the Foo is another
            message = refusal(error)
            recorder.event(foo, type="Warning", reason="ErrInvalid", message=message)
            raise TerminalError(message) from error
        raise
    recorder.event(foo, type="Normal", reason="Synced", message="Foo synced successfully")
    return None


def refusal(error: client.ApiException) -> str:
    """Why the API server refuses something, in its own words: the message of the Status that it answers with."""
    try:
        message = json.loads(error.body)["message"]
    except (ValueError, TypeError, KeyError):  # no body, no JSON, or no Status
        message = None
    return one_line(message or error.reason)


def bring_about(foo: dict[str, Any], key: ObjectKey) -> dict[str, Any]:
    """The Deployment as it should be; made or corrected if it is not.

    :raises NotOurs: if it belongs to somebody else.
    """
    api = client.AppsV1Api(manager.kubernetes())
    deployment = deployments.get(key)
    if deployment is None:
        made = api.create_namespaced_deployment(key.namespace, desired(foo, key))
        return written(key, made)
    if not is_controlled_by(deployment, foo):
        message = f'Resource "{key.name}" already exists and is not managed by Foo'
        recorder.event(foo, type="Warning", reason="ErrResourceExists", message=message)
        raise NotOurs(message)
    replicas = foo["spec"].get("replicas")
    if replicas is not None and deployment["spec"].get("replicas") != replicas:
        corrected = {**deployment, "spec": {**deployment["spec"], "replicas": replicas}}
        return written(key, api.replace_namespaced_deployment(key.name, key.namespace, corrected))
    return deployment


def written(key: ObjectKey, answer: Any) -> dict[str, Any]:
    """What was written, once the cache has it: a run before that would write it again."""
    deployments.wait_for(key, resource_version=answer.metadata.resource_version)
    found: dict[str, Any] = manager.kubernetes().sanitize_for_serialization(answer)
    return found


def is_controlled_by(deployment: dict[str, Any], foo: dict[str, Any]) -> bool:
    """Whether the Deployment is this Foo's, and not that of a former one of its name."""
    owners = deployment["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == foo["metadata"]["uid"] for owner in owners)


def desired(foo: dict[str, Any], key: ObjectKey) -> dict[str, Any]:
    """A new Deployment for a Foo, which owns it."""
    labels = {"app": "nginx", "controller": foo["metadata"]["name"]}
    owner = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": foo["metadata"]["name"],
        "uid": foo["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {"name": key.name, "namespace": key.namespace, "ownerReferences": [owner]},
        "spec": {
            "replicas": foo["spec"].get("replicas"),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]},
            },
        },
    }


def tell_status(foo: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Write how many replicas are available into the Foo's status, unless it says so already."""
    available = (deployment.get("status") or {}).get("availableReplicas") or 0
    if (foo.get("status") or {}).get("availableReplicas") == available:
        return
    changed = copy.deepcopy(foo)
    changed["status"] = {**(foo.get("status") or {}), "availableReplicas": available}
    client.CustomObjectsApi(manager.kubernetes()).replace_namespaced_custom_object_status(
        GROUP, VERSION, foo["metadata"]["namespace"], PLURAL, foo["metadata"]["name"], changed
    )


controller = foos.controller(
    reconcile,
    name="Foos",
    workers=setting("FOO_WORKERS", count, default="2", expected="a whole number of at least 1"),
)
controller.owns(deployments)


@foos.on_add
def foo_created(key: ObjectKey, **_: object) -> None:
    """A Foo exists."""
    controller.add(key)


@foos.on_update
def foo_updated(key: ObjectKey, **_: object) -> None:
    """A Foo changed."""
    controller.add(key)


@foos.on_delete
def foo_deleted(key: ObjectKey, **_: object) -> None:
    """A Foo is gone."""
    controller.add(key)
