"""A controller to which nothing can add keys says so once, when its workers start; others say nothing."""

import kopf
import pytest

from workqueue import Manager
from workqueue.testing import FakeClock

WARNING = (
    "controller {name}: nothing adds keys to it: put @{source}.on_add, @{source}.on_update and @{source}.on_delete "
    "above functions that call controller.add(key)"
)


@pytest.fixture
def registry():
    return kopf.OperatorRegistry()


@pytest.fixture
def manager(registry):
    return Manager(registry=registry, clock=FakeClock())


@pytest.fixture
def warnings(manager, caplog):
    """Let a controller start as it does when its caches are synced: what is warned of."""

    def start(controller):
        for source in manager._runtime._informers:
            source.informer.progress.mark_served()
            source.informer.progress.mark_synced()
            source.informer.progress.mark_told()
        manager._runtime._start_when_synced(controller)
        assert controller.statistics().started
        controller.controller.stop(30)
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return start


def reconcile(request):
    """Never called."""


def test_without_handlers_it_is_said_what_is_missing(manager, warnings):
    controller = manager.informer("deployments.apps").controller(reconcile, name="web")
    assert warnings(controller) == [WARNING.format(name="web", source="deployments")]


def test_with_no_informer_at_all_too(manager, warnings):
    assert warnings(manager.controller("alone", reconcile)) == [WARNING.format(name="alone", source="informer")]


@pytest.mark.parametrize("kind", ["add", "update", "delete"])
def test_one_handler_is_enough(manager, warnings, kind):
    pods = manager.informer("pods")
    controller = pods.controller(reconcile)
    getattr(pods, f"on_{kind}")(lambda key, **_: controller.add(key))
    assert warnings(controller) == []


def test_the_verb_of_a_controller_is_a_handler(manager, warnings):
    pods = manager.informer("pods")
    controller = pods.controller(reconcile)
    pods.on_add(controller.add)
    pods.informer.apply({"metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1"}})
    pods.informer.deliver()
    assert controller.queue.statistics().adds == 1
    assert warnings(controller) == []


def test_handlers_of_another_informer_are_none_of_those_that_it_waits_for(manager, warnings):
    controller = manager.informer("pods").controller(reconcile)
    manager.informer("nodes").on_add(lambda **_: None)
    assert warnings(controller) == [WARNING.format(name="pods", source="pods")]


def test_who_waits_for_none_may_be_fed_by_any(manager, warnings):
    manager.informer("nodes").on_add(lambda **_: None)
    assert warnings(manager.controller("alone", reconcile)) == []


def test_owns_and_maps_are_handlers(manager, warnings):
    pods, nodes = manager.informer("pods"), manager.informer("nodes")
    owning, mapping = pods.controller(reconcile), pods.controller(reconcile, name="mapping")
    owning.owns(nodes)
    mapping.maps(nodes, by=lambda node: None)
    assert warnings(owning) == warnings(mapping) == []


def test_a_key_that_was_added_before_is_enough(manager, warnings):
    controller = manager.informer("pods").controller(reconcile)
    controller.add("default/a")
    assert warnings(controller) == []


def test_handlers_of_kopf_may_add_keys_whenever_they_like(manager, warnings, registry):
    controller = manager.informer("pods").controller(reconcile)
    kopf.on.create("nodes", registry=registry)(lambda **_: None)
    assert warnings(controller) == []
