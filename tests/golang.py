"""Go programs that tests need: a Go that is new enough, what it builds, and what a user is told where it cannot.

What a user can mend is a `BuildError` of few lines.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


class BuildError(Exception):
    """A program cannot be had; the text says why and what to do."""


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def cache_folder(name: str, environ: Mapping[str, str]) -> Path:
    """Where built things of one kind are kept."""
    home = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    return Path(home).absolute() / "kopf-workqueue" / name


def required_version(go_mod: str, *, module: str) -> str:
    """The version that the text of a go.mod requires of a module; LookupError if it names none."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise LookupError(f"go.mod requires no {module}")
    return found.group(1)


def oldest_go(*folders: Path) -> str:
    """The oldest Go that can build all of these modules, such as 1.26.0: the latest of the go.mods' `go` lines."""
    lines = [re.search(r"^go\s+(\S+)", (each / "go.mod").read_text(encoding="utf-8"), re.MULTILINE) for each in folders]
    return max((line.group(1) for line in lines if line), key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: (1, 26, 8) of go1.26.8; (1, 26) of go1.26rc1, which so sorts before 1.26.0."""
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, found.group().split("."))) if found else ()


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go that is new enough."""

    path: str
    #: As it says it itself, such as go1.26.8.
    version: str
    environ: Mapping[str, str]

    @classmethod
    def find(cls, environ: Mapping[str, str], *, whom: str, needed: str, advice: str = "") -> "Go":
        """The one on PATH.

        :param environ: the environment to obey: PATH, and Go's own variables.
        :param whom: who needs it, for the error.
        :param needed: the oldest version that will do.
        :param advice: what else there is to do, for the error.
        :raises BuildError: if there is none.
        """
        advice = advice and f" {advice}"
        environ = {
            **environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",  # else an old Go would silently load a whole new toolchain
            "GOWORK": "off",
        }
        path = shutil.which("go", path=environ.get("PATH", os.defpath))
        if path is None:
            raise BuildError(f"error: {whom} needs Go {needed} or later on PATH{advice}")
        try:
            # Asked outside of a module: inside of one that needs more, an old Go answers nothing but an error.
            asked = subprocess.run(
                [path, "env", "GOVERSION"], env=environ, cwd="/", capture_output=True, text=True, check=False
            )
        except OSError as failure:
            raise BuildError(f"error: {path} does not run: {failure.strerror}") from failure
        version = asked.stdout.strip()
        if asked.returncode:
            raise BuildError(f"error: {path} does not run: {last_lines(asked.stdout + asked.stderr, count=3)}")
        # A development build has no plain number ("devel go1.27-abc"); it is let through, the build itself will tell.
        if version.startswith("go") and numbers(version) < numbers(needed):
            raise BuildError(f"error: {whom} needs Go {needed} or later on PATH, {path} is {version}{advice}")
        return cls(path=path, version=version, environ=environ)

    def run(self, *command: str, folder: Path, what: str, advice: str = "") -> str:
        """What it says.

        :param folder: of the go.mod.
        :param what: is being built, for the error.
        :param advice: what else there is to do, for the error.
        :raises BuildError: with its last lines and what to do, if it fails.
        """
        done = subprocess.run(
            [self.path, *command],
            cwd=folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(
                f"{last_lines(done.stdout, count=15)}\n"
                f"error: building {what} failed (go's last lines are above); "
                "if modules could not be loaded, set GOPROXY to a proxy that you can reach; "
                f"if the disk is full, `go clean -cache` frees Go's build cache{advice and f'; {advice}'}"
            )
        return done.stdout

    def build(
        self, *command: str, output: Path, folder: Path, what: str, ldflags: str = "-s -w", advice: str = ""
    ) -> None:
        """Build so that the same sources give the same bytes; see :meth:`run`.

        :param command: `build PACKAGE`, or `test -c PACKAGE`.
        :param output: the file to write.
        """
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", str(output)]
        self.run(*command[:-1], *flags, command[-1], folder=folder, what=what, advice=advice)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of our own.

    The binary is kept under `${XDG_CACHE_HOME:-~/.cache}/kopf-workqueue/` by everything it is made from: its sources,
    go.mod and go.sum, and the version of Go.
    """

    #: What it is, for the user: "building WHAT once"; and who needs Go for it: "WHOM needs Go 1.26".
    what: str
    whom: str
    #: The folder of its go.mod; all files in it are its sources.
    sources: Path
    #: The kind under which it is kept, and the name of its file there.
    kind: str
    name: str
    #: What go gets: `build PACKAGE`, or `test -c PACKAGE`.
    command: tuple[str, ...]

    def ensure(self, *, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = say) -> Path:
        """The binary, after building it if need be.

        :param environ: the environment to obey: XDG_CACHE_HOME, PATH, HOME, and Go's own variables.
        :param say: gets each line of progress.
        :raises BuildError: if it cannot be had.
        """
        environ = os.environ if environ is None else environ
        go = Go.find(environ, whom=self.whom, needed=oldest_go(self.sources))
        try:
            return self._ensure(go, cache_folder(self.kind, environ), say)
        except OSError as error:
            raise BuildError(f"error: the cache of the binary of {self.what} cannot be used: {error}") from error

    def _ensure(self, go: Go, cache: Path, say: Callable[[str], None]) -> Path:
        content = hashlib.sha256(go.version.encode())
        for path in (each for each in sorted(self.sources.rglob("*")) if each.is_file()):
            content.update(b"\0".join([b"", path.relative_to(self.sources).as_posix().encode(), path.read_bytes()]))
        binary = cache / f"{self.name}-{content.hexdigest()[:16]}"
        if os.access(binary, os.X_OK):
            return binary
        cache.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another build of {self.what}"
        with locked(binary.with_suffix(".lock"), waiting=waiting, say=say), unfinished(binary) as output:
            if not os.access(binary, os.X_OK):
                say(f"building {self.what} once (about two minutes on 2 cores)")
                go.build(*self.command, output=output, folder=self.sources, what=self.what)
                output.replace(binary)
        return binary


@contextlib.contextmanager
def locked(path: Path, *, waiting: str, say: Callable[[str], None]) -> Iterator[None]:
    """Of several processes that build the same one builds, the others wait for it.

    :param waiting: what is said by one that waits.
    """
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back, and so does the end of the process


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file beside another, to be written and then put in its place; what a build that was killed left is gone."""
    beside = path.with_suffix(".unfinished")
    beside.unlink(missing_ok=True)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def last_lines(text: str, *, count: int) -> str:
    """The last of them, as one text."""
    return "\n".join(text.rstrip().splitlines()[-count:])
