"""The Go program that runs scripts on client-go's and controller-runtime's own queues: built once, kept running."""

import contextlib
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from tests.compat.scripts import Answer, Script
from tests.golang import Program, last_lines

#: Seconds of real time until a script without an answer is an error: it takes about a millisecond.
PATIENCE = 60.0

PROGRAM = Program(
    what="the comparison with client-go",
    whom="the comparison with client-go",
    sources=Path(__file__).resolve().parent / "referee",
    kind="compat",
    name="referee",
    command=("test", "-c", "."),
)


class RefereeError(Exception):
    """No answer can be had; the text says why."""


class Referee:
    """The running program. After a RefereeError the next question starts it anew."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        #: What the program says besides its answers: the trace of a crash.
        self._said: IO[bytes] | None = None

    def ask(self, script: Script) -> list[Answer]:
        """What each operation of the script did. Raises RefereeError, with the script, if the program crashes."""
        process = self._running()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(script.to_json().encode() + b"\n")
            process.stdin.flush()
        line = self._line(process)
        if not line.startswith(b"["):
            status = process.poll()
            said = last_lines((line + self._crash()).decode(errors="replace"), count=60)
            self.close()
            ended = "gave no answer in time" if status is None else f"ended with status {status}"
            raise RefereeError(f"{said}\nerror: the referee {ended} at the script {script.to_json()}")
        return [Answer.from_json(each) for each in json.loads(line)]

    def close(self) -> None:
        """End the program."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        if self._said is not None:
            self._said.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115  # close() closes it
            command = [str(self._binary), "-test.run=^TestReferee$", "-test.timeout=0"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, cwd="/"
            )
        return self._process

    def _crash(self) -> bytes:
        assert self._said is not None
        self._said.seek(0)
        return self._said.read()

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        """One line of its output; less than a line if it ends, or says nothing for too long."""
        assert process.stdout is not None
        text = b""
        while not text.endswith(b"\n"):
            readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
            if not readable:
                return b""
            more = os.read(process.stdout.fileno(), 1 << 20)
            if not more:
                process.wait()
                return text if not text.startswith(b"[") else b""
            text += more
        return text
