"""A relist, and objects found to be gone: deletions nobody saw, told with what was last known."""

import pytest

from tests.cache.objects import names, pod
from workqueue.base.errors import InvalidObject


def replace(informer, *bodies, **kwargs):
    informer.replace(bodies, **kwargs)
    informer.deliver()


def test_a_relist_tells_deletions_first_and_then_the_others_in_their_order(informer, told):
    replace(informer, pod("goes", rv=1), pod("stays", rv=2), pod("changes", rv=3), pod("goes too", rv=4))
    told.take()
    replace(informer, pod("comes", rv=6), pod("changes", rv=5), pod("stays", rv=2))
    assert told.lines() == [
        "delete default/goes 1", "delete default/goes too 4", "add default/comes 6", "update default/changes 3 -> 5",
    ]  # fmt: skip
    assert names(informer.reader.list()) == ["changes", "comes", "stays"]


def test_a_deletion_seen_only_by_a_relist_carries_the_last_known_state(informer, told):
    replace(informer, pod(rv=1, labels={"app": "web"}, node="n1"))
    told.take()
    replace(informer)
    [delete] = told.take()
    assert (delete.final_state_known, delete.initial) == (False, False)
    assert (delete.old, delete.new) == (pod(rv=1, labels={"app": "web"}, node="n1"), None)
    assert (delete.uid, delete.labels) == ("u1", {"app": "web"})


def test_a_relist_swaps_the_whole_cache_before_it_tells_anything(informer, indexer):
    seen = []

    def look(**_):
        seen.append((names(informer.reader.list()), sorted(indexer.list_index_func_values("node"))))

    for kind in ("add", "update", "delete"):
        informer.add_handler(look, kind=kind)
    replace(informer, pod("a", node="n1"), pod("b", node="n2"))
    assert seen == [(["a", "b"], ["n1", "n2"])] * 2
    seen.clear()
    replace(informer, pod("b", rv=2, node="n3"), pod("c", node="n4"))
    assert seen == [(["b", "c"], ["n3", "n4"])] * 3


def test_a_relist_of_the_same_versions_tells_nothing(informer, told):
    replace(informer, pod("a", rv=1), pod("b", rv="opaque"))
    told.take()
    replace(informer, pod("b", rv="opaque"), pod("a", rv=1))
    assert told.take() == []


@pytest.mark.parametrize(("versions", "expected"), [("go on", []), ("begin anew", ["update default/a 1 -> 1"])])
def test_after_the_storage_went_back_in_time_what_says_something_else_is_news_at_the_same_version(
    informer, told, versions, expected
):
    replace(informer, pod("a", rv=1, node="n1"), pod("b", rv=2, node="n1"))
    told.take()
    replace(informer, pod("a", rv=1, node="n2"), pod("b", rv=2, node="n1"), versions=versions)
    assert told.lines() == expected
    assert informer.reader.get_by_key("default/a")["spec"]["nodeName"] == "n2"


def test_a_relist_of_objects_without_versions_tells_updates(informer, told):
    replace(informer, pod(rv=None))
    replace(informer, pod(rv=None))
    assert told.lines() == ["add default/web -", "update default/web - -> -"]


def test_a_relist_finds_recreated_objects(informer, told):
    replace(informer, pod(uid="u1", rv=1), pod("other"))
    told.take()
    replace(informer, pod(uid="u2", rv=5), pod("other"))
    assert [(each.kind, each.uid, each.final_state_known) for each in told.take()] == [
        ("delete", "u1", False), ("add", "u2", True),
    ]  # fmt: skip


def test_a_relist_is_the_truth_even_if_it_is_older(informer, told):
    # As after etcd went back in time: a list is all there is, whatever its versions.
    replace(informer, pod(rv=9))
    replace(informer, pod(rv=4))
    assert told.lines() == ["add default/web 9", "update default/web 9 -> 4"]
    assert informer.reader.entry("default/web").resource_version == "4"


def test_of_two_objects_with_one_key_the_last_is_told_once(informer, told):
    replace(informer, pod(rv=1), pod(rv=2))
    assert told.lines() == ["add default/web 2"]


def test_only_adds_of_an_initial_list_are_initial(informer, told):
    replace(informer, pod("a", rv=1), pod("b", rv=1), initial=True)
    assert [(each.kind, each.initial) for each in told.take()] == [("add", True)] * 2
    replace(informer, pod("b", rv=2), pod("c", rv=1), initial=True)
    assert [(each.kind, each.initial) for each in told.take()] == [("delete", False), ("update", False), ("add", True)]
    replace(informer, pod("d", rv=1))
    assert [each.initial for each in told.take()] == [False, False, False]


@pytest.mark.parametrize("bad", [{}, None, {**pod("bad"), "status": object()}])
def test_a_relist_with_something_that_is_no_object_changes_nothing(informer, told, bad):
    replace(informer, pod(rv=1))
    told.take()
    with pytest.raises(InvalidObject):
        informer.replace([pod("new"), bad])
    informer.deliver()
    assert told.take() == []
    assert informer.reader.list() == [pod(rv=1)]
    replace(informer, pod(rv=2))
    assert told.lines() == ["update default/web 1 -> 2"]


def test_a_relist_that_breaks_off_midway_changes_nothing(informer, told):
    replace(informer, pod(rv=1))
    told.take()

    def broken():
        yield pod("new")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        informer.replace(broken())
    informer.deliver()
    assert told.take() == []
    assert informer.reader.list() == [pod(rv=1)]


# One object found to be gone.


def test_an_object_found_to_be_gone_is_told_with_what_was_last_known(informer, told):
    replace(informer, pod(rv=1), pod("other"))
    told.take()
    missing = informer.reader.entry("default/web")
    informer.remove_missing(missing)
    informer.deliver()
    [delete] = told.take()
    assert (delete.kind, delete.final_state_known, delete.old) == ("delete", False, pod(rv=1))
    assert names(informer.reader.list()) == ["other"]
    informer.remove_missing(missing)
    informer.deliver()
    assert told.take() == []


@pytest.mark.parametrize("now", [pod(rv=2), pod(uid="u2", rv=2), pod(rv=None)])
def test_an_object_that_changed_meanwhile_is_not_gone(informer, told, now):
    replace(informer, pod(rv=1))
    missing = informer.reader.entry("default/web")
    informer.apply(now)
    informer.deliver()
    told.take()
    informer.remove_missing(missing)
    informer.deliver()
    assert told.take() == []
    assert informer.reader.list() == [now]
