"""Listers: by namespace, name and labels.

Properties asserted by client-go's tools/cache/listers_test.go, and the edges of ours.
"""

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import InvalidSelector, ObjectNotFound, WorkqueueError
from workqueue.cache import (
    NAMESPACE_INDEX,
    Everything,
    Indexer,
    Lister,
    Nothing,
    Reader,
    field,
    label,
    namespace,
    pages,
    parse_selector,
)

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
    decode_all = pages.decode_all
    monkeypatch.setattr(
        pages, "decode_all", lambda entries: decoded.extend(each.key.name for each in entries) or decode_all(entries)
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


def test_of_a_namespace_nothing_else_is_looked_at(lister, monkeypatch):
    asked = []
    spaces = Reader.spaces
    monkeypatch.setattr(Reader, "spaces", lambda reader, scope: asked.append(scope) or spaces(reader, scope))
    assert names(lister.list(namespace="a")) == ["a1", "a2"]
    assert asked == ["a"]


# Indexes.

NAMES = {
    "by namespace": namespace(),
    "by app": label("app"),
    "by tier": label("tier"),
    "by node": field("spec.nodeName"),
}


@pytest.mark.parametrize(
    ("selector", "scope", "asked"),
    [
        ("app=web", "", ("by app", "web")),
        ({"app": "web"}, "", ("by app", "web")),
        ("app in (web, db)", "", ("by app", "db", "web")),
        ("app=web,tier=gold", "", ("by tier", "gold")),  # one has this, two have that
        ("tier,app=web", "", ("by app", "web")),
        ("app=nobody", "a", ("by app", "nobody")),
        ("app=web", "b", "b"),  # as many
        ("app in (web, db)", "b", "b"),  # two are in it, three have one of these
        ("", "a", "a"),
        ("app=db", "a", ("by app", "db")),
        # What has the label with no value, or has it not, is in no index.
        ("app=", "", ""),
        ("app in (web,)", "", ""),
        ("app!=web", "", ""),
        ("app", "", ""),
        ("!app", "", ""),
        ("other=web", "", ""),
        ("other=web", "a", "a"),
        ("", "", ""),
    ],
)
def test_the_index_that_finds_the_fewest_answers(selector, scope, asked, monkeypatch):
    indexer = Indexer(NAMES)
    indexer.replace([*PODS, pod("empty", "a", labels={"app": ""})])
    plain = Indexer()
    plain.replace(indexer.list())
    found = []
    spaces, entries_by_index = Reader.spaces, Reader.entries_by_index
    monkeypatch.setattr(Reader, "spaces", lambda reader, scope: found.append(scope) or spaces(reader, scope))
    monkeypatch.setattr(
        Reader, "entries_by_index", lambda reader, *way: found.append(way) or entries_by_index(reader, *way)
    )
    selected = Lister(indexer.reader).list(selector, namespace=scope)
    assert found == [asked]
    assert names(selected) == names(Lister(plain.reader).list(selector, namespace=scope))


def test_a_function_of_ones_own_that_is_called_like_the_namespace_index_is_none():
    indexer = Indexer({NAMESPACE_INDEX: lambda body: ["b"]})
    indexer.replace(PODS)
    assert names(Lister(indexer.reader).list(namespace="a")) == ["a1", "a2"]


# Pages.


def test_a_selection_comes_in_pages_in_the_order_of_its_keys(lister):
    first = lister.list("app", limit=2)
    assert [body["metadata"]["name"] for body in first] == ["a1", "a2"]
    second = lister.list("app", limit=2, continue_=first.continue_)
    assert ([body["metadata"]["name"] for body in second], second.continue_) == (["b1"], "")
    whole = lister.list("app", limit=3)
    assert (len(whole), whole.continue_) == (3, "")
    assert lister.list("app").continue_ == ""


def test_a_page_of_a_namespace_is_of_that_namespace(lister):
    page = lister.list(namespace="a", limit=1)
    assert ([body["metadata"]["name"] for body in page], page.continue_) == (["a1"], "a/a1")
    page = lister.list(namespace="a", limit=1, continue_=page.continue_)
    assert ([body["metadata"]["name"] for body in page], page.continue_) == (["a2"], "")
