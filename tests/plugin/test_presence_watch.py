"""When the first listing is through, and which deletions nobody saw: real lists, and a clock that stands still."""

import logging
import threading

import kopf
import pytest

from tests.control.conftest import until
from tests.informer.conftest import AlarmClock
from tests.plugin.conftest import DEFINITION, PATIENCE
from tests.queues.conftest import background
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer
from workqueue.informer import Informer, Progress
from workqueue.plugin.login import Login
from workqueue.plugin.presence_watch import PresenceWatch
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.testing.apiserver import Fault

__all__ = ["background"]

START = 1000.0
LIST = "/api/v1/pods"
A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


class NotedProgress(Progress):
    """Notes what a watch does to it."""

    def __init__(self, clock, done):
        super().__init__(clock)
        self.done = done

    def mark_served(self):
        self.done.append("served")
        super().mark_served()

    def mark_synced(self):
        self.done.append("synced")
        super().mark_synced()


class NotedInformer(Informer):
    """Notes what a watch does to it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.done = []
        self.progress = NotedProgress(self.clock, self.done)

    def remove_missing(self, missing):
        self.done.append(f"{missing.key} removed")
        super().remove_missing(missing)


class Watched:
    """A watch, the informer whose cache it compares, and the clock that both go by."""

    def __init__(self, server, login, spec, scope):
        self.server = server
        self.login = login
        self.scope = scope
        self.clock = AlarmClock(start=START)
        self.informer = NotedInformer(spec, indexer=Indexer(), clock=self.clock)
        self.told = []
        self.informer.add_handler(
            lambda key, final_state_known, **_: self.told.append((str(key), final_state_known)), kind="delete"
        )
        self.ambiguous = []
        self.watch = PresenceWatch(
            ResourceSpec.parse(spec), informer=self.informer, login=login, ambiguous=self.ambiguous.append
        )

    def start(self):
        self.watch.start(self.scope)
        return self

    def sleeps_until(self, instant):
        self.clock.wait_until_asleep_until(instant)

    def is_synced(self):
        """Wait for it; time that is counted stands still, so it cannot run out."""
        changed = self.informer.progress._changed
        with changed:
            return changed.wait_for(lambda: self.informer.has_synced, PATIENCE)

    def lists(self):
        """How often the pods were listed."""
        return sum(request.path == LIST for request in self.server.requests)

    def store(self, name, *, namespace="default", version="1", uid="u"):
        self.informer.apply(
            {"metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version}}
        )

    def cached(self):
        return sorted(map(str, self.informer.reader.list_keys()))

    def ends(self):
        self.watch._thread.join(PATIENCE)
        return not self.watch._thread.is_alive()


@pytest.fixture
def make(server):
    """``make("pods")`` is a watch that is not started; all are stopped after the test, and the server before."""
    made = []

    def build(spec="pods", *, patterns=(), logged_in=True):
        login = Login()
        if logged_in:
            login.renew(kopf.ConnectionInfo(server=server.url))
        made.append(Watched(server, login, spec, Scope(patterns)))
        return made[-1]

    yield build
    server.stop()
    for each in made:
        each.watch.stop()
        assert each.watch._thread.ident is None or each.ends()
        each.login.close()


@pytest.fixture
def synced(make):
    """A watch after its first sync, at START, of a cluster without pods."""
    watched = make().start()
    assert watched.is_synced()
    watched.sleeps_until(START + 300)
    watched.informer.done.clear()
    return watched


def pod(server, name, namespace="default"):
    return server.create("pods", {"metadata": {"name": name}}, namespace=namespace)


# The first sync.


def test_an_empty_cluster_is_synced_at_once(make):
    watched = make().start()
    assert watched.is_synced()
    assert watched.informer.done == ["served", "synced"]
    assert watched.clock.now() == START


def test_it_is_synced_when_every_key_that_was_listed_was_seen_and_not_before(make, server):
    pod(server, "a")
    pod(server, "b")
    watched = make().start()
    watched.sleeps_until(START + 1)
    watched.watch.seen(A, by="listing")
    watched.watch.seen(ObjectKey("default", "other"), by="listing")
    assert not watched.informer.has_synced
    assert watched.watch.problem == "pods: waiting for the first listing"
    watched.watch.seen(B, by="change")
    assert watched.is_synced()
    assert watched.lists() == 1


def test_keys_that_were_seen_before_the_list_count(make, server):
    pod(server, "a")
    watched = make()
    watched.watch.seen(A, by="listing")
    watched.start()
    assert watched.is_synced()


def test_before_the_login_nothing_is_asked_and_the_problem_says_so(make, server):
    watched = make(logged_in=False).start()
    watched.sleeps_until(None)
    assert watched.watch.problem == "pods: not logged in"
    assert server.requests == ()
    watched.login.renew(kopf.ConnectionInfo(server=server.url))
    assert watched.is_synced()


def test_a_key_that_is_never_seen_is_looked_for_after_1_2_4_and_at_last_each_30_seconds(make, server):
    pod(server, "a")
    pod(server, "b")
    watched = make().start()
    watched.watch.seen(B, by="listing")
    instant = START
    for count, pause in enumerate([1, 2, 4, 8, 16, 30, 30], start=1):
        watched.sleeps_until(instant + pause)
        assert watched.lists() == count
        assert not watched.informer.has_synced
        if count > 1:
            assert watched.watch.problem == "pods: 1 objects of the first listing have not come"
        watched.clock.step(pause)
        instant += pause
    watched.sleeps_until(instant + 30)
    server.delete("pods", "a")
    watched.clock.step(29.9)
    assert not watched.informer.has_synced
    watched.clock.step(0.1)
    assert watched.is_synced()


def test_a_recreation_that_is_listed_must_be_seen_though_its_predecessor_was(make, server):
    watched = make()
    watched.watch.seen(A, by="listing")
    watched.watch.seen(A, by="deletion")
    pod(server, "a")
    watched.start()
    watched.sleeps_until(START + 1)
    assert not watched.informer.has_synced
    watched.watch.seen(A, by="change")
    assert watched.is_synced()


def test_a_deletion_that_is_seen_while_the_key_is_waited_for_ends_the_wait_with_the_next_list(make, server):
    pod(server, "a")
    watched = make().start()
    watched.sleeps_until(START + 1)
    server.delete("pods", "a")
    watched.watch.seen(A, by="deletion")
    assert not watched.informer.has_synced
    watched.clock.step(1)
    assert watched.is_synced()


def test_objects_of_namespaces_that_are_not_served_are_not_waited_for(make, server):
    for name in ("team-a", "team-b", "other"):
        server.create("namespaces", {"metadata": {"name": name}})
        pod(server, "web", name)
    watched = make(patterns=("team-*",)).start()
    watched.sleeps_until(START + 1)
    for name in ("team-a", "team-b"):
        assert not watched.informer.has_synced
        watched.watch.seen(ObjectKey(name, "web"), by="listing")
    assert watched.is_synced()


# A server that does not answer as it should.

ODD = {"metadata": {"resourceVersion": "1"}, "items": [{"metadata": None}]}


@pytest.fixture(params=[LIST, "/api/v1"])
def path(request):
    """Where a watch asks: the list, the discovery."""
    return request.param


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        pytest.param({"status": 500}, "500 Server Error", id="500"),
        pytest.param({"status": 403}, "403 Client Error", id="403"),
        pytest.param({"status": 410, "times": 2}, "410 Client Error", id="410 for the second list too"),
        pytest.param({"status": 200, "body": ODD}, "'NoneType' object has no attribute 'get'", id="no metadata"),
        pytest.param({"status": 200, "body": b"<html>"}, "Expecting value", id="no JSON"),
        pytest.param({"status": 200, "body": b"[[1]]"}, "", id="a list"),
        pytest.param({"status": 200, "body": b"5"}, "'int' object is not iterable", id="a number"),
        pytest.param({"status": 200, "body": {"items": [{}]}}, "'metadata'", id="an item without anything"),
        pytest.param({"cut_after_bytes": 20}, "", id="cut"),
    ],
)
def test_an_answer_of_no_use_is_named_and_asked_for_again(make, path, caplog, fault, named):
    watched = make()
    watched.server.script(Fault(path=path, **fault))
    watched.start()
    watched.sleeps_until(START + 1)
    assert watched.watch.problem.startswith("pods: asking the API server failed: ")
    if path == LIST or "body" not in fault:
        assert named in watched.watch.problem
    [record] = caplog.records
    assert record.getMessage() == f"{watched.watch.problem}, next try in 1 s"
    watched.server.clear_faults()
    watched.clock.step(1)
    assert watched.is_synced()


def test_a_failing_server_is_asked_after_1_2_4_and_at_last_each_30_seconds(make, server):
    server.script(Fault(path=LIST, status=500, times=None))
    watched = make().start()
    instant = START
    for count, pause in enumerate([1, 2, 4, 8, 16, 30, 30], start=1):
        watched.sleeps_until(instant + pause)
        assert watched.lists() == count
        watched.clock.step(pause)
        instant += pause
    watched.sleeps_until(instant + 30)
    server.clear_faults()
    watched.clock.step(30)
    assert watched.is_synced()


def test_an_expired_list_is_made_anew_at_once(make, server):
    server.script(Fault(path=LIST, status=410))
    watched = make().start()
    assert watched.is_synced()
    assert watched.lists() == 2


def test_a_server_that_is_away_is_asked_again(make, server, caplog):
    watched = make()
    watched.login.renew(kopf.ConnectionInfo(server="http://127.0.0.1:1"))
    watched.start()
    watched.sleeps_until(START + 1)
    assert "127.0.0.1" in watched.watch.problem
    watched.login.renew(kopf.ConnectionInfo(server=server.url))
    watched.clock.step(1)
    assert watched.is_synced()


# Which resource.


def test_a_resource_that_is_not_served_is_warned_of_once_and_found_within_10_seconds_of_its_definition(
    make, server, caplog
):
    watched = make("foos.example.com").start()
    for step in range(3):
        watched.sleeps_until(START + 10 * (step + 1))
        assert watched.watch.problem == "foos.example.com is not served by the cluster"
        [record] = caplog.records
        assert record.getMessage() == (
            "foos.example.com is not served by the cluster; waiting for it "
            "(is the name right, is its definition there?)"
        )
        assert watched.informer.done == []
        if step < 2:
            watched.clock.step(10)
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    watched.clock.step(9.9)
    assert watched.informer.done == []
    watched.clock.step(0.1)
    assert watched.is_synced()
    assert watched.informer.done == ["served", "synced"]


def test_a_name_that_is_nearly_right_is_told_from_the_right_one(make, caplog):
    watched = make("podz").start()
    watched.sleeps_until(START + 10)
    [said] = caplog.messages
    assert said.endswith("; waiting for it (is the name right, is its definition there? did you mean pods?)")


def test_a_hint_that_cannot_be_found_out_keeps_nobody_from_waiting(make, caplog, monkeypatch):
    monkeypatch.setattr("workqueue.plugin.presence_watch.discover_all", lambda _: 1 / 0)
    watched = make("podz").start()
    watched.sleeps_until(START + 10)
    assert caplog.messages == [
        "podz is not served by the cluster; waiting for it (is the name right, is its definition there?)"
    ]


def second_deployments(server):
    names = {"plural": "deployments", "singular": "deployment", "kind": "Deployment", "listKind": "DeploymentList"}
    server.create(
        "customresourcedefinitions.apiextensions.k8s.io",
        {"metadata": {"name": "deployments.example.com"}, "spec": {**DEFINITION["spec"], "names": names}},
    )


def test_a_spec_that_fits_two_resources_is_told_and_the_thread_ends(make, server):
    second_deployments(server)
    watched = make("deployments").start()
    assert watched.ends()
    assert watched.ambiguous == [
        "informer('deployments') fits deployments.v1.apps and deployments.v1.example.com: name one of them"
    ]
    assert watched.informer.done == []


# Deletions that nobody saw.


@pytest.mark.parametrize("why", ["a listing", "300 seconds"])
def test_exactly_what_is_gone_is_removed(synced, server, why):
    pod(server, "stays")
    for name in ("stays", "goes", "newer"):
        synced.store(name, version=str(10**9) if name == "newer" else "1")
    if why == "a listing":
        synced.watch.seen(A, by="listing")
        synced.sleeps_until(START + 1)
        assert synced.cached() == ["default/goes", "default/newer", "default/stays"]
        synced.clock.step(1)
        synced.sleeps_until(START + 301)
    else:
        synced.clock.step(299.9)
        assert synced.lists() == 1
        synced.clock.step(0.1)
        synced.sleeps_until(START + 600)
    assert synced.cached() == ["default/newer", "default/stays"]
    assert synced.told == [("default/goes", False)]
    assert synced.lists() == 2


def test_a_listing_is_over_when_it_brought_nothing_for_a_second(synced):
    for tenth in range(5):
        synced.watch.seen(A, by="listing")
        synced.sleeps_until(synced.clock.now() + 1)
        assert synced.lists() == 1
        synced.clock.step(0.5)
        assert synced.clock.now() == START + (tenth + 1) / 2
    synced.clock.step(0.5)
    synced.sleeps_until(START + 303)
    assert synced.lists() == 2


def test_changes_and_deletions_after_the_sync_are_no_reason_to_look(synced):
    synced.watch.seen(A, by="change")
    synced.watch.seen(A, by="deletion")
    synced.clock.step(200)
    synced.sleeps_until(START + 300)
    assert synced.lists() == 1


def test_it_looks_every_300_seconds(synced):
    for count in range(1, 4):
        synced.clock.step(300)
        synced.sleeps_until(START + 300 * (count + 1))
        assert synced.lists() == 1 + count


@pytest.mark.parametrize("version", ["opaque", "", "1-0"])
def test_what_has_an_opaque_version_is_asked_for_by_name_and_uid(synced, server, version, caplog):
    uid = pod(server, "recreated")["metadata"]["uid"]
    server.delete("pods", "recreated")
    synced.store("gone", version=version)
    synced.store("recreated", version=version, uid=uid)
    # A list that has neither, and then, before it is asked for, the one is there again.
    empty = {"metadata": {"resourceVersion": "5"}, "items": []}
    server.script(Fault(path=LIST, status=200, body=empty))
    same = pod(server, "same")["metadata"]["uid"]
    pod(server, "recreated")
    synced.store("same", version=version, uid=same)
    synced.store("unsure", version=version)
    server.script(Fault(path="/api/v1/namespaces/default/pods/unsure", status=500))
    synced.clock.step(300)
    synced.sleeps_until(START + 600)
    assert synced.cached() == ["default/same", "default/unsure"]
    assert sorted(synced.told) == [("default/gone", False), ("default/recreated", False)]
    [record] = caplog.records
    assert record.getMessage().startswith("pods: asking for default/unsure failed: 500 Server Error")


def test_versions_of_any_length_are_compared(synced):
    synced.store("newer", version="1" * 5000)
    synced.clock.step(300)
    synced.sleeps_until(START + 600)
    assert synced.cached() == ["default/newer"]


def test_a_list_of_an_opaque_version_makes_it_ask(synced, server):
    synced.store("gone", version="7")
    server.script(Fault(path=LIST, status=200, body={"metadata": {}, "items": None}))
    synced.clock.step(300)
    synced.sleeps_until(START + 600)
    assert synced.cached() == []
    assert server.requests[-1].path == "/api/v1/namespaces/default/pods/gone"


def test_what_is_in_a_namespace_that_no_pattern_fits_any_more_goes_when_the_server_says_that_it_is_gone(make, server):
    for name in ("team-a", "team-b"):
        server.create("namespaces", {"metadata": {"name": name}})
    watched = make(patterns=("team-*",)).start()
    assert watched.is_synced()
    watched.sleeps_until(START + 300)
    uid = pod(server, "stays", "team-a")["metadata"]["uid"]
    watched.store("stays", namespace="team-a", uid=uid)
    watched.store("goes", namespace="team-b", version=str(10**9))
    server.delete("namespaces", "team-b")
    refused = Fault(path="/api/v1/namespaces/team-b/pods/goes", status=503)
    server.script(refused)
    watched.clock.step(300)
    watched.sleeps_until(START + 600)
    assert watched.cached() == ["team-a/stays", "team-b/goes"], "in doubt it stays"
    watched.clock.step(300)
    watched.sleeps_until(START + 900)
    assert watched.cached() == ["team-a/stays"]
    assert watched.told == [("team-b/goes", False)]


def test_a_failing_server_during_a_look_removes_nothing_and_the_look_is_made_up_for(synced, server):
    synced.store("goes")
    server.script(Fault(path=LIST, status=500, times=2))
    synced.clock.step(300)
    synced.sleeps_until(START + 301)
    assert synced.cached() == ["default/goes"]
    synced.clock.step(1)
    synced.sleeps_until(START + 303)
    synced.clock.step(2)
    synced.sleeps_until(START + 600)
    assert synced.cached() == []


def test_an_odd_item_during_a_look_removes_nothing_and_does_not_end_it(synced, server):
    synced.store("goes")
    server.script(Fault(path=LIST, status=200, body=ODD))
    synced.clock.step(300)
    synced.sleeps_until(START + 301)
    assert synced.cached() == ["default/goes"]
    synced.clock.step(1)
    synced.sleeps_until(START + 600)
    assert synced.cached() == []


# Stopping.


def at_the_login(make, server):
    watched = make(logged_in=False).start()
    watched.sleeps_until(None)
    return watched


def at_the_discovery(make, server):
    watched = make("foos.example.com").start()
    watched.sleeps_until(START + 10)
    return watched


def at_the_pause_after_an_error(make, server):
    server.script(Fault(path=LIST, status=500, times=None))
    watched = make().start()
    watched.sleeps_until(START + 1)
    return watched


def at_the_wait_for_keys(make, server):
    pod(server, "a")
    watched = make().start()
    watched.sleeps_until(START + 1)
    return watched


def at_the_wait_for_gaps(make, server):
    watched = make().start()
    watched.sleeps_until(START + 300)
    return watched


@pytest.mark.parametrize(
    "wait",
    [at_the_login, at_the_discovery, at_the_pause_after_an_error, at_the_wait_for_keys, at_the_wait_for_gaps],
    ids=lambda wait: wait.__name__,
)
def test_a_stop_ends_the_thread_in_each_of_its_waits(make, server, wait, caplog):
    watched = wait(make, server)
    done = list(watched.informer.done)
    caplog.clear()
    watched.watch.stop()
    assert not watched.watch._thread.is_alive()
    assert watched.informer.done == done
    assert watched.clock.waiters() == 0
    assert caplog.records == []


def test_a_stop_before_the_start_is_harmless(make):
    make().watch.stop()


def test_a_stop_does_not_wait_for_a_request_that_hangs(make, server, background):
    server.script(Fault(path=LIST, hang=True))
    watched = make().start()
    until(watched.lists)
    background(watched.watch.stop).result(PATIENCE)
    assert watched.watch._thread.is_alive()
    assert watched.informer.done == ["served"]
    server.stop()
    assert watched.ends()
    assert watched.informer.done == ["served"]


class Held:
    """A request that the server answers only when it is let."""

    def __init__(self, server, path):
        self._asked, self._let = threading.Event(), threading.Event()
        server.script(Fault(path=path, query=self._hold))

    def _hold(self, query):
        self._asked.set()
        assert self._let.wait(PATIENCE)
        return False  # the answer is the real one

    def stop_meanwhile(self, watched, background):
        """Stop the watch while it waits for the answer, then let it have that."""
        assert self._asked.wait(PATIENCE)
        stopped = background(watched.watch.stop)
        until(lambda: watched.watch._stopped)
        self._let.set()
        stopped.result(PATIENCE)
        assert watched.ends()


def test_a_discovery_that_is_answered_after_the_stop_does_not_mark_it_served(make, server, background):
    held = Held(server, "/api/v1")
    watched = make().start()
    held.stop_meanwhile(watched, background)
    assert watched.informer.done == []
    assert watched.lists() == 0


def test_a_discovery_of_two_that_is_answered_after_the_stop_is_not_told(make, server, background):
    second_deployments(server)
    held = Held(server, "/apis/example.com/v1")
    watched = make("deployments").start()
    held.stop_meanwhile(watched, background)
    assert watched.ambiguous == []
    assert watched.informer.done == []


def test_a_list_that_is_answered_after_the_stop_does_not_mark_it_synced(make, server, background):
    held = Held(server, LIST)
    watched = make().start()
    held.stop_meanwhile(watched, background)
    assert watched.informer.done == ["served"]
    assert not watched.informer.has_synced


@pytest.mark.parametrize("asked", ["the list", "one object"])
def test_a_look_that_is_answered_after_the_stop_removes_nothing(synced, server, background, asked):
    synced.store("goes", version="opaque")
    synced.store("too", version="1")
    held = Held(server, LIST if asked == "the list" else "/api/v1/namespaces/default/pods/goes")
    synced.clock.step(300)
    held.stop_meanwhile(synced, background)
    assert synced.informer.done == []
    assert synced.told == []
    assert "default/goes" in synced.cached()


def test_a_failure_that_is_answered_after_the_stop_is_not_reported(make, server, background, caplog):
    caplog.set_level(logging.DEBUG, "workqueue.plugin")
    held = Held(server, LIST)
    server.script(Fault(path=LIST, status=500))
    watched = make().start()
    held.stop_meanwhile(watched, background)
    assert caplog.records == []
