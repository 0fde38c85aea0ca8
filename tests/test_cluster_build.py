"""The builder of the control plane's binaries: where it looks, what it builds, what it says. `go` is a script here."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cluster import build
from tests.cluster.build import APISERVER, COMPONENTS, ETCD, Builder, BuildError

ROOT = Path(__file__).resolve().parents[1]
ADVICE = "(https://go.dev/dl/), or KUBEBUILDER_ASSETS set to a folder with etcd and kube-apiserver"

# What a build was called with goes to $CALLS; the "binary" holds the version flags, so tests see what would be in it.
GO = """#!/bin/sh
case "$1" in
env) echo "${FAKE_GO_VERSION:-go1.99.1}" ;;
build)
    echo "$PWD $* [$CGO_ENABLED $GOTOOLCHAIN $GOWORK]" >> "$CALLS"
    if [ -n "$FAKE_GO_FAILS" ]; then
        i=0; while [ $i -lt 20 ]; do i=$((i + 1)); echo "line $i"; done
        exit 1
    fi
    sleep "${FAKE_GO_SLEEPS:-0}"
    while [ "$1" != -o ]; do shift; done
    echo built > "$2"; chmod +x "$2" ;;
esac
"""


class Machine:
    """A user's machine: a PATH with a fake go, an empty cache, and what the builder said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.go = self.script("bin/go", GO)
        self.calls = folder / "calls"
        self.said: list[str] = []
        self.environ = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "CALLS": str(self.calls),
        }

    def script(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def builder(self) -> Builder:
        return Builder(environ=self.environ, say=self.said.append)

    def fails(self) -> str:
        with pytest.raises(BuildError) as caught:
            self.builder().ensure()
        return str(caught.value)

    def built(self) -> list[str]:
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_builds_once_as_the_recipe_says(machine: Machine) -> None:
    folder = machine.builder().ensure()
    assert folder.parent == machine.folder / "home/.cache/kopf-workqueue/cluster"
    assert sorted(each.name for each in folder.iterdir()) == ["etcd", "kube-apiserver"]
    for component in COMPONENTS:
        home = f"{component.name}-{component.version()}-{'-'.join(build._host())}"
        assert (folder / component.name).resolve() == folder.parent / home / component.name
        assert sorted(each.name for each in (folder.parent / home).iterdir()) == [".lock", component.name]
    etcd, apiserver = machine.built()
    assert etcd.startswith(f"{ETCD.directory} build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w -o ")
    assert etcd.endswith(" go.etcd.io/etcd/server/v3 [0 local off]")
    version = APISERVER.version()
    minor = version.split(".")[1]
    assert apiserver.startswith(
        f"{APISERVER.directory} build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w "
        f"-X k8s.io/component-base/version.gitVersion={version} -X k8s.io/component-base/version.gitMajor=1 "
        f"-X k8s.io/component-base/version.gitMinor={minor} -o "
    )
    assert apiserver.endswith(" k8s.io/kubernetes/cmd/kube-apiserver [0 local off]")
    assert len(machine.said) == 1

    machine.go.unlink()  # a second run needs none
    assert machine.builder().ensure() == folder
    assert len(machine.said) == 1


def test_the_notice_before_a_build_names_only_what_is_missing(machine: Machine) -> None:
    folder = machine.builder().ensure()
    (folder / "etcd").resolve().unlink()
    machine.said.clear()
    assert machine.builder().ensure() == folder
    assert [each.split(" once; ")[0] for each in machine.said] == [
        f"building etcd {ETCD.version()} (about half a minute on 2 cores)"
    ]
    assert len(machine.built()) == 3


def test_xdg_cache_home_is_obeyed(machine: Machine) -> None:
    machine.environ["XDG_CACHE_HOME"] = str(machine.folder / "elsewhere")
    assert machine.builder().ensure().parent == machine.folder / "elsewhere/kopf-workqueue/cluster"


def test_two_builds_at_once_build_once(machine: Machine) -> None:
    machine.environ["FAKE_GO_SLEEPS"] = "0.2"
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(machine.builder().ensure())) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert len(machine.built()) == 2
    assert machine.said.count("waiting for another build of etcd") == 2


def test_a_killed_builds_rest_is_no_binary(machine: Machine) -> None:
    rest = machine.builder()._folder(ETCD) / ".unfinished"
    rest.parent.mkdir(parents=True)
    rest.write_text("half", encoding="utf-8")
    assert (machine.builder().ensure() / "etcd").read_text(encoding="utf-8") == "built\n"
    assert not rest.exists()


def test_kubebuilder_assets_is_used_as_it_is(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = machine.script("assets/etcd").parent
    machine.script("assets/kube-apiserver")
    for given in (str(assets), "assets"):
        machine.environ["KUBEBUILDER_ASSETS"] = given
        monkeypatch.chdir(machine.folder)
        assert machine.builder().ensure() == assets
    assert not machine.built()
    assert not machine.said


@pytest.mark.parametrize(
    ("there", "missing"),
    [(["etcd"], "no executable kube-apiserver is"), ([], "no executable etcd and no kube-apiserver is")],
)
def test_kubebuilder_assets_without_a_binary(machine: Machine, there: list[str], missing: str) -> None:
    for name in there:
        machine.script(f"assets/{name}")
    machine.environ["KUBEBUILDER_ASSETS"] = f"{machine.folder}/assets"
    assert machine.fails() == (
        f"error: KUBEBUILDER_ASSETS is {machine.folder}/assets, but {missing} there; "
        "unset it to build them from Go modules"
    )


def test_no_go(machine: Machine) -> None:
    machine.environ["PATH"] = str(machine.folder / "nothing")
    assert machine.fails() == (
        f"error: the API server for tests needs Go {build.go_needed()} or later on PATH {ADVICE}"
    )


@pytest.mark.parametrize("version", ["go1.9.7", "go1.25.12", "go1.26rc1"])
def test_old_go(machine: Machine, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "go_needed", lambda: "1.26.0")
    machine.environ["FAKE_GO_VERSION"] = version
    assert machine.fails() == (
        f"error: the API server for tests needs Go 1.26.0 or later, {machine.go} is {version} {ADVICE}"
    )


@pytest.mark.parametrize("version", ["go1.26.0", "go1.26.8 X:nocoverageredesign", "go1.27rc1", "devel go1.27-abcdef"])
def test_new_enough_go(machine: Machine, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "go_needed", lambda: "1.26.0")
    machine.environ["FAKE_GO_VERSION"] = version
    machine.builder().ensure()


def test_go_that_does_not_run(machine: Machine) -> None:
    machine.script("bin/go", "#!/bin/sh\necho no such platform >&2\nexit 3\n")
    assert machine.fails() == f"error: {machine.go} does not run: no such platform"
    machine.script("bin/go", "neither a script nor a program")
    assert machine.fails() == f"error: {machine.go} does not run: Exec format error"


def test_a_build_that_fails_shows_its_last_lines_and_what_to_do(machine: Machine) -> None:
    machine.environ["FAKE_GO_FAILS"] = "yes"
    text = machine.fails()
    assert text.splitlines()[:15] == [f"line {number}" for number in range(6, 21)]
    assert text.split("\n", 15)[15] == (
        f"error: building etcd {ETCD.version()} failed (go's last lines are above); if modules could not be loaded, "
        "set GOPROXY to a proxy that you can reach; if the disk is full, `go clean -cache` frees Go's build cache; "
        "or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver"
    )
    del machine.environ["FAKE_GO_FAILS"]
    machine.builder().ensure()  # and nothing of it stays in the way


def test_a_cache_that_cannot_be_written(machine: Machine) -> None:
    machine.environ["XDG_CACHE_HOME"] = str(machine.script("a-file"))
    assert machine.fails().startswith("error: the cache of cluster binaries cannot be used: ")


def test_the_command_prints_the_folder_or_one_line_and_1(machine: Machine) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.cluster.build"]
        return subprocess.run(command, cwd=ROOT, env=machine.environ, capture_output=True, text=True, check=False)

    done = run()
    assert (done.returncode, done.stdout) == (0, f"{machine.builder().ensure()}\n")
    assert len(done.stderr.splitlines()) == 1
    again = run()
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")
    machine.environ["KUBEBUILDER_ASSETS"] = os.devnull
    failed = run()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: KUBEBUILDER_ASSETS is /dev/null, but no executable etcd")
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    ["require example.org/a v1.2.3\n", "require (\n\texample.org/a/b v9.0.0\n\texample.org/a v1.2.3 // indirect\n)\n"],
)
def test_versions_come_from_the_go_mod(text: str) -> None:
    assert build.required_version(text, module="example.org/a") == "v1.2.3"


def test_a_go_mod_without_the_module() -> None:
    with pytest.raises(LookupError, match=r"go\.mod requires no example\.org/a"):
        build.required_version("require example.org/a/b v1.2.3\n", module="example.org/a")
