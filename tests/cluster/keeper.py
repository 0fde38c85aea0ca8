"""A small process that owns a control plane's servers, so that they never outlive the test run that wanted them.

Tests get killed: by kill -9, by a CI's time limit, by a crashed interpreter, and then no `finally` and no atexit runs.
So the servers are no children of the test run but of this process, which does nothing but hold the other end of a pipe:
the kernel closes that pipe however the run ends, and at its end the keeper stops all servers and removes the folder.
Against the usual alternatives: PR_SET_PDEATHSIG set by the test run itself needs `preexec_fn`, unsafe in a process with
threads, and fires when the *thread* that started the server ends. Here, in a process with one thread, it is fine, and
covers the keeper's own death by kill -9 (Linux only; there is no such thing elsewhere).

    python -I keeper.py FOLDER

One JSON document a line on stdin, one answer a line on stdout, in turn:

    {"do": "start", "name": "etcd", "argv": ["…"], "log": "/path"}  ->  {"pid": 7}
    {"do": "stop", "name": "etcd", "grace": 5.0}                    ->  {"code": 0}
    {"do": "code", "name": "etcd"}                                  ->  {"code": null}

`stop` sends SIGTERM, and SIGKILL after `grace` seconds; a code of null means that the server runs. Anything that fails
is answered by {"error": "…"}. Standard library only, and no import of ours: it starts in 20 ms.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def _die_with_keeper() -> None:
    with contextlib.suppress(OSError, AttributeError):  # not on Linux: the pipe alone has to do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Keeper:
    """Starts and stops servers; `folder` is removed when `close` has stopped the last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, subprocess.Popen[bytes]] = {}  # by name, in the order started; ended ones stay

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one request asks."""
        do, name = request["do"], request["name"]
        if do == "start":
            with Path(request["log"]).open("ab") as log:
                self._servers.pop(name, None)
                server = self._servers[name] = subprocess.Popen(
                    request["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_keeper
                )
            return {"pid": server.pid}
        if do == "stop":
            return {"code": _stop(self._servers[name], grace=request["grace"])}
        if do == "code":
            return {"code": self._servers[name].poll()}
        raise ValueError(f"unknown request {do!r}")

    def close(self) -> None:
        """Stop all, the last started first, and remove the folder."""
        for server in reversed(list(self._servers.values())):
            _stop(server, grace=2.0)
        shutil.rmtree(self._folder, ignore_errors=True)


def _stop(server: subprocess.Popen[bytes], *, grace: float) -> int:
    if server.poll() is None:
        server.terminate()
        server.send_signal(signal.SIGCONT)  # a server that a test froze would not see SIGTERM
        try:
            return server.wait(grace)
        except subprocess.TimeoutExpired:
            server.kill()
    return server.wait()


def _requests(parent: int) -> Iterator[dict[str, Any]]:
    """The requests on stdin; ends with the pipe, or when `parent` is gone.

    The second because a child that the parent forked without exec holds a copy of the pipe and would keep it open.
    """
    rest = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        yield from map(json.loads, lines)


def main() -> None:
    """Serve requests until the parent is gone, then stop everything."""
    parent = os.getppid()
    # The run decides, by its pipe: a Ctrl-C in the terminal or a signal to the group must not take the servers first.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: None)  # not SIG_IGN, which the servers would inherit
    keeper = Keeper(Path(sys.argv[1]))
    try:
        for request in _requests(parent):
            try:
                answer = keeper.answer(request)
            except (OSError, LookupError, ValueError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            os.write(1, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        pass  # the parent went away while it waited for an answer
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
