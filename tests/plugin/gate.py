"""A server on loopback that lets in whoever it is told to, and remembers how everyone came."""

import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kubernetes.client

from tests.plugin.conftest import PATIENCE


@dataclass(frozen=True)
class Visit:
    """One request."""

    method: str
    path: str
    authorization: str | None
    body: str
    #: Which connection it came by.
    connection: int
    #: The common name and the end of the client's certificate.
    name: str | None = None
    until: dt.datetime | None = None


class Gate(ThreadingHTTPServer):
    """``accept`` decides about each visit, in the thread of its connection: a status, or None to hang up."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, accept, *, tls=None):
        """:param tls: a context; without one it speaks plain HTTP."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.accept = accept
        self.tls = tls
        self.lock = threading.Lock()
        self.visits: list[Visit] = []
        # By number: a system soon gives a port again.
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.connections: dict[int, socket.socket] = {}
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"

    def process_request_thread(self, request, client_address):
        if self.tls is None:
            return super().process_request_thread(request, client_address)
        try:
            secure = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        except OSError:
            return None
        try:
            secure.do_handshake()
        except OSError:
            # The alert is read by nobody if what the client has sent already is answered by a reset.
            with contextlib.suppress(OSError), socket.socket(fileno=secure.detach()) as plain:
                plain.settimeout(PATIENCE)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(65536):
                    pass
            return None
        return super().process_request_thread(secure, client_address)

    def handle_error(self, request, client_address):
        """A client that goes is no error."""

    @property
    def tokens(self):
        return [visit.authorization and visit.authorization.rpartition(" ")[2] for visit in self.visits]

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join(PATIENCE)
            with self.lock:
                left = [connection for number, connection in self.connections.items() if number not in self.closed]
            for connection in left:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.server.lock:
            self.number = len(self.server.opened)
            self.server.opened.append(self.number)
            self.server.connections[self.number] = self.connection

    def finish(self):
        super().finish()
        with self.server.lock:
            self.server.closed.append(self.number)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        certificate = self.connection.getpeercert() if self.server.tls else None
        name = until = None
        if certificate:
            name = dict(pair for each in certificate["subject"] for pair in each)["commonName"]
            until = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), dt.UTC)
        visit = Visit(self.command, self.path, self.headers.get("Authorization"), body, self.number, name, until)
        with self.server.lock:
            self.server.visits.append(visit)
        status = self.server.accept(visit)
        if status is None:
            self.close_connection = True
            return
        content = {"major": "1", "minor": "36", "gitVersion": "v1.36.3"} if status < 400 else {"kind": "Status"}
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *args):
        """Keep quiet."""


@dataclass
class Official:
    """The official client, as a user has it."""

    login: object
    made: object = field(default=None)

    def get(self, **options):
        """The status of one GET."""
        timeout = options.get("timeout")
        try:
            api = kubernetes.client.VersionApi(self.made or self.login.kubernetes())
            answer = api.get_code(_preload_content=False, _request_timeout=timeout)
            answer.read()
            answer.release_conn()
            return answer.status
        except kubernetes.client.ApiException as error:
            if error.status == 0:
                raise
            return error.status

    def post(self, body):
        api = kubernetes.client.CustomObjectsApi(self.made or self.login.kubernetes())
        try:
            api.create_cluster_custom_object("example.com", "v1", "foos", body)
        except kubernetes.client.ApiException as error:
            return error.status
        return 200

    def watch(self):
        api = kubernetes.client.CoreV1Api(self.made or self.login.kubernetes())
        answer = api.list_namespace(watch=True, _preload_content=False)
        answer.read()
        answer.release_conn()
        return answer.status

    def keep(self):
        """The same, with what it is now for good."""
        return Official(self.login, made=self.login.kubernetes())


@dataclass
class Pykube:
    """pykube's, as a user has it."""

    login: object
    made: object = field(default=None)

    def get(self, **options):
        client = self.made or self.login.pykube()
        return client.get(version="", base="/version", url="", **options).status_code

    def post(self, body):
        return (self.made or self.login.pykube()).post(version="example.com/v1", url="foos", json=body).status_code

    def watch(self):
        client = self.made or self.login.pykube()
        return client.get(url="namespaces", params={"watch": "true"}).status_code

    def keep(self):
        return Pykube(self.login, made=self.login.pykube())


CLIENTS = {"kubernetes": Official, "pykube": Pykube}
