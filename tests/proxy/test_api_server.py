"""Between a client of Kubernetes and its server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.proxy import Proxy
from tests.proxy.line import PATIENCE, SILENCE
from workqueue.testing.apiserver import ApiServer

PODS = "/api/v1/namespaces/default/pods"


class Cluster:
    """An API server, the proxy before it, and a client that knows of the proxy only."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.server = stack.enter_context(ApiServer())
        for number in range(20):
            self.server.create("pods", {"metadata": {"name": f"pod-{number:02d}", "namespace": "default"}})
        port = int(self.server.url.rpartition(":")[2])
        self.proxy = stack.enter_context(Proxy("127.0.0.1", port))
        path = self.proxy.kubeconfig(
            self.server.write_kubeconfig(folder / "kubeconfig"), into=folder / "through the proxy"
        )
        self.url = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"]
        self.session = stack.enter_context(requests.Session())
        self.session.trust_env = False

    def list(self, *, timeout: float = PATIENCE) -> list[str]:
        answer = self.session.get(f"{self.url}{PODS}", timeout=timeout)
        answer.raise_for_status()
        return [each["metadata"]["name"] for each in answer.json()["items"]]

    @contextmanager
    def watch(self) -> Iterator[Iterator[bytes]]:
        query = {"watch": "true", "resourceVersion": "0"}
        with self.session.get(f"{self.url}{PODS}", params=query, stream=True, timeout=PATIENCE) as answer:
            yield answer.iter_lines(chunk_size=None)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


ALL = [f"pod-{number:02d}" for number in range(20)]


def test_pods_are_listed_and_watched_through_the_proxy(cluster: Cluster) -> None:
    assert cluster.list() == ALL
    with cluster.watch() as lines:
        for _ in ALL:
            assert b'"ADDED"' in next(lines)
        cluster.server.delete("pods", "pod-07", namespace="default")
        assert b"pod-07" in next(lines)
    assert cluster.proxy.statistics().to_client > 20 * 100


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (lambda proxy: proxy.cut(connections="all"), requests.ConnectionError),
        (lambda proxy: proxy.cut(how="close", connections="all"), requests.ConnectionError),
        (lambda proxy: (proxy.cut(), proxy.refuse()), requests.ConnectionError),
        (lambda proxy: proxy.stall(), requests.ReadTimeout),
        (lambda proxy: proxy.stall(direction="to_client"), requests.ReadTimeout),
        (lambda proxy: proxy.answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), requests.HTTPError),
        (lambda proxy: proxy.answer(b"\x15\x03\x01\x00\x02\x02\x46"), requests.ConnectionError),
        (lambda proxy: proxy.answer(b""), requests.ConnectionError),
        (lambda proxy: proxy.answer(b"", end="hold"), requests.ReadTimeout),
        (lambda proxy: proxy.cut_after(1000), requests.exceptions.ChunkedEncodingError),
        (lambda proxy: proxy.cut_after(1000, how="close"), requests.exceptions.ChunkedEncodingError),
        (lambda proxy: proxy.splice(b"\0", after=1000, replacing=1), requests.exceptions.JSONDecodeError),
    ],
)
def test_a_list_fails_as_the_network_did_and_succeeds_once_it_is_healed(
    cluster: Cluster, order: Callable[[Proxy], Any], error: type[Exception]
) -> None:
    assert cluster.list() == ALL
    order(cluster.proxy)
    with pytest.raises(error) as caught:
        cluster.list(timeout=SILENCE if error is requests.ReadTimeout else PATIENCE)
    assert caught.type is error
    cluster.proxy.heal()
    assert cluster.list() == ALL


@pytest.mark.parametrize(
    "order",
    [
        lambda proxy: proxy.cut(),
        lambda proxy: proxy.cut(how="close"),
        lambda proxy: proxy.half_close(direction="to_client"),
        lambda proxy: proxy.splice(b"not a chunk's length\r\n", after=0),
    ],
)
def test_a_watch_breaks_where_it_is(cluster: Cluster, order: Callable[[Proxy], Any]) -> None:
    with cluster.watch() as lines:
        for _ in ALL:
            next(lines)
        order(cluster.proxy)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(lines)


def test_a_stalled_watch_says_nothing_and_goes_on_later(cluster: Cluster) -> None:
    with cluster.watch() as lines:
        for _ in ALL:
            next(lines)
        cluster.proxy.stall()
        before = cluster.proxy.statistics()
        cluster.server.delete("pods", "pod-07", namespace="default")
        with pytest.raises(TimeoutError):
            cluster.proxy.wait_until(lambda now: now != before, timeout=SILENCE)
        cluster.proxy.resume()
        assert b"pod-07" in next(lines)
