"""A control plane to test against, on loopback ports: started in about 3 seconds, a whole one in about 4.

    with ControlPlane(users={"operator": ()}) as plane:
        headers = {"Authorization": f"Bearer {plane.admin_token}"}
        requests.get(f"{plane.url}/api/v1/pods", headers=headers, verify=plane.ca_file)

    with ControlPlane(parts=WHOLE) as plane:
        plane.make_nodes(3)  # and pods of Deployments are scheduled and run there

Decisions:

- One file is both the CA for clients and the way to a service account key: kube-apiserver makes a self-signed serving
  certificate in `--cert-dir` before it reads the service account key, so that key *is* `apiserver.key`. No openssl, no
  cryptography package, no key checked in; the certificate outlives a restart of the server.
- Users are static tokens, new at each start. Service accounts get real tokens from the TokenRequest API as anywhere.
- By default pods need no service account, and none is given to them: tests make pods in namespaces a moment old.
- Ports stay those of the first start, so that a part that is stopped and started is found where it was.
- The processes belong to a keeper process (see `keeper`), so nothing survives the test run, however that ends.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from tests.cluster import build, commands, nodes
from tests.cluster.audit import AuditLog
from tests.cluster.client import Client
from tests.cluster.components import APISERVER, CONTROLLER_MANAGER, ETCD, KWOK, SCHEDULER, SERVERS, WHOLE, Component
from tests.cluster.processes import ControlPlaneError, Processes, free_ports
from tests.cluster.users import Users, write_kubeconfig


class ControlPlane:
    """A control plane of its own, from `start()` (or `with`) until `stop()`.

    parts: SERVERS, that is etcd and kube-apiserver, which store objects and leave them as they are; or WHOLE, with the
    controllers, the scheduler and kwok, which give them their life; or SERVERS and some of these.
    users: names of extra users and the groups of each; they authenticate by a token and may do nothing until a
    role binding lets them. Beside them there is `admin` of the group system:masters.
    service_accounts: "ignored", pods need none and get none; "mounted", as in any cluster each pod runs as one
    ("default" if it names none), with its token in a volume. A controller makes "default" a moment after the namespace.
    apiserver_args: more flags for kube-apiserver, such as "--feature-gates=ShardedListAndWatch=true"; a flag that takes
    a list adds to ours, any other replaces it.
    timeout: seconds in which each part has to be ready.
    """

    def __init__(
        self,
        *,
        parts: Sequence[Component] = SERVERS,
        users: Mapping[str, Sequence[str]] | None = None,
        service_accounts: Literal["ignored", "mounted"] = "ignored",
        apiserver_args: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> None:
        if not set(SERVERS) <= set(parts):
            raise ValueError("a control plane has at least etcd and kube-apiserver")
        self._parts = tuple(each for each in WHOLE if each in parts)  # in the order of starting
        masters = ("admin", *(each.name for each in self._parts if each not in SERVERS))
        self._users = Users({**dict.fromkeys(masters, ("system:masters",)), **(users or {})})
        self._service_accounts = service_accounts
        self._apiserver_args = tuple(apiserver_args)
        self._timeout = timeout
        self._assets = Path()
        self._directory: Path | None = None  # from start to stop
        self._processes: Processes | None = None  # the same
        self._ports: dict[str, int] = {}

    # -- life

    def start(self) -> Self:
        """Build the binaries if need be, start all parts, wait until they are ready.

        Raises tests.golang.BuildError, or ControlPlaneError with the last lines of log; then nothing is left.
        """
        if self._processes is not None:
            raise RuntimeError("this control plane runs already")
        self._assets = build.ensure(self._parts)
        atexit.register(self.stop)  # waits for the end; the keeper alone would see to it a moment later
        for attempt in range(3):
            try:
                self._start_once()
                return self
            except BaseException as error:
                self.stop()
                # Between our look and the server's bind somebody else may have taken a port: others are tried.
                if attempt == 2 or "address already in use" not in str(error):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """Stop all parts and remove their folder; harmless when called again."""
        atexit.unregister(self.stop)
        processes, self._processes = self._processes, None
        directory, self._directory = self._directory, None
        if processes is not None:
            processes.close()
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)  # the keeper did it, unless it was killed

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_part(self, part: Component) -> None:
        """Start one of the parts, where it was before; returns when it is ready."""
        self._spawn(part)
        self._wait(part)

    def stop_part(self, part: Component, *, grace: float = 5.0) -> None:
        """Stop one of the parts by SIGTERM, after `grace` seconds by SIGKILL (0: at once, as in a crash).

        Harmless if it does not run. What it stored stays.
        """
        self._running.stop(part.name, grace=grace)

    def start_etcd(self) -> None:
        """Start etcd, on the data and ports that it had."""
        self.start_part(ETCD)

    def stop_etcd(self, *, grace: float = 5.0) -> None:
        """Stop etcd; its data stay."""
        self.stop_part(ETCD, grace=grace)

    def start_apiserver(self) -> None:
        """Start kube-apiserver, on the port and certificate that it had."""
        self.start_part(APISERVER)

    def stop_apiserver(self, *, grace: float = 5.0) -> None:
        """Stop kube-apiserver.

        At SIGTERM it stops listening but waits up to a minute for open watches: with one, it takes all of `grace`;
        and in a whole control plane there are always some.
        """
        self.stop_part(APISERVER, grace=grace)

    # -- access

    @property
    def parts(self) -> tuple[Component, ...]:
        """What it consists of, in the order of starting."""
        return self._parts

    @property
    def url(self) -> str:
        """Where kube-apiserver listens; the same after a restart."""
        return self._place.url(APISERVER)

    @property
    def etcd_url(self) -> str:
        """Where etcd listens for clients, without TLS."""
        return self._place.url(ETCD)

    @property
    def ports(self) -> dict[str, int]:
        """All loopback ports by name of the part; etcd has a second one, "etcd peers"."""
        return dict(self._ports)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of what should run, by name ("etcd", …, and "keeper"); to freeze or kill them."""
        return self._processes.pids if self._processes else {}

    @property
    def directory(self) -> Path:
        """The temporary folder of this control plane, from start to stop; RuntimeError at other times."""
        if self._directory is None:
            raise RuntimeError("this control plane does not run")
        return self._directory

    @property
    def ca_file(self) -> str:
        """Path of the certificate (PEM) to verify kube-apiserver by."""
        return str(self._place.certificate)

    @property
    def admin_token(self) -> str:
        """Bearer token of the user admin in system:masters."""
        return self.token_for("admin")

    def token_for(self, user: str) -> str:
        """Bearer token of "admin" or of one of `users`; KeyError for another."""
        return self._users.token(user)

    def client(self, user: str = "admin") -> Client:
        """A client of kube-apiserver, to be closed."""
        return Client(self.url, token=self.token_for(user), ca_file=self.ca_file)

    @property
    def kubeconfig(self) -> str:
        """Path of a kubeconfig for admin."""
        return self.kubeconfig_for("admin")

    def kubeconfig_for(self, user: str, *, token: str | None = None, namespace: str = "default") -> str:
        """Path of a kubeconfig, made at the call.

        user: "admin" or one of `users` (KeyError for another), or with `token` (such as a service account's) any name
        that fits into a file name; namespace: the context's.
        """
        path = self.directory / f"kubeconfig-{user}-{namespace}.yaml"
        token = self.token_for(user) if token is None else token
        write_kubeconfig(
            path, user=user, token=token, url=self.url, ca_file=self._place.certificate, namespace=namespace
        )
        return str(path)

    def make_nodes(self, count: int, *, prefix: str = "kwok") -> list[str]:
        """Make nodes with room for 110 pods each, kept by kwok; returns their names once all are Ready.

        Kwok touches no other node, and no pod that is bound to another.
        """
        if KWOK not in self._parts:
            raise RuntimeError("only kwok makes nodes ready, and it is not among the parts of this control plane")
        names = [f"{prefix}-{number}" for number in range(count)]
        with self.client() as client:
            waiting = nodes.make_nodes(client, names=names, seconds=self._timeout)
        if waiting:
            raise ControlPlaneError(
                f"{', '.join(waiting)} not Ready after {self._timeout:g} s; kwok's last lines:\n{self.log_tail('kwok')}"
            )
        return names

    # -- what happened

    def audit_position(self) -> int:
        """Where the audit log ends now (bytes), for `audit_events(since=)`."""
        return AuditLog(self.directory).position()

    def audit_events(self, *, since: int = 0) -> Iterator[dict[str, Any]]:
        """What clients asked of the server: each request that was answered, a watch also when it began.

        since: an `audit_position()`. An event may come a moment after its answer: wait for what you expect.
        """
        return AuditLog(self.directory).events(since=since)

    def log_tail(self, name: str, *, lines: int = 30) -> str:
        """The last lines that a part logged: "etcd", "kube-apiserver", …."""
        return self._running.log_tail(name, lines=lines)

    # -- inside

    @property
    def _running(self) -> Processes:
        if self._processes is None:
            raise RuntimeError("this control plane does not run")
        return self._processes

    @property
    def _place(self) -> commands.Place:
        return commands.Place(directory=self.directory, assets=self._assets, ports=self._ports)

    def _start_once(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="workqueue-cluster-"))
        names = [*(each.name for each in self._parts), commands.PEERS]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._processes = Processes(self._directory)
        for each in SERVERS:
            self.start_part(each)
        others = self._parts[len(SERVERS) :]
        for each in others:  # all at once: each takes a second or two
            self._spawn(each)
        for each in others:
            self._wait(each)

    def _spawn(self, part: Component) -> None:
        if part not in self._parts:
            raise RuntimeError(f"{part.name} is not among the parts of this control plane")
        self._running.start(part.name, str(self._assets / part.name), *self._flags(part))

    def _flags(self, part: Component) -> list[str]:
        place, mounted = self._place, self._service_accounts == "mounted"
        if part == ETCD:
            return commands.etcd(place)
        if part == APISERVER:
            files = [*self._users.flags(self.directory), *AuditLog(self.directory).flags()]
            # The second taints each new node until a controller that is not there finds it ready.
            disabled = [*([] if mounted else ["ServiceAccount"]), "TaintNodesByCondition"]
            return commands.apiserver(place, disabled_admission=disabled, extra=[*files, *self._apiserver_args])
        kubeconfig = self.kubeconfig_for(part.name)
        if part == CONTROLLER_MANAGER:
            controllers = commands.MOUNTED_CONTROLLERS if mounted else commands.CONTROLLERS
            return commands.controller_manager(place, kubeconfig=kubeconfig, controllers=controllers)
        client = commands.scheduler if part == SCHEDULER else commands.kwok
        return client(place, kubeconfig=kubeconfig)

    def _wait(self, part: Component) -> None:
        urls = [self._place.ready_url(part)]
        if part == APISERVER:  # a controller of the server makes it, a moment after /readyz says yes
            urls.append(f"{self.url}/api/v1/namespaces/default")
        for url in urls:
            self._running.wait(part.name, url, token=self.admin_token, ca_file=self.ca_file, seconds=self._timeout)
