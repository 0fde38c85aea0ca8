"""What a manager is told: checked when it is made, and one mind for all managers of one operator."""

import kopf
import pytest

from workqueue import Manager
from workqueue.base.errors import ConfigurationError
from workqueue.plugin.said import Said
from workqueue.testing import FakeClock


@pytest.fixture
def registry():
    return kopf.OperatorRegistry()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"namespaces": 5}, "Manager(namespaces=5): expected a list of names"),
        ({"namespaces": [1, 2]}, "Manager(namespaces=[1, 2]): expected a list of names"),
        ({"namespaces": []}, "Manager(namespaces=[]): expected a list of names"),
        ({"namespaces": ["a", " "]}, "Manager(namespaces=['a', ' ']): expected a list of names"),
        ({"namespaces": "blue"}, "Manager(namespaces='blue'): expected a list of names"),
        ({"namespaces": {"blue": 1}}, "Manager(namespaces={'blue': 1}): expected a list of names"),
        ({"registry": 5}, "Manager(registry=5): expected a kopf.OperatorRegistry"),
        ({"clock": 5}, "Manager(clock=5): expected a clock, such as workqueue.testing.FakeClock()"),
        ({"burst": 5}, "Manager(burst=5): it means something beside qps=… only"),
        ({"grace": "5"}, "Manager(grace='5'): expected seconds, 0 or more"),
    ],
    ids=repr,
)
def test_what_cannot_be_is_refused_in_one_line(options, said, registry):
    with pytest.raises(ConfigurationError) as caught:
        Manager(**{"registry": registry, **options})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"grace": 5}, {"grace": 6}, "Manager(grace=6), but another Manager of this operator has said grace=5: "),
        (
            {"bind": "0"},
            {"bind": ":80"},
            "Manager(bind=':80'), but another Manager of this operator has said bind='0': ",
        ),
        (
            {"qps": 5},
            {"qps": 5, "burst": 20},
            "Manager(qps=5, burst=20), but another Manager of this operator has said qps=5, burst=10: ",
        ),
        (
            {"api_server_timeout": 1},
            {"api_server_timeout": 2},
            "Manager(api_server_timeout=2), but another Manager of this operator has said api_server_timeout=1: ",
        ),
        (
            {"namespaces": ["a"]},
            {"namespaces": ["b"]},
            "Manager(namespaces=['b']), but another Manager of this operator has said namespaces=['a']: ",
        ),
    ],
    ids=["grace", "bind", "qps", "api_server_timeout", "namespaces"],
)
def test_a_second_manager_of_another_mind_is_refused_and_changes_nothing(first, second, said, registry):
    runtime = Manager(registry=registry, **first)._runtime
    before = runtime.said
    with pytest.raises(ConfigurationError) as caught:
        Manager(registry=registry, **second)
    assert str(caught.value) == f"{said}say it in one of them, or the same in both"
    with pytest.raises(ConfigurationError, match="another Manager"):
        Manager(registry=registry, clock=FakeClock(), **second)
    assert runtime.said is before


def test_a_second_manager_may_say_nothing_the_same_or_what_the_first_did_not(registry):
    runtime = Manager(registry=registry, grace=5, namespaces=["a", "b"])._runtime
    Manager(registry=registry)
    Manager(registry=registry, grace=5.0, namespaces=["b", "a"])
    Manager(registry=registry, bind="0", api_server_timeout=0)
    assert runtime.said == Said(grace=5, namespaces=("a", "b"), bind="0", api_server_timeout=0)
    assert runtime.grace == 5
    assert Manager(registry=kopf.OperatorRegistry(), grace=7)._runtime.grace == 7, "another operator"
