"""Build the Go programs that measure client-go and controller-runtime, once: `python -m tests.bench.build`.

There are two, each with what it needs and no more: what a program links decides how often Go collects its garbage.

The binaries are kept under `${XDG_CACHE_HOME:-~/.cache}/kopf-workqueue/bench/` by everything they are made from: their
sources, go.mod and go.sum, and the version of Go. What a user can mend is a `BuildError` of few lines; benchmarks then
do without these peers, and say so.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.cluster.components import numbers, required_version

SOURCES = Path(__file__).resolve().parent / "peers"
#: The packages of the programs, and what each measures.
PROGRAMS = {"queues": (".", "queues"), "informers": ("./informers", "informer")}


class BuildError(Exception):
    """The program cannot be had; the text says why and what to do."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    """The pinned versions of the peers' modules."""
    go_mod = (SOURCES / "go.mod").read_text(encoding="utf-8")
    modules = {"client-go": "k8s.io/client-go", "controller-runtime": "sigs.k8s.io/controller-runtime"}
    return {name: required_version(go_mod, module=module) for name, module in modules.items()}


class Builder:
    """Finds the binary or builds it.

    program: a name of PROGRAMS; environ: the environment to obey (XDG_CACHE_HOME, PATH, HOME, and Go's own
    variables); say: gets each line of progress, by default printed on stderr.
    """

    def __init__(
        self, program: str = "queues", *, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = _say
    ) -> None:
        self._program = program
        self._package, self._what = PROGRAMS[program]
        self._environ = {
            **(os.environ if environ is None else environ),
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",  # else an old Go would silently load a whole new toolchain
            "GOWORK": "off",
        }
        self._say = say

    def ensure(self) -> Path:
        """The binary, after building it if need be. Raises BuildError with the few lines that a user needs."""
        go, version = self._go()
        try:
            return self._built(go, version)
        except OSError as error:
            raise BuildError(f"error: the cache of the benchmarks' Go program cannot be used: {error}") from error

    def cache(self) -> Path:
        """The folder of binaries."""
        home = self._environ.get("XDG_CACHE_HOME") or Path(self._environ.get("HOME") or Path.home()) / ".cache"
        return Path(home).absolute() / "kopf-workqueue" / "bench"

    def _go(self) -> tuple[str, str]:
        """Path and version of a Go that is new enough."""
        go_mod = (SOURCES / "go.mod").read_text(encoding="utf-8")
        needed = next(line.split()[1] for line in go_mod.splitlines() if line.startswith("go "))
        go = shutil.which("go", path=self._environ.get("PATH", os.defpath))
        if go is None:
            raise BuildError(f"error: measuring client-go needs Go {needed} or later on PATH (https://go.dev/dl/)")
        try:
            # Asked outside of the module: inside of one that needs more, an old Go answers nothing but an error.
            asked = subprocess.run(
                [go, "env", "GOVERSION"], env=self._environ, cwd="/", capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise BuildError(f"error: {go} does not run: {error.strerror}") from error
        version = asked.stdout.strip()
        if asked.returncode:
            raise BuildError(f"error: {go} does not run: {_last(asked.stdout + asked.stderr, lines=3)}")
        # A development build has no plain number ("devel go1.27-abc"); it is let through, the build itself will tell.
        if version.startswith("go") and numbers(version) < numbers(needed):
            raise BuildError(f"error: measuring client-go needs Go {needed} or later on PATH, {go} is {version}")
        return go, version

    def _built(self, go: str, version: str) -> Path:
        content = hashlib.sha256(version.encode())
        for path in (each for each in sorted(SOURCES.rglob("*")) if each.is_file()):
            content.update(b"\0".join([b"", path.relative_to(SOURCES).as_posix().encode(), path.read_bytes()]))
        binary = self.cache() / f"{self._program}-{content.hexdigest()[:16]}"
        if os.access(binary, os.X_OK):
            return binary
        binary.parent.mkdir(parents=True, exist_ok=True)
        unfinished = binary.with_suffix(".unfinished")
        with self._locked(binary.with_suffix(".lock")):
            if os.access(binary, os.X_OK):
                return binary
            unfinished.unlink(missing_ok=True)  # of a build that was killed
            self._say(f"building the {self._what} of client-go once (about two minutes on 2 cores)")
            try:
                self._build(go, unfinished)
                unfinished.replace(binary)
            finally:
                unfinished.unlink(missing_ok=True)
        return binary

    def _build(self, go: str, output: Path) -> None:
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(output)]
        done = subprocess.run(
            [go, "build", *flags, self._package],
            cwd=SOURCES,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(
                f"{_last(done.stdout, lines=15)}\n"
                f"error: building the {self._what} of client-go failed (go's last lines are above); "
                "if modules could not be loaded, set GOPROXY to a proxy that you can reach; "
                "if the disk is full, `go clean -cache` frees Go's build cache"
            )

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        with path.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"waiting for another build of the {self._what} of client-go")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file gives the lock back, and so does the end of the process


def _last(text: str, *, lines: int) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])


def main() -> int:
    """Print the paths of the binaries; the exit status is 1, and the reason on stderr, where one cannot be had."""
    try:
        for program in PROGRAMS:
            print(Builder(program).ensure())
    except BuildError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
