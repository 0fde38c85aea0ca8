"""The queue of a managed controller: priorities by what handlers are told, and the options that a user may give."""

import kopf
import pytest

from workqueue import Manager
from workqueue.base.errors import ConfigurationError, InvalidKey
from workqueue.base.keys import ObjectKey
from workqueue.queues import Debounce, ItemExponentialFailureRateLimiter, PriorityQueue, by_namespace
from workqueue.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def manager(clock):
    return Manager(registry=kopf.OperatorRegistry(), clock=clock)


@pytest.fixture
def pods(manager):
    return manager.informer("pods")


def body(name, version="1", namespace="default"):
    return {"metadata": {"namespace": namespace, "name": name, "uid": f"uid-{name}", "resourceVersion": version}}


@pytest.fixture
def controller(pods):
    made = pods.controller(lambda request: None)
    for on in (pods.on_add, pods.on_update, pods.on_delete):
        on(lambda key, **_: made.add(key))
    return made


def taken(queue):
    """All keys that can be handed out, with their priorities."""
    keys = []
    while queue.statistics().ready:
        key, priority = queue.get_with_priority(0)
        keys.append((key.name, priority))
        queue.done(key)
    return keys


def test_the_initial_list_and_resyncs_are_low_and_changes_are_not(pods, controller):
    pods.informer.apply(body("a"), initial=True)
    pods.informer.apply(body("b"), initial=True)
    pods.informer.deliver()
    assert controller.queue.statistics().priorities == ((-100, 2),)
    pods.informer.apply(body("b", "2"))
    pods.informer.apply(body("c"))
    pods.informer.deliver()
    assert taken(controller.queue) == [("b", 0), ("c", 0), ("a", -100)]

    pods.informer.resync()
    pods.informer.remove(body("c", "3"))
    pods.informer.deliver()
    assert taken(controller.queue) == [("c", 0), ("a", -100), ("b", -100)]


def test_a_key_may_be_asked_for_later(controller, clock):
    controller.add("default/a", after=5)
    assert controller.queue.waiting() == {ObjectKey("default", "a"): 5.0}
    clock.step(5)
    assert taken(controller.queue) == [("a", 0)]


def test_a_key_is_one_argument(controller):
    with pytest.raises(InvalidKey, match=r"add\('default', 'a'\): a key is one argument"):
        controller.add("default", "a")


def test_a_resync_leaves_a_failing_key_alone_and_a_change_does_not(pods, controller, clock):
    queue = controller.queue
    pods.informer.apply(body("a"))
    pods.informer.deliver()
    key = queue.get(0)
    queue.add_rate_limited(key)
    queue.done(key)
    pods.informer.resync()
    assert (queue.statistics().ready, queue.statistics().delayed) == (0, 1)
    pods.informer.apply(body("a", "2"))
    pods.informer.deliver()
    assert (queue.statistics().ready, queue.statistics().delayed) == (1, 0)


def test_a_key_of_low_priority_starves_for_a_minute_at_most(manager, clock):
    queue = manager.controller("jobs", lambda request: None).queue
    queue.add_with(ObjectKey("default", "low"), priority=-100)
    clock.step(59)
    for number in range(3):
        queue.add(ObjectKey("default", f"high-{number}"))
    assert queue.get(0).name == "high-0"
    clock.step(1)
    assert queue.get(0).name == "low"
    assert queue.get(0).name == "high-1"


def test_the_options_reach_the_queue_in_every_run_of_the_operator(manager, clock):
    limiter = ItemExponentialFailureRateLimiter(7, 7)
    managed = manager.controller(
        "jobs",
        lambda request: None,
        rate_limiter=limiter,
        max_starvation=None,
        fairness=by_namespace,
        debounce=Debounce(2, 10),
    )
    for _ in range(2):
        queue = managed.queue
        for namespace, name in [("a", "1"), ("a", "2"), ("b", "3")]:
            queue.add((namespace, name))
        assert queue.statistics().delayed == 3, "it is debounced"
        clock.step(2)
        low = ObjectKey("a", "low")
        queue.add_with(low, priority=-1, after=0)
        clock.step(1000)
        assert [queue.get(0)[1] for _ in range(4)] == ["1", "3", "2", "low"], "fair, and nothing ages"
        queue.add_rate_limited(low)
        queue.done(low)
        clock.step(6.9)
        assert queue.statistics().ready == 0
        clock.step(0.1)
        assert queue.statistics().ready == 1
        managed.controller.stop(0)
        managed.renew()
    assert managed.queue is not queue
    assert isinstance(managed.queue, PriorityQueue)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"starvation": 5, "fair": True}, "controller 'jobs': there is no option fair, starvation; there are debounce"),
        ({"rate_limiter": 5}, "rate_limiter=5: expected"),
        ({"max_starvation": -1}, "max_starvation=-1: expected seconds"),
        ({"max_starvation": True}, "max_starvation=True: expected seconds"),
        ({"fairness": "namespace"}, "fairness='namespace': expected a function"),
        ({"debounce": (1, 2)}, "debounce=.*: expected Debounce"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(manager, options, line):
    with pytest.raises(ConfigurationError, match=line):
        manager.controller("jobs", lambda request: None, **options)
    manager.controller("jobs", lambda request: None)  # and the name is not taken by it


def test_a_controller_that_cannot_be_made_leaves_no_queue_behind(manager):
    limiter = ItemExponentialFailureRateLimiter(1, 2)
    with pytest.raises(ConfigurationError, match="workers=0"):
        manager.controller("jobs", lambda request: None, workers=0, rate_limiter=limiter)
    _, page = manager._runtime.metrics.render()
    assert b'name="jobs"' not in page
    manager.controller("jobs", lambda request: None, rate_limiter=limiter)
    _, page = manager._runtime.metrics.render()
    assert page.count(b'workqueue_adds_total{controller="jobs",name="jobs"}') == 1
