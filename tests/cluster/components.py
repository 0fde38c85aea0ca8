"""What a control plane is built from: each binary, the Go module that pins its version, and what builds it.

Only the go.mod files in the folders beside this one name versions. Kubernetes' three share a go.mod, because each
would need the same long list of replacements; etcd and kwok have their own, as their requirements disagree.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.golang import oldest_go, required_version

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Component:
    """One binary and the Go module that pins it.

    name: file name of the binary; folder: where its go.mod is, below this file; module: the required module whose
    version is the component's; package: what `go build` gets; cost and gigabytes: the time of a first build and what
    it leaves in Go's caches, in the order of WHOLE, for the notice before it; beside: a file that it needs and whose
    pieces are in the module, "" for none; sources: the folders of these pieces.
    """

    name: str
    folder: str
    module: str
    package: str
    cost: str
    gigabytes: float
    beside: str = ""
    sources: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        """The folder of the go.mod."""
        return HERE / self.folder

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files that have to be there."""
        return (self.name, self.beside) if self.beside else (self.name,)

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
    gigabytes=0.6,
)
APISERVER = Component(
    name="kube-apiserver",
    folder="kubernetes",
    module="k8s.io/kubernetes",
    package="k8s.io/kubernetes/cmd/kube-apiserver",
    cost="about 3 minutes",
    gigabytes=2.6,
)
CONTROLLER_MANAGER = Component(
    name="kube-controller-manager",
    folder="kubernetes",
    module="k8s.io/kubernetes",
    package="k8s.io/kubernetes/cmd/kube-controller-manager",
    cost="about a minute after that",
    gigabytes=0.6,
)
SCHEDULER = Component(
    name="kube-scheduler",
    folder="kubernetes",
    module="k8s.io/kubernetes",
    package="k8s.io/kubernetes/cmd/kube-scheduler",
    cost="seconds after that",
    gigabytes=0.0,
)
KWOK = Component(
    name="kwok",
    folder="kwok",
    module="sigs.k8s.io/kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    cost="about a minute",
    gigabytes=0.8,
    beside="kwok-stages.yaml",  # what its nodes and pods do; without it kwok ends with "no stages found"
    sources=("kustomize/stage/pod/fast", "kustomize/stage/node/fast", "kustomize/stage/node/heartbeat-with-lease"),
)

#: The two that store and serve objects; what envtest's folders have.
SERVERS = (ETCD, APISERVER)
#: Everything: objects also get their life.
WHOLE = (*SERVERS, CONTROLLER_MANAGER, SCHEDULER, KWOK)


def go_needed() -> str:
    """The oldest Go that can build every component."""
    return oldest_go(*(each.directory for each in WHOLE))
