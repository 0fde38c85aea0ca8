"""What exists, asked of the API server: keys and a version, page by page."""

import kopf
import pytest
import requests

from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import encode
from workqueue.plugin import presence
from workqueue.plugin.presence import Presence, exists, list_namespaces, list_presence
from workqueue.testing.apiserver import Fault

PODS = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
NAMESPACES = kopf.Resource(group="", version="v1", plural="namespaces", kind="Namespace", preferred=True)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(presence, "PAGE", 2)


@pytest.fixture
def pods(server):
    """Five pods in default, one in kube-system."""
    for name in "abcde":
        server.create("pods", {"metadata": {"name": name}})
    server.create("pods", {"metadata": {"name": "z"}}, namespace="kube-system")


def keys(names, namespace="default"):
    return {ObjectKey(namespace, name) for name in names}


def entry(name, *, namespace="default", version="1", uid="u"):
    return encode({"metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version}})


def test_the_objects_of_all_namespaces_and_the_version_of_the_list(client, server, pods):
    found = list_presence(client, PODS, "")
    assert found.keys == keys("abcde") | keys("z", "kube-system")
    assert found.namespace == ""
    assert found.resource_version == str(server.resource_version)


def test_the_objects_of_one_namespace(client, pods):
    assert list_presence(client, PODS, "kube-system").keys == keys("z", "kube-system")
    assert list_presence(client, PODS, "nowhere").keys == frozenset()


def test_objects_in_the_cluster_scope_have_keys_without_a_namespace(client):
    assert ObjectKey("", "default") in list_presence(client, NAMESPACES, "").keys


def test_an_empty_list_has_a_version_too(client):
    found = list_presence(client, PODS, "")
    assert found.keys == frozenset()
    assert found.resource_version.isdecimal()


def test_a_long_list_comes_in_pages_and_is_one_state(client, server, pods, small_pages):
    server.clear_requests()
    version = server.resource_version
    found = list_presence(client, PODS, "")
    assert found.keys == keys("abcde") | keys("z", "kube-system")
    assert found.resource_version == str(version)
    assert len(server.requests) == 3
    assert {each.query["limit"] for each in server.requests} == {"2"}


def test_only_metadata_is_asked_for(client, server):
    server.create("pods", {"metadata": {"name": "a"}, "spec": {"secret": "x"}})
    page = next(presence._pages(client, "/api/v1/pods", {}))
    assert page["kind"] == "PartialObjectMetadataList"
    assert "spec" not in page["items"][0]


def test_a_list_whose_pages_expire_midway_begins_anew(client, server, pods, small_pages):
    expired = Fault(path="/api/v1/pods", query=lambda query: "continue" in query, status=410)
    server.script(expired)
    server.clear_requests()
    assert list_presence(client, PODS, "").keys == keys("abcde") | keys("z", "kube-system")
    assert ["continue" in each.query for each in server.requests] == [False, True, False, True, True]


def test_nothing_of_the_pages_before_is_kept_when_it_begins_anew(client, server, pods, small_pages):
    def vanish(query):
        """While the second page is asked for, an object of the first one goes."""
        if "continue" not in query:
            return False
        if gone:
            server.delete("pods", gone.pop())
        return True

    gone = ["a"]
    server.script(Fault(path="/api/v1/pods", query=vanish, status=410))
    assert list_presence(client, PODS, "").keys == keys("bcde") | keys("z", "kube-system")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_is_an_error_on_any_page(client, server, pods, small_pages, status):
    for wanted in (lambda query: True, lambda query: "continue" in query):
        server.script(Fault(path="/api/v1/pods", query=wanted, status=status))
        with pytest.raises(requests.HTTPError) as caught:
            list_presence(client, PODS, "")
        assert caught.value.response.status_code == status


def test_half_an_answer_is_an_error_and_no_short_list(client, server, pods):
    server.script(Fault(path="/api/v1/pods", cut_after_bytes=200))
    with pytest.raises(requests.RequestException):
        list_presence(client, PODS, "")


def test_items_that_are_null_are_none(client, server):
    server.script(Fault(path="/api/v1/pods", status=200, body={"metadata": {"resourceVersion": "7"}, "items": None}))
    assert list_presence(client, PODS, "") == Presence("", "7", {})


def test_the_names_of_the_namespaces(client, server, small_pages):
    server.create("namespaces", {"metadata": {"name": "dev"}})
    assert sorted(list_namespaces(client)) == ["default", "dev", "kube-node-lease", "kube-public", "kube-system"]


# One object.


def test_an_object_exists_if_it_is_the_very_one(client, server):
    uid = server.create("pods", {"metadata": {"name": "a"}})["metadata"]["uid"]
    assert exists(client, PODS, entry("a", uid=uid))
    assert not exists(client, PODS, entry("a", uid="another"))
    assert exists(client, PODS, entry("a", uid="")), "without a uid the name must do"
    assert not exists(client, PODS, entry("b", uid=uid))
    assert not exists(client, PODS, entry("a", uid=uid, namespace="kube-system"))


def test_an_object_that_was_made_anew_under_its_name_is_another(client, server):
    before = server.create("pods", {"metadata": {"name": "a"}})["metadata"]["uid"]
    server.delete("pods", "a")
    server.create("pods", {"metadata": {"name": "a"}})
    assert not exists(client, PODS, entry("a", uid=before))


def test_an_object_in_the_cluster_scope_exists(client, server):
    uid = server.get("namespaces", "default")["metadata"]["uid"]
    assert exists(client, NAMESPACES, entry("default", namespace="", uid=uid))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_refusal_does_not_mean_that_it_is_gone(client, server, status):
    server.script(Fault(path="/api/v1/namespaces/default/pods/a", status=status, times=None))
    with pytest.raises(requests.HTTPError):
        exists(client, PODS, entry("a"))


# What a list says of an entry.


@pytest.mark.parametrize(
    ("mine", "theirs", "newer"),
    [
        ("10", "9", True),
        ("10", "10", True),
        ("9", "10", False),
        ("10", "", None),
        ("", "10", None),
        ("opaque", "10", None),
        ("10", "1-0", None),
        ("99999999999999999999999999", "99999999999999999999999998", True),
    ],
)
def test_versions_are_compared_as_numbers_or_not_at_all(mine, theirs, newer):
    assert Presence("", mine, {}).is_newer_than(entry("a", version=theirs)) is newer
