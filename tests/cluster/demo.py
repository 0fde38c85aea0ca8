"""Run a command against a whole control plane where a Deployment is scaled and restarted by itself.

`python -m tests.cluster.demo COMMAND...` (`make run CLUSTER=real`)

What `workqueue.testing.demo` is for a quick look, this is for the real thing: etcd, kube-apiserver, the controllers and
the scheduler, on nodes that kwok keeps, so that pods have the lives that real controllers give them. The command is
told of it by `KUBECONFIG` and by nothing else; its exit status is this one's; nothing is left behind.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import requests

from tests.cluster.client import ApiError, Client
from tests.cluster.components import WHOLE
from tests.cluster.controlplane import ControlPlane, ControlPlaneError
from tests.golang import BuildError
from workqueue.testing.stage import Child, Lives, choose_seed, say, tell

NAMESPACE = "demo"
DEPLOYMENT = "web"
NODES = 3

_USAGE = "usage: python -m tests.cluster.demo COMMAND [ARGUMENT...]   e.g.  ... kopf run -A operator/pods.py"


class DeploymentLife:
    """A Deployment, and what happens to it next; its pods are others' business.

    What is, is read from the server each time: if somebody deleted it, or its namespace, it comes back.
    """

    def __init__(self, client: Client, *, seed: int, now: float, say: Callable[[str], None] = say) -> None:
        """
        seed: what all chances depend on; now: an instant of time.monotonic; say: gets a line for each step.
        """
        self._client = client
        self._rng = random.Random(seed)
        self._say = say
        self._due = now
        #: The first steps, in quick succession: whoever watches sees each kind of change within half a minute.
        self._first = [self._scale, self._restart, self._scale]

    def look(self, now: float) -> None:
        """Do what is due; `now` is an instant of time.monotonic."""
        if now < self._due:
            return
        pause = self._rng.uniform(4.0, 6.0) if self._first else self._rng.uniform(8.0, 15.0)
        self._due = now + pause  # also after a step that fails
        deployment = self._client.find(f"{_deployments()}/{DEPLOYMENT}")
        if deployment is None:
            self._create()
        else:
            step = self._first.pop(0) if self._first else self._rng.choice([self._scale, self._scale, self._restart])
            step(deployment)

    def _create(self) -> None:
        if self._client.find(f"/api/v1/namespaces/{NAMESPACE}") is None:
            self._client.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        labels = {"app": DEPLOYMENT}
        containers = [{"name": "nginx", "image": "nginx:1.29", "ports": [{"containerPort": 80}]}]
        spec = {
            "replicas": 5,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        }
        self._client.call("POST", _deployments(), {"metadata": {"name": DEPLOYMENT}, "spec": spec})
        self._say(f"deployment {DEPLOYMENT} made, with 5 replicas")

    def _scale(self, deployment: Mapping[str, Any]) -> None:
        was = deployment["spec"]["replicas"]
        wanted = self._rng.choice([count for count in range(2, 13) if count != was])
        self._client.patch(f"{_deployments()}/{DEPLOYMENT}", {"spec": {"replicas": wanted}})
        self._say(f"deployment {DEPLOYMENT} scaled from {was} to {wanted}")

    def _restart(self, _deployment: Mapping[str, Any]) -> None:
        """What `kubectl rollout restart` does."""
        annotations = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        self._client.patch(f"{_deployments()}/{DEPLOYMENT}", patch)
        self._say(f"deployment {DEPLOYMENT} restarted")


def _deployments() -> str:
    return f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(command: Sequence[str]) -> int:
    """Run a command against a whole control plane; returns the exit status."""
    if not command:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        seed = choose_seed()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)  # until the command is there to get it
    try:
        with ControlPlane(parts=WHOLE, service_accounts="mounted") as plane:
            plane.make_nodes(NODES)
            child = Child()
            life = f"a Deployment is scaled and restarted by itself in namespace {NAMESPACE} (seed {seed})"
            kubeconfig = plane.kubeconfig
            tell(cluster=f"real control plane at {plane.url}; {life}", kubeconfig=kubeconfig, command=command)
            with plane.client() as client:
                lives = [DeploymentLife(client, seed=seed, now=time.monotonic())]
                with Lives(lives, forgives=[ApiError, requests.RequestException]):
                    return child.run(command, {**os.environ, "KUBECONFIG": kubeconfig})
    except KeyboardInterrupt:
        say("stopped before the command was run")
        return 0
    except (BuildError, ControlPlaneError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
