"""Lists in pages: each object once, in the order of the keys; and bad limits are told."""

import pytest

from tests.cache.objects import pod, raw_entry
from workqueue.base.errors import ConfigurationError, InvalidKey
from workqueue.cache import Indexer, Lister, pages
from workqueue.cache.pages import in_order

KEYS = [("", "n1"), ("", "n2"), ("a", "x"), ("a", "y"), ("a.b", "a"), ("b", "a"), ("b", "b")]


@pytest.fixture
def indexer():
    indexer = Indexer()
    indexer.replace([pod(name, namespace) for namespace, name in reversed(KEYS)])
    return indexer


def keys(bodies):
    return [(body["metadata"].get("namespace", ""), body["metadata"]["name"]) for body in bodies]


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_are_all_objects_in_the_order_of_their_keys(indexer, limit):
    page, found, sizes = indexer.reader.list(limit=limit), [], []
    while True:
        found += keys(page)
        sizes.append(len(page))
        if not page.continue_:
            break
        page = indexer.reader.list(limit=limit, continue_=page.continue_)
    assert found == KEYS
    assert sizes[:-1] == [limit] * (len(sizes) - 1)


def test_what_is_there_all_the_time_is_on_one_page_whatever_comes_and_goes(indexer):
    first = indexer.list(limit=3)
    indexer.add(pod("before", ""))
    indexer.add(pod("z", "a"))
    indexer.delete(pod("x", "a"))
    second = indexer.list(limit=10, continue_=first.continue_)
    assert keys(second) == [("a", "y"), ("a", "z"), *KEYS[4:]]


def test_an_object_that_is_gone_may_be_gone_on_from(indexer):
    first = indexer.list(limit=3)
    assert first.continue_ == "a/x"
    indexer.delete(pod("x", "a"))
    assert keys(indexer.list(limit=1, continue_=first.continue_)) == [("a", "y")]


def test_all_objects_are_one_list_without_an_order(indexer):
    found = indexer.list()
    assert sorted(keys(found)) == KEYS
    assert found.continue_ == ""
    assert isinstance(found, list)
    assert indexer.list(limit=7).continue_ == ""


def test_an_empty_cache_has_an_empty_page():
    page = Indexer().list(limit=1)
    assert (page, page.continue_) == ([], "")


@pytest.mark.parametrize("limit", [0, -1, 2.5, 1.0, "5", True, [1]])
def test_a_limit_that_is_no_whole_number_from_one_is_told(indexer, limit):
    for reader in (indexer, Lister(indexer)):
        with pytest.raises(ConfigurationError) as caught:
            reader.list(limit=limit)
        assert str(caught.value) == f"list(limit={limit!r}): expected a whole number from 1, or None for all objects"


def test_to_go_on_without_a_limit_is_told(indexer):
    with pytest.raises(ConfigurationError, match=r"list\(continue_='a/x'\): a page wants a limit"):
        indexer.list(continue_="a/x")


@pytest.mark.parametrize("nonsense", ["/", "a/", "a/b/c"])
def test_to_go_on_from_what_no_page_says_is_told(indexer, nonsense):
    with pytest.raises(InvalidKey, match="is no key"):
        indexer.list(limit=1, continue_=nonsense)


def test_a_cache_is_iterated_object_by_object(indexer, monkeypatch):
    iterator = iter(indexer.reader)
    first = next(iterator)
    first["metadata"]["name"] = "ruined"
    indexer.replace([])
    assert len([first, *iterator]) == len(KEYS), "it is as it was when it began"


@pytest.mark.parametrize("run", [1, 3, 1000])
def test_keys_in_order_are_sorted_whatever_is_sorted_at_a_time(run, monkeypatch):
    monkeypatch.setattr(pages, "_RUN", run)
    made = [(f"n{number % 3}", f"{number * 7919 % 100}") for number in range(100)]
    assert in_order([raw_entry(b"{}", name, space) for space, name in made]) == sorted(made)
