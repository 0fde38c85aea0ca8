"""Mistakes in what informers and controllers are made with are found when they are made, each told in one line."""

import itertools

import kopf
import pytest

from workqueue import Manager, field
from workqueue.base.errors import ConfigurationError, IndexConflict
from workqueue.cache import annotation, label, owner_uid


@pytest.fixture
def manager():
    return Manager(registry=kopf.OperatorRegistry())


async def asynchronous(body):
    """Returns something to be awaited."""


def no_arguments():
    """Takes no object."""


def reconcile(request):
    """Never called."""


MAPPING = "expected index functions by their names, such as {'node': field('spec.nodeName')}"
ASYNC = "it is async, and would be called in line: expected a plain function"
#: What follows is Python's own.
ONE = "it must take one argument, the {}: too many positional arguments"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transform": "x"}, "informer('pods'): transform='x': expected a function"),
        ({"transform": asynchronous}, f"informer('pods'): transform=asynchronous: {ASYNC}"),
        ({"transform": no_arguments}, f"informer('pods'): transform=no_arguments: {ONE.format('object')}"),
        ({"indexers": ["node"]}, f"informer('pods'): indexers=['node']: {MAPPING}"),
        ({"indexers": "node"}, f"informer('pods'): indexers='node': {MAPPING}"),
        ({"indexers": field("a")}, f"informer('pods'): indexers=FieldIndex(path=('a',)): {MAPPING}"),
        ({"indexers": []}, f"informer('pods'): indexers=[]: {MAPPING}"),
        ({"indexers": {5: field("a")}}, "index 5: expected a text as its name"),
        ({"indexers": {"n": asynchronous}}, f"index 'n' is asynchronous: {ASYNC}"),
        ({"indexers": {"n": lambda: 1}}, f"index 'n' is <lambda>: {ONE.format('object')}"),
        ({"metadata_only": "yes"}, "informer('pods'): metadata_only='yes', expected True or False"),
        ({"resync": True}, "resync=True: expected at least 1 second, or 0 for none"),
        ({"cache_sync_timeout": True}, "informer('pods'): cache_sync_timeout=True, expected > 0"),
    ],
    ids=itertools.count(),
)
def test_an_informer(manager, options, said):
    with pytest.raises(ConfigurationError) as caught:
        manager.informer("pods", **options)
    assert str(caught.value) == said
    assert manager._runtime._informers == []


def test_the_index_that_is_always_there_is_not_replaced(manager):
    with pytest.raises(IndexConflict, match="indexer conflict: namespace exist already"):
        manager.informer("pods", indexers={"namespace": field("spec.nodeName")})


def test_what_fits_is_taken(manager):
    pods = manager.informer(
        "pods",
        transform=lambda body, deep=True: body,
        indexers={"a": field("a"), "b": label("b"), "c": owner_uid(), "d": lambda body: []},
    )
    assert pods.indexer.list_index_func_values("a") == []


@pytest.mark.parametrize("path", [None, 5, ""], ids=repr)
def test_a_field_that_is_none(path):
    with pytest.raises(ConfigurationError) as caught:
        field(path)
    assert str(caught.value) == f"field({path!r}): expected names joined by dots, such as 'spec.nodeName'"


@pytest.mark.parametrize("name", [None, 5, ""], ids=repr)
@pytest.mark.parametrize("index", [label, annotation])
def test_a_label_or_annotation_that_is_none(index, name):
    with pytest.raises(ConfigurationError) as caught:
        index(name)
    assert str(caught.value).startswith(f"{index.__name__}({name!r}): expected the key of a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": 5}, "controller 5: expected a name, such as 'pods'"),
        ({"name": ""}, "controller '': expected a name, such as 'pods'"),
        ({"name": "a\nb"}, "controller 'a\\nb': expected a name, such as 'pods'"),
        ({"fairness": lambda: 1}, f"controller 'x': fairness=<lambda>: {ONE.format('key')}"),
        ({"fairness": asynchronous}, f"controller 'x': fairness=asynchronous: {ASYNC}"),
        ({"wait_for": "pods"}, "controller 'x': wait_for='pods': expected informers, such as [pods]"),
        ({"wait_for": ["pods"]}, "controller 'x': wait_for=['pods']: expected informers, such as [pods]"),
        ({"wait_for": None}, "controller 'x': wait_for=None: expected informers, such as [pods]"),
        ({"wait_for": ""}, "controller 'x': wait_for='': expected informers, such as [pods]"),
    ],
    ids=itertools.count(),
)
def test_a_controller(manager, options, said):
    with pytest.raises(ConfigurationError) as caught:
        manager.controller(**{"name": "x", "reconcile": reconcile, **options})
    assert str(caught.value) == said
    assert manager._runtime._controllers == {}


def test_an_informers_controller_has_no_empty_name_either(manager):
    with pytest.raises(ConfigurationError, match="controller '': expected a name"):
        manager.informer("pods").controller(reconcile, name="")


def test_one_informer_to_wait_for_needs_no_list(manager):
    pods, nodes = manager.informer("pods"), manager.informer("nodes")
    assert manager.controller("one", reconcile, wait_for=pods).wait_for == (pods,)
    assert manager.controller("two", reconcile, wait_for=iter([pods, nodes])).wait_for == (pods, nodes)


def test_an_informer_of_another_operator_is_not_waited_for(manager):
    stranger = Manager(registry=kopf.OperatorRegistry()).informer("pods")
    with pytest.raises(ConfigurationError) as caught:
        manager.controller("x", reconcile, wait_for=[stranger])
    assert str(caught.value) == (
        "controller 'x': wait_for(pods): expected an informer of the same operator, as manager.informer makes them"
    )
