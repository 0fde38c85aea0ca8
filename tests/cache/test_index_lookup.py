"""Looking objects up by index, and indexes that follow what is stored.

Properties asserted by client-go's tools/cache/index_test.go, store_test.go and thread_safe_store_test.go, and ours.
"""

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import IndexConflict, IndexNotFound, WorkqueueError
from workqueue.cache import Indexer, field, label


def users(body):
    """Several values of one object."""
    return body["spec"].get("users", [])


@pytest.fixture
def indexer():
    indexer = Indexer({"users": users, "node": field("spec.nodeName")})
    yield indexer
    indexer._check()


def found(indexer, *values, index="users"):
    """For each value the names found under it, the same in every way to ask."""
    result = []
    for value in values:
        keys = indexer.index_keys(index, value)
        assert keys == sorted(keys)
        assert names(indexer.by_index(index, value)) == names(keys)
        assert names(entry.key for entry in indexer.entries_by_index(index, value)) == names(keys)
        result.append(names(keys))
    return result


# Asking.


def test_objects_are_found_by_value_and_an_unknown_value_finds_nothing(indexer):
    indexer.add(pod("a", node="n1"))
    indexer.add(pod("b", node="n1"))
    indexer.add(pod("c", node="n2"))
    indexer.add(pod("d"))
    assert found(indexer, "n1", "n2", "n3", "", index="node") == [["a", "b"], ["c"], [], []]


def test_keys_under_a_value_are_sorted(indexer):
    for name, scope in [("b", "x"), ("a", "y"), ("c", ""), ("a", "x"), ("b", "")]:
        indexer.add(pod(name, scope, node="n1"))
    assert indexer.index_keys("node", "n1") == [("", "b"), ("", "c"), ("x", "a"), ("x", "b"), ("y", "a")]


def test_all_values_with_an_object_are_listed(indexer):
    indexer.add(pod("a", users=["ernie", "bert"]))
    indexer.add(pod("b", users=["bert", "oscar"]))
    indexer.add(pod("c"))
    assert sorted(indexer.list_index_func_values("users")) == ["bert", "ernie", "oscar"]
    assert indexer.statistics().index_values == {"users": 3, "node": 0}


def test_an_index_that_does_not_exist_is_an_error_that_names_those_that_do(indexer):
    ask = [
        lambda: indexer.by_index("other", "x"),
        lambda: indexer.index_keys("other", "x"),
        lambda: indexer.entries_by_index("other", "x"),
        lambda: indexer.index("other", pod()),
    ]
    for each in ask:
        with pytest.raises(IndexNotFound, match="Index with name other does not exist; there are: node, users"):
            each()
    assert issubclass(IndexNotFound, LookupError)
    assert issubclass(IndexNotFound, WorkqueueError)


def test_a_cache_without_indexes_says_so():
    with pytest.raises(IndexNotFound, match="there are: none"):
        Indexer().by_index("node", "n1")


def test_an_index_that_does_not_exist_has_no_values(indexer):
    assert indexer.list_index_func_values("other") == []


def test_index_finds_what_shares_any_value_with_an_object_each_once(indexer):
    indexer.add(pod("a", users=["ernie", "bert"]))
    indexer.add(pod("b", users=["bert", "oscar"]))
    indexer.add(pod("c", users=["elmo"]))
    assert names(indexer.index("users", pod("not stored", users=["ernie", "bert", "oscar"]))) == ["a", "b"]
    assert names(indexer.index("users", pod("a", users=["elmo", "nobody"]))) == ["c"]
    assert indexer.index("users", pod("x", users=["nobody"])) == indexer.index("users", pod("x")) == []
    assert names(indexer.index("users", indexer.get_by_key("default/b"))) == ["a", "b"]


# Following what is stored.


def test_an_object_of_many_values_is_found_by_each_when_added_deleted_and_updated(indexer):
    one, two, tre = pod("one", users=["ernie", "bert"]), pod("two", users=["bert", "oscar"]), pod("tre", users=["elmo"])
    for body in (one, two, tre):
        indexer.add(body)
    everybody = "ernie", "bert", "oscar", "elmo", "elmo1"
    assert found(indexer, *everybody) == [["one"], ["one", "two"], ["two"], ["tre"], []]
    indexer.delete(tre)
    assert found(indexer, *everybody) == [["one"], ["one", "two"], ["two"], [], []]
    indexer.update(pod("two", users=["elmo1"]))
    assert found(indexer, *everybody) == [["one"], ["one"], [], [], ["two"]]


def test_values_follow_each_update_and_none_is_left_behind(indexer):
    steps = [["foo"], ["bar"], ["foo", "bar"], ["bar", "foo"], ["foo", "bar", "baz"], ["baz"], [], ["foo"], ["foo"]]
    for step in steps:
        indexer.update(pod(users=step))
        assert sorted(indexer.list_index_func_values("users")) == sorted(set(step))
        assert found(indexer, *step) == [["web"]] * len(step)
        indexer._check()


def test_a_duplicate_value_counts_once(indexer):
    indexer.add(pod(users=["bert", "bert"]))
    assert found(indexer, "bert") == [["web"]]
    indexer.delete(pod())
    assert indexer.list_index_func_values("users") == []


def test_a_value_without_objects_is_forgotten(indexer):
    for number in range(50):
        indexer.add(pod("web", node=f"n{number}", users=[f"u{number}", "all"]))
    assert indexer.list_index_func_values("node") == ["n49"]
    indexer.delete(pod("web"))
    assert indexer.list_index_func_values("node") == indexer.list_index_func_values("users") == []
    assert indexer.statistics().index_values == {"users": 0, "node": 0}


def test_a_value_is_kept_while_another_object_has_it(indexer):
    indexer.add(pod("a", node="n1"))
    indexer.add(pod("b", node="n1"))
    indexer.delete(pod("b"))
    assert indexer.list_index_func_values("node") == ["n1"]
    assert found(indexer, "n1", index="node") == [["a"]]


def test_a_replace_rebuilds_every_index(indexer):
    indexer.add(pod("a", node="n1", users=["bert"]))
    indexer.add(pod("b", node="n2"))
    indexer.replace([pod("b", node="n1", users=["elmo"]), pod("c", node="n3"), pod("c", node="n4")])
    assert sorted(indexer.list_index_func_values("node")) == ["n1", "n4"]
    assert found(indexer, "n1", "n4", index="node") == [["b"], ["c"]]
    assert found(indexer, "bert", "elmo") == [[], ["b"]]


# Indexes added later.


def test_an_index_added_later_finds_what_was_stored_before_and_after(indexer):
    indexer.add(pod("before", labels={"app": "web"}))
    indexer.add_indexers({"app": label("app")})
    assert found(indexer, "web", index="app") == [["before"]]
    indexer.add(pod("after", labels={"app": "web"}))
    assert found(indexer, "web", index="app") == [["after", "before"]]
    indexer.delete(pod("before"))
    assert found(indexer, "web", index="app") == [["after"]]
    assert sorted(indexer.indexers()) == ["app", "node", "users"]


def test_an_index_added_by_an_index_function_finds_the_object_that_is_being_stored():
    # The shape of a race: the values were computed before the index was there.
    late = [{"third": field("spec.nodeName")}, {"second": field("spec.nodeName")}]

    def adding(_):
        if late:
            indexer.add_indexers(late.pop())
        return "x"

    indexer = Indexer({"adding": adding})
    indexer.add(pod("a", node="n1"))
    assert found(indexer, "n1", index="second") == [["a"]]
    indexer.replace([pod("b", node="n2"), pod("c", node="n2")])
    assert found(indexer, "n2", index="third") == [["b", "c"]]
    indexer._check()


def test_a_name_that_is_taken_adds_none_of_several_indexes(indexer):
    indexer.add(pod(node="n1", labels={"app": "web"}))
    before = indexer.indexers()
    with pytest.raises(IndexConflict, match="indexer conflict: node, users exist already"):
        indexer.add_indexers({"app": label("app"), "users": label("app"), "node": label("app")})
    assert indexer.indexers() == before
    assert found(indexer, "n1", "web", index="node") == [["web"], []]
    with pytest.raises(IndexNotFound):
        indexer.by_index("app", "web")


def test_adding_no_indexes_is_harmless(indexer):
    indexer.add_indexers({})
    assert sorted(indexer.indexers()) == ["node", "users"]
