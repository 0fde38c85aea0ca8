"""Operators' own files under ``Harness.of``: their informers, handlers, recorders and queues, without a cluster."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import kopf
import pytest
from kubernetes import client

from tests.operators.harness import ROOT
from workqueue import ConfigurationError, Manager, Request, field
from workqueue.base.errors import InvalidObject
from workqueue.testing import Harness


@pytest.fixture
def load(monkeypatch):
    """``load("operator/foos.py")`` is that file as a module, in a registry of its own."""
    before = kopf.get_default_registry()

    def run(path):
        kopf.set_default_registry(kopf.OperatorRegistry())
        module = ModuleType("my_operator")
        monkeypatch.setitem(sys.modules, "my_operator", module)
        exec(compile((ROOT / path).read_text(), path, "exec"), module.__dict__)
        return module

    yield run
    kopf.set_default_registry(before)


@pytest.fixture
def manager():
    return Manager(registry=kopf.OperatorRegistry())


def pod(name="web", namespace="default", **fields):
    return {**fields, "metadata": {"name": name, "namespace": namespace, **fields.get("metadata", {})}}


def foo(**spec):
    return {
        "apiVersion": "samplecontroller.k8s.io/v1alpha1",
        "kind": "Foo",
        "metadata": {"name": "one", "namespace": "default"},
        "spec": {"deploymentName": "web", "replicas": 2, **spec},
    }


class Writer:
    """The official client, as far as foos.py writes with it: into the caches of the test."""

    def __init__(self, foos, deployments):
        self._foos, self._deployments = foos, deployments
        self.AppsV1Api = self.CustomObjectsApi = lambda _: self
        self.ApiException = client.ApiException

    def create_namespaced_deployment(self, namespace, body):
        return self._answer(self._deployments.apply(body))

    def replace_namespaced_deployment(self, name, namespace, body):
        return self._answer(self._deployments.apply(body))

    def replace_namespaced_custom_object_status(self, *path_and_body):
        self._foos.apply(path_and_body[-1])

    def _answer(self, body):
        metadata = SimpleNamespace(resource_version=body["metadata"]["resourceVersion"])
        return SimpleNamespace(metadata=metadata, body=body)


def test_the_sample_controller(load, monkeypatch):
    foos = load("operator/foos.py")
    with Harness.of(foos.controller) as cluster:
        deployments = cluster.feed(foos.deployments)
        monkeypatch.setattr(foos, "client", Writer(cluster.objects, deployments))
        serializer = SimpleNamespace(sanitize_for_serialization=lambda answer: answer.body)
        monkeypatch.setattr(foos.manager, "kubernetes", lambda: serializer)

        cluster.apply(foo())
        assert cluster.run_until_idle().outcomes == {"default/one": "success"}
        made = foos.deployments.get("default/web")
        assert made["spec"]["replicas"] == 2
        assert [event["reason"] for event in cluster.events] == ["Synced"]

        deployments.apply({**made, "spec": {**made["spec"], "replicas": 5}})  # its owner is asked for
        cluster.run_until_idle()
        assert foos.deployments.get("default/web")["spec"]["replicas"] == 2

        deployments.apply({**foos.deployments.get("default/web"), "status": {"availableReplicas": 2}})
        cluster.run_until_idle()
        assert foos.foos.get("default/one")["status"] == {"availableReplicas": 2}


def test_a_foo_is_not_given_what_is_somebody_elses(load):
    foos = load("operator/foos.py")
    with Harness.of(foos.controller, errors="keep") as cluster:
        foos.manager.kubernetes = lambda: None
        cluster.feed(foos.deployments).apply(pod())
        cluster.apply(foo())
        assert cluster.run_until_idle().outcomes == {"default/one": "error"}
        assert [event["reason"] for event in cluster.events] == ["ErrResourceExists"]


def test_the_pod_controller(load):
    pods = load("operator/pods.py")
    pods.manager.pykube = lambda: None
    with Harness.of(pods.controller) as cluster:
        cluster.apply(pod(spec={"nodeName": "n1"}))
        assert cluster.run_until_idle().outcomes == {"default/web": "success"}
        assert [found["metadata"]["name"] for found in pods.pods.by_index("node", "n1")] == ["web"]


def test_coroutines(manager):
    pods = manager.informer("pods")
    seen = []

    async def reconcile(request: Request) -> None:
        await asyncio.sleep(60)
        seen.append(request.get()["metadata"]["name"])

    controller = pods.controller(reconcile)
    pods.on_add(lambda key, **_: controller.add(key))
    with Harness.of(controller) as cluster:
        cluster.apply(pod())
        cluster.run_until_idle()
        assert (seen, cluster.clock.now()) == (["web"], 60)


# What is lent is given back.


def operator_of(manager):
    """A small operator; what its function and its handler have seen."""
    seen = SimpleNamespace(pods=[], nodes=[], told=[])
    pods = manager.informer("pods", indexers={"node": field("spec.nodeName")})
    nodes = manager.informer("nodes")
    recorder = manager.recorder("small")

    def reconcile(request: Request) -> None:
        seen.pods.append([found["metadata"]["name"] for found in pods.indexer])
        seen.nodes.append(nodes.get("n1"))
        if request.get():
            recorder.event(request.get(), type="Normal", reason="Seen", message="it is here")

    controller = pods.controller(reconcile)

    @pods.on_add
    @pods.on_delete
    def changed(key, initial, **_):
        seen.told.append((str(key), initial))
        controller.add(key)

    return SimpleNamespace(pods=pods, nodes=nodes, controller=controller, recorder=recorder, seen=seen)


def test_what_exists_at_the_start_is_told_as_initial_and_readiness_comes(manager):
    operator = operator_of(manager)
    with Harness.of(operator.controller, existing=[pod("a"), pod("b")]) as cluster:
        cluster.feed(operator.nodes, existing=[{"metadata": {"name": "n1"}}])
        assert operator.seen.told == [("default/a", True), ("default/b", True)]
        assert [run.reasons for run in cluster.run_until_idle().runs] == [{"initial list"}] * 2
        assert operator.controller.readiness == "processed"
        assert operator.seen.nodes[0]["metadata"]["name"] == "n1"
        assert operator.pods.has_synced


def test_after_it_nothing_is_left_of_it(manager):
    operator = operator_of(manager)
    for _ in range(2):  # each test finds the operator as it was loaded
        operator.seen.pods.clear()
        operator.seen.told.clear()
        with Harness.of(operator.controller) as cluster:
            cluster.objects.on_add(lambda key, **_: operator.seen.told.append(key))
            created = cluster.apply(pod())
            cluster.run_until_idle()
            assert operator.seen.pods == [["web"]]
            assert [event["involvedObject"]["uid"] for event in cluster.events] == [created["metadata"]["uid"]]
            assert operator.pods.resource.kind == "Pod"
            assert operator.seen.told == [("default/web", False), ("default", "web")]
            assert operator.recorder.statistics().recorded == 1
        assert operator.pods.indexer.list() == []
        assert not operator.pods.has_synced
        assert operator.pods.resource is None
        assert len(operator.pods.statistics().handlers) == 2
        assert operator.controller.readiness == "syncing"
        operator.controller.add("default/later")
        assert len(operator.controller.queue) == 1
        assert cluster.queue is not operator.controller.queue
        assert cluster.controller is not operator.controller.controller
        assert operator.recorder.statistics().recorded == 0


def test_a_handler_that_raises_fails_the_test(manager):
    operator = operator_of(manager)

    @operator.pods.on_add
    def broken(**_):
        raise OSError("no luck")

    with Harness.of(operator.controller) as cluster, pytest.raises(OSError, match="no luck"):
        cluster.apply(pod())


def test_one_s_own_write_that_nobody_brings_is_told_at_once(manager):
    operator = operator_of(manager)
    with Harness.of(operator.controller), pytest.raises(TimeoutError, match="nobody brings it meanwhile"):
        operator.pods.wait_for("default/web", resource_version="1")


def test_a_child_before_its_owner_is_not_passed_over(manager):
    owners = manager.informer("example.com", "v1", "owners")
    pods = manager.informer("pods")
    controller = owners.controller(lambda request: None)
    controller.owns(pods)
    reference = {"apiVersion": "example.com/v1", "kind": "Owner", "name": "one", "uid": "1", "controller": True}
    with Harness.of(controller) as cluster:
        cluster.feed(pods).apply(pod(metadata={"ownerReferences": [reference]}))
        assert cluster.run_until_idle().runs == ()
        cluster.apply({**pod("one"), "apiVersion": "example.com/v1", "kind": "Owner"})
        assert cluster.run_until_idle().keys == ["default/one"]


# Wrong use.


def test_one_harness_at_a_time(manager):
    operator = operator_of(manager)
    with Harness.of(operator.controller):
        queue = operator.controller.queue
        with pytest.raises(ConfigurationError, match="the informer pods is lent to another Harness: close that first"):
            Harness.of(operator.controller)
        assert operator.controller.queue is queue
    Harness.of(operator.controller).close()


@pytest.mark.parametrize("existing", [pod(), [pod(), {"metadata": {}}], ["web"]])
def test_what_was_lent_is_given_back_if_the_start_fails(manager, existing):
    operator = operator_of(manager)
    queue, functions = operator.controller.queue, [each.function for each in operator.pods.informer.handlers]
    with pytest.raises((ConfigurationError, InvalidObject)):
        Harness.of(operator.controller, existing=existing)
    assert operator.controller.queue is queue
    assert [each.function for each in operator.pods.informer.handlers] == functions
    Harness.of(operator.controller).close()


def test_what_cannot_be_lent_is_told(manager):
    with pytest.raises(ConfigurationError, match=r"a function is for Harness\(reconcile\)"):
        Harness.of(lambda request: None)
    with pytest.raises(ConfigurationError, match=r"Harness.of\(alone\): it has no informer"):
        Harness.of(manager.controller("alone", lambda request: None))
    told = r"feed\('pods'\): expected what manager.informer returns"
    with Harness(lambda request: None) as cluster, pytest.raises(ConfigurationError, match=told):
        cluster.feed("pods")


def test_a_custom_object_has_to_say_what_it_is(manager):
    controller = manager.informer("example.com", "v1", "owners").controller(lambda request: None)
    told = "default/one: give it kind and apiVersion"
    with Harness.of(controller) as cluster, pytest.raises(ConfigurationError, match=told):
        cluster.apply(pod("one"))
