"""The verbs of the store, read through the writer and through its reader.

Properties asserted by client-go's tools/cache/store_test.go and thread_safe_store_test.go, and the edges of ours.
"""

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import InvalidKey, InvalidObject
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer, Reader, field


@pytest.fixture
def indexer():
    indexer = Indexer()
    yield indexer
    indexer._check()


@pytest.fixture(params=["the indexer", "its reader"])
def reader(request, indexer):
    """Both ways to read."""
    return indexer if request.param == "the indexer" else indexer.reader


def put(indexer, *bodies):
    for body in bodies:
        indexer.add(body)


def everything(reader):
    """All that a store can tell of what it holds; all of it must agree."""
    found = {ObjectKey(b["metadata"].get("namespace", ""), b["metadata"]["name"]): b for b in reader.list()}
    assert len(found) == len(reader) == reader.statistics().objects
    assert sorted(found) == sorted(reader.list_keys()) == sorted(entry.key for entry in reader.entries())
    assert reader.statistics().body_bytes == sum(len(entry.body) for entry in reader.entries())
    for key, body in found.items():
        assert reader.get_by_key(key) == reader.get(body) == reader.entry(key).decode() == body
    return found


# Read, write, remove.


def test_an_empty_cache_holds_nothing_and_is_still_true(reader):
    assert everything(reader) == {}
    assert reader.get_by_key("default/web") is None
    assert reader.get(pod()) is None
    assert reader.entry(("default", "web")) is None
    assert reader


def test_what_is_added_is_found_in_every_way(indexer, reader):
    web, node = pod("web", labels={"app": "web"}, node="n1"), pod("n1", namespace="", uid="u2", rv=7)
    put(indexer, web, node)
    assert everything(reader) == {("default", "web"): web, ("", "n1"): node}


@pytest.mark.parametrize("key", ["a/b/c", "", "/a", "ns/", ("ns", ""), None])
def test_a_key_that_names_no_object_is_an_error_and_not_absent(reader, key):
    with pytest.raises(InvalidKey):
        reader.get_by_key(key)
    with pytest.raises(InvalidKey):
        reader.entry(key)


@pytest.mark.parametrize("verb", ["add", "update"])
def test_the_last_object_of_a_key_is_kept(indexer, reader, verb):
    put(indexer, pod(rv=1, node="n1"))
    change = getattr(indexer, verb)(pod(rv=2))
    assert (change.old.resource_version, change.new.resource_version) == ("1", "2")
    assert everything(reader) == {("default", "web"): pod(rv=2)}


def test_an_update_of_what_is_not_there_adds_it(indexer, reader):
    change = indexer.update(pod())
    assert change.old is None
    assert change.new is reader.entry("default/web")
    assert everything(reader) == {("default", "web"): pod()}


def test_the_store_itself_compares_no_versions(indexer, reader):
    put(indexer, pod(rv=9), pod(rv=3))
    assert reader.entry("default/web").resource_version == "3"


def test_a_deletion_removes_what_is_under_the_key_whatever_it_is(indexer, reader):
    put(indexer, pod("web", uid="u1", rv=1), pod("db"))
    change = indexer.delete(pod("web", uid="u2", rv=2))
    assert (change.old.uid, change.new) == ("u1", None)
    assert names(everything(reader)) == ["db"]


def test_a_deletion_of_what_is_not_there_is_no_error(indexer, reader):
    put(indexer, pod("db"))
    assert indexer.delete(pod("web")) == indexer.remove(ObjectKey("default", "web")) == (None, None)
    assert names(everything(reader)) == ["db"]


def test_each_entry_tells_the_resource_version_of_the_last_write(indexer, reader):
    versions = []
    for write in (indexer.add, indexer.update, lambda body: indexer.replace([body])):
        write(pod(rv=len(versions) + 10))
        versions.append(reader.entry("default/web").resource_version)
    assert versions == ["10", "11", "12"]
    indexer.delete(pod(rv=13))
    assert reader.entry("default/web") is None


@pytest.mark.parametrize("verb", ["add", "update", "delete", "get"])
@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": {"name": ""}}, {"metadata": {"name": "a/b"}}])
def test_an_object_without_a_key_is_an_error_and_changes_nothing(indexer, verb, body):
    put(indexer, pod())
    with pytest.raises(InvalidObject):
        getattr(indexer, verb)(body)
    assert everything(indexer) == {("default", "web"): pod()}


def test_an_object_that_is_no_json_is_an_error_that_names_its_key_and_cause(indexer):
    put(indexer, pod(rv=1))
    with pytest.raises(InvalidObject, match=r"default/web cannot be stored as JSON: .*set") as caught:
        indexer.add({**pod(rv=2), "status": {1, 2}})
    assert isinstance(caught.value.__cause__, TypeError)
    assert everything(indexer) == {("default", "web"): pod(rv=1)}


# Replace.


def test_a_replace_leaves_exactly_what_it_was_given(indexer, reader):
    put(indexer, pod("stays", rv=1), pod("changes", rv=2), pod("goes", rv=3))
    given = [pod("changes", rv=4), pod("stays", rv=1), pod("comes", rv=5)]
    changes = indexer.replace(iter(given))
    assert list(everything(reader).values()) == given
    assert [((old and old.resource_version), (new and new.resource_version)) for old, new in changes] == [
        ("3", None), ("2", "4"), ("1", "1"), (None, "5"),
    ]  # fmt: skip


def test_a_replace_tells_removals_first(indexer):
    put(indexer, pod("a"), pod("b"), pod("c"))
    changes = indexer.replace([pod("b"), pod("d")])
    assert [str((old or new).key) + ("-" if new is None else "+") for old, new in changes] == [
        "default/a-", "default/c-", "default/b+", "default/d+",
    ]  # fmt: skip


def test_of_two_objects_with_one_key_a_replace_keeps_the_last(indexer, reader):
    changes = indexer.replace([pod(rv=1, node="n1"), pod("db"), pod(rv=2)])
    assert everything(reader) == {("default", "web"): pod(rv=2), ("default", "db"): pod("db")}
    assert len(changes) == 2


BAD = {"no name": {"metadata": {}}, "no JSON": {**pod("bad"), "status": object()}, "no object": None}


@pytest.mark.parametrize("bad", list(BAD.values()), ids=list(BAD))
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_replace_with_one_bad_object_changes_nothing(bad, position):
    indexer = Indexer({"node": field("spec.nodeName")})
    indexer.add(pod("web", node="n1"))
    given = [pod("a", node="n2"), pod("b")]
    given.insert(position, bad)
    with pytest.raises(InvalidObject):
        indexer.replace(given)
    assert everything(indexer) == {("default", "web"): pod("web", node="n1")}
    assert indexer.index_keys("node", "n1") == [("default", "web")]
    assert indexer.index_keys("node", "n2") == []
    indexer._check()


def test_a_replace_whose_objects_cannot_be_read_to_the_end_changes_nothing(indexer):
    put(indexer, pod())

    def broken():
        yield pod("a")
        raise OSError("connection reset")

    with pytest.raises(OSError, match="connection reset"):
        indexer.replace(broken())
    assert everything(indexer) == {("default", "web"): pod()}


def test_what_a_list_of_a_namespace_has_of_another_displaces_what_was_there(indexer):
    put(indexer, pod("x", "b", uid="u1"), pod("y", "a", uid="u2"))
    changes = indexer.replace([pod("x", "b", uid="u3")], namespace="a")
    assert [(old and old.uid, new and new.uid) for old, new in changes] == [("u2", None), ("u1", "u3")]
    assert everything(indexer) == {("b", "x"): pod("x", "b", uid="u3")}


def test_what_is_the_caches_own_may_be_in_a_draft_and_be_packed_meanwhile():
    indexer = Indexer(compression="zstd")
    text = "the same again and again " * 200
    entry = indexer.put(indexer.prepare({**pod("a"), "text": text})).new
    draft = indexer.draft([entry])
    draft.remove(entry.key)
    draft.add(entry)
    for number in range(100):
        indexer.add(pod(f"more-{number}"))
    assert entry.is_settled
    changes = indexer.replace(draft)
    assert [new.key for _, new in changes if new is not None] == [("default", "a")]
    indexer._check()


# Who may write.


def test_a_reader_has_no_verb_that_writes(indexer):
    put(indexer, pod())
    reader = indexer.reader
    assert type(reader) is Reader
    for verb in ("add", "update", "put", "delete", "remove", "replace", "resync", "add_indexers", "prepare", "draft"):
        assert hasattr(indexer, verb)
        assert not hasattr(reader, verb)
    assert {name for name in dir(reader) if not name.startswith("_")} == {
        "by_index", "count", "count_by_index", "entries", "entries_by_index", "entry", "get", "get_by_key", "index",
        "index_keys", "indexers", "list", "list_index_func_values", "list_keys", "spaces", "statistics",
    }  # fmt: skip


def test_a_reader_always_sees_what_the_indexer_holds_now(indexer):
    reader = indexer.reader
    put(indexer, pod("a"))
    assert names(reader.list()) == ["a"]
    indexer.replace([pod("b")])
    assert names(reader.list()) == ["b"]
    indexer.add_indexers({"node": field("spec.nodeName")})
    assert list(reader.indexers()) == ["node"]


def test_the_resync_of_a_cache_is_all_it_holds_and_changes_nothing(indexer):
    put(indexer, pod("a"), pod("b"))
    assert [entry.key.name for entry in indexer.resync()] == ["a", "b"]
    assert names(indexer.list()) == ["a", "b"]


def test_a_cache_that_was_asked_for_nothing_more_has_no_indexes_and_counts_nothing_but_itself():
    indexer = Indexer()
    assert indexer.indexers() == {}
    indexer.add(pod())
    told = indexer.statistics()
    assert (told.objects, told.index_values, told.index_errors) == (1, {}, 0)
    assert told.body_bytes == len(indexer.entry("default/web").body)
