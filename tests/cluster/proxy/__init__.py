"""A TCP proxy whose network misbehaves when a test says so, to be put between an operator and its API server.

    with Proxy("127.0.0.1", port) as proxy:
        kubeconfig = proxy.kubeconfig(plane.kubeconfig, into=tmp_path / "kubeconfig")
        ...
        proxy.stall(direction="to_client")  # a lost NAT entry: nothing comes any more, and nothing says so
        proxy.wait_for_connections(before + 1)  # the client has noticed

It forwards bytes and looks into none, so TLS stays as it is. How an end ends is passed on as it was: a FIN as a FIN, a
reset as a reset, each after the bytes before it. Each direction of a connection buffers at most 256 KiB; then the
proxy reads no more, and who sends feels it.

What it cannot do: it is two TCP connections and not one, so the client's kernel always has a peer that acknowledges
what it gets. In a stall, keepalive probes are answered and TCP_USER_TIMEOUT never fires, so only an application that
misses bytes notices, which is the case worth a test. And who connects while the target is down is accepted, then reset.
"""

from tests.cluster.proxy.proxy import Proxy
from tests.cluster.proxy.tally import Statistics

__all__ = ["Proxy", "Statistics"]
