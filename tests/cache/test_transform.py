"""A user's change to each object before it is stored.

Properties asserted by client-go's TestCacheWithTransformer (tools/cache/store_test.go), and ours.
"""

import json

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import InvalidObject
from workqueue.cache import Indexer, field
from workqueue.informer import Informer
from workqueue.informer.collection import Collection


def drop_spec(body):
    del body["spec"]
    return body


def refuse_bad(body):
    if body["metadata"]["name"] == "bad":
        raise ArithmeticError("transform failed")
    return body


@pytest.mark.parametrize("write", ["add", "update", "replace"])
def test_every_object_is_stored_as_the_transform_returned_it(write):
    indexer = Indexer({"node": field("spec.nodeName")}, transform=drop_spec)
    given = pod(node="n1")
    getattr(indexer, write)([given] if write == "replace" else given)
    stored = indexer.get_by_key("default/web")
    assert "spec" not in stored
    assert stored == drop_spec(pod())
    assert indexer.by_index("node", "n1") == []
    assert indexer.prepare(given).decode() == stored
    indexer._check()


@pytest.mark.parametrize("write", ["add", "replace"])
def test_a_transform_gets_a_copy_of_its_own(write):
    def ruin(body):
        body["metadata"]["labels"]["app"] = "ruined"
        body["spec"].clear()
        return body

    indexer = Indexer(transform=ruin)
    given = pod(labels={"app": "web"}, node="n1")
    getattr(indexer, write)([given] if write == "replace" else given)
    assert given == pod(labels={"app": "web"}, node="n1")


def test_what_a_transform_returned_and_kept_is_not_what_is_stored():
    kept = []

    def keep(body):
        kept.append(body)
        return body

    indexer = Indexer(transform=keep)
    indexer.add(pod(labels={"app": "web"}))
    kept[0]["metadata"]["labels"]["app"] = "ruined"
    assert indexer.get_by_key("default/web") == pod(labels={"app": "web"})
    assert indexer.entry("default/web").labels == {"app": "web"}


def test_a_transform_sees_no_managed_fields_and_cannot_bring_them_back():
    seen = []

    def bring_back(body):
        seen.append("managedFields" in body["metadata"])
        body["metadata"]["managedFields"] = []
        return body

    indexer = Indexer(transform=bring_back)
    indexer.add({"metadata": {"name": "a", "managedFields": [{}]}})
    assert seen == [False]
    assert indexer.get_by_key("a") == {"metadata": {"name": "a"}}


def test_labels_and_versions_are_those_of_the_transformed_object():
    def strip(body):
        return {"metadata": {"name": body["metadata"]["name"], "namespace": "default", "labels": {"tier": "gold"}}}

    indexer = Indexer(transform=strip)
    indexer.add(pod(labels={"app": "web"}, uid="u1", rv=5))
    entry = indexer.entry("default/web")
    assert (entry.uid, entry.resource_version, entry.labels) == ("", "", {"tier": "gold"})


def test_the_transform_runs_once_for_each_object_written():
    calls = []
    indexer = Indexer({"node": field("spec.nodeName")}, transform=lambda body: calls.append(body) or body)
    indexer.add(pod("a"))
    indexer.replace([pod("a"), pod("b")])
    indexer.list()
    indexer.delete(pod("a"))
    assert names(calls) == ["a", "a", "b"]


def test_an_object_whose_transform_raises_is_not_stored():
    indexer = Indexer(transform=refuse_bad)
    indexer.add(pod("good"))
    for write in (indexer.add, indexer.update):
        with pytest.raises(ArithmeticError, match="transform failed"):
            write(pod("bad"))
    assert names(indexer.list()) == ["good"]
    indexer._check()


def test_a_replace_of_which_one_transform_raises_changes_nothing():
    indexer = Indexer({"node": field("spec.nodeName")}, transform=refuse_bad)
    indexer.add(pod("good", node="n1"))
    with pytest.raises(ArithmeticError, match="transform failed"):
        indexer.replace([pod("better", node="n2"), pod("bad")])
    assert names(indexer.list()) == ["good"]
    assert indexer.list_index_func_values("node") == ["n1"]
    indexer._check()


@pytest.mark.parametrize("change", [{"name": "other"}, {"namespace": "other"}, {"namespace": None}])
def test_a_transform_may_not_change_the_key(change):
    indexer = Indexer(transform=lambda body: {**body, "metadata": {**body["metadata"], **change}})
    with pytest.raises(ValueError, match=r"transform made .* of default/web: a key must stay what it is"):
        indexer.add(pod())
    assert indexer.list() == []


NAMELESS = "transform returned an object without metadata.name for default/web, expected the object"


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (None, "transform returned None for default/web, expected the object (is there a return?)"),
        ([pod()], "transform returned a value of type list for default/web, expected the object (is there a return?)"),
        ({}, NAMELESS),
        ({"metadata": None}, NAMELESS),
        ({"metadata": {}}, NAMELESS),
        ({"metadata": {"name": ""}}, NAMELESS),
        ({"metadata": {"name": 7}}, NAMELESS),
        ({**pod(), "status": {1}}, "default/web cannot be stored as JSON: Type is not JSON serializable: set"),
    ],
)
def test_what_is_no_object_after_the_transform_is_not_stored(returned, why):
    indexer = Indexer(transform=lambda _: returned)
    with pytest.raises(InvalidObject) as caught:
        indexer.add(pod())
    assert str(caught.value) == why
    assert indexer.list() == []


def test_a_transform_that_forgets_to_return_the_object_is_told_for_events_and_lists(caplog):
    raw = json.dumps(pod()).encode()
    informer = Informer("pods", indexer=Indexer(transform=lambda body: body["spec"].clear()))
    why = "transform returned None for default/web, expected the object (is there a return?)"
    with pytest.raises(InvalidObject) as caught:
        informer.apply(raw)
    assert str(caught.value) == why
    collection = Collection(informer)
    assert not collection.add(raw)
    assert collection.ignored == 1
    assert caplog.messages == [f"informer pods: an object of the list was ignored: {why}"]
