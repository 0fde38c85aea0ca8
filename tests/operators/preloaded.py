"""Starts ``kopf run`` many times, while what it imports is imported once: a process is forked for each start.

What is forked is a process of its own as any other: it has its arguments, its environment and its output, runs Kopf's
command, and ends as ``.venv/bin/kopf`` ends.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from tests.operators.harness import ROOT, free_port


class Preloaded:
    """For several threads at a time."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self._server = server
        self._numbers = itertools.count()
        self._ends: dict[int, Future[int]] = {}
        self._lock = threading.Lock()

    def run(self, *args: str, path: str, kubeconfig: Path, log: Path, patience: float, **environment: str) -> int:
        """``kopf run ARGS PATH`` to its end: its status. To take longer than so many seconds is a failure."""
        with self._lock:
            number = next(self._numbers)
            end = self._ends[number] = Future()
            start = {
                "number": number,
                "patience": patience,
                "args": ["kopf", "run", *args, path],
                "log": str(log),
                "environment": {
                    **os.environ,
                    "KUBECONFIG": str(kubeconfig),
                    "WORKQUEUE_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
                    **environment,
                },
            }
            self._server.stdin.write(json.dumps(start) + "\n")
            self._server.stdin.flush()
        status = end.result()
        assert status != -signal.SIGKILL, f"no end within {patience} s: {log.read_text()}"
        return status

    def listen(self) -> None:
        for line in self._server.stdout:
            number, status = json.loads(line)
            self._ends.pop(number).set_result(status)
        for end in self._ends.values():
            end.set_exception(RuntimeError("the server that forks is gone"))


@contextlib.contextmanager
def preloaded() -> Iterator[Preloaded]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.operators.preloading"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        forks = Preloaded(server)
        listener = threading.Thread(target=forks.listen)
        listener.start()
        yield forks
        server.stdin.close()
        listener.join()
