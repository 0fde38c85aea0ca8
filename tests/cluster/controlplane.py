"""A control plane to test against: one etcd and one kube-apiserver on loopback ports, started in about 3 seconds.

    with ControlPlane(users={"operator": ()}) as plane:
        headers = {"Authorization": f"Bearer {plane.admin_token}"}
        requests.get(f"{plane.url}/api/v1/pods", headers=headers, verify=plane.ca_file)

Decisions:

- One file is both the CA for clients and the way to a service account key: kube-apiserver makes a self-signed serving
  certificate in `--cert-dir` before it reads the service account key, so that key *is* `apiserver.key`. No openssl, no
  cryptography package, no key checked in; the certificate outlives a restart of the server.
- Users are static tokens, new at each start. Service accounts get real tokens from the TokenRequest API as anywhere.
- Pods need no service account (`--disable-admission-plugins=ServiceAccount`: no controller makes the default one).
- Ports come from below the range that the kernel gives to outgoing connections, so a stopped server finds its own
  free when it starts again.
- The servers belong to a keeper process (see `keeper`), so nothing survives the test run, however that ends.
"""

import atexit
import base64
import contextlib
import csv
import http.client
import json
import random
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster import build

HOST = "127.0.0.1"
ETCD, APISERVER = "etcd", "kube-apiserver"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ControlPlaneError(RuntimeError):
    """A server did not start or ended by itself; the text carries its last lines of log."""


class ControlPlane:
    """etcd and kube-apiserver of its own, from `start()` (or `with`) until `stop()`.

    users: names of extra users and the groups of each; they authenticate by a token and may do nothing until a
    role binding lets them. Beside them there is `admin` of the group system:masters.
    apiserver_args: more flags for kube-apiserver, such as "--feature-gates=ShardedListAndWatch=true"; a flag that takes
    a list adds to ours, any other replaces it.
    timeout: seconds in which the servers have to be ready.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, Sequence[str]] | None = None,
        apiserver_args: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> None:
        self._groups = {"admin": ("system:masters",), **(users or {})}
        self._tokens = {name: secrets.token_hex(16) for name in self._groups}
        self._apiserver_args = tuple(apiserver_args)
        self._timeout = timeout
        self._assets = Path()
        self._directory: Path | None = None  # from start to stop
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int] = {}  # of the servers that were started and not stopped through us
        self._ports: tuple[int, int, int] = (0, 0, 0)  # etcd for clients, etcd for peers, kube-apiserver

    # -- life

    def start(self) -> Self:
        """Build the binaries if need be, start both servers, wait until they are ready.

        Raises tests.cluster.build.BuildError, or ControlPlaneError with the last lines of log; then nothing is left.
        """
        if self._keeper is not None:
            raise RuntimeError("this control plane runs already")
        self._assets = build.ensure()
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
        """Stop both servers and remove their folder; harmless when called again."""
        atexit.unregister(self.stop)
        keeper, self._keeper, self._pids = self._keeper, None, {}
        directory, self._directory = self._directory, None
        if keeper is not None:
            assert keeper.stdin
            assert keeper.stdout
            with contextlib.suppress(BrokenPipeError):
                keeper.stdin.close()
            keeper.stdout.close()
            try:
                keeper.wait(30)  # seconds; it gives 2 to each server
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)  # the keeper did it, unless it was killed

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_etcd(self) -> None:
        """Start etcd, on the data and ports that it had; returns when it answers."""
        client, peer, _ = self._ports
        self._spawn(
            ETCD,
            f"--data-dir={self.directory / 'etcd'}",
            "--unsafe-no-fsync",  # the data need not outlive the machine
            f"--listen-client-urls=http://{HOST}:{client}",
            f"--advertise-client-urls=http://{HOST}:{client}",
            f"--listen-peer-urls=http://{HOST}:{peer}",
            f"--initial-advertise-peer-urls=http://{HOST}:{peer}",
            f"--initial-cluster=default=http://{HOST}:{peer}",
        )
        self._wait(ETCD, f"http://{HOST}:{client}/health")

    def stop_etcd(self, *, grace: float = 5.0) -> None:
        """Stop etcd by SIGTERM, after `grace` seconds by SIGKILL; its data stay."""
        self._stop_server(ETCD, grace=grace)

    def start_apiserver(self) -> None:
        """Start kube-apiserver, on the port and certificate that it had; returns when it is ready."""
        client, _, secure = self._ports
        files = self.directory
        (files / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY), encoding="utf-8")
        with (files / "tokens.csv").open("w", encoding="utf-8", newline="") as file:
            rows = ((self._tokens[name], name, name, ",".join(groups)) for name, groups in self._groups.items())
            csv.writer(file).writerows(rows)
        self._spawn(
            APISERVER,
            f"--etcd-servers=http://{HOST}:{client}",
            f"--bind-address={HOST}",
            # So no route to the outside is looked for; Endpoints with a loopback address would be refused.
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",
            f"--secure-port={secure}",
            f"--cert-dir={files / 'certificates'}",
            f"--service-account-key-file={files / 'certificates' / 'apiserver.key'}",
            f"--service-account-signing-key-file={files / 'certificates' / 'apiserver.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={files / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={files / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=100000",  # MB; a rotated file would be lost to audit_events
            *self._apiserver_args,
        )
        self._wait(APISERVER, f"{self.url}/readyz")
        # A controller of the server makes it, a moment after /readyz says yes.
        self._wait(APISERVER, f"{self.url}/api/v1/namespaces/default")

    def stop_apiserver(self, *, grace: float = 5.0) -> None:
        """Stop kube-apiserver by SIGTERM, after `grace` seconds by SIGKILL (0: at once, as in a crash).

        At SIGTERM it stops listening but waits up to a minute for open watches: with one, it takes all of `grace`.
        """
        self._stop_server(APISERVER, grace=grace)

    # -- access

    @property
    def url(self) -> str:
        """Where kube-apiserver listens; the same after a restart."""
        return f"https://{HOST}:{self._ports[2]}"

    @property
    def etcd_url(self) -> str:
        """Where etcd listens for clients, without TLS."""
        return f"http://{HOST}:{self._ports[0]}"

    @property
    def ports(self) -> tuple[int, int, int]:
        """The loopback ports: etcd for clients, etcd for peers, kube-apiserver."""
        return self._ports

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of what should run, by name ("etcd", "kube-apiserver", "keeper"); to freeze or kill them."""
        return {**self._pids, **({"keeper": self._keeper.pid} if self._keeper else {})}

    @property
    def directory(self) -> Path:
        """The temporary folder of this control plane, from start to stop; RuntimeError at other times."""
        if self._directory is None:
            raise RuntimeError("this control plane does not run")
        return self._directory

    @property
    def ca_file(self) -> str:
        """Path of the certificate (PEM) to verify kube-apiserver by."""
        return str(self.directory / "certificates" / "apiserver.crt")

    @property
    def admin_token(self) -> str:
        """Bearer token of the user admin in system:masters."""
        return self._tokens["admin"]

    def token_for(self, user: str) -> str:
        """Bearer token of "admin" or of one of `users`; KeyError for another."""
        return self._tokens[user]

    @property
    def kubeconfig(self) -> str:
        """Path of a kubeconfig for admin."""
        return self.kubeconfig_for("admin")

    def kubeconfig_for(self, user: str, *, token: str | None = None, namespace: str = "default") -> str:
        """Path of a kubeconfig, made at the call.

        user: "admin" or one of `users` (KeyError for another), or with `token` (such as a service account's) any name
        that fits into a file name; namespace: the context's.
        """
        token = self._tokens[user] if token is None else token
        authority = base64.b64encode(Path(self.ca_file).read_bytes()).decode()  # inside, so that the file may be copied
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": user, "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": user,
        }
        path = self.directory / f"kubeconfig-{user}-{namespace}.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return str(path)

    # -- what happened

    @property
    def audit_log(self) -> str:
        """Path of the audit log: one JSON document a line, for each request at level Metadata."""
        return str(self.directory / "audit.log")

    def audit_position(self) -> int:
        """Where the audit log ends now (bytes), for `audit_events(since=)`."""
        with contextlib.suppress(FileNotFoundError):
            return Path(self.audit_log).stat().st_size
        return 0

    def audit_events(self, *, since: int = 0) -> Iterator[dict[str, Any]]:
        """What clients asked of the server: each request that was answered, a watch also when it began.

        since: an `audit_position()`. An event may come a moment after its answer: wait for what you expect.
        """
        with contextlib.suppress(FileNotFoundError), Path(self.audit_log).open("rb") as file:
            file.seek(since)
            for line in file:
                if line.endswith(b"\n"):  # else it is being written
                    yield json.loads(line)

    def log_tail(self, name: str, *, lines: int = 30) -> str:
        """The last lines that "etcd" or "kube-apiserver" logged."""
        with contextlib.suppress(FileNotFoundError):
            text = self._log(name).read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    # -- inside

    def _start_once(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="workqueue-cluster-"))
        self._ports = _free_ports()
        keeper = Path(__file__).with_name("keeper.py")
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(keeper), str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal, or a kill of the run's group, is not for the servers
            cwd="/",
        )
        self.start_etcd()
        self.start_apiserver()

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._keeper is None:
            raise RuntimeError("this control plane does not run")
        assert self._keeper.stdin
        assert self._keeper.stdout
        try:
            self._keeper.stdin.write(json.dumps(request).encode() + b"\n")
            self._keeper.stdin.flush()
            line = self._keeper.stdout.readline()
        except BrokenPipeError:
            line = b""
        answer = json.loads(line) if line else {"error": "the keeper process is gone, and its servers with it"}
        if "error" in answer:
            raise ControlPlaneError(answer["error"])
        return answer

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _spawn(self, name: str, *flags: str) -> None:
        if name in self._pids:
            raise RuntimeError(f"{name} was not stopped")
        argv = [str(self._assets / name), *flags]
        self._pids[name] = self._ask(do="start", name=name, argv=argv, log=str(self._log(name)))["pid"]

    def _stop_server(self, name: str, *, grace: float) -> None:
        if self._pids.pop(name, None) is not None:
            self._ask(do="stop", name=name, grace=grace)

    def _wait(self, name: str, url: str) -> None:
        """Wait until `url` answers 200; ControlPlaneError when `name` ends first or the time is over."""
        deadline = time.monotonic() + self._timeout
        answer = "no answer"
        while time.monotonic() < deadline:
            code = self._ask(do="code", name=name)["code"]
            if code is not None:
                del self._pids[name]
                raise ControlPlaneError(f"{name} ended with status {code}; its last lines:\n{self.log_tail(name)}")
            try:
                answer = _get(url, token=self.admin_token, ca_file=self.ca_file)
            except (OSError, http.client.HTTPException) as error:
                answer = str(error)
            else:
                return
            time.sleep(0.05)
        raise ControlPlaneError(
            f"{name} was not ready after {self._timeout:g} s ({answer}); its last lines:\n{self.log_tail(name)}"
        )


def _get(url: str, *, token: str, ca_file: str) -> str:
    """The body of an answer 200; OSError for any other, urllib's HTTPError included."""
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler({})
    ]  # loopback, whatever HTTPS_PROXY says
    if url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=5.0) as response:
            body: bytes = response.read()
            return body.decode()
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection, else closed with a ResourceWarning
            raise OSError(f"{error.code}: {error.read().decode(errors='replace')[-2000:]}") from None


def _free_ports() -> tuple[int, int, int]:
    """Three free ports of 127.0.0.1 from 20000 to 31999.

    Linux gives 32768 and up, macOS 49152 and up, to outgoing connections and to whoever binds port 0.
    """
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < 3:
            port = random.randrange(20_000, 32_000)
            holder = stack.enter_context(socket.socket())
            # As Go's listeners do: without it a port with connections in TIME_WAIT looks taken.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                holder.bind((HOST, port))
                found.append(port)
        return found[0], found[1], found[2]
