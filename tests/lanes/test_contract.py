"""What both lanes promise: the same calls to the same handlers, and a cache that equals the API server's list.

Each test runs on either lane, except those in `promises`, which the handlers lane cannot keep.
"""

import datetime as dt
import json
import threading

import kopf
import pytest

from tests.lanes.promises import LANES
from tests.operators.harness import ROOT, eventually, run_as_process
from tests.operators.objects import pod
from workqueue import ConfigurationError, Manager, field
from workqueue.informer import reflector
from workqueue.plugin import consistency
from workqueue.testing.apiserver import ApiServer, Fault

pytestmark = pytest.mark.lanes

WATCH = "/api/v1/pods"


def is_watch(query):
    return "watch" in query


def make(server, *names, **kwargs):
    return [server.create("pods", pod(name, **kwargs)) for name in names]


def test_what_exists_at_the_start_is_an_add_marked_as_initial(watch, server):
    make(server, "a", "b", "c")
    with watch() as watched:
        watched.settles()
        calls = [(kind, key, initial, known) for kind, key, _, _, initial, known in watched.module.witness.calls]
        assert sorted(calls) == [("add", f"default/{name}", True, True) for name in "abc"]
        assert watched.module.pods.has_synced


def test_an_empty_world_is_synced_too(watch, server):
    with watch() as watched:
        assert watched.module.pods.has_synced
        make(server, "a")
        watched.settles()
        assert watched.module.witness.calls[0][4] is False, "what comes later is not initial"


def test_changes_are_told_by_their_kind_and_in_their_order(watch, server):
    make(server, "a")
    with watch() as watched:
        watched.settles()
        server.patch("pods", "a", {"metadata": {"labels": {"x": "1"}}})
        make(server, "b")
        watched.settles()
        server.delete("pods", "a")
        watched.settles()
        # The API server marks a pod before it deletes it, which is an update more.
        assert watched.module.witness.kinds("default/a") == ["add", "update", "update", "delete"]
        assert watched.module.witness.kinds("default/b") == ["add"]
        assert all(known for *_, known in watched.module.witness.calls), "every deletion was seen"


def test_an_object_recreated_under_its_name_is_a_deletion_and_an_add(watch, server):
    [first] = make(server, "a")
    with watch() as watched:
        watched.settles()
        server.delete("pods", "a")
        [second] = make(server, "a")
        watched.settles()
        told = [(kind, uid) for kind, _, uid, *_ in watched.module.witness.calls if kind != "update"]
        uids = first["metadata"]["uid"], second["metadata"]["uid"]
        assert told == [("add", uids[0]), ("delete", uids[0]), ("add", uids[1])]


def test_a_storm_of_changes_ends_in_the_last_state_of_each(watch, server):
    make(server, *(f"p{number}" for number in range(20)))
    with watch() as watched:
        watched.settles()
        for number in range(400):
            name = f"p{number * 7 % 20}"
            if number % 13 == 0:
                server.delete("pods", name)
                make(server, name)
            else:
                server.patch("pods", name, {"metadata": {"labels": {"n": str(number)}}})
        watched.settles()
        watched.operator.wait_until_idle(20)


def test_two_controllers_and_many_handlers_share_one_informer(watch, server):
    make(server, "a", "b")
    with watch() as watched:
        watched.settles()
        module = watched.module
        eventually(lambda: set(module.runs) == set(module.more) == {"default/a", "default/b"}, "runs in both")
        assert sum(request.path == WATCH and is_watch(request.query) for request in server.requests) == 1


def test_a_handler_added_late_hears_of_what_there_is_first(watch, server):
    make(server, "a", "b")
    with watch() as watched:
        watched.settles()
        late = []
        watched.module.pods.on_add(lambda name, initial, **_: late.append((name, initial)))
        assert sorted(late) == [("a", True), ("b", True)], "before the call returns"
        make(server, "c")
        eventually(lambda: ("c", False) in late, "what comes after it")


def test_a_handler_that_raises_harms_nobody_and_is_counted(watch, server):
    with watch() as watched:
        module = watched.module
        heard = []

        def bad(**_):
            raise RuntimeError("bad")

        module.pods.on_add(bad)
        module.pods.on_add(lambda name, **_: heard.append(name))
        make(server, "a", "b")
        eventually(lambda: heard == ["a", "b"], "the handler after it")
        watched.settles()
        assert watched.operator.metric("informer_handler_errors_total", name="pods", kind="add") == 2


def test_a_break_of_the_connection_loses_nothing(watch, server):
    make(server, "a", "b", "c")
    with watch() as watched:
        watched.settles()
        server.disconnect_watches()
        server.patch("pods", "a", {"metadata": {"labels": {"x": "1"}}})
        server.delete("pods", "b")
        make(server, "d")
        watched.settles()
        assert watched.module.witness.kinds("default/b")[-1] == "delete"


def test_what_was_deleted_while_history_was_forgotten_is_told_once_as_a_tombstone(watch, server):
    make(server, "a", "b", "c", "d")
    with watch() as watched:
        watched.settles()
        server.script(Fault(path=WATCH, status=503, times=None))
        server.disconnect_watches()
        server.delete("pods", "a")
        server.patch("pods", "b", {"metadata": {"labels": {"x": "1"}}})
        server.delete("pods", "c")
        make(server, "c", "e")
        server.compact()
        server.clear_faults()
        watched.settles()
        calls = watched.module.witness.calls
        gone = [(key, known) for kind, key, *_, known in calls if kind == "delete"]
        assert sorted(gone) == [("default/a", False), ("default/c", False)]
        assert watched.module.witness.kinds("default/d") == ["add"], "nothing is told of what did not change"
        bodies = watched.module.pods.indexer
        assert bodies.index_keys("namespace", "default")
        assert "default/a" not in map(str, bodies.list_keys())


@pytest.mark.parametrize("status", [429, 500, 503, 403])
def test_an_api_server_that_errs_is_asked_until_it_works(watch, server, status):
    make(server, "a", "b")
    with watch() as watched:
        watched.settles()
        server.script(Fault(path=WATCH, status=status, times=2, headers={"Retry-After": "1"} if status == 429 else {}))
        server.disconnect_watches()
        server.delete("pods", "a")
        make(server, "c")
        watched.settles()


@pytest.mark.parametrize(
    "line",
    [
        {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "an object is corrupt"}},
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}},
        {"type": "MODIFIED"},
        {"type": "MODIFIED", "object": {}},
        {"type": "MODIFIED", "object": {"metadata": {}}},
        {"type": "MODIFIED", "object": None},
        {"type": "NEWS", "object": {"metadata": {"name": "x", "namespace": "default"}}},
        "no JSON",
    ],
    ids=lambda line: json.dumps(line)[:60],
)
def test_an_event_that_is_none_loses_nothing(watch, server, line):
    make(server, "a", "b")
    raw = (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"
    with watch() as watched:
        watched.settles()
        server.script(Fault(path=WATCH, inject=(raw,), query=is_watch))
        server.disconnect_watches()
        server.delete("pods", "a")
        make(server, "c")
        watched.settles()


def test_an_object_of_a_megabyte_comes_whole(watch, server):
    big = pod("big", annotations={"text": "x" * 1_200_000})
    with watch() as watched:
        server.create("pods", big)
        watched.settles()
        assert watched.module.pods.get("default/big")["metadata"]["annotations"] == big["metadata"]["annotations"]


def test_other_handlers_of_kopf_get_every_event(watch, server):
    make(server, "a")
    with watch(KOPF_TOO="1") as watched:
        watched.settles()
        [[version]] = [[metadata["resourceVersion"]] for metadata in [server.get("pods", "a")["metadata"]]]
        eventually(lambda: watched.module.heard == [(None, "a", version)], "the listing, as Kopf marks it")
        make(server, "b")
        server.patch("pods", "a", {"metadata": {"labels": {"x": "1"}}})
        server.delete("pods", "b")
        heard = watched.module.heard
        eventually(lambda: [type_ for type_, name, _ in heard if name == "b"] == ["ADDED", "MODIFIED", "DELETED"], "b")
        eventually(lambda: [type_ for type_, name, _ in heard if name == "a"] == [None, "MODIFIED"], "a")
        watched.settles()


def partial(body):
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {"kind": body["kind"], "apiVersion": body["apiVersion"], "metadata": metadata}


def cut_and_whole(watched, server):
    """What an informer of metadata holds, and what the server has."""
    found = {entry.key: entry.decode() for entry in watched.module.pods.indexer.entries()}
    return found, {(body["metadata"]["namespace"], body["metadata"]["name"]): body for body in server.list("pods")}


@pytest.mark.parametrize("streaming", [True, False])
def test_an_informer_of_metadata_keeps_nothing_else(watch, server, lane, streaming):
    if not streaming:
        server.script(Fault(path=WATCH, status=400, times=None, query=lambda query: "sendInitialEvents" in query))
    make(server, "a", "b")
    with watch(METADATA_ONLY="1") as watched:
        make(server, "c", labels={"app": "x"})
        server.patch("pods", "a", {"metadata": {"labels": {"x": "1"}}})
        server.delete("pods", "b")
        watched.settles()
        found, whole = cut_and_whole(watched, server)
        assert found == {key: partial(body) for key, body in whole.items()}
        assert all(body["kind"] == "Pod" and "spec" in body for body in whole.values())
        assert [body["metadata"]["name"] for body in watched.module.pods.lister.list("app=x")] == ["c"]
        asked = {request.accept for request in server.requests if request.path == WATCH and is_watch(request.query)}
        if lane == "stream":
            assert asked
            assert all("PartialObjectMetadata;" in accept for accept in asked), "whole objects were sent"
        else:
            assert not any("PartialObjectMetadata;" in accept for accept in asked), "it is Kopf's watch"


def test_whole_objects_that_somebody_else_wants_are_cut(watch, server):
    make(server, "a")
    with watch(METADATA_ONLY="1", KOPF_TOO="1") as watched:
        make(server, "b")
        watched.settles()
        found, whole = cut_and_whole(watched, server)
        assert found == {key: partial(body) for key, body in whole.items()}
        eventually(lambda: [name for _, name, _ in watched.module.heard] == ["a", "b"], "Kopf's handler")
        assert watched.module.whole == {"a", "b"}, "Kopf's handlers are given whole objects"


def test_an_informer_of_metadata_has_no_index_of_anything_else():
    manager = Manager()
    with pytest.raises(ConfigurationError, match=r"index 'node' wants spec.nodeName: with metadata_only=True nothing"):
        manager.informer("pods", metadata_only=True, indexers={"node": field("spec.nodeName")})


def test_two_informers_of_one_resource_on_two_lanes_both_hear_of_everything(watch, server, lane):
    make(server, "a")
    other = {"stream": "handlers", "handlers": "stream"}[lane]
    if other not in LANES:
        pytest.skip("this Kopf has one lane")
    with watch(OTHER_LANE=other) as watched:
        make(server, "b")
        server.delete("pods", "a")
        watched.settles()
        module = watched.module
        assert (module.pods.statistics().lane.lane, module.other.statistics().lane.lane) == (lane, other)
        eventually(lambda: set(module.other_witness.fold) == {"default/b"}, "the other one")
        eventually(lambda: module.other_witness.gives(module.other.indexer), "all that the other one was told")
        module.other_witness.check(module.other.indexer)


def test_only_the_namespaces_that_are_served_are_watched(watch, server):
    for name in ("blue", "green"):
        server.create("namespaces", {"metadata": {"name": name}})
        make(server, "a", namespace=name)
    make(server, "a")
    with watch("-n", "blue", "-n", "green") as watched:
        watched.settles("blue", "green")
        make(server, "b", namespace="blue")
        make(server, "c", namespace="default")
        watched.settles("blue", "green")
        assert {key.partition("/")[0] for key in watched.cached} == {"blue", "green"}


def test_a_namespace_that_comes_later_is_served(watch, server):
    server.create("namespaces", {"metadata": {"name": "team-a"}})
    make(server, "a", namespace="team-a")
    with watch("-n", "team-*") as watched:
        watched.settles("team-a")
        server.create("namespaces", {"metadata": {"name": "team-b"}})
        make(server, "b", namespace="team-b")
        watched.settles("team-a", "team-b")


DEFINITION = {
    "metadata": {"name": "foos.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def test_a_resource_that_is_defined_later_is_watched_from_then_on(watch, server, monkeypatch):
    from workqueue.plugin import presence_watch

    monkeypatch.setattr(presence_watch, "DISCOVERY_PERIOD", 0.5)
    with watch(WITNESSED="foos.example.com", plural="foos.example.com", ready=False) as watched:
        watched.operator.wait_until_seen("foos.example.com is not served by the cluster")
        assert not watched.operator.get("/readyz").ok
        server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
        server.create("foos.example.com", {"metadata": {"name": "f"}})
        watched.operator.wait_until_ready()
        watched.settles()
        server.create("foos.example.com", {"metadata": {"name": "g"}})
        watched.settles()


def test_a_name_that_fits_two_resources_ends_the_operator_with_one_line(watch, server, kubeconfig, tmp_path, lane):
    for group in ("example.com", "example.org"):
        spec = {**DEFINITION["spec"], "group": group}
        server.create(
            "customresourcedefinitions.apiextensions.k8s.io", {"metadata": {"name": f"foos.{group}"}, "spec": spec}
        )
    with run_as_process(
        "-A", path="tests/lanes/files/witnessed.py", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False,
        WITNESSED="foos", WORKQUEUE_LANE=lane, PYTHONPATH=str(ROOT),
    ) as operator:  # fmt: skip
        assert operator.process.wait(60) == 1
    line = "error: informer('foos') fits foos.v1.example.com and foos.v1.example.org: name one of them"
    assert line in operator.output().splitlines()
    assert "Traceback" not in operator.output()


@pytest.mark.parametrize("lane", ["fast", "", None, True])
def test_a_lane_that_is_none_is_told_at_once(lane):
    with pytest.raises(
        ConfigurationError, match=r"informer\('pods'\): lane=.*, expected one of auto, stream, handlers"
    ):
        Manager(registry=kopf.OperatorRegistry()).informer("pods", lane=lane)


def test_kopfs_selectors_narrow_what_is_watched(watch, server):
    make(server, "a", labels={"app": "web"})
    make(server, "b", labels={"app": "db"})
    with watch(SELECTED="app=web") as watched:
        eventually(lambda: set(watched.cached) == {"default/a"}, "the one that is selected")
        server.patch("pods", "a", {"metadata": {"labels": {"app": "db"}}})
        server.patch("pods", "b", {"metadata": {"labels": {"app": "web"}}})
        eventually(lambda: set(watched.cached) == {"default/b"}, "the other one")
        eventually(lambda: watched.module.witness.gives(watched.module.pods.indexer), "handlers that know of it")
        watched.module.witness.check(watched.module.pods.indexer)


def test_your_own_writes_can_be_read(watch, server):
    [made] = make(server, "a")
    with watch() as watched:
        watched.settles()
        pods = watched.module.pods
        version = server.patch("pods", "a", {"metadata": {"labels": {"x": "1"}}})["metadata"]["resourceVersion"]
        assert pods.wait_for("default/a", resource_version=version)["metadata"]["labels"] == {"x": "1"}
        server.delete("pods", "a")
        pods.expect_gone("default/a", uid=made["metadata"]["uid"])
        assert pods.get("default/a") is None
        [again] = make(server, "a")
        pods.wait_for("default/a", resource_version=again["metadata"]["resourceVersion"])
        pods.expect_gone("default/a", uid=made["metadata"]["uid"])  # its successor is another object
        with pytest.raises(TimeoutError, match=r"waited 0\.01 s for default/a at resourceVersion 999999"):
            pods.wait_for("default/a", resource_version="999999", timeout=0.01)


def test_a_lie_is_found_out_and_mended(watch, server, monkeypatch):
    """An event of a deletion that never was, one of an object that never was, and one change that is not told."""
    monkeypatch.setattr(consistency, "MINIMUM_PERIOD", 0.1)
    monkeypatch.setattr(consistency, "PATIENCE", 0.2)
    [a] = make(server, "a")
    with watch(CHECK="0.5") as watched:
        watched.settles()
        never = {**a, "metadata": {**a["metadata"], "name": "never", "uid": "x"}}
        gone = {**a, "metadata": {**a["metadata"], "resourceVersion": str(int(a["metadata"]["resourceVersion"]) + 1)}}
        lies = [{"type": "ADDED", "object": never}, {"type": "DELETED", "object": gone}]
        raw = tuple(json.dumps(lie).encode() + b"\n" for lie in lies)
        server.script(Fault(path=WATCH, inject=raw, query=lambda query: is_watch(query) and "resourceVersion" in query))
        server.disconnect_watches()
        eventually(lambda: watched.operator.metric("informer_differences_total", name="pods", kind="missing") == 1, "a")
        assert watched.operator.metric("informer_differences_total", name="pods", kind="gone") == 1
        watched.settles()
        assert set(watched.cached) == {"default/a"}
        [told] = [line for line in watched.operator.said if "the cache differs from the API server" in line]
        assert "default/a is missing" in told
        assert "default/never is gone" in told
        eventually(lambda: watched.operator.metric("informer_consistency_checks_total", name="pods") > 2, "more checks")
        assert watched.operator.metric("informer_differences_total", name="pods") == 2


def test_the_lane_is_said(watch, server, lane):
    make(server, "a")
    with watch() as watched:
        assert watched.operator.metric("informer_lane", name="pods", lane=lane) == 1
        assert watched.operator.metric("informer_synced", name="pods") == 1
        assert f"informer pods: {lane} lane" in watched.operator.said
        assert watched.module.pods.statistics().lane.lane == lane


# What the stream lane alone promises.


def test_the_cache_is_not_synced_while_the_api_server_is_away(watch, server):
    make(server, "a")
    with watch() as watched:
        watched.settles()
        server.script(Fault(path=WATCH, status=503, times=None))
        server.disconnect_watches()
        eventually(lambda: not watched.operator.get("/readyz").ok, "not ready")
        assert not watched.module.pods.has_synced
        assert watched.operator.get("/livez").ok
        assert watched.operator.metric("informer_synced", name="pods") == 0
        server.clear_faults()
        watched.operator.wait_until_ready()
        told = [line for line in watched.operator.said if "informer pods: live again after" in line]
        assert len(told) == 1


def test_a_list_replaces_the_cache_at_once(watch, server):
    """No reader ever sees fewer or more objects than there are before or after."""
    make(server, *(f"p{number}" for number in range(300)))
    with watch() as watched:
        watched.settles()
        seen, over = set(), threading.Event()
        indexer = watched.module.pods.indexer

        def read():
            last = False
            while not last:
                last = over.is_set()  # it looks once more after that: a thread may not get its turn for a while
                seen.add(len(indexer))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            server.script(Fault(path=WATCH, status=503, times=None))
            server.disconnect_watches()
            for number in range(200):
                server.delete("pods", f"p{number}")
            server.compact()
            server.clear_faults()
            eventually(lambda: len(indexer) == 100, "the list")
        finally:
            over.set()
            reader.join()
        watched.settles()
        assert seen == {300, 100}


def test_what_was_deleted_unseen_is_told_before_anything_newer(watch, server):
    make(server, "a", "b")
    with watch() as watched:
        watched.settles()
        watched.module.witness.calls.clear()
        server.script(Fault(path=WATCH, status=503, times=None))
        server.disconnect_watches()
        make(server, "c")
        server.delete("pods", "a")
        server.compact()
        server.clear_faults()
        watched.settles()
        assert [(kind, key) for kind, key, *_ in watched.module.witness.calls] == [
            ("delete", "default/a"),
            ("add", "default/c"),
        ]


def test_a_server_whose_storage_went_back_in_time(watch, server):
    make(server, *(f"p{number}" for number in range(50)))
    with watch() as watched:
        watched.settles()
        port = int(server.url.rpartition(":")[2])
        server.stop()
        with ApiServer(port=port) as other:
            watched.server = other
            make(other, "p1", "q")
            watched.settles()
            assert set(watched.cached) == {"default/p1", "default/q"}
            make(other, "r")
            watched.settles()
            assert any("went back in time" in line for line in watched.operator.said)


def test_errors_in_the_stream_are_survived_in_line(watch, server):
    make(server, "a")
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    with watch() as watched:
        watched.settles()
        eventually(lambda: watched.operator.metric("informer_silence_seconds", name="pods") > 1.1, "a while")
        server.script(Fault(path=WATCH, inject=(json.dumps(error).encode() + b"\n",), query=is_watch))
        server.disconnect_watches()
        eventually(lambda: watched.module.pods.statistics().lane.lists == 2, "the list")
        watched.settles()


def test_an_end_that_users_of_kopf_ask_for_is_no_outage(watch, server):
    make(server, "a")
    with watch(CLIENT_TIMEOUT="1.2") as watched:
        watched.settles()
        module, states = watched.module, []
        mark = module.pods.informer.progress.mark_stale
        module.pods.informer.progress.mark_stale = lambda why: (states.append(why), mark(why))
        began = module.pods.statistics().lane.watches
        eventually(lambda: module.pods.statistics().lane.watches >= began + 3, "three more watches")
        make(server, "b")
        watched.settles()
        assert states == []
        statistics = module.pods.statistics().lane
        assert (statistics.lists, statistics.interruptions) == (1, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=WATCH, status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, times=2),
        Fault(path=WATCH, status=503, body="<h1>für später</h1>".encode("latin-1"), times=2),
        Fault(path=WATCH, status=500, body={"kind": "Status", "details": ["no mapping"], "message": "odd"}, times=2),
    ],
    ids=["a date", "no UTF-8", "odd details"],
)
def test_an_error_answer_that_cannot_be_read_is_one_all_the_same(watch, server, fault, monkeypatch):
    monkeypatch.setattr(reflector, "AWAY", 60.0)  # nothing but the answer itself could make it list anew
    make(server, "a")
    with watch() as watched:
        watched.settles()
        server.script(fault)
        server.disconnect_watches()
        server.delete("pods", "a")
        watched.settles()
        assert not [line for line in watched.operator.said if "the watch failed and begins anew" in line]
        assert watched.module.pods.statistics().lane.lists == 1


def test_a_namespace_that_is_gone_takes_its_objects_along(watch, server):
    for name in ("team-a", "team-b"):
        server.create("namespaces", {"metadata": {"name": name}})
        make(server, "a", namespace=name)
    with watch("-n", "team-*") as watched:
        watched.settles("team-a", "team-b")
        server.script(Fault(path="/api/v1/namespaces/team-b/pods", status=503, times=None))
        server.disconnect_watches()
        server.delete("namespaces", "team-b")
        watched.settles("team-a")
        assert watched.module.witness.kinds("team-b/a") == ["add", "delete"]
        watched.operator.wait_until_ready()


PEERINGS = {
    "metadata": {"name": "clusterkopfpeerings.kopf.dev"},
    "spec": {
        "group": "kopf.dev",
        "scope": "Cluster",
        "names": {"plural": "clusterkopfpeerings", "singular": "clusterkopfpeering", "kind": "ClusterKopfPeering"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_while_kopf_is_paused_nothing_is_watched_and_the_cache_is_not_synced(watch, server, monkeypatch):
    monkeypatch.setattr(reflector, "AWAY", 60.0)  # after a longer pause it lists anew
    server.create("customresourcedefinitions.apiextensions.k8s.io", PEERINGS)
    server.create("clusterkopfpeerings.kopf.dev", {"metadata": {"name": "us"}})
    make(server, "a")
    with watch("-A", "--peering=us", "--priority=10") as watched:
        watched.settles()
        lastseen = dt.datetime.now(dt.UTC).isoformat()
        peer = {"stronger": {"priority": 100, "lifetime": 600, "lastseen": lastseen}}
        server.patch("clusterkopfpeerings.kopf.dev", "us", {"status": peer})
        eventually(lambda: not watched.module.pods.has_synced, "the pause")
        assert "paused" in watched.operator.get("/readyz?verbose").text
        asked = len(server.requests)
        make(server, "b")
        server.delete("pods", "a")
        assert not [request for request in server.requests[asked:] if request.path == WATCH]
        server.patch("clusterkopfpeerings.kopf.dev", "us", {"status": {"stronger": None}})
        watched.operator.wait_until_ready()
        watched.settles()
        assert watched.module.witness.kinds("default/a")[-1] == "delete"
        assert watched.module.pods.statistics().lane.lists == 1, "it went on where it was"
