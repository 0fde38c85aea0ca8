"""The Go program that runs scripts on client-go's and controller-runtime's own queues: built once, kept running.

The binary is cached under `${XDG_CACHE_HOME:-~/.cache}/kopf-workqueue/compat/` by everything it is made from: its
sources, go.mod and go.sum, and the version of Go. What a user can mend is a `RefereeError` of few lines.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from tests.cluster.components import numbers
from tests.compat.scripts import Answer, Script

SOURCES = Path(__file__).resolve().parent / "referee"
#: Seconds of real time until a script without an answer is an error: it takes about a millisecond.
PATIENCE = 60.0


class RefereeError(Exception):
    """No answer can be had; the text says why and what to do."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Builder:
    """Finds the binary or builds it.

    environ: the environment to obey (XDG_CACHE_HOME, PATH, HOME, and Go's own variables); say: gets each line of
    progress, by default printed on stderr.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = _say) -> None:
        self._environ = {
            **(os.environ if environ is None else environ),
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",  # else an old Go would silently load a whole new toolchain
            "GOWORK": "off",
        }
        self._say = say

    def ensure(self) -> Path:
        """The binary, after building it if need be. Raises RefereeError with the few lines that a user needs."""
        go, version = self._go()
        try:
            return self._built(go, version)
        except OSError as error:
            raise RefereeError(f"error: the cache of the comparison's binary cannot be used: {error}") from error

    def cache(self) -> Path:
        """The folder of binaries."""
        home = self._environ.get("XDG_CACHE_HOME") or Path(self._environ.get("HOME") or Path.home()) / ".cache"
        return Path(home).absolute() / "kopf-workqueue" / "compat"

    def _go(self) -> tuple[str, str]:
        """Path and version of a Go that is new enough."""
        go_mod = (SOURCES / "go.mod").read_text(encoding="utf-8")
        needed = next(line.split()[1] for line in go_mod.splitlines() if line.startswith("go "))
        go = shutil.which("go", path=self._environ.get("PATH", os.defpath))
        if go is None:
            raise RefereeError(f"error: the comparison with client-go needs Go {needed} or later on PATH")
        try:
            # Asked outside of the module: inside of one that needs more, an old Go answers nothing but an error.
            asked = subprocess.run(
                [go, "env", "GOVERSION"], env=self._environ, cwd="/", capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise RefereeError(f"error: {go} does not run: {error.strerror}") from error
        version = asked.stdout.strip()
        if asked.returncode:
            raise RefereeError(f"error: {go} does not run: {_last(asked.stdout + asked.stderr, lines=3)}")
        # A development build has no plain number ("devel go1.27-abc"); it is let through, the build itself will tell.
        if version.startswith("go") and numbers(version) < numbers(needed):
            raise RefereeError(
                f"error: the comparison with client-go needs Go {needed} or later on PATH, {go} is {version}"
            )
        return go, version

    def _built(self, go: str, version: str) -> Path:
        content = hashlib.sha256(version.encode())
        for path in sorted(SOURCES.iterdir()):
            content.update(b"\0".join([b"", path.name.encode(), path.read_bytes()]))
        binary = self.cache() / f"referee-{content.hexdigest()[:16]}"
        if os.access(binary, os.X_OK):
            return binary
        binary.parent.mkdir(parents=True, exist_ok=True)
        unfinished = binary.with_suffix(".unfinished")
        with self._locked(binary.with_suffix(".lock")):
            if os.access(binary, os.X_OK):
                return binary
            unfinished.unlink(missing_ok=True)  # of a build that was killed
            self._say("building client-go's and controller-runtime's queues once (about two minutes on 2 cores)")
            try:
                self._build(go, unfinished)
                unfinished.replace(binary)
            finally:
                unfinished.unlink(missing_ok=True)
        return binary

    def _build(self, go: str, output: Path) -> None:
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(output)]
        done = subprocess.run(
            [go, "test", "-c", *flags, "."],
            cwd=SOURCES,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RefereeError(
                f"{_last(done.stdout, lines=15)}\n"
                "error: building the comparison with client-go failed (go's last lines are above); "
                "if modules could not be loaded, set GOPROXY to a proxy that you can reach; "
                "if the disk is full, `go clean -cache` frees Go's build cache"
            )

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        with path.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("waiting for another build of the comparison with client-go")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file gives the lock back, and so does the end of the process


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
            said = _last((line + self._crash()).decode(errors="replace"), lines=60)
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


def _last(text: str, *, lines: int) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])
