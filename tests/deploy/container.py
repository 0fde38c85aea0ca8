"""Runs a container of a rendered pod as a kubelet would: the image's entry point, the pod's arguments and environment.

Nothing of the test run's own environment gets in. Different from a pod are only: the paths (see dockerfile), the port,
which is a free one on loopback, and the login, which is a kubeconfig with the service account's own token.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.dockerfile import Image
from tests.operators.harness import Subprocess, free_port

#: What the downward API answers.
POD = {"metadata.name": "kopf-workqueue-5d8f9c7b6-x2x2x"}


@contextlib.contextmanager
def run(image: Image, container: dict[str, Any], *, kubeconfig: str, folder: Path) -> Iterator[Subprocess]:
    """The container's process, until the end of `with`; it must end with status 0 at SIGTERM, as at a pod's end.

    folder: a new one, for its temporary files and its log.
    """
    (container_port,) = (each["containerPort"] for each in container["ports"])
    environment = {each["name"]: _value(each) for each in container["env"]}
    assert environment["WORKQUEUE_BIND_ADDRESS"] == f":{container_port}", "the ports in the pod differ"
    assert not environment.keys() & image.environment.keys()
    mounts = {each["mountPath"]: folder / each["name"] for each in container["volumeMounts"]}
    for each in [*mounts.values(), folder / "home"]:
        each.mkdir(parents=True)
    port = free_port()
    environment |= image.environment
    environment |= {
        "WORKQUEUE_BIND_ADDRESS": f"127.0.0.1:{port}",
        "KUBECONFIG": kubeconfig,
        "HOME": str(folder / "home"),
        "TMPDIR": str(mounts["/tmp"]),
    }
    command = [*image.entrypoint, *(container.get("args") or image.command)]
    program = shutil.which(command[0], path=image.environment["PATH"])
    assert program, f"{command[0]} is not on the image's PATH"
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=image.at(image.workdir),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    operator = Subprocess(port=port, process=process, log=log)
    with operator.ended():
        yield operator
    assert process.returncode == 0, operator.output()
    assert "Traceback" not in operator.output(), operator.output()


def _value(variable: dict[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    return POD[variable["valueFrom"]["fieldRef"]["fieldPath"]]
