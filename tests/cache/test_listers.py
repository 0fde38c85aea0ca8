"""Listers: by namespace, name and labels.

Properties asserted by client-go's tools/cache/listers_test.go, and the edges of ours.
"""

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import InvalidSelector, ObjectNotFound, WorkqueueError
from workqueue.cache import NAMESPACE_INDEX, Everything, Indexer, Lister, Nothing, listers, namespace, parse_selector

PODS = [
    pod("a1", "a", labels={"app": "web", "tier": "gold"}),
    pod("a2", "a", labels={"app": "db"}),
    pod("b1", "b", labels={"app": "web"}),
    pod("b2", "b"),
    pod("n1", ""),
]


@pytest.fixture(params=["with the namespace index", "without the namespace index"])
def indexer(request):
    indexer = Indexer({NAMESPACE_INDEX: namespace()} if request.param.startswith("with ") else {})
    indexer.replace(PODS)
    return indexer


@pytest.fixture
def lister(indexer):
    return Lister(indexer.reader)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, ["a1", "a2", "b1", "b2", "n1"]),
        ("", ["a1", "a2", "b1", "b2", "n1"]),
        (Everything(), ["a1", "a2", "b1", "b2", "n1"]),
        ({}, ["a1", "a2", "b1", "b2", "n1"]),
        (Nothing(), []),
        ("app=web", ["a1", "b1"]),
        ({"app": "web"}, ["a1", "b1"]),
        ({"app": "web", "tier": "gold"}, ["a1"]),
        (parse_selector("app in (web,db),!tier"), ["a2", "b1"]),
        ("!app", ["b2", "n1"]),
        ("app=nobody", []),
    ],
)
def test_a_lister_lists_what_a_selector_selects(lister, selector, expected):
    assert names(lister.list(selector)) == expected
    assert names(lister.list(selector=selector, namespace="")) == expected
    for scope in ("a", "b", "c"):
        assert names(lister.list(selector, namespace=scope)) == [name for name in expected if name.startswith(scope)]


def test_objects_come_whole(lister):
    assert sorted(lister.list(), key=str) == sorted(PODS, key=str)
    assert lister.list("tier=gold", namespace="a") == [PODS[0]]


def test_a_namespace_without_objects_lists_nothing(lister):
    assert lister.list(namespace="c") == lister.list("app", namespace="c") == []


def test_a_lister_follows_the_cache(indexer, lister):
    indexer.delete(PODS[0])
    indexer.update(pod("b2", "b", labels={"app": "web"}))
    assert names(lister.list("app=web")) == names(lister.list("app=web", namespace="b")) == ["b1", "b2"]


def test_a_selector_of_ones_own_is_asked_with_the_labels(lister):
    class Long:
        def matches(self, labels):
            return len(labels) > 1

    assert names(lister.list(Long())) == ["a1"]


@pytest.mark.parametrize("scope", ["", "a", "c"])
def test_a_selector_that_cannot_be_read_is_an_error(lister, scope):
    with pytest.raises(InvalidSelector, match="cannot read 'app=web=db'"):
        lister.list("app=web=db", namespace=scope)


def test_only_selected_objects_are_decoded(lister, monkeypatch):
    decoded = []
    decode_all = listers.decode_all
    monkeypatch.setattr(
        listers, "decode_all", lambda entries: decoded.extend(each.key.name for each in entries) or decode_all(entries)
    )
    lister.list("tier")
    lister.list(Nothing())
    assert decoded == ["a1"]


def test_an_object_is_got_by_namespace_and_name(lister):
    assert lister.get("a", "a1") == PODS[0]
    assert lister.get("", "n1") == PODS[4]


@pytest.mark.parametrize(("scope", "name", "key"), [("b", "a1", "b/a1"), ("", "a1", "a1"), ("a", "x", "a/x")])
def test_an_object_that_is_not_there_is_not_found(lister, scope, name, key):
    with pytest.raises(ObjectNotFound, match=f"^{key} not found in the cache$"):
        lister.get(scope, name)
    assert issubclass(ObjectNotFound, LookupError)
    assert issubclass(ObjectNotFound, WorkqueueError)


def test_the_namespace_index_is_used_where_it_exists(indexer, lister, monkeypatch):
    asked = []
    entries = type(indexer.reader).entries
    monkeypatch.setattr(type(indexer.reader), "entries", lambda reader: asked.append("all") or entries(reader))
    assert names(lister.list(namespace="a")) == ["a1", "a2"]
    assert asked == ([] if NAMESPACE_INDEX in indexer.indexers() else ["all"])
