"""Build a control plane's binaries from Go modules, once, and say where they are: `python -m tests.cluster.build`.

Why build: prebuilt binaries have to be downloaded from places that not every network allows; the Go module proxy is
nearly always allowed, and go.sum pins every byte. Only the go.mod files beside this one name versions.

Where they come from, in this order:

1. `KUBEBUILDER_ASSETS`, a folder with etcd and kube-apiserver (what envtest, kubebuilder and others use): taken as
   they are, and so is everything else that is there. Whoever wants no more than these two builds nothing.
2. `${XDG_CACHE_HOME:-~/.cache}/kopf-workqueue/cluster/`: one folder for each component, version and platform, filled
   by `go build` at first. A folder of links joins them, so the answer is one folder, fit for `KUBEBUILDER_ASSETS`.

Everything that a user can mend is a `BuildError` of few lines; the command prints it and ends with status 1.
"""

import hashlib
import json
import os
import platform
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.components import SERVERS, WHOLE, Component, go_needed
from tests.golang import BuildError, Go, cache_folder, locked, say, unfinished


def _host() -> tuple[str, str]:
    """GOOS and GOARCH of this machine; from Python, so that a filled cache needs no Go."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


class Builder:
    """Finds the binaries or builds them.

    environ: the environment to obey (KUBEBUILDER_ASSETS, XDG_CACHE_HOME, PATH, HOME, and Go's own variables);
    say: gets each line of progress, by default printed on stderr.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, say: Callable[[str], None] = say) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._say = say

    def ensure(self, components: Sequence[Component] = WHOLE) -> Path:
        """The folder that holds all files of these components, after building what is missing.

        Raises BuildError with the few lines that a user needs.
        """
        given = self._given()
        if given is not None and all(_has(given, each) for each in components):
            return given
        try:
            return self._joined(given, components)
        except OSError as error:
            raise BuildError(f"error: the cache of cluster binaries cannot be used: {error}") from error

    def cache(self) -> Path:
        """The folder under which built binaries are kept."""
        return cache_folder("cluster", self._environ)

    def _given(self) -> Path | None:
        """The user's own folder; None without one, BuildError if it lacks what such folders have."""
        if not (text := self._environ.get("KUBEBUILDER_ASSETS")):
            return None
        folder = Path(text).absolute()
        if missing := [each.name for each in SERVERS if not _has(folder, each)]:
            raise BuildError(
                f"error: KUBEBUILDER_ASSETS is {folder}, but no executable {' and no '.join(missing)} is there; "
                "unset it to build them from Go modules"
            )
        return folder

    def _joined(self, given: Path | None, components: Sequence[Component]) -> Path:
        """A folder of links to the files of these components; a link that another call made may be there as well."""
        folders = {
            each: given if given is not None and _has(given, each) else self._folder(each) for each in components
        }
        if missing := [each for each, folder in folders.items() if not _has(folder, each)]:
            go = self._go()
            costs = ", ".join(f"{each.name} {each.version()} ({each.cost})" for each in missing)
            gigabytes = round(sum(each.gigabytes for each in missing), 1)
            self._say(f"building {costs} once; with empty Go caches this leaves about {gigabytes} GB in them")
            for each in missing:
                self._build(go, each)
        # Of each set of versions, and of each folder of a user's own, one: a link is never turned to another version.
        named = json.dumps([str(given or ""), *([each.name, each.version()] for each in WHOLE), *_host()])
        joined = self.cache() / f"assets-{hashlib.sha256(named.encode()).hexdigest()[:12]}"
        for each, folder in folders.items():
            for name in each.files:
                _link(joined / name, target=folder / name)
        return joined

    def _folder(self, component: Component) -> Path:
        return self.cache() / "-".join([component.name, component.version(), *_host()])

    def _go(self) -> Go:
        goos, goarch = _host()
        return Go.find(
            {**self._environ, "GOARCH": goarch, "GOOS": goos},
            whom="the control plane for tests",
            needed=go_needed(),
            advice="(https://go.dev/dl/), or KUBEBUILDER_ASSETS set to a folder with the binaries",
        )

    def _build(self, go: Go, component: Component) -> None:
        """Build one component; of several processes that want it at once one builds, the others wait for it."""
        folder, what = self._folder(component), f"{component.name} {component.version()}"
        folder.mkdir(parents=True, exist_ok=True)
        binary, advice = folder / component.name, "or set KUBEBUILDER_ASSETS to a folder with the binaries"
        waiting = f"waiting for another build of {component.name}"
        with locked(folder / ".lock", waiting=waiting, say=self._say), unfinished(binary) as output:
            if _has(folder, component):
                return
            go.build(
                *("build", component.package),
                output=output,
                folder=component.directory,
                what=what,
                ldflags=component.ldflags(),
                advice=advice,
            )
            output.replace(binary)
            if component.beside:
                asked = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", component.module]
                module = Path(go.run(*asked, folder=component.directory, what=what, advice=advice).strip())
                output.write_text(_join_documents(module, component), encoding="utf-8")
                output.replace(folder / component.beside)


def _has(folder: Path, component: Component) -> bool:
    """Whether all files of a component are there."""
    return os.access(folder / component.name, os.X_OK) and all((folder / name).is_file() for name in component.files)


def _join_documents(module: Path, component: Component) -> str:
    """The YAML documents in a component's folders of its module as one text, without kustomize's own files."""
    texts: list[str] = []
    for source in component.sources:
        paths = [path for path in sorted((module / source).glob("*.yaml")) if path.name != "kustomization.yaml"]
        if not paths:
            raise BuildError(f"error: {module} has no YAML files in {source}, which {component.name} needs")
        texts += [path.read_text(encoding="utf-8").strip() for path in paths]
    return "\n---\n".join(texts) + "\n"


def _link(path: Path, *, target: Path) -> None:
    """Make `path` a link to `target`, atomically; nothing is written if it is one already."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.replace(path)


def ensure(components: Sequence[Component] = WHOLE) -> Path:
    """The folder that holds all files of these components, built if need be; raises BuildError."""
    return Builder().ensure(components)


def main() -> int:
    """Print the folder of all; the exit status is 1, and the reason on stderr, where it cannot be had."""
    try:
        print(ensure())
    except BuildError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; what is built so far stays in Go's cache, the next run goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
