"""What handlers are told of each event, and when: the cache first, then the difference, and nothing else."""

import pytest

from tests.cache.objects import names, pod
from tests.informer.conftest import Recorder
from workqueue.base.errors import InvalidObject


def apply(informer, *bodies, **kwargs):
    for body in bodies:
        informer.apply(body, **kwargs)
        informer.deliver()


def remove(informer, *bodies):
    for body in bodies:
        informer.remove(body)
        informer.deliver()


# Adds, updates, deletions.


def test_an_object_comes_changes_and_goes(informer, told):
    apply(informer, pod(rv=1), pod(rv=2, node="n1"))
    remove(informer, pod(rv=3))
    assert told.lines() == ["add default/web 1", "update default/web 1 -> 2", "delete default/web 3"]
    assert informer.reader.list() == []


def test_a_handler_is_told_key_names_uid_labels_and_bodies(informer, told):
    first, second = pod(rv=1, uid="u1", labels={"app": "web"}), pod(rv=2, uid="u1", labels={"app": "db"})
    apply(informer, first, second)
    add, update = told.take()
    common = {"key": ("default", "web"), "namespace": "default", "name": "web", "uid": "u1"}
    flags = {"final_state_known": True, "initial": False}
    assert add.arguments == {**common, **flags, "labels": {"app": "web"}, "old": None, "new": first}
    assert update.arguments == {**common, **flags, "labels": {"app": "db"}, "old": first, "new": second}


def test_an_object_in_the_cluster_scope_has_no_namespace(informer, told):
    apply(informer, pod("n1", namespace=""))
    [add] = told.take()
    assert (add.key, add.namespace, str(add.key)) == (("", "n1"), "", "n1")


def test_a_deletion_carries_the_final_state(informer, told):
    apply(informer, pod(rv=1, labels={"app": "web"}))
    remove(informer, pod(rv=5, labels={"app": "final"}, node="n9"))
    delete = told.take()[-1]
    assert (delete.old, delete.new) == (pod(rv=5, labels={"app": "final"}, node="n9"), None)
    assert (delete.labels, delete.final_state_known, delete.initial) == ({"app": "final"}, True, False)


def test_a_handler_is_told_of_its_own_kind_only(informer):
    for kind in ("add", "update", "delete"):
        recorder = Recorder().listen(informer, kind)
        apply(informer, pod(rv=1), pod(rv=2))
        remove(informer, pod(rv=3))
        assert [each.kind for each in recorder.take()] == [kind]


# The cache first.


def test_the_cache_and_its_indexes_are_up_to_date_before_any_handler_is_called(informer, indexer):
    seen = []

    def look(key, **_):
        body = informer.reader.get_by_key(key)
        seen.append((body and body["metadata"]["resourceVersion"], names(indexer.index_keys("node", "n1"))))

    for kind in ("add", "update", "delete"):
        informer.add_handler(look, kind=kind)
    apply(informer, pod(rv=1), pod(rv=2, node="n1"))
    remove(informer, pod(rv=3))
    assert seen == [("1", []), ("2", ["web"]), (None, [])]


def test_the_cache_is_up_to_date_before_anything_is_delivered(informer, told):
    informer.apply(pod(rv=1))
    assert names(informer.reader.list()) == ["web"]
    assert told.take() == []
    assert informer.statistics().pending == 1
    informer.deliver()
    assert told.lines() == ["add default/web 1"]
    assert informer.statistics().pending == 0


def test_nothing_is_told_twice(informer, told):
    apply(informer, pod())
    informer.deliver()
    informer.deliver()
    assert told.lines() == ["add default/web 1"]


# Versions.


def test_an_equal_resource_version_is_no_update(informer, told, indexer):
    apply(informer, pod(rv=5), pod(rv=5), pod(rv=5, node="of no interest"))
    assert told.lines() == ["add default/web 5"]
    assert indexer.list_index_func_values("node") == []
    assert informer.statistics().stale_events == 0


def test_an_equal_opaque_resource_version_is_no_update(informer, told):
    apply(informer, pod(rv="abc"), pod(rv="abc"), pod(rv="abd"), pod(rv="abc"))
    assert told.lines() == ["add default/web abc", "update default/web abc -> abd", "update default/web abd -> abc"]


def test_an_older_resource_version_is_ignored_and_counted(informer, told):
    apply(informer, pod(rv=10), pod(rv=9), pod(rv=9, uid="former"))
    assert told.lines() == ["add default/web 10"]
    assert informer.reader.entry("default/web").resource_version == "10"
    assert (informer.statistics().events, informer.statistics().stale_events) == (3, 2)


def test_versions_are_compared_as_numbers(informer, told):
    apply(informer, pod(rv=9), pod(rv=10), pod(rv=9))
    assert told.lines() == ["add default/web 9", "update default/web 9 -> 10"]


def test_a_missing_resource_version_is_always_a_change(informer, told):
    apply(informer, pod(rv=None), pod(rv=None), pod(rv=3), pod(rv=None))
    assert told.lines() == [
        "add default/web -", "update default/web - -> -", "update default/web - -> 3", "update default/web 3 -> -",
    ]  # fmt: skip


def test_a_missing_uid_tells_no_two_objects_apart(informer, told):
    apply(informer, pod(uid=None, rv=1), pod(uid="u1", rv=2), pod(uid=None, rv=3))
    assert [each.kind for each in told.take()] == ["add", "update", "update"]
    remove(informer, pod(uid="u9", rv=4))
    assert told.lines() == ["delete default/web 4"]


# Recreation and late events.


def test_another_uid_under_the_same_name_is_a_deletion_and_an_add(informer, told):
    apply(informer, pod(uid="u1", rv=1, labels={"app": "web"}), pod(uid="u2", rv=5), initial=True)
    _, delete, add = told.take()
    assert (delete.kind, delete.uid, delete.old, delete.new) == (
        "delete", "u1", pod(uid="u1", rv=1, labels={"app": "web"}), None
    )  # fmt: skip
    assert (delete.final_state_known, delete.initial, delete.labels) == (False, False, {"app": "web"})
    assert (add.kind, add.uid, add.old, add.new) == ("add", "u2", None, pod(uid="u2", rv=5))
    assert (add.final_state_known, add.initial) == (True, True)


def test_another_uid_at_the_same_version_is_another_object(informer, told):
    # As after etcd went back in time.
    apply(informer, pod(uid="u1", rv=5), pod(uid="u2", rv=5))
    assert told.lines() == ["add default/web 5", "delete default/web 5", "add default/web 5"]
    informer.replace([pod(uid="u3", rv=5)])
    informer.deliver()
    assert [(each.kind, each.uid) for each in told.take()] == [("delete", "u2"), ("add", "u3")]


@pytest.mark.parametrize("version", [3, 7, None, "opaque"])
def test_a_deletion_of_another_uid_removes_nothing(informer, told, version):
    apply(informer, pod(uid="u2", rv=5))
    remove(informer, pod(uid="u1", rv=version))
    assert told.lines() == ["add default/web 5"]
    assert informer.reader.entry("default/web").uid == "u2"
    assert informer.statistics().stale_events == 1


def test_a_deletion_of_an_older_state_removes_nothing(informer, told):
    apply(informer, pod(uid=None, rv=5))
    remove(informer, pod(uid=None, rv=4))
    assert told.lines() == ["add default/web 5"]
    remove(informer, pod(uid=None, rv=5))
    assert told.lines() == ["delete default/web 5"]


def test_a_deletion_of_what_is_not_there_is_told_to_nobody(informer, told):
    apply(informer, pod("other"))
    told.take()
    remove(informer, pod(), pod())
    assert told.take() == []
    assert informer.statistics().stale_events == 2


# What is no object.


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("apply", {}),
        ("remove", {}),
        ("apply", {"metadata": {"name": "a/b"}}),
        ("remove", {"metadata": {"name": "a/b"}}),
        ("apply", {**pod(rv=9), "status": object()}),
    ],
)
def test_what_is_no_object_changes_nothing(informer, told, verb, body):
    apply(informer, pod(rv=1))
    with pytest.raises(InvalidObject):
        getattr(informer, verb)(body)
    informer.deliver()
    assert told.lines() == ["add default/web 1"]
    assert informer.reader.list() == [pod(rv=1)]
    assert informer.statistics().events == 1


def test_a_deletion_whose_final_state_cannot_be_stored_is_a_deletion_with_the_last_state_that_could(informer, told):
    apply(informer, pod(rv=1))
    told.take()
    remove(informer, {**pod(rv=2), "status": object()})
    assert told.lines() == ["delete default/web 1"]
    assert len(informer.reader) == 0


def test_an_informer_counts_what_it_did(informer, told):
    apply(informer, pod("a"), pod("b", node="n1"), pod("a"))
    remove(informer, pod("a"), pod("a"))
    statistics = informer.statistics()
    assert (statistics.name, statistics.synced, statistics.events, statistics.stale_events) == ("pods", False, 5, 1)
    assert (statistics.cache.objects, statistics.cache.index_values) == (1, {"node": 1})
    assert [(each.kind, each.calls, each.errors, each.slow) for each in statistics.handlers] == [
        ("add", 2, 0, 0), ("update", 0, 0, 0), ("delete", 1, 0, 0),
    ]  # fmt: skip
    assert statistics.handlers[0].name == "Recorder.of.<locals>.handler"


def test_of_a_list_what_was_told_is_not_pending_any_more(informer):
    recorder = Recorder().listen(informer, "add", "delete")
    informer.replace([pod(name) for name in "abc"])
    pending = [informer.statistics().pending]
    while informer.deliver(at_most=1):
        pending.append(informer.statistics().pending)
    assert pending[:4] == [3, 2, 1, 0]
    assert names(call for call in recorder.take()) == ["a", "b", "c"]
    informer.replace([])
    assert informer.statistics().pending == 3
    informer.deliver()
    assert informer.statistics().pending == 0
