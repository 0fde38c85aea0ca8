"""The processes of a control plane, owned by a keeper (see there): started, waited for, stopped, their logs read."""

import contextlib
import http.client
import json
import random
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


class ControlPlaneError(RuntimeError):
    """A part did not start or ended by itself; the text carries its last lines of log."""


class Processes:
    """What one keeper owns, until `close()`; the folder, with a log for each process, goes with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pids: dict[str, int] = {}  # of what was started and not stopped through us
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("keeper.py")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal, or a kill of the run's group, is not for the servers
            cwd="/",
        )

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of what should run; the keeper's own is among them."""
        return {**self._pids, "keeper": self._keeper.pid}

    def start(self, name: str, *argv: str) -> None:
        """Start a process, whatever becomes of it; RuntimeError if the one of that name was not stopped."""
        if name in self._pids:
            raise RuntimeError(f"{name} was not stopped")
        self._pids[name] = self._ask(do="start", name=name, argv=argv, log=str(self._log(name)))["pid"]

    def stop(self, name: str, *, grace: float) -> None:
        """Stop a process by SIGTERM, after `grace` seconds by SIGKILL; harmless if it was not started."""
        if self._pids.pop(name, None) is not None:
            self._ask(do="stop", name=name, grace=grace)

    def wait(self, name: str, url: str, *, token: str, ca_file: str, seconds: float) -> None:
        """Wait until `url` answers 200; ControlPlaneError when the process ends first or the time is over."""
        deadline = time.monotonic() + seconds
        answer = "no answer"
        while time.monotonic() < deadline:
            code = self._ask(do="code", name=name)["code"]
            if code is not None:
                del self._pids[name]
                raise ControlPlaneError(f"{name} ended with status {code}; its last lines:\n{self.log_tail(name)}")
            try:
                answer = _get(url, token=token, ca_file=ca_file)
            except (OSError, http.client.HTTPException) as error:
                answer = str(error)
            else:
                return
            time.sleep(0.05)
        raise ControlPlaneError(
            f"{name} was not ready after {seconds:g} s ({answer}); its last lines:\n{self.log_tail(name)}"
        )

    def log_tail(self, name: str, *, lines: int = 30) -> str:
        """The last lines that a process logged."""
        with contextlib.suppress(FileNotFoundError):
            text = self._log(name).read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def close(self) -> None:
        """Stop all, the keeper last."""
        assert self._keeper.stdin
        assert self._keeper.stdout
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()
        self._keeper.stdout.close()
        try:
            self._keeper.wait(30)  # seconds; it gives 2 to each process
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._keeper.stdin
        assert self._keeper.stdout
        try:
            self._keeper.stdin.write(json.dumps(request).encode() + b"\n")
            self._keeper.stdin.flush()
            line = self._keeper.stdout.readline()
        except BrokenPipeError:
            line = b""
        answer = json.loads(line) if line else {"error": "the keeper process is gone, and its servers with it"}
        if "error" in answer:
            raise ControlPlaneError(answer["error"])
        return answer


def _get(url: str, *, token: str, ca_file: str) -> str:
    """The body of an answer 200; OSError for any other, urllib's HTTPError included."""
    # Loopback, whatever HTTPS_PROXY says.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=5.0) as response:
            body: bytes = response.read()
            return body.decode()
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection, else closed with a ResourceWarning
            raise OSError(f"{error.code}: {error.read().decode(errors='replace')[-2000:]}") from None


def free_ports(count: int) -> list[int]:
    """Free ports of 127.0.0.1, from 20000 to 31999.

    Linux gives 32768 and up, macOS 49152 and up, to outgoing connections and to whoever binds port 0: so a process that
    was stopped finds its own free when it starts again.
    """
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(20_000, 32_000)
            holder = stack.enter_context(socket.socket())
            # As Go's listeners do: without it a port with connections in TIME_WAIT looks taken.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                holder.bind((HOST, port))
                found.append(port)
        return found
