"""Children enqueue their owners, and any object whatever a function names for it."""

import functools
import logging
import random
from types import SimpleNamespace

import kopf
import pytest

from tests.plugin.conftest import PATIENCE
from workqueue import Manager
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import current_origin
from workqueue.cache.entry import encode
from workqueue.informer.relations import OwnerHandler, map_handler
from workqueue.plugin.sources import ResourceInformer
from workqueue.testing import FakeClock

DEPLOYMENTS = SimpleNamespace(group="apps", kind="Deployment", namespaced=True)
NODES = SimpleNamespace(group="", kind="Node", namespaced=False)


def reference(name, *, kind="Deployment", version="apps/v1", controller=True):
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": controller}


def child(name="child", *owners, version="1", namespace="default", uid=None, **fields):
    """An object that others own, as references or names of deployments."""
    references = [reference(owner) if isinstance(owner, str) else owner for owner in owners]
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "resourceVersion": version}
    return {"metadata": {**metadata, "ownerReferences": references}, **fields}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def registry():
    return kopf.OperatorRegistry()


@pytest.fixture
def manager(registry, clock):
    return Manager(registry=registry, clock=clock)


@pytest.fixture
def served(monkeypatch):
    """What the cluster serves, by the names of the informers; as Kopf finds it, in a running operator."""
    found = {"deployments.apps": DEPLOYMENTS}
    monkeypatch.setattr(ResourceInformer, "resource", property(lambda informer: found.get(informer.name)))
    return found


@pytest.fixture
def owners(manager, served):
    return manager.informer("deployments.apps")


@pytest.fixture
def children(manager):
    return manager.informer("replicasets.apps")


@pytest.fixture
def controller(owners):
    return owners.controller(lambda request: None, name="rollout")


def taken(controller):
    """All keys that can be handed out, with their priorities."""
    keys, queue = [], controller.queue
    while queue.statistics().ready:
        key, priority = queue.get_with_priority(0)
        keys.append((str(key), priority))
        queue.done(key)
    return keys


def tell(source, *bodies, **how):
    for body in bodies:
        source.informer.apply(body, **how)
    source.informer.deliver()


def errors(source):
    return sum(handler.errors for handler in source.statistics().handlers)


# The handler of owns.


def heard(resource, *, old=None, new=None, namespace="default"):
    """The keys that one event adds."""
    keys = []
    OwnerHandler(SimpleNamespace(resource=resource), keys.append, name="owns")(
        key=ObjectKey(namespace, "child"), namespace=namespace, old=old, new=new, initial=False
    )
    return [str(key) for key in keys]


def test_the_key_is_the_controllers_in_the_namespace_of_the_child():
    assert heard(DEPLOYMENTS, new=child("child", "web")) == ["default/web"]


def test_what_came_before_the_owners_kind_was_known_is_caught_up_with_once():
    """On the handlers lane Kopf may bring children before our own thread has found the owners' resource."""
    keys = []
    owners = SimpleNamespace(resource=None)
    handler = OwnerHandler(owners, lambda key: keys.append((str(key), current_origin().reason)), name="owns")
    cached = [encode(child("a", "web")), encode(child("b", "web")), encode(child("c", "db"))]
    handler(namespace="default", new=child("a", "web"))
    assert keys == []
    owners.resource = DEPLOYMENTS
    handler.catch_up(cached)
    assert sorted(set(keys)) == [("default/db", "initial list"), ("default/web", "initial list")]
    keys.clear()
    handler.catch_up(cached)
    assert keys == [], "nothing was passed over since"


def test_an_owner_in_the_cluster_scope_has_a_key_without_a_namespace():
    body = child("child", reference("node-1", kind="Node", version="v1"))
    assert heard(NODES, new=body) == ["node-1"]
    assert heard(NODES, new=body, namespace="") == ["node-1"]


def test_a_child_in_the_cluster_scope_has_no_owner_in_a_namespace():
    assert heard(DEPLOYMENTS, new=child("child", "web", namespace=""), namespace="") == []


@pytest.mark.parametrize(
    "other",
    [
        reference("web", kind="StatefulSet"),
        reference("web", version="extensions/v1"),
        reference("web", version="v1"),
        reference("web", controller=False),
        {**reference("web"), "controller": None},
        {"kind": "Deployment"},
    ],
    ids=["another kind", "another group", "the core group", "no controller", "null", "malformed"],
)
def test_other_owners_are_not_asked_for(other):
    assert heard(DEPLOYMENTS, new=child("child", other)) == []


def test_the_version_of_the_owner_need_not_fit():
    assert heard(DEPLOYMENTS, new=child("child", reference("web", version="apps/v1beta2"))) == ["default/web"]


def test_of_several_owners_the_controller_counts():
    body = child("child", reference("first", controller=False), reference("second"))
    assert heard(DEPLOYMENTS, new=body) == ["default/second"]


def test_a_change_looks_at_both_states():
    assert heard(DEPLOYMENTS, old=child("child", "before"), new=child("child", "after")) == [
        "default/before",
        "default/after",
    ]
    assert heard(DEPLOYMENTS, old=child("child", "web"), new=child("child", "web")) == ["default/web"]
    assert heard(DEPLOYMENTS, old=child(), new=child("child", "adopter")) == ["default/adopter"]
    assert heard(DEPLOYMENTS, old=child("child", "parent"), new=child()) == ["default/parent"]


def test_as_long_as_nobody_knows_the_owners_resource_events_are_passed_over():
    assert heard(None, new=child("child", "web")) == []


# owns, with a controller.


def test_a_child_that_comes_changes_and_goes_enqueues_its_owner(controller, children):
    controller.owns(children)
    tell(children, child("a", "web"))
    assert taken(controller) == [("default/web", 0)]
    tell(children, child("a", "other", version="2"))
    assert taken(controller) == [("default/web", 0), ("default/other", 0)]
    children.informer.remove(child("a", "other", version="3"))
    children.informer.deliver()
    assert taken(controller) == [("default/other", 0)]
    assert errors(children) == 0


def test_a_child_whose_end_was_not_seen_enqueues_the_owner_of_its_last_known_state(controller, children):
    controller.owns(children)
    tell(children, child("a", "web"), child("b", "other"))
    taken(controller)
    children.informer.replace([])
    children.informer.deliver()
    assert sorted(taken(controller)) == [("default/other", 0), ("default/web", 0)]


def test_a_child_that_was_made_anew_for_another_owner_enqueues_both(controller, children):
    controller.owns(children)
    tell(children, child("a", "web", uid="1"))
    taken(controller)
    tell(children, child("a", "other", uid="2", version="2"))
    assert taken(controller) == [("default/web", 0), ("default/other", 0)]


def test_many_children_of_one_owner_are_one_key(controller, children):
    controller.owns(children)
    tell(children, *(child(str(number), "web") for number in range(100)))
    assert taken(controller) == [("default/web", 0)]


def test_the_initial_list_of_children_and_their_resync_are_of_low_priority(controller, children):
    controller.owns(children)
    tell(children, child("a", "web"), initial=True)
    assert controller.statistics().initial_keys_left == 1
    assert taken(controller) == [("default/web", -100)]
    children.informer.resync()
    assert taken(controller) == [("default/web", -100)]


def test_a_resync_of_children_leaves_an_owner_alone_that_fails(controller, children):
    controller.owns(children)
    tell(children, child("a", "web"))
    key = controller.queue.get(0)
    controller.queue.add_rate_limited(key)
    controller.queue.done(key)
    children.informer.resync()
    assert taken(controller) == []
    tell(children, child("a", "web", version="2"))
    assert taken(controller) == [("default/web", 0)]


def test_the_owners_resource_may_come_later_and_be_another_in_the_next_run(controller, children, served):
    served.clear()
    controller.owns(children)
    tell(children, child("a", "web"))
    assert taken(controller) == []
    assert errors(children) == 0
    served["deployments.apps"] = DEPLOYMENTS
    tell(children, child("a", "web", version="2"))
    assert taken(controller) == [("default/web", 0)]
    served["deployments.apps"] = SimpleNamespace(group="apps", kind="Rollout", namespaced=True)
    tell(children, child("a", reference("web", kind="Rollout"), version="3"))
    assert taken(controller) == [("default/web", 0)]


def test_an_object_may_own_one_of_its_own_resource(controller, owners):
    controller.owns(owners)
    tell(owners, child("a", "web"))
    assert taken(controller) == [("default/web", 0)]
    assert controller.wait_for == (owners,)


def test_owners_are_found_without_decoding_the_child(controller, children, monkeypatch):
    controller.owns(children)
    monkeypatch.setattr("workqueue.cache.Body._touch", None)
    tell(children, child("a", "web"))
    assert taken(controller) == [("default/web", 0)]


def test_random_lives_of_children_tell_each_owner_that_has_won_or_lost_one(controller, children):
    controller.owns(children)
    chance, owner_of = random.Random(7), {}
    for step in range(1_000):
        name = str(chance.randrange(5))
        before, after = owner_of.get(name), chance.choice([None, "x", "y", "z"])
        if name in owner_of and chance.random() < 0.3:
            children.informer.remove(child(name, *filter(None, [before]), version=str(step)))
            children.informer.deliver()
            del owner_of[name]
            expected = {before}
        else:
            tell(children, child(name, *filter(None, [after]), version=str(step)))
            owner_of[name], expected = after, {before, after}
        assert {key for key, _ in taken(controller)} == {f"default/{owner}" for owner in expected - {None}}


# The caches that are waited for.


def test_the_controller_waits_for_the_caches_of_what_it_owns_and_maps(controller, owners, children, manager):
    pods = manager.informer("pods")
    controller.owns(children)
    controller.maps(pods, by=lambda body: None)
    controller.maps(pods, by=lambda body: None)
    assert controller.wait_for == (owners, children, pods)
    for source in (owners, children):
        source.informer.progress.mark_synced()
        assert controller.readiness == "syncing"
    pods.informer.progress.mark_synced()
    assert controller.readiness == "synced"


def test_a_watch_that_is_interrupted_while_another_cache_syncs_is_no_reason_not_to_start(controller, owners, children):
    controller.owns(children)
    owners.informer.progress.mark_synced()
    owners.informer.progress.mark_stale("the watch was interrupted")
    with pytest.raises(RuntimeError, match="before its caches were synced"):
        controller.controller.start()
    children.informer.progress.mark_synced()
    assert controller.readiness == "synced"
    controller.controller.start()
    assert controller.controller.stop(PATIENCE)


def test_requests_look_in_the_cache_of_the_first_informer_and_without_one_in_none(owners, manager):
    pods, seen = manager.informer("pods"), []
    rollout = owners.controller(lambda request: seen.append(request.cache), name="rollout")
    jobs = manager.controller("jobs", lambda request: seen.append(request.cache))
    for each in (rollout, jobs):
        each.maps(pods, by=lambda body: None)
        each.renew()
        each.add("default/a")
        each.controller.run_next()
    assert seen == [owners.indexer, None]


def test_after_a_renewal_events_reach_the_new_queue(controller, children):
    controller.owns(children)
    before = controller.queue
    controller.renew()
    tell(children, child("a", "web"))
    assert taken(controller) == [("default/web", 0)]
    assert controller.queue is not before


# maps.


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (None, []),
        ([], []),
        ((), []),
        ("a", ["a"]),
        ("ns/a", ["ns/a"]),
        (("ns", "a"), ["ns/a"]),
        (ObjectKey("ns", "a"), ["ns/a"]),
        (["a", "b"], ["a", "b"]),
        ([("ns", "a"), "ns/b", ObjectKey("", "c")], ["ns/a", "ns/b", "c"]),
        (("ns/a", "ns/b", "ns/c"), ["ns/a", "ns/b", "ns/c"]),
        ((ObjectKey("ns", "a"), ("ns", "b")), ["ns/a", "ns/b"]),
        ({"ns/a"}, ["ns/a"]),
        (["a", "a", ("", "a")], ["a"]),
    ],
    ids=repr,
)
def test_a_function_returns_a_key_several_or_none(controller, children, answer, keys):
    controller.maps(children, by=lambda body: answer)
    tell(children, child())
    assert taken(controller) == [(key, 0) for key in keys]
    assert errors(children) == 0


def test_a_function_may_yield_its_keys(controller, children):
    def find(body):
        for name in body["spec"]["names"]:
            yield body["metadata"]["namespace"], name

    controller.maps(children, by=find)
    tell(children, child(spec={"names": ["x", "y", "x"]}))
    assert taken(controller) == [("default/x", 0), ("default/y", 0)]


def test_a_change_is_mapped_before_and_after_and_each_key_added_once(controller, children):
    adds = []
    controller.maps(children, by=lambda body: [body["spec"], "always"])
    controller.controller.add = adds.append
    tell(children, child(spec="before"))
    assert adds == [("", "before"), ("", "always")]
    adds.clear()
    tell(children, child(spec="after", version="2"))
    assert adds == [("", "before"), ("", "always"), ("", "after")]
    adds.clear()
    children.informer.remove(child(spec="after", version="3"))
    children.informer.deliver()
    assert adds == [("", "after"), ("", "always")]


def test_maps_add_under_the_origin_of_the_event_too(controller, children):
    controller.maps(children, by=lambda body: "x")
    tell(children, child(), initial=True)
    assert taken(controller) == [("x", -100)]


def test_a_function_that_raises_is_counted_and_stops_nothing(controller, children, caplog):
    def find(body):
        if body["spec"] == "bad":
            raise KeyError("nothing of that kind")
        return body["spec"]

    controller.maps(children, by=find)
    tell(children, child("a", spec="bad"), child("b", spec="good"))
    assert taken(controller) == [("good", 0)]
    assert errors(children) == 1
    [record] = [each for each in caplog.records if each.name == "workqueue.informer"]
    assert "rollout.maps(replicasets.apps, " in record.getMessage()
    assert record.getMessage().endswith("find) failed on add of default/a")
    assert record.exc_info[0] is KeyError


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(1)], ids=repr)
def test_the_new_state_is_mapped_though_the_old_one_cannot_be(controller, children, error):
    def find(body):
        if body["spec"] == "bad":
            raise error
        return body["spec"]

    controller.maps(children, by=find)
    tell(children, child(spec="bad"), child(spec="good", version="2"), child(spec="bad", version="3"))
    assert taken(controller) == [("good", 0)]
    assert errors(children) == 3


def test_keys_that_were_yielded_before_an_error_count(controller, children):
    def find(body):
        yield "first"
        raise KeyError("second")

    controller.maps(children, by=find)
    tell(children, child())
    assert taken(controller) == [("first", 0)]
    assert errors(children) == 1


@pytest.mark.parametrize(
    "bad",
    ["", "a/b/c", 5, 5.0, b"a", ("ns/a", "ns/b"), {"metadata": {}}, object, [None], [["ns", "a"], ["b", 5]]],
    ids=repr,
)
def test_a_bad_key_is_one_line_and_no_traceback(controller, children, bad, caplog):
    controller.maps(children, by=lambda body: bad)
    tell(children, child())
    assert errors(children) == 1
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "is no key: expected" in record.getMessage()
    assert "rollout.maps(replicasets.apps, " in record.getMessage()
    assert record.exc_info is None
    assert "\n" not in record.getMessage()


def test_the_good_keys_beside_a_bad_one_are_added(controller, children):
    controller.maps(children, by=lambda body: ["a/b/c", "good", 5, "better"])
    tell(children, child())
    assert taken(controller) == [("good", 0), ("better", 0)]
    assert errors(children) == 1


def test_a_controller_without_informers_may_map_some(manager, children):
    jobs = manager.controller("jobs", lambda request: None)
    jobs.maps(children, by=lambda body: "x")
    tell(children, child())
    assert taken(jobs) == [("x", 0)]
    assert jobs.wait_for == (children,)


def test_two_controllers_may_follow_one_informer(owners, children, controller):
    other = owners.controller(lambda request: None, name="other")
    controller.owns(children)
    other.owns(children)
    other.maps(children, by=lambda body: "x")
    tell(children, child("a", "web"))
    assert taken(controller) == [("default/web", 0)]
    assert sorted(taken(other)) == [("default/web", 0), ("x", 0)]


def test_what_a_queue_raises_is_for_the_informer_to_report():
    def refuse(key):
        raise RuntimeError("a tenant that is none")

    with pytest.raises(RuntimeError, match="tenant"):
        map_handler(lambda body: "x", refuse, name="maps")(new=child())


# Mistakes.


async def find_later(body):
    return None


async def yield_later(body):
    yield None


class FindsLater:
    async def __call__(self, body):
        return None


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (None, r"maps\(replicasets.apps, None\): expected a function from an object to keys"),
        ("find", r"maps\(replicasets.apps, 'find'\): expected a function from an object to keys"),
        (find_later, r"maps\(replicasets.apps, find_later\): it is async; it is called in line, as handlers are"),
        (yield_later, r"maps\(replicasets.apps, yield_later\): it is async; it is called in line, as handlers are"),
        (
            functools.partial(find_later),
            r"maps\(replicasets.apps, .*find_later.*\): it is async; it is called in line, as handlers are",
        ),
        (FindsLater(), r"maps\(replicasets.apps, .*FindsLater.*\): it is async; it is called in line, as handlers are"),
        (
            lambda: None,
            r"maps\(replicasets.apps, <lambda>\): it must take one argument, the object: too many positional arguments",
        ),
        (
            lambda a, b: None,
            r"maps\(replicasets.apps, <lambda>\): it must take one argument, the object: missing a required argument",
        ),
    ],
    ids=["none", "a string", "async", "an async generator", "partial", "an async call", "no argument", "two arguments"],
)
def test_a_function_that_cannot_be_is_one_line(controller, owners, children, function, line):
    with pytest.raises(ConfigurationError, match=f"^controller 'rollout': {line}") as told:
        controller.maps(children, by=function)
    assert "\n" not in str(told.value)
    assert controller.wait_for == (owners,), "nothing came of it"
    assert children.statistics().handlers == ()


@pytest.mark.parametrize("source", [None, "replicasets", ["replicasets"]], ids=repr)
@pytest.mark.parametrize("verb", ["owns", "maps"])
def test_what_is_no_informer_is_one_line(controller, verb, source):
    more = {} if verb == "owns" else {"by": lambda body: None}
    with pytest.raises(ConfigurationError) as told:
        getattr(controller, verb)(source, **more)
    assert str(told.value) == (
        f"controller 'rollout': {verb}({source!r}): expected an informer of the same operator, as manager.informer "
        "makes them"
    )


def test_an_informer_of_another_operator_is_one_line(controller):
    stranger = Manager(registry=kopf.OperatorRegistry()).informer("pods")
    with pytest.raises(ConfigurationError, match=r"owns\(pods\): expected an informer of the same operator"):
        controller.owns(stranger)
    with pytest.raises(ConfigurationError, match=r"maps\(pods\): expected an informer of the same operator"):
        controller.maps(stranger, by=lambda body: None)
    assert stranger.statistics().handlers == ()


def test_an_informer_of_another_manager_of_the_same_operator_is_welcome(controller, registry):
    controller.owns(Manager(registry=registry).informer("pods"))


def test_owns_without_an_informer_of_the_owners_is_one_line(manager, children):
    jobs = manager.controller("jobs", lambda request: None)
    with pytest.raises(
        ConfigurationError, match=r"^controller 'jobs': owns\(replicasets.apps\): there is no informer of the owners"
    ):
        jobs.owns(children)
    jobs.maps(children, by=lambda body: None)
    with pytest.raises(ConfigurationError, match="there is no informer of the owners"):
        jobs.owns(children)
