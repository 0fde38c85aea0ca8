"""Build etcd and kube-apiserver from Go modules, once, and say where they are: `python -m tests.cluster.build`.

Why build: prebuilt binaries have to be downloaded from places that not every network allows; the Go module proxy is
nearly always allowed, and go.sum pins every byte. Only the go.mod files beside this one name versions.

Where they come from, in this order:

1. `KUBEBUILDER_ASSETS`, a folder with both binaries (what envtest, kubebuilder and others use): taken as it is.
2. `${XDG_CACHE_HOME:-~/.cache}/kopf-workqueue/cluster/`: one folder for each component, version and platform, filled
   by `go build` at first. A folder of links joins them, so the answer is one folder, fit for `KUBEBUILDER_ASSETS`.

Everything that a user can mend is a `BuildError` of few lines; the command prints it and ends with status 1.
"""

import contextlib
import fcntl
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


class BuildError(Exception):
    """The binaries cannot be had; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One binary and the Go module that pins it.

    name: file name of the binary; folder: where its go.mod is, below this file; module: the required module whose
    version is the component's; package: what `go build` gets; cost: what a first build takes, for the notice before it.
    """

    name: str
    folder: str
    module: str
    package: str
    cost: str

    @property
    def directory(self) -> Path:
        """The folder of the go.mod."""
        return HERE / self.folder

    def version(self) -> str:
        """The pinned version, such as v1.36.3, from the go.mod."""
        return required_version((self.directory / "go.mod").read_text(encoding="utf-8"), module=self.module)

    def ldflags(self) -> str:
        """Linker flags: strip, and for Kubernetes the version, without which the server calls itself v0.0.0-master."""
        flags = ["-s", "-w"]
        if self.module == "k8s.io/kubernetes":
            version = self.version()
            major, minor = version.removeprefix("v").split(".")[:2]
            values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            flags += [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
        return " ".join(flags)


ETCD = Component(
    name="etcd",
    folder="etcd",
    module="go.etcd.io/etcd/server/v3",
    package="go.etcd.io/etcd/server/v3",
    cost="about half a minute on 2 cores",
)
APISERVER = Component(
    name="kube-apiserver",
    folder="apiserver",
    module="k8s.io/kubernetes",
    package="k8s.io/kubernetes/cmd/kube-apiserver",
    cost="about 3 minutes on 2 cores",
)
COMPONENTS = (ETCD, APISERVER)


def required_version(go_mod: str, *, module: str) -> str:
    """The version that the text of a go.mod requires of a module; LookupError if it names none."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise LookupError(f"go.mod requires no {module}")
    return found.group(1)


def go_needed() -> str:
    """The oldest Go that can build every component, such as 1.26.0: the latest of the go.mods' `go` lines."""
    lines = [
        re.search(r"^go\s+(\S+)", (each.directory / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
        for each in COMPONENTS
    ]
    return max((line.group(1) for line in lines if line), key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: (1, 26, 8) of go1.26.8; (1, 26) of go1.26rc1, which so sorts before 1.26.0."""
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, found.group().split("."))) if found else ()


def _host() -> tuple[str, str]:
    """GOOS and GOARCH of this machine; from Python, so that a filled cache needs no Go."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Builder:
    """Finds the binaries or builds them.

    environ: the environment to obey (KUBEBUILDER_ASSETS, XDG_CACHE_HOME, PATH, HOME, and Go's own variables);
    say: gets each line of progress, by default printed on stderr.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = _say) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._say = say

    def ensure(self) -> Path:
        """The folder that holds etcd and kube-apiserver, after building what is missing.

        Raises BuildError with the few lines that a user needs.
        """
        given = self._environ.get("KUBEBUILDER_ASSETS")
        if given:
            return self._given(Path(given).absolute())
        try:
            return self._cached()
        except OSError as error:
            raise BuildError(f"error: the cache of cluster binaries cannot be used: {error}") from error

    def cache(self) -> Path:
        """The folder under which built binaries are kept."""
        home = self._environ.get("XDG_CACHE_HOME") or Path(self._environ.get("HOME") or Path.home()) / ".cache"
        return Path(home).absolute() / "kopf-workqueue" / "cluster"

    def _given(self, folder: Path) -> Path:
        missing = [each.name for each in COMPONENTS if not os.access(folder / each.name, os.X_OK)]
        if missing:
            raise BuildError(
                f"error: KUBEBUILDER_ASSETS is {folder}, but no executable {' and no '.join(missing)} is there; "
                "unset it to build them from Go modules"
            )
        return folder

    def _cached(self) -> Path:
        platform_name = "-".join(_host())
        binaries = {each: self._folder(each) / each.name for each in COMPONENTS}
        joined = self.cache() / "-".join(["assets", *(each.version() for each in COMPONENTS), platform_name])
        missing = [each for each, binary in binaries.items() if not os.access(binary, os.X_OK)]
        if missing:
            go = self._go()
            costs = ", ".join(f"{each.name} {each.version()} ({each.cost})" for each in missing)
            self._say(
                f"building {costs} once; with empty Go caches it loads about 0.2 GB of modules "
                "and leaves about 3.3 GB in Go's caches"
            )
            for each in missing:
                self._build(go, each)
        for each, binary in binaries.items():
            _link(joined / each.name, target=binary)
        return joined

    def _folder(self, component: Component) -> Path:
        return self.cache() / "-".join([component.name, component.version(), *_host()])

    def _go(self) -> str:
        """Path of a Go that is new enough."""
        needed, path = go_needed(), self._environ.get("PATH", os.defpath)
        advice = "(https://go.dev/dl/), or KUBEBUILDER_ASSETS set to a folder with etcd and kube-apiserver"
        go = shutil.which("go", path=path)
        if go is None:
            raise BuildError(f"error: the API server for tests needs Go {needed} or later on PATH {advice}")
        # Asked outside of the modules: inside of one that needs more, an old Go answers nothing but an error.
        command = [go, "env", "GOVERSION"]
        try:
            asked = subprocess.run(
                command, env=self._go_environ(), cwd="/", capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise BuildError(f"error: {go} does not run: {error.strerror}") from error
        version = asked.stdout.strip()
        if asked.returncode:
            raise BuildError(f"error: {go} does not run: {_last(asked.stdout + asked.stderr, lines=3)}")
        # A development build has no plain number ("devel go1.27-abc"); it is let through, the build itself will tell.
        if version.startswith("go") and _numbers(version) < _numbers(needed):
            raise BuildError(f"error: the API server for tests needs Go {needed} or later, {go} is {version} {advice}")
        return go

    def _go_environ(self) -> dict[str, str]:
        goos, goarch = _host()
        return {
            **self._environ,
            "CGO_ENABLED": "0",
            "GOARCH": goarch,
            "GOOS": goos,
            "GOTOOLCHAIN": "local",  # else an old Go would silently load a whole new toolchain
            "GOWORK": "off",
        }

    def _build(self, go: str, component: Component) -> None:
        """Build one component; of several processes that want it at once one builds, the others wait for it."""
        folder = self._folder(component)
        folder.mkdir(parents=True, exist_ok=True)
        binary, unfinished = folder / component.name, folder / ".unfinished"
        with self._locked(folder / ".lock", waiting=f"waiting for another build of {component.name}"):
            if os.access(binary, os.X_OK):
                return
            unfinished.unlink(missing_ok=True)  # of a build that was killed
            command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", component.ldflags()]
            command += ["-o", str(unfinished), component.package]
            try:
                done = subprocess.run(
                    command,
                    cwd=component.directory,
                    env=self._go_environ(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    raise BuildError(
                        f"{_last(done.stdout, lines=15)}\n"
                        f"error: building {component.name} {component.version()} failed (go's last lines are above); "
                        "if modules could not be loaded, set GOPROXY to a proxy that you can reach; "
                        "if the disk is full, `go clean -cache` frees Go's build cache; "
                        "or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver"
                    )
                unfinished.replace(binary)
            finally:
                unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, path: Path, *, waiting: str) -> Iterator[None]:
        with path.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(waiting)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file gives the lock back, and so does the end of the process


def _last(text: str, *, lines: int) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _link(path: Path, *, target: Path) -> None:
    """Make `path` a link to `target`, atomically; nothing is written if it is one already."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.replace(path)


def ensure() -> Path:
    """The folder that holds etcd and kube-apiserver, built if need be; raises BuildError."""
    return Builder().ensure()


def main() -> int:
    """Print that folder; the exit status is 1, and the reason on stderr, where it cannot be had."""
    try:
        print(ensure())
    except BuildError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; what is built so far stays in Go's cache, the next run goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
