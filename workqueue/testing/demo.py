"""Run a command against an embedded cluster whose pods live by themselves.

``python -m workqueue.testing.demo COMMAND...``

Whoever tries an operator has a cluster to try it on in a second, with nothing to install and nothing to
break: an in-process API server, a namespace ``demo``, a few nodes, and pods that are scheduled, run,
change, are deleted and come back under their names, for as long as the command runs. The command is told
of it by ``KUBECONFIG`` and by nothing else. Its exit status is this one's.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workqueue.testing.apiserver import ApiError, ApiServer
from workqueue.testing.stage import Child, Lives, choose_seed, tell

NAMESPACE = "demo"
NODES = ("node-1", "node-2", "node-3")
PODS = ("web-0", "web-1", "web-2", "web-3", "web-4")

_USAGE = "usage: python -m workqueue.testing.demo COMMAND [ARGUMENT...]   e.g.  ... kopf run -A operator/pods.py"


class PodLife:
    """One pod's name, and what happens to it next. Belongs to the thread of :class:`Churn`.

    What is, is read from the server each time: a pod that somebody else deleted just comes back.
    """

    def __init__(self, server: ApiServer, name: str, *, seed: int, now: float) -> None:
        """:param seed: what all chances depend on, together with the name.
        :param now: an instant of ``time.monotonic``.
        """
        self._server = server
        self._name = name
        self._rng = random.Random(f"{seed} {name}")  # noqa: S311 - a demo's dice
        # The first pod's first life is short: whoever watches sees one go and come back within half a minute.
        self._lifetime = self._rng.uniform(15.0, 19.0) if name == PODS[0] else self._rng.uniform(25.0, 90.0)
        self._uid = ""
        self._born = 0.0
        self._due = now + self._rng.uniform(0.0, 2.0)
        self._terminating = False

    def look(self, now: float) -> None:
        """Do what is due.

        :param now: an instant of ``time.monotonic``.
        """
        try:
            pod = self._server.get("pods", self._name, namespace=NAMESPACE)
        except ApiError:
            pod = None
        if pod is None and self._uid:
            self._uid, self._due = "", now + self._rng.uniform(0.5, 2.0)
        elif pod is not None and "deletionTimestamp" in pod["metadata"] and not self._terminating:
            self._terminating, self._due = True, now + self._rng.uniform(0.5, 1.5)
        if now >= self._due:
            self._due = now + self._act(pod, now)

    def _act(self, pod: Mapping[str, Any] | None, now: float) -> float:
        """Take one step.

        :returns: seconds until the next one.
        """
        if pod is None:
            self._uid = self._create()["metadata"]["uid"]
            self._born, self._terminating = now, False
            return self._rng.uniform(0.4, 1.2)
        if self._terminating:
            self._server.delete("pods", self._name, namespace=NAMESPACE)  # what a kubelet does when it is done
            return self._rng.uniform(0.5, 1.5)
        if not pod["spec"].get("nodeName"):
            self._patch({"spec": {"nodeName": self._rng.choice(NODES)}, "status": {"conditions": _conditions("False")}})
            return self._rng.uniform(0.8, 2.0)
        if pod["status"].get("phase") == "Pending":
            self._patch({"status": self._running()})
            return self._rng.uniform(1.5, 4.0)
        if now - self._born >= self._lifetime:
            self._server.delete("pods", self._name, namespace=NAMESPACE, grace_period=None)
            self._lifetime = self._rng.uniform(25.0, 90.0)
            return 0.0
        self._change()
        return min(self._rng.uniform(2.0, 6.0), max(self._born + self._lifetime - now, 0.0))

    def _create(self) -> dict[str, Any]:
        index = self._name.rpartition("-")[2]
        labels = {
            "app": "web",
            "apps.kubernetes.io/pod-index": index,
            "statefulset.kubernetes.io/pod-name": self._name,
        }
        container = {"name": "nginx", "image": "nginx:1.29", "ports": [{"containerPort": 80}]}
        metadata = {"name": self._name, "namespace": NAMESPACE, "labels": labels}
        return self._server.create("pods", {"metadata": metadata, "spec": {"containers": [container]}})

    def _running(self) -> dict[str, Any]:
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status = {
            "name": "nginx",
            "image": "nginx:1.29",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": started}},
        }
        return {
            "phase": "Running",
            "startTime": started,
            "podIP": f"10.1.{self._rng.randrange(256)}.{self._rng.randrange(1, 255)}",
            "containerStatuses": [status],
            "conditions": _conditions("True"),
        }

    def _change(self) -> None:
        if self._rng.random() < 0.5:
            self._patch({"metadata": {"labels": {"track": self._rng.choice(("stable", "canary"))}}})
        else:
            self._patch({"metadata": {"annotations": {"example.com/load": f"{self._rng.random():.2f}"}}})

    def _patch(self, patch: Mapping[str, Any]) -> None:
        self._server.patch("pods", self._name, patch, namespace=NAMESPACE)


class Churn(Lives):
    """The nodes and pods of an embedded cluster, and the thread that gives the pods their life."""

    def __init__(self, server: ApiServer, *, seed: int) -> None:
        """:param seed: what all chances depend on."""
        server.create("namespaces", {"metadata": {"name": NAMESPACE}})
        for node in NODES:
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
            capacity = {"cpu": "4", "memory": "16Gi", "pods": "110"}
            status = {"conditions": [ready], "capacity": capacity, "allocatable": capacity}
            server.create(
                "nodes", {"metadata": {"name": node, "labels": {"kubernetes.io/hostname": node}}, "status": status}
            )
        lives = [PodLife(server, name, seed=seed, now=time.monotonic()) for name in PODS]
        super().__init__(lives, forgives=[ApiError])


def _conditions(ready: str) -> list[dict[str, str]]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"PodScheduled": "True", "Initialized": ready, "ContainersReady": ready, "Ready": ready}
    return [{"type": kind, "status": status, "lastTransitionTime": now} for kind, status in told.items()]


def main(command: Sequence[str]) -> int:
    """Run a command against an embedded cluster.

    :param command: with its arguments.
    :returns: the exit status.
    """
    if not command:
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    try:
        seed = choose_seed()
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    child = Child()
    with tempfile.TemporaryDirectory(prefix="workqueue-demo-") as directory, ApiServer() as server:
        kubeconfig = server.write_kubeconfig(Path(directory) / "kubeconfig")
        life = f"pods come and go by themselves in namespace {NAMESPACE} (seed {seed})"
        tell(cluster=f"embedded cluster at {server.url}; {life}", kubeconfig=kubeconfig, command=command)
        with Churn(server, seed=seed):
            return child.run(command, {**os.environ, "KUBECONFIG": str(kubeconfig)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
