"""A child that talks in lines of JSON: a subject, or the server that replays."""

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.bench.turns import ROOT

#: Seconds that anything may take at most.
PATIENCE = 600.0


class Died(RuntimeError):
    """The child ended, or said nothing for too long; the text has its last lines."""


class Child:
    """Runs from ``with`` to its end; what it says on stderr is kept for the case that it dies."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._words = words
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it holds nothing that could be lost
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(OSError):
                pipe.close()
        self._errors.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, line: str) -> None:
        """Write a line."""
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, at: str | None = None, *, patience: float = PATIENCE) -> dict[str, Any]:
        """The next line; with ``at`` the next one that is about that, others are dropped."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Died(f"{self._words[0]} said nothing for {patience:g} s: {self._tail()}") from None
            if not line:
                raise Died(f"{' '.join(self._words)} ended: {self._tail()}")
            if not line.startswith(b"{"):
                continue
            heard: dict[str, Any] = json.loads(line)
            if at is None or heard.get("at") == at:
                return heard

    def used(self) -> float:
        """Seconds of CPU so far, as others see it: in steps of ten milliseconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self, *, least: float, most: float = 120.0) -> None:
        """Wait until it does nothing: for so many seconds at least, and until it uses less than 5 % of a core."""
        began, before = time.monotonic(), self.used()
        while time.monotonic() - began < most:
            time.sleep(0.5)
            now = self.used()
            if now - before < 0.025 and time.monotonic() - began >= least:
                return
            before = now

    def _read(self) -> None:
        assert self._process.stdout
        with contextlib.suppress(ValueError):  # closed at the end
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _tail(self) -> str:
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-20:])
