"""What can be made to go wrong on purpose."""

import time

import pytest
import requests

from tests.apiserver.conftest import PODS, Client, pod
from workqueue.testing.apiserver import ApiServer, Fault


def test_a_chosen_answer_comes_once(server: ApiServer, client: Client) -> None:
    server.script(Fault(method="GET", path=PODS, status=429, headers={"Retry-After": "7"}))
    assert client.get("/api/v1/nodes").status_code == 200
    refused = client.get(PODS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json()["reason"] == "TooManyRequests"
    assert client.get(PODS).status_code == 200


@pytest.mark.parametrize("code", [401, 403, 409, 410, 500, 503, 504])
def test_a_chosen_status_has_a_body_that_fits(server: ApiServer, client: Client, code: int) -> None:
    server.script(Fault(status=code))
    refused = client.get(PODS)
    assert (refused.status_code, refused.json()["kind"], refused.json()["code"]) == (code, "Status", code)


def test_a_chosen_body_is_sent_as_it_is(server: ApiServer, client: Client) -> None:
    server.script(Fault(status=200, body={"kind": "PodList", "items": None}))
    server.script(Fault(status=502, body=b"<html>bad gateway</html>", headers={"Content-Type": "text/html"}))
    assert client.get(PODS).json() == {"kind": "PodList", "items": None}
    refused = client.get(PODS)
    assert (refused.text, refused.headers["Content-Type"]) == ("<html>bad gateway</html>", "text/html")


def test_a_fault_may_hit_some_times_or_always(server: ApiServer, client: Client) -> None:
    server.script(Fault(status=500, times=2))
    assert [client.get(PODS).status_code for _ in "123"] == [500, 500, 200]
    server.script(Fault(status=500, times=None))
    assert [client.get(PODS).status_code for _ in "123"] == [500, 500, 500]
    server.clear_faults()
    assert client.get(PODS).status_code == 200


def test_a_fault_may_look_at_the_query_and_the_path(server: ApiServer, client: Client) -> None:
    server.script(Fault(path="/api/v1/*pods", query=lambda query: "watch" in query, status=403))
    assert client.get(PODS).status_code == 200
    assert client.get("/api/v1/pods", watch="true").status_code == 403


def test_faults_hit_in_the_order_they_were_scripted(server: ApiServer, client: Client) -> None:
    server.script(Fault(status=500))
    server.script(Fault(status=503))
    assert [client.get(PODS).status_code for _ in "123"] == [500, 503, 200]


def test_a_request_may_never_be_answered(server: ApiServer, client: Client) -> None:
    server.script(Fault(path=PODS, hang=True))
    with pytest.raises(requests.ReadTimeout):
        requests.get(server.url + PODS, timeout=0.2)
    assert client.get(PODS).status_code == 200


def test_a_list_may_break_midway(server: ApiServer, client: Client) -> None:
    server.create("pods", pod())
    whole = client.get(PODS).content
    server.script(Fault(path=PODS, cut_after_bytes=50))
    with requests.get(server.url + PODS, stream=True, timeout=5) as response:
        assert response.headers["Content-Length"] == str(len(whole))
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            assert response.content == whole[:50]


def test_a_watch_may_break_after_some_events(server: ApiServer, client: Client) -> None:
    for name in "abc":
        server.create("pods", pod(name))
    server.script(Fault(path=PODS, cut_after_events=2))
    with client.watch() as events:
        assert [next(events)["object"]["metadata"]["name"] for _ in "12"] == ["a", "b"]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(events)


def test_a_watch_may_break_inside_a_line(server: ApiServer) -> None:
    server.create("pods", pod())
    server.script(Fault(path=PODS, cut_after_bytes=30))
    with requests.get(f"{server.url}{PODS}?watch=true", stream=True, timeout=5) as response:
        got = b""
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for chunk in response.iter_content(chunk_size=None):
                got += chunk
    assert got == b'{"type":"ADDED","object":{"kin'


def test_lines_may_be_put_into_a_watch(server: ApiServer, client: Client) -> None:
    error = b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n'
    server.create("pods", pod("a"))
    server.script(Fault(path=PODS, inject=(error, b'{"type":"NONSENSE"}\n'), after_events=1))
    with client.watch() as events:
        told = [next(events)["type"] for _ in "123"]
        server.create("pods", pod("b"))
        assert [*told, next(events)["type"]] == ["ADDED", "ERROR", "NONSENSE", "ADDED"]


def test_a_watch_may_give_an_error_and_break(server: ApiServer, client: Client) -> None:
    error = b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'
    server.script(Fault(path=PODS, inject=(error,), cut_after_events=0))
    with client.watch() as events:
        assert next(events)["object"]["code"] == 410
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(events)


def test_a_watch_may_fall_silent(server: ApiServer) -> None:
    for name in "ab":
        server.create("pods", pod(name))
    server.script(Fault(path=PODS, hang=True, after_events=1))
    with requests.get(f"{server.url}{PODS}?watch=true", stream=True, timeout=0.3) as response:
        lines = response.iter_lines(chunk_size=None)
        assert b'"name":"a"' in next(lines)
        with pytest.raises(requests.ConnectionError):
            next(lines)


def test_what_is_denied_is_forbidden_and_reviews_say_so(server: ApiServer, client: Client) -> None:
    server.deny(verb="watch", resource="pods")
    refused = client.get(PODS, watch="true")
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'pods is forbidden: User "in-process" cannot watch resource "pods" in API group "" in the namespace "default"'
    )
    assert client.get(PODS).status_code == 200
    answers = []
    for verb in ("watch", "list"):
        body = {"spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}}}
        review = client.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        answers.append(review.json()["status"]["allowed"])
    assert answers == [False, True]
    server.allow_everything()
    server.deny(namespace="", resource="pods")
    assert [client.get(path).status_code for path in (PODS, "/api/v1/pods")] == [200, 403]


def test_watches_can_be_disconnected_and_only_they(server: ApiServer, client: Client) -> None:
    with client.watch() as events:
        server.create("pods", pod())
        next(events)
        server.disconnect_watches()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(events)
    with client.watch() as events:
        assert next(events)["type"] == "ADDED"


def test_compaction_expires_watches_lists_and_pages_from_before(server: ApiServer, client: Client) -> None:
    for name in "abc":
        server.create("pods", pod(name))
    page = client.get(PODS, limit=1).json()["metadata"]
    version = page["resourceVersion"]
    server.create("pods", pod("d"))
    assert client.get(PODS, resourceVersion=version, resourceVersionMatch="Exact").status_code == 200
    server.compact()
    with client.watch(resourceVersion=version) as events:
        (event,) = list(events)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    old = client.get(PODS, resourceVersion=version, resourceVersionMatch="Exact")
    assert (old.status_code, old.json()["reason"]) == (410, "Expired")
    expired = client.get(PODS, limit=1, **{"continue": page["continue"]})
    assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")
    rest = client.get(PODS, **{"continue": expired.json()["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c", "d"]


def test_compaction_does_not_disturb_watches_under_way(server: ApiServer, client: Client) -> None:
    with client.watch() as events:
        server.create("nodes", {"metadata": {"name": "n"}})
        server.create("pods", pod("a"))
        server.compact()
        server.create("pods", pod("b"))
        assert [next(events)["object"]["metadata"]["name"] for _ in "12"] == ["a", "b"]
    with client.watch(resourceVersion=server.resource_version) as events:
        server.create("pods", pod("c"))
        assert next(events)["object"]["metadata"]["name"] == "c"


def test_requests_are_recorded(server: ApiServer, client: Client) -> None:
    client.call("GET", f"{PODS}?limit=3", headers={"User-Agent": "me"})
    client.call("POST", PODS, pod(spec={"containers": [{"name": "c", "image": "i"}]}))
    client.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {}})
    first, second, third = server.requests
    assert (first.method, first.path, first.query, first.user_agent) == ("GET", PODS, {"limit": "3"}, "me")
    assert [each.writes for each in (first, second, third)] == [False, True, False]
    server.clear_requests()
    assert server.requests == ()


def test_bookmarks_come_as_often_as_asked() -> None:
    with ApiServer(bookmark_interval=0.05) as server:
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "1"}
        started = time.monotonic()
        with requests.get(server.url + PODS, params=query, stream=True, timeout=5) as response:
            lines = response.iter_lines(chunk_size=None)
            told = [next(lines) for _ in range(3)]
        assert all(b'"BOOKMARK"' in line for line in told)
        assert time.monotonic() - started >= 0.15
