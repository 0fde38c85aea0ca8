"""The builder of the control plane's binaries: where it looks, what it builds, what it says. `go` is a script here."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import golang
from tests.cluster import build, components
from tests.cluster.build import Builder
from tests.cluster.components import APISERVER, ETCD, KWOK, SCHEDULER, SERVERS, WHOLE, Component
from tests.golang import BuildError

ROOT = Path(__file__).resolve().parents[1]
ADVICE = "(https://go.dev/dl/), or KUBEBUILDER_ASSETS set to a folder with the binaries"

# What a build was called with goes to $CALLS. Kwok's module is the folder $MODULE.
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
list)
    [ "$*" = "list -mod=readonly -m -f {{.Dir}} sigs.k8s.io/kwok" ] && echo "$MODULE" ;;
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
            "MODULE": str(folder / "module"),
        }
        for source in KWOK.sources:
            for name in ("stage", "kustomization"):
                self.script(f"module/{source}/{name}.yaml", f"{name}: {source}\n")
        self.script(f"module/{KWOK.sources[0]}/README.md", "no stage\n")

    def script(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def builder(self) -> Builder:
        return Builder(environ=self.environ, say=self.said.append)

    def fails(self, *wanted: Component) -> str:
        with pytest.raises(BuildError) as caught:
            self.builder().ensure(wanted or WHOLE)
        return str(caught.value)

    def built(self) -> list[str]:
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def home(component: Component) -> str:
    return f"{component.name}-{component.version()}-{'-'.join(build._host())}"


def test_builds_once_as_the_recipe_says(machine: Machine) -> None:
    folder = machine.builder().ensure()
    assert folder.parent == machine.folder / "home/.cache/kopf-workqueue/cluster"
    assert sorted(each.name for each in folder.iterdir()) == sorted(name for each in WHOLE for name in each.files)
    for component in WHOLE:
        for name in component.files:
            assert (folder / name).resolve() == folder.parent / home(component) / name
        found = sorted(each.name for each in (folder.parent / home(component)).iterdir())
        assert found == sorted([".lock", *component.files])
    built = machine.built()
    for component, call in zip(WHOLE, built, strict=True):
        flags = "build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w "
        if component not in (ETCD, KWOK):
            version = APISERVER.version()
            flags += (
                f"-X k8s.io/component-base/version.gitVersion={version} "
                f"-X k8s.io/component-base/version.gitMajor=1 "
                f"-X k8s.io/component-base/version.gitMinor={version.split('.')[1]} "
            )
        assert call.startswith(f"{component.directory} {flags}-o ")
        assert call.endswith(f" {component.package} [0 local off]")
    assert len(machine.said) == 1

    machine.go.unlink()  # a second run needs none
    assert machine.builder().ensure() == folder
    assert len(machine.said) == 1


def test_only_what_is_wanted_is_built(machine: Machine) -> None:
    folder = machine.builder().ensure(SERVERS)
    assert sorted(each.name for each in folder.iterdir()) == ["etcd", "kube-apiserver"]
    assert len(machine.built()) == 2
    assert machine.builder().ensure(WHOLE) == folder, "one folder serves all, as far as it is filled"
    assert (folder / "kwok").read_text(encoding="utf-8") == "built\n"
    assert len(machine.built()) == 5


def test_kwoks_stages_are_joined_beside_it(machine: Machine) -> None:
    folder = machine.builder().ensure((KWOK,))
    assert (folder / "kwok-stages.yaml").read_text(encoding="utf-8") == (
        "stage: kustomize/stage/pod/fast\n---\nstage: kustomize/stage/node/fast\n---\n"
        "stage: kustomize/stage/node/heartbeat-with-lease\n"
    )


def test_a_kwok_without_stages_is_built_again(machine: Machine) -> None:
    folder = machine.builder().ensure((KWOK,))
    (folder / "kwok-stages.yaml").resolve().unlink()
    assert machine.builder().ensure((KWOK,)) == folder
    assert (folder / "kwok-stages.yaml").is_file()
    assert len(machine.built()) == 2


def test_a_kwok_whose_stages_are_elsewhere_is_none(machine: Machine) -> None:
    for path in (machine.folder / "module" / KWOK.sources[1]).iterdir():
        path.unlink()
    assert machine.fails(KWOK) == (
        f"error: {machine.folder}/module has no YAML files in kustomize/stage/node/fast, which kwok needs"
    )


def test_the_notice_before_a_build_names_only_what_is_missing(machine: Machine) -> None:
    folder = machine.builder().ensure()
    (folder / "etcd").resolve().unlink()
    machine.said.clear()
    assert machine.builder().ensure() == folder
    told = f"building etcd {ETCD.version()} (about half a minute on 2 cores) once; "
    assert machine.said == [f"{told}with empty Go caches this leaves about 0.6 GB in them"]
    assert len(machine.built()) == 6


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
    assert len(machine.built()) == 5
    assert machine.said.count("waiting for another build of etcd") == 2


def test_a_killed_builds_rest_is_no_binary(machine: Machine) -> None:
    rest = machine.builder()._folder(ETCD) / "etcd.unfinished"
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
        assert machine.builder().ensure(SERVERS) == assets
    assert not machine.built()
    assert not machine.said


def test_what_kubebuilder_assets_lacks_is_built_when_somebody_needs_it(machine: Machine) -> None:
    for name in ("etcd", "kube-apiserver", "kube-scheduler", "kwok"):
        machine.script(f"assets/{name}")
    machine.environ["KUBEBUILDER_ASSETS"] = f"{machine.folder}/assets"
    folder = machine.builder().ensure(WHOLE)
    # The kwok that is given has no stages beside it, so it is of no use.
    assert [call.split(" [")[0].rsplit("/", 1)[-1] for call in machine.built()] == ["kube-controller-manager", "kwok"]
    for name in ("etcd", "kube-apiserver", "kube-scheduler"):
        assert (folder / name).resolve() == machine.folder / "assets" / name
    assert (folder / "kwok").resolve().parent == machine.builder().cache() / home(KWOK)
    assert machine.builder().ensure((SCHEDULER,)) == machine.folder / "assets"

    del machine.environ["KUBEBUILDER_ASSETS"]  # who takes it away gets the pinned ones
    assert (machine.builder().ensure(SERVERS) / "etcd").resolve().parent == machine.builder().cache() / home(ETCD)
    assert (folder / "etcd").resolve() == machine.folder / "assets/etcd"

    machine.environ["KUBEBUILDER_ASSETS"] = str(folder)  # such a folder is fit to be given
    count = len(machine.built())
    assert machine.builder().ensure(WHOLE) == folder
    assert len(machine.built()) == count


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
        f"error: the control plane for tests needs Go {components.go_needed()} or later on PATH {ADVICE}"
    )


@pytest.mark.parametrize("version", ["go1.9.7", "go1.25.12", "go1.26rc1"])
def test_old_go(machine: Machine, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "go_needed", lambda: "1.26.0")
    machine.environ["FAKE_GO_VERSION"] = version
    assert machine.fails() == (
        f"error: the control plane for tests needs Go 1.26.0 or later on PATH, {machine.go} is {version} {ADVICE}"
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
        "or set KUBEBUILDER_ASSETS to a folder with the binaries"
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
    assert golang.required_version(text, module="example.org/a") == "v1.2.3"


def test_a_go_mod_without_the_module() -> None:
    with pytest.raises(LookupError, match=r"go\.mod requires no example\.org/a"):
        golang.required_version("require example.org/a/b v1.2.3\n", module="example.org/a")
