"""Every wrong way in: what is wrong, what was asked for, and the one line that must answer.

The table is data, so that a test can run each row and another can look each line up in
docs/troubleshooting.md. Lines are formats: {file} is the user's file, {kubeconfig} the kubeconfig,
{url} the API server, {address} a port that is taken. In a kubeconfig $server is the API server, and $tls
the same as https.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from workqueue.testing.apiserver import ApiServer, Fault

PODS = "operator/pods.py"
#: What every file of the table begins with.
HEAD = 'from workqueue import *\nfrom workqueue.queues import *\nmanager = Manager()\npods = manager.informer("pods")\n'
KUBECONFIG = """
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "$server"}}]
users: [{name: u, user: {token: "good"}}]
"""
#: Instead of an answer: the connection is closed.
HANG_UP = b"\0"
HERE = KUBECONFIG.replace("$server", "http://127.0.0.1:1")
#: A service account's token says when it expires; this one did at the turn of the year 2024.
EXPIRED = "e30." + base64.urlsafe_b64encode(json.dumps({"exp": 1704067200}).encode()).decode().rstrip("=") + ".c2ln"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One wrong way in."""

    name: str
    line: str
    args: tuple[str, ...] = ("-A",)
    #: The rest of the operator's file; None runs operator/pods.py.
    body: str | None = None
    #: The kubeconfig's text; None is one for the in-process API server, "" is no such file.
    kubeconfig: str | None = None
    #: What the API server does.
    prepare: Callable[[ApiServer], object] = lambda server: None
    #: Bytes that a listener on loopback answers with; None for no such listener. b"" never answers.
    answer: bytes | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The official client has an ERROR of its own to tell.
    tells_more: bool = False


def _denied(**what: str) -> Callable[[ApiServer], object]:
    return lambda server: server.deny(**what)


def _namespaces(*names: str) -> Callable[[ApiServer], object]:
    return lambda server: [server.create("namespaces", {"metadata": {"name": name}}) for name in names]


def _answers(status: int, path: str = "*") -> Callable[[ApiServer], object]:
    return lambda server: server.script(Fault(path=path, status=status, times=None))


_ROLE = "bind a role with the verbs list and watch, as in deploy/kustomize/base"
_SOURCE = "kubeconfig {kubeconfig} (context {context})"
_NOBODY = f"is it running, and is the server of {_SOURCE} the right one?"

API_SERVER = (
    Way(
        name="nobody listens",
        kubeconfig=HERE,
        line=f"no API server answers at http://127.0.0.1:1 (connection refused): {_NOBODY}",
    ),
    Way(
        name="nobody listens, after the wait that was asked for",
        kubeconfig=HERE,
        environment={"WORKQUEUE_API_SERVER_TIMEOUT": "1"},
        line=f"no API server answers at http://127.0.0.1:1 (connection refused): {_NOBODY} (waited 1 s)",
    ),
    Way(
        name="somebody listens and never answers",
        answer=b"",
        kubeconfig=KUBECONFIG,
        line=f"no API server answers at {{url}} (no answer within 10 s): {_NOBODY}",
    ),
    Way(
        name="something else listens",
        answer=b"SSH-2.0-OpenSSH_9.2p1\r\n",
        kubeconfig=KUBECONFIG,
        line="what answers at {url} is no Kubernetes API server (it answers 'SSH-2.0-OpenSSH_9.2p1'): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="a web server listens",
        answer=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        kubeconfig=KUBECONFIG,
        line="what answers at {url} is no Kubernetes API server (it answers 404 Not Found): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="it leads elsewhere",
        answer=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        kubeconfig=KUBECONFIG,
        line="what answers at {url} is no Kubernetes API server (it answers 302 Found): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="a web server that is content with everything",
        answer=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<hi>",
        kubeconfig=KUBECONFIG,
        line="what answers at {url} is no Kubernetes API server (it answers with something else than JSON): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="a web server that speaks JSON",
        answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
        kubeconfig=KUBECONFIG,
        line="what answers at {url} is no Kubernetes API server (it tells no version): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="it hangs up",
        answer=HANG_UP,
        kubeconfig=KUBECONFIG,
        line=f"no API server answers at {{url}} (the connection was closed without an answer): {_NOBODY}",
    ),
    Way(
        name="https to a server without TLS",
        answer=b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        kubeconfig=KUBECONFIG.replace("$server", "$tls"),
        line="what answers at {tls} is no Kubernetes API server (it does not speak TLS as expected): "
        f"correct the server of {_SOURCE}",
    ),
    Way(
        name="no URL",
        kubeconfig=KUBECONFIG.replace("$server", "my-cluster"),
        line=f"'my-cluster' is no URL of an API server: correct the server of {_SOURCE}",
    ),
    Way(
        name="not ready yet",
        prepare=_answers(503, "/version"),
        line="the API server at {url} is not ready (503 Service Unavailable): look at its own log, or wait for it",
    ),
    Way(
        name="overloaded",
        prepare=_answers(429, "/version"),
        line="the API server at {url} is not ready (429 Too Many Requests): look at its own log, or wait for it",
    ),
    Way(
        name="the token is refused",
        prepare=_answers(401),
        line=f"the API server at {{url}} does not accept the credentials of {_SOURCE} (401 Unauthorized): "
        "log in again, or renew them",
    ),
    Way(
        name="the token expired",
        prepare=_answers(401),
        kubeconfig=KUBECONFIG.replace("good", EXPIRED),
        line=f"the API server at {{url}} does not accept the credentials of {_SOURCE} "
        "(401 Unauthorized; the token expired at 2024-01-01 00:00:00 UTC): log in again, or renew them",
    ),
    Way(
        name="anonymous",
        prepare=_answers(403, "/api/v1"),
        line=f"the API server at {{url}} forbids what every user may (forbidden): correct the credentials of {_SOURCE}",
    ),
)

RIGHTS = (
    Way(
        name="no right to list",
        prepare=_denied(verb="list", resource="pods"),
        line=f"no permission to list pods in all namespaces as the user of {_SOURCE}: {_ROLE}",
    ),
    Way(
        name="no right to watch",
        prepare=_denied(verb="watch", resource="pods"),
        line=f"no permission to watch pods in all namespaces as the user of {_SOURCE}: {_ROLE}",
    ),
    Way(
        name="no right in all namespaces, only in one",
        prepare=_denied(resource="pods", namespace=""),
        line=f"no permission to list and watch pods in all namespaces as the user of {_SOURCE}: {_ROLE}",
    ),
    Way(
        name="no right in one of two namespaces",
        args=("-n", "default", "-n", "other"),
        prepare=lambda server: (
            _namespaces("other")(server),
            server.deny(resource="pods", namespace=""),
            server.deny(verb="watch", resource="pods", namespace="other"),
        ),
        line=f"no permission to watch pods in namespace other as the user of {_SOURCE}: {_ROLE}",
    ),
    Way(
        name="no right to what a pattern needs",
        args=("-n", "de*"),
        prepare=_denied(resource="namespaces"),
        line=f"no permission to list and watch namespaces as the user of {_SOURCE}, which -n 'de*' needs: "
        "grant it by a ClusterRole, or name the namespaces without wildcards",
    ),
    Way(
        name="no right to a resource without namespaces",
        body='nodes = manager.informer("nodes")\n',
        prepare=_denied(resource="nodes"),
        line=f"no permission to list and watch nodes in the cluster as the user of {_SOURCE}: {_ROLE}",
    ),
    Way(
        name="no such namespace",
        args=("-n", "prodd"),
        line="namespace prodd does not exist: correct -n, or create what is missing",
    ),
    Way(
        name="an empty namespace",
        args=("-n", ""),
        line="-n '': the name of the namespace is empty; for all namespaces it is -A",
    ),
    Way(
        name="no such namespaces",
        args=("-n", "prodd", "-n", "testt"),
        line="namespaces prodd, testt do not exist: correct -n, or create what is missing",
    ),
)

KUBECONFIGS = (
    Way(
        name="no such file",
        kubeconfig="",
        line="kubeconfig {kubeconfig} does not exist: correct KUBECONFIG",
    ),
    Way(
        name="no YAML",
        kubeconfig="a: [b",
        line="kubeconfig {kubeconfig} is not YAML (line 1, column 6: expected ',' or ']', but got '<stream end>'): "
        "correct it, or choose another one by KUBECONFIG",
    ),
    Way(
        name="no kubeconfig",
        kubeconfig="- a",
        line="kubeconfig {kubeconfig} is no kubeconfig: expected clusters, users and contexts",
    ),
    Way(
        name="unknown context",
        kubeconfig=HERE.replace("current-context: here", "current-context: nowhere"),
        line="kubeconfig {kubeconfig} has no context 'nowhere', its current-context; there are: here",
    ),
    Way(
        name="no context",
        kubeconfig=HERE.replace("current-context: here", ""),
        line="kubeconfig {kubeconfig} has no current-context: choose one of its contexts (here)",
    ),
    Way(
        name="no such user",
        kubeconfig=HERE.replace("name: u,", "name: v,"),
        line="kubeconfig {kubeconfig} has no user 'u', which its context 'here' wants",
    ),
    Way(
        name="no server",
        kubeconfig=HERE.replace('"http://127.0.0.1:1"', "null"),
        line="kubeconfig {kubeconfig}: cluster 'c' has no server, or one with a user name in it: "
        "expected a URL such as https://host:6443",
    ),
    Way(
        name="no such file of a certificate authority",
        kubeconfig=HERE.replace("{server:", "{certificate-authority: ca.crt, server:"),
        line="kubeconfig {kubeconfig}: there is no file ca.crt, its certificate-authority: correct the path, or get a "
        "fresh kubeconfig",
    ),
    Way(
        name="a damaged certificate authority",
        kubeconfig=HERE.replace("http:", "https:").replace(
            "{server:", "{certificate-authority-data: Z2FyYmFnZQ==, server:"
        ),
        line=f"the certificates or the key of {_SOURCE} cannot be used (no certificate or crl found): get a fresh copy",
    ),
    Way(
        name="a plugin that fails",
        kubeconfig=HERE.replace(
            '{token: "good"}',
            '{exec: {apiVersion: client.authentication.k8s.io/v1, command: "false", interactiveMode: Never}}',
        ),
        line=f"the login with {_SOURCE} failed: the exec plugin 'false' of the kubeconfig gave no credentials",
        tells_more=True,
    ),
    Way(
        name="no such cluster",
        kubeconfig=HERE.replace("name: c,", "name: d,"),
        line="kubeconfig {kubeconfig} has no cluster 'c', which its context 'here' wants",
    ),
)

SETTINGS = (
    Way(
        name="a manager of fewer namespaces than the command's",
        body="Manager(namespaces=['blue'])\n",
        line="Manager(namespaces=['blue']), but Kopf was told to serve all namespaces: leave it out with `kopf run`, "
        "else say the same to both",
    ),
    Way(
        name="POD_WORKERS is no number",
        environment={"POD_WORKERS": "abc"},
        line="POD_WORKERS=abc: expected a whole number of at least 1",
    ),
    Way(
        name="POD_WORKERS is 0",
        environment={"POD_WORKERS": "0"},
        line="POD_WORKERS=0: expected a whole number of at least 1",
    ),
    Way(
        name="POD_RESYNC is negative",
        environment={"POD_RESYNC": "-1"},
        line="POD_RESYNC=-1: expected seconds, at least 1, or 0 for never",
    ),
    Way(
        name="WORKQUEUE_API_SERVER_TIMEOUT is no number",
        environment={"WORKQUEUE_API_SERVER_TIMEOUT": "soon"},
        line="WORKQUEUE_API_SERVER_TIMEOUT=soon: expected seconds, 0 or more",
    ),
    Way(
        name="no address to serve probes at",
        environment={"WORKQUEUE_BIND_ADDRESS": "8080"},
        line="bind address '8080': expected host:port, such as 127.0.0.1:8080, or 0 for none",
    ),
    Way(
        name="the port is in use",
        answer=b"",
        environment={"WORKQUEUE_BIND_ADDRESS": "{address}"},
        line="cannot serve probes and metrics at {address} (address already in use): "
        "set WORKQUEUE_BIND_ADDRESS to a free address, or to 0 for none",
    ),
)

FILES = (
    Way(
        name="workers=0",
        body="pods.controller(lambda request: None, workers=0)\n",
        line="controller 'pods': workers=0, expected a whole number of at least 1 ({file}:5)",
    ),
    Way(
        name="workers is no number",
        body="pods.controller(lambda request: None, workers='abc')\n",
        line="controller 'pods': workers='abc', expected a whole number of at least 1 ({file}:5)",
    ),
    Way(
        name="a negative base delay",
        body="ItemExponentialFailureRateLimiter(-1, 10)\n",
        line="base_delay must be a finite number of seconds, zero or more, not -1 ({file}:5)",
    ),
    Way(
        name="a delay that is no number",
        body="ItemExponentialFailureRateLimiter('1s', 10)\n",
        line="base_delay must be a number of seconds, not '1s' ({file}:5)",
    ),
    Way(
        name="a reconcile function without an argument",
        body="def reconcile(): ...\npods.controller(reconcile)\n",
        line="controller 'pods': reconcile must take one argument, the request: too many positional arguments "
        "({file}:6)",
    ),
    Way(
        name="a time limit that is none",
        body="pods.controller(lambda request: None, timeout=0)\n",
        line="controller 'pods': timeout=0, expected seconds, more than 0, or None ({file}:5)",
    ),
    Way(
        name="no reconcile function",
        body="pods.controller('reconcile')\n",
        line="controller 'pods': 'reconcile' is no function to reconcile with ({file}:5)",
    ),
    Way(
        name="a handler that takes no keywords",
        body="@pods.on_add\ndef added(pod): ...\n",
        line="handler 'added' must take its arguments by keyword and end in **_: missing a required argument: 'pod' "
        "({file}:5)",
    ),
    Way(
        name="two controllers of one name",
        body="pods.controller(lambda request: None)\npods.controller(lambda request: None)\n",
        line="there is a controller 'pods' already: give one of them another name (a file that is loaded twice into "
        "one process, as by two KopfRunners, needs a registry of its own each time) ({file}:6)",
    ),
    Way(
        name="an index of an unknown name",
        body="pods.by_index('nodee', 'node-1')\n",
        line="Index with name nodee does not exist; there are: namespace ({file}:5)",
    ),
    Way(
        name="an index of no field",
        body="field('spec..nodeName')\n",
        line="field('spec..nodeName'): expected names joined by dots, such as 'spec.nodeName' ({file}:5)",
    ),
    Way(
        name="a resync that is too quick",
        body="manager.informer('nodes', resync=0.1)\n",
        line="resync=0.1: expected at least 1 second, or 0 for none ({file}:5)",
    ),
    Way(
        name="a resync that is a text",
        body="manager.informer('nodes', resync='60')\n",
        line="resync='60': expected at least 1 second, or 0 for none ({file}:5)",
    ),
    Way(
        name="namespaces that are a text",
        body="Manager(namespaces='blue')\n",
        line="Manager(namespaces='blue'): expected a list of names ({file}:5)",
    ),
    Way(
        name="two managers of two minds",
        body="Manager(grace=5)\nManager(grace=6)\n",
        line="Manager(grace=6), but another Manager of this operator has said grace=5: say it in one of them, or the "
        "same in both ({file}:6)",
    ),
    Way(
        name="a grace that is a text",
        body="Manager(grace='5')\n",
        line="Manager(grace='5'): expected seconds, 0 or more ({file}:5)",
    ),
    Way(
        name="a reconcile function that yields",
        body="def reconcile(request): yield\npods.controller(reconcile)\n",
        line="controller 'pods': reconcile yields; a run is a call that returns ({file}:6)",
    ),
    Way(
        name="no rate limiter",
        body="pods.controller(lambda request: None, rate_limiter=5)\n",
        line="rate_limiter=5: expected one of workqueue.queues, or its like ({file}:5)",
    ),
    Way(
        name="an option of the queue that is not there",
        body="pods.controller(lambda request: None, rate_limit=5)\n",
        line="controller 'pods': there is no option rate_limit; there are debounce, fairness, max_starvation, "
        "rate_limiter ({file}:5)",
    ),
    Way(
        name="one rate limiter for two controllers",
        body="from workqueue import default_controller_rate_limiter; limiter = default_controller_rate_limiter()\n"
        "pods.controller(lambda request: None, rate_limiter=limiter)\n"
        "pods.controller(lambda request: None, name='again', rate_limiter=limiter)\n",
        line="rate_limiter: queue 'pods' uses this MaxOfRateLimiter already; give queue 'again' one of its own, else "
        "the failures of one would count in the other ({file}:7)",
    ),
    Way(
        name="no time to starve",
        body="pods.controller(lambda request: None, max_starvation=0)\n",
        line="max_starvation=0: expected seconds, more than 0, or None ({file}:5)",
    ),
    Way(
        name="fairness by a name",
        body="pods.controller(lambda request: None, fairness='namespace')\n",
        line="fairness='namespace': expected a function from a key to its tenant, or None ({file}:5)",
    ),
    Way(
        name="a debounce that is a number",
        body="pods.controller(lambda request: None, debounce=5)\n",
        line="debounce=5: expected Debounce(quiet, max_wait), or None ({file}:5)",
    ),
    Way(
        name="a debounce that never ends",
        body="from workqueue.queues import Debounce; Debounce(5, 1)\n",
        line="Debounce(quiet=5, max_wait=1): expected seconds, 0 < quiet <= max_wait ({file}:5)",
    ),
    Way(
        name="an index that is a text",
        body="manager.informer('nodes', indexers={'node': 'spec.nodeName'})\n",
        line="index 'node' is 'spec.nodeName', expected a function, or such as field('spec.nodeName') ({file}:5)",
    ),
    Way(
        name="a client while the file is loaded",
        body="manager.pykube()\n",
        line="no client yet: Kopf has not logged in; clients are for handlers and reconcile functions ({file}:5)",
    ),
    Way(
        name="no resource",
        body="manager.informer('')\n",
        line="informer(''): expected exactly one name of a resource, such as 'pods' ({file}:5)",
    ),
    Way(
        name="a bad key while the file is loaded",
        body="pods.controller(lambda request: None).add('a/b/c')\n",
        line="'a/b/c' is no key: expected 'namespace/name', or 'name' in the cluster scope ({file}:5)",
    ),
)

#: Those that need a whole process; the FILES end while Kopf loads them.
RUNS = (*API_SERVER, *RIGHTS, *KUBECONFIGS, *SETTINGS)
WAYS = (*RUNS, *FILES)
