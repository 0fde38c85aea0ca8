"""Run a command against an embedded cluster whose pods live by themselves.

``python -m workqueue.testing.demo COMMAND...``

Whoever tries an operator has a cluster to try it on in a second, with nothing to install and nothing to
break: an in-process API server, a namespace ``demo``, a few nodes, and pods that are scheduled, run,
change, are deleted and come back under their names, for as long as the command runs. The command is told
of it by ``KUBECONFIG`` and by nothing else. Its exit status is this one's.
"""

import contextlib
import os
import random
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from workqueue.testing.apiserver import ApiError, ApiServer

NAMESPACE = "demo"
NODES = ("node-1", "node-2", "node-3")
PODS = ("web-0", "web-1", "web-2", "web-3", "web-4")
#: Seconds that a command has to end after it was told to.
GRACE = 30
#: An environment variable: the number that makes one run like another.
SEED = "WORKQUEUE_DEMO_SEED"

_USAGE = "usage: python -m workqueue.testing.demo COMMAND [ARGUMENT...]   e.g.  ... kopf run -A operator/pods.py"
_TICK = 0.2  # seconds between two looks at the pods


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


class Churn:
    """The thread that gives the pods of a cluster their life, inside a ``with`` block."""

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
        #: Belongs to the thread once it runs.
        self._lives = [PodLife(server, name, seed=seed, now=time.monotonic()) for name in PODS]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workqueue-demo-pods", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            for life in self._lives:
                with contextlib.suppress(ApiError):  # somebody else was faster: look again
                    life.look(time.monotonic())


class Child:
    """The command, and the signals that are passed on to it. Belongs to the main thread.

    It runs in a session of its own: Ctrl-C in a terminal reaches only this process, which hands it on
    once, so that the command never sees it twice. A command that does not end in time is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        #: The first signal that came; later ones are ignored.
        self._told: signal.Signals | None = None
        self._passed_on = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start the command and wait for its end.

        :returns: an exit status as a shell has it: 128 and the signal's number if one ended it, 126 or 127
            if it could not be started.
        """
        if self._told is not None:
            return 0
        try:
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - the user's own
        except OSError as error:
            _say(f"error: cannot run {command[0]}: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        self._pass_on()  # what came while the command was being started
        status = self._process.wait()
        signal.alarm(0)
        self._kill()  # what the command left behind would have no cluster
        return 128 - status if status < 0 else status

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._told is None:
            self._told = signal.Signals(number)
            self._pass_on()

    def _pass_on(self) -> None:
        if self._process is not None and self._told is not None and not self._passed_on:
            self._passed_on = True
            signal.alarm(GRACE)
            self._to_all(self._told)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        _say(f"the command did not end within {GRACE} s: killed")
        self._kill()

    def _kill(self) -> None:
        self._to_all(signal.SIGKILL)

    def _to_all(self, number: signal.Signals) -> None:
        """Send a signal to the command and the processes it started, as a terminal would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _conditions(ready: str) -> list[dict[str, str]]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"PodScheduled": "True", "Initialized": ready, "ContainersReady": ready, "Ready": ready}
    return [{"type": kind, "status": status, "lastTransitionTime": now} for kind, status in told.items()]


def _say(line: str) -> None:
    """A line for people, beside the command's own output."""
    sys.stderr.write(f"demo: {line}\n")
    sys.stderr.flush()


def main(command: Sequence[str]) -> int:
    """Run a command against an embedded cluster.

    :param command: with its arguments.
    :returns: the exit status.
    """
    if not command:
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    text = os.environ.get(SEED) or str(secrets.randbelow(10**6))
    if not text.isdigit():
        sys.stderr.write(f"error: {SEED} must be a number, not {text!r}\n")
        return 2
    child = Child()
    with tempfile.TemporaryDirectory(prefix="workqueue-demo-") as directory, ApiServer() as server:
        kubeconfig = server.write_kubeconfig(Path(directory) / "kubeconfig")
        _say(f"embedded cluster at {server.url}; pods come and go by themselves in namespace {NAMESPACE} (seed {text})")
        _say(f"look at it with: KUBECONFIG={kubeconfig} kubectl get pods -A -w")
        _say(f"running: {shlex.join(command)}   Ctrl-C ends it")
        with Churn(server, seed=int(text)):
            return child.run(command, {**os.environ, "KUBECONFIG": str(kubeconfig)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
