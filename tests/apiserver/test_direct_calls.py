"""The store without HTTP: the same objects, the same refusals, the same watches."""

import threading

import pytest

from tests.apiserver.conftest import PODS, Client, pod
from workqueue.testing.apiserver import ApiError, ApiServer, PatchType


def test_what_is_created_directly_is_served_and_watched(server: ApiServer, client: Client) -> None:
    with client.watch() as events:
        made = server.create("pods", pod())
        assert next(events) == {"type": "ADDED", "object": made}
    assert client.get(f"{PODS}/a").json() == made


def test_what_is_created_over_http_is_seen_directly(server: ApiServer, client: Client) -> None:
    body = pod(spec={"containers": [{"name": "c", "image": "i"}]})
    made = client.call("POST", PODS, body).json()
    assert server.get("pods", "a") == made
    assert server.list("pods") == [made]


def test_a_direct_pod_may_be_running_old_and_without_containers(server: ApiServer) -> None:
    metadata = {"uid": "u", "creationTimestamp": "2020-01-01T00:00:00Z"}
    made = server.create("pods", pod(metadata=metadata, status={"phase": "Running"}))
    assert (made["metadata"]["uid"], made["metadata"]["creationTimestamp"]) == ("u", "2020-01-01T00:00:00Z")
    assert made["status"]["phase"] == "Running"
    assert server.create("pods", pod("b"))["status"]["phase"] == "Pending"


def test_a_direct_patch_reaches_spec_and_status_in_one_event(server: ApiServer, client: Client) -> None:
    server.create("pods", pod())
    with client.watch(resourceVersion=server.resource_version) as events:
        server.patch("pods", "a", {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}})
        event = next(events)
    assert (event["object"]["spec"]["nodeName"], event["object"]["status"]["phase"]) == ("n", "Running")


def test_a_direct_patch_may_be_held_to_the_status(server: ApiServer) -> None:
    server.create("pods", pod())
    patch = [
        {"op": "add", "path": "/spec/nodeName", "value": "n"},
        {"op": "add", "path": "/status/phase", "value": "Running"},
    ]
    changed = server.patch("pods", "a", patch, kind=PatchType.JSON, subresource="status")
    assert changed["status"]["phase"] == "Running"
    assert "nodeName" not in changed["spec"]


def test_a_direct_update_replaces_and_respects_the_version(server: ApiServer) -> None:
    old = server.create("pods", pod())
    new = server.update("pods", {**old, "status": {"phase": "Failed"}})
    assert new["status"] == {"phase": "Failed"}
    with pytest.raises(ApiError) as refused:
        server.update("pods", {**old, "spec": {}})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


def test_a_direct_deletion_of_a_scheduled_pod_does_not_wait(server: ApiServer) -> None:
    server.create("pods", pod(spec={"nodeName": "n"}))
    server.delete("pods", "a")
    assert server.list("pods") == []
    server.create("pods", pod(spec={"nodeName": "n"}))
    server.delete("pods", "a", grace_period=None)
    assert server.get("pods", "a")["metadata"]["deletionGracePeriodSeconds"] == 30


def test_resources_are_named_with_their_group(server: ApiServer) -> None:
    server.create("leases.coordination.k8s.io", {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}})
    server.update("leases.coordination.k8s.io", {"metadata": {"name": "a"}, "spec": {"holderIdentity": "you"}})
    assert server.get("leases.coordination.k8s.io", "a")["spec"] == {"holderIdentity": "you"}
    server.create("nodes", {"metadata": {"name": "n"}})
    assert server.get("nodes", "n")["metadata"]["name"] == "n"
    with pytest.raises(ApiError, match="could not find the requested resource"):
        server.list("leases")


def test_lists_select_and_span_namespaces(server: ApiServer) -> None:
    server.create("namespaces", {"metadata": {"name": "other"}})
    server.create("pods", pod("a", metadata={"labels": {"app": "x"}}))
    server.create("pods", pod("b", metadata={"namespace": "other", "labels": {"app": "x"}}))
    server.create("pods", pod("c"), namespace="other")
    assert [each["metadata"]["name"] for each in server.list("pods")] == ["a", "b", "c"]
    assert [each["metadata"]["name"] for each in server.list("pods", namespace="other")] == ["b", "c"]
    assert [each["metadata"]["name"] for each in server.list("pods", label_selector="app=x")] == ["a", "b"]
    assert [each["metadata"]["name"] for each in server.list("pods", field_selector="metadata.name=c")] == ["c"]


def test_documents_belong_to_the_caller(server: ApiServer) -> None:
    given = pod(metadata={"labels": {"x": "y"}})
    made = server.create("pods", given)
    given["metadata"]["labels"]["x"] = made["metadata"]["labels"]["x"] = "changed"
    server.get("pods", "a")["metadata"]["labels"]["x"] = "changed"
    assert server.get("pods", "a")["metadata"]["labels"] == {"x": "y"}


def test_refusals_are_exceptions_with_the_servers_words(server: ApiServer) -> None:
    with pytest.raises(ApiError, match='pods "none" not found') as refused:
        server.get("pods", "none")
    assert refused.value.status["reason"] == "NotFound"
    with pytest.raises(ApiError, match='namespaces "none" not found'):
        server.create("pods", pod(), namespace="none")


def test_a_namespace_takes_its_content_with_it(server: ApiServer, client: Client) -> None:
    server.create("namespaces", {"metadata": {"name": "gone"}})
    server.create("pods", pod(), namespace="gone")
    held = server.create("configmaps", pod("b", metadata={"finalizers": ["example.com/x"]}), namespace="gone")
    server.delete("namespaces", "gone")
    assert server.list("pods") == []
    assert server.get("namespaces", "gone")["status"]["phase"] == "Terminating"
    with client.watch("/api/v1/namespaces", resourceVersion=server.resource_version) as events:
        server.patch("configmaps", "b", {"metadata": {"finalizers": None}}, namespace="gone")
        assert next(events)["type"] == "DELETED"
    assert held["metadata"]["finalizers"]


def test_many_threads_lose_no_write(server: ApiServer, client: Client) -> None:
    def create(thread: int) -> None:
        for index in range(50):
            server.create("configmaps", pod(f"{thread}-{index}"))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    with client.watch("/api/v1/configmaps", resourceVersion=server.resource_version) as events:
        for thread in threads:
            thread.start()
        versions = [int(next(events)["object"]["metadata"]["resourceVersion"]) for _ in range(400)]
        for thread in threads:
            thread.join()
    assert versions == sorted(set(versions))
    assert len(server.list("configmaps")) == 400
