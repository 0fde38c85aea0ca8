"""What the cluster of a harness does with objects, and what handlers are told of it."""

import pytest

from workqueue.base.errors import ConfigurationError, IndexConflict, InvalidObject
from workqueue.cache import field
from workqueue.testing import Harness, make_request


def named(name="web", namespace="default", **fields):
    return {**fields, "metadata": {"name": name, "namespace": namespace, **fields.get("metadata", {})}}


@pytest.fixture
def cluster():
    with Harness(lambda request: None) as made:
        yield made


@pytest.fixture
def told(cluster):
    """What handlers were told, in order: kind, name, and the resourceVersions before and after."""
    seen = []

    def listen(kind):
        def handler(name, old, new, final_state_known, initial, **_):
            versions = [body and body["metadata"]["resourceVersion"] for body in (old, new)]
            seen.append((kind, name, *versions, *(["tombstone"] if not final_state_known else [])))

        return handler

    cluster.objects.on_add(listen("add"))
    cluster.objects.on_update(listen("update"))
    cluster.objects.on_delete(listen("delete"))
    return seen


# What is filled in.


def test_an_object_gets_what_an_api_server_gives_it(cluster):
    assert cluster.apply(named()) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": "00000000-0000-4000-8000-000000000001",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
    }


def test_versions_grow_over_all_resources_and_a_generation_counts_what_is_wanted(cluster):
    services = cluster.informer("services", kind="Service")
    first = cluster.apply(named(spec={"replicas": 1}))
    services.apply(named("svc"))
    cluster.advance(5)
    second = cluster.apply({**first, "status": {"ready": 1}})
    third = cluster.apply({**second, "spec": {"replicas": 2}})
    metadata = [body["metadata"] for body in (first, second, third)]
    assert [each["resourceVersion"] for each in metadata] == ["1", "3", "4"]
    assert [each["generation"] for each in metadata] == [1, 1, 2]
    assert len({(each["uid"], each["creationTimestamp"]) for each in metadata}) == 1


def test_what_a_test_gives_stays_but_for_the_version(cluster):
    given = {"uid": "mine", "generation": 7, "creationTimestamp": "2020-02-02T02:02:02Z", "resourceVersion": "99"}
    stored = cluster.apply(named(metadata=given))
    assert stored["metadata"] == {"name": "web", "namespace": "default", **given, "resourceVersion": "1"}


def test_an_object_as_it_is_already_is_no_change(cluster, told):
    stored = cluster.apply(named())
    assert cluster.apply(named()) == cluster.apply(stored) == stored
    assert told == [("add", "web", None, "1")]


def test_nothing_that_was_handed_out_or_given_is_the_clusters(cluster):
    given = named(spec={"list": [1]})
    stored = cluster.apply(given)
    given["spec"]["list"].append(2)
    stored["spec"]["list"].append(3)
    cluster.objects.get("default/web")["spec"]["list"].append(4)
    cluster.resync()
    assert cluster.apply(named(spec={"list": [1]}))["metadata"]["resourceVersion"] == "1"
    assert cluster.objects.get("default/web")["spec"] == {"list": [1]}


def test_an_object_without_a_name_is_none(cluster):
    with pytest.raises(InvalidObject):
        cluster.apply({"metadata": {}})


# Deletions.


def test_a_deletion_tells_the_last_state(cluster, told):
    cluster.apply(named())
    assert cluster.delete(("default", "web"))["metadata"]["resourceVersion"] == "2"
    assert told == [("add", "web", None, "1"), ("delete", "web", "2", None)]
    assert cluster.objects.get("default/web") is None


def test_what_is_not_there_cannot_be_deleted(cluster):
    cluster.apply(named("db"))
    for gone in (cluster.delete, cluster.recreate):
        with pytest.raises(LookupError, match="there is no Pod default/web; there are: default/db"):
            gone("default/web")


def test_a_finalizer_keeps_an_object_until_it_is_taken_away(cluster, told):
    cluster.apply(named(metadata={"finalizers": ["example.com/a"]}))
    marked = cluster.delete("default/web")
    assert (marked["metadata"]["deletionTimestamp"], marked["metadata"]["generation"]) == ("2026-01-01T00:00:00Z", 2)
    assert cluster.objects.get("default/web") == marked
    marked["metadata"]["finalizers"].clear()
    assert cluster.delete("default/web")["metadata"]["finalizers"] == ["example.com/a"], "what is handed out is a copy"
    cluster.apply(named(metadata={"finalizers": []}))
    assert told == [
        ("add", "web", None, "1"), ("update", "web", "1", "2"), ("delete", "web", "3", None),
    ]  # fmt: skip
    assert cluster.objects.get("default/web") is None


def test_a_successor_is_a_delete_and_an_add_with_another_uid(cluster, told):
    first = cluster.apply(named(metadata={"finalizers": ["example.com/a"]}, spec={"a": 1}))
    second = cluster.recreate("default/web")
    assert told == [("add", "web", None, "1"), ("delete", "web", "2", None), ("add", "web", None, "3")]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert second["spec"] == {"a": 1}


def test_another_uid_under_one_name_is_a_delete_and_an_add(cluster, told):
    cluster.apply(named())
    cluster.apply(named(metadata={"uid": "another"}))
    assert told == [("add", "web", None, "1"), ("delete", "web", "1", None, "tombstone"), ("add", "web", None, "2")]


# A watch that was cut.


def test_a_deletion_that_no_watch_has_seen_is_a_tombstone_with_the_last_state_that_was(cluster, told):
    cluster.apply(named("gone"))
    cluster.apply(named("stays"))
    with cluster.objects.disconnected():
        cluster.apply(named("gone", spec={"unseen": True}))
        cluster.delete("default/gone")
        assert not cluster.objects.has_synced
        assert cluster.objects.get("default/gone") is not None, "the cache is what it was"
        assert told[2:] == []
    assert told[2:] == [("delete", "gone", "1", None, "tombstone")]
    assert cluster.objects.has_synced


def test_several_changes_that_were_not_seen_are_one_and_what_came_and_went_was_never_there(cluster, told):
    cluster.apply(named())
    with cluster.objects.disconnected():
        for number in range(3):
            cluster.apply(named(spec={"number": number}))
        cluster.apply(named("brief"))
        cluster.delete("default/brief")
        cluster.apply(named("new"))
    assert told[1:] == [("update", "web", "1", "4"), ("add", "new", None, "7")]


def test_a_successor_that_no_watch_has_seen_come_is_a_tombstone_and_an_add(cluster, told):
    cluster.apply(named())
    with cluster.objects.disconnected():
        cluster.recreate("default/web")
    assert told[1:] == [("delete", "web", "1", None, "tombstone"), ("add", "web", None, "3")]


def test_a_watch_is_back_also_if_the_block_fails(cluster):
    with pytest.raises(KeyError), cluster.objects.disconnected():
        cluster.apply(named())
        raise KeyError
    assert cluster.objects.has_synced
    assert cluster.run_until_idle().keys == ["default/web"]
    cluster.apply(named("next"))
    assert cluster.run_until_idle().keys == ["default/next"]


def test_a_resync_tells_each_object_again(cluster, told):
    cluster.apply(named())
    cluster.resync()
    assert told[1:] == [("update", "web", "1", "1")]


def test_a_cache_is_read_as_that_of_an_operator(cluster):
    cluster.apply(named("a", metadata={"labels": {"app": "web"}}))
    cluster.apply(named("b", "other"))
    objects = cluster.objects
    assert [body["metadata"]["name"] for body in objects.lister.list("app=web")] == ["a"]
    assert objects.by_index("namespace", "other") == [objects.get("other/b")]
    assert (len(objects.indexer), objects.statistics().cache.objects) == (2, 2)
    assert (objects.resource.group, objects.resource.kind, objects.resource.namespaced) == ("", "Pod", True)


# One's own writes.


def test_what_was_written_is_waited_for_no_longer_than_it_is_there(cluster):
    first = cluster.apply(named())
    second = cluster.apply(named(spec={"nodeName": "n1"}))
    for body in (first, second):
        version = body["metadata"]["resourceVersion"]
        assert cluster.objects.wait_for("default/web", resource_version=version) == second
    last = cluster.delete(("default", "web"))
    assert cluster.objects.wait_for("default/web", resource_version=last["metadata"]["resourceVersion"]) is None
    cluster.objects.expect_gone("default/web", uid=first["metadata"]["uid"])
    before = cluster.clock.now()
    cluster.objects.expect_gone("default/never", uid="u")
    assert cluster.clock.now() == before


def test_a_recreated_object_is_not_the_one_that_was_expected_to_go(cluster):
    first = cluster.apply(named())
    cluster.recreate("default/web")
    cluster.objects.expect_gone("default/web", uid=first["metadata"]["uid"])


def test_what_does_not_come_is_told_at_once_with_what_to_do(cluster):
    body = cluster.apply(named())
    with pytest.raises(TimeoutError, match=r"for default/web at resourceVersion 77: nobody .* has to apply\(\)"):
        cluster.objects.wait_for("default/web", resource_version="77")
    with pytest.raises(TimeoutError, match=r"for the end of default/web with uid .*: nobody .* or delete\(\)"):
        cluster.objects.expect_gone("default/web", uid=body["metadata"]["uid"])
    with cluster.objects.disconnected():
        last = cluster.apply(named(spec={"nodeName": "n1"}))["metadata"]["resourceVersion"]
        with pytest.raises(TimeoutError, match="nobody brings it"):
            cluster.objects.wait_for("default/web", resource_version=last)
    assert cluster.objects.wait_for("default/web", resource_version=last)["spec"] == {"nodeName": "n1"}
    assert cluster.clock.now() == 0


def test_a_run_may_wait_for_what_it_wrote(cluster):
    answers = []

    def reconcile(request):
        written = made.apply(named(spec={"seen": True}))
        answers.append(made.objects.wait_for(request.key, resource_version=written["metadata"]["resourceVersion"]))

    with Harness(reconcile) as made:
        made.apply(named())
        made.run_until_idle()
    assert [answer["spec"] for answer in answers] == [{"seen": True}] * 2


# Wrong use.


@pytest.mark.parametrize("body", ["x", None, ["web"], 1])
def test_what_is_no_object_is_told_as_such(cluster, body):
    with pytest.raises(InvalidObject, match=r"is no object: expected its body, a mapping with metadata\.name"):
        cluster.apply(body)


@pytest.mark.parametrize("existing", [named(), "web", 1, None])
def test_what_exists_is_a_list(existing):
    with pytest.raises(ConfigurationError, match=r"existing=.*: expected objects in a list"):
        Harness(lambda request: None, existing=existing)
    with pytest.raises(ConfigurationError, match=r"make_request\(cache\)=.*: expected objects in a list"):
        make_request("default/web", cache=existing)


def test_indexes_have_names():
    with pytest.raises(ConfigurationError, match=r"indexers=\['node'\]: expected index functions by their names"):
        Harness(lambda request: None, indexers=["node"])
    with pytest.raises(
        ConfigurationError, match=r"make_request\(indexers\)=\['node'\]: expected index functions by their names"
    ):
        make_request("default/web", indexers=["node"])


def test_no_index_takes_the_place_of_the_one_by_namespace():
    with pytest.raises(IndexConflict, match="indexer conflict: namespace exist already"):
        Harness(lambda request: None, indexers={"namespace": field("spec.nodeName")})
