"""How each part of a control plane is started: its flags, and where it says that it is ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.components import APISERVER, CONTROLLER_MANAGER, ETCD, KWOK, SCHEDULER, Component
from tests.cluster.processes import HOST

#: Makes a node kwok's: it leaves all others, and the pods bound to them, alone.
FAKE_NODE = ("kwok.x-k8s.io/node", "fake")
#: What a Deployment, an owner, a namespace needs to have its life. On purpose without pod garbage collection and the
#: node lifecycle: tests bind pods to nodes that do not exist, and have nodes that nobody keeps alive.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "statefulset-controller",
)
#: Where pods run as service accounts, each namespace also gets the certificate to know the API server by.
MOUNTED_CONTROLLERS = (*CONTROLLERS, "root-ca-certificate-publisher-controller")
#: A second port of etcd's, for peers that it does not have.
PEERS = "etcd peers"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the files and ports of a control plane are.

    directory: the control plane's folder; assets: that of the binaries; ports: by name of a part, and PEERS.
    """

    directory: Path
    assets: Path
    ports: Mapping[str, int]

    def url(self, part: Component) -> str:
        """Where a part listens. All that speak TLS show the API server's certificate."""
        scheme = "http" if part in (ETCD, KWOK) else "https"
        return f"{scheme}://{HOST}:{self.ports[part.name]}"

    def ready_url(self, part: Component) -> str:
        """What answers 200 once a part is ready."""
        paths = {ETCD: "/health", APISERVER: "/readyz", CONTROLLER_MANAGER: "/healthz", SCHEDULER: "/readyz"}
        return self.url(part) + paths.get(part, "/healthz")

    @property
    def certificate(self) -> Path:
        """kube-apiserver makes it, when it starts first."""
        return self.directory / "certificates" / "apiserver.crt"

    @property
    def key(self) -> Path:
        """Of the certificate; service account tokens are signed by it as well."""
        return self.certificate.with_suffix(".key")


def etcd(place: Place) -> list[str]:
    """Without waiting for the disk: its data need not outlive the machine."""
    clients, peers = (f"http://{HOST}:{place.ports[name]}" for name in (ETCD.name, PEERS))
    return [
        f"--data-dir={place.directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]


def apiserver(place: Place, *, disabled_admission: Sequence[str], extra: Sequence[str]) -> list[str]:
    """With RBAC; `extra` comes last, so that it wins."""
    return [
        f"--etcd-servers={place.url(ETCD)}",
        f"--bind-address={HOST}",
        # So no route to the outside is looked for; Endpoints with a loopback address would be refused.
        f"--advertise-address={HOST}",
        "--endpoint-reconciler-type=none",
        f"--secure-port={place.ports[APISERVER.name]}",
        f"--cert-dir={place.certificate.parent}",
        f"--service-account-key-file={place.key}",
        f"--service-account-signing-key-file={place.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        *(f"--disable-admission-plugins={name}" for name in disabled_admission),
        *extra,
    ]


def controller_manager(place: Place, *, kubeconfig: str, controllers: Sequence[str]) -> list[str]:
    """With these controllers; one alone, so nobody has to be elected."""
    return [
        *_client_of_apiserver(place, CONTROLLER_MANAGER, kubeconfig),
        f"--controllers={','.join(controllers)}",
        f"--root-ca-file={place.certificate}",
    ]


def scheduler(place: Place, *, kubeconfig: str) -> list[str]:
    """The default one, for pods that name no other."""
    return _client_of_apiserver(place, SCHEDULER, kubeconfig)


def kwok(place: Place, *, kubeconfig: str) -> list[str]:
    """Kubelets of the nodes that carry FAKE_NODE: these are Ready, their pods run at once and end at once."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={place.assets / KWOK.beside}",
        f"--manage-nodes-with-annotation-selector={'='.join(FAKE_NODE)}",
        # Without leases: after a restart it would let its nodes alone until those of its former self have run out.
        "--node-lease-duration-seconds=0",
        "--cidr=10.64.0.0/10",  # its own choice is where Services are
        f"--server-address={HOST}:{place.ports[KWOK.name]}",
    ]


def _client_of_apiserver(place: Place, part: Component, kubeconfig: str) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--authentication-skip-lookup=true",  # of more ways to log in, which the server publishes seconds later
        "--leader-elect=false",
        f"--bind-address={HOST}",
        f"--secure-port={place.ports[part.name]}",
        f"--tls-cert-file={place.certificate}",
        f"--tls-private-key-file={place.key}",
        # A test is not to wait for politeness: 20 pods a second otherwise.
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
    ]
