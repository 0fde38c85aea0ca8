"""The server of preloaded.py: ``python -m tests.operators.preloading`` imports what an operator needs, then only forks.

It reads starts from its input, a JSON document a line, and writes how each ended.
"""

import json
import os
import select
import signal
import sys
import time
from typing import Any

import kubernetes.config

#: Seconds between two looks at those that run.
PERIOD = 0.02


def serve() -> dict[str, Any]:
    """Fork for each start. Returns in what was forked only, with what that is to do."""
    running: dict[int, tuple[int, float]] = {}
    unread = b""
    while True:
        if select.select([0], [], [], PERIOD)[0]:
            if not (more := os.read(0, 65536)):
                os._exit(0)
            *lines, unread = (unread + more).split(b"\n")
            for line in lines:
                start = json.loads(line)
                if not (pid := os.fork()):
                    return start
                running[pid] = start["number"], time.monotonic() + start["patience"]
        for pid, (number, until) in list(running.items()):
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del running[pid]
                os.write(1, json.dumps([number, os.waitstatus_to_exitcode(status)]).encode() + b"\n")


def become(start: dict[str, Any]) -> None:
    """Take over what makes a process one of its own."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(start["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.environ.clear()
    os.environ.update(start["environment"])
    sys.argv[:] = start["args"]
    # The official client looks at KUBECONFIG once, when it is imported.
    for module in (kubernetes.config, kubernetes.config.kube_config):
        module.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]


if __name__ == "__main__":
    import kopf.cli

    import workqueue  # noqa: F401

    become(serve())
    sys.exit(kopf.cli.main())
