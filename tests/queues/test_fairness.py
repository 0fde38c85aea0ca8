"""Fairness: inside a priority tenants take turns."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, by_namespace

from .conftest import handle_all


def letter(key):
    return key[0]


@pytest.fixture
def queue(clock):
    return PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1, 1000), fairness=letter)


@pytest.fixture(autouse=True)
def holds(queue):
    yield
    queue._check()


# Turns.


def test_tenants_take_turns_each_with_its_oldest_key(queue):
    for key in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.add(key)
    assert handle_all(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_with_one_tenant_it_is_first_come_first_served(queue):
    keys = [f"a{number}" for number in range(20)]
    for key in keys:
        queue.add(key)
    assert handle_all(queue) == keys


def test_a_tenant_with_one_key_does_not_wait_for_a_thousand_of_another(queue):
    for number in range(1_000):
        queue.add(f"a{number}")
    assert queue.get(timeout=0) == "a0"
    queue.add("b0")
    assert queue.get(timeout=0) == "a1", "a was there first: of two tenants b is the second"
    assert queue.get(timeout=0) == "b0"


def test_a_tenant_that_leaves_and_comes_back_is_the_last_in_turn(queue):
    for key in ("a1", "b1", "b2", "c1", "c2"):
        queue.add(key)
    assert queue.get(timeout=0) == "a1"
    queue.add("a2")
    assert handle_all(queue) == ["b1", "c1", "a2", "b2", "c2"]


def test_a_tenant_gains_nothing_by_asking_for_its_keys_again(queue):
    for key in ("a1", "b1", "b2", "b3"):
        queue.add(key)
    for _ in range(10):
        queue.add("b3")
        queue.add("b1")
    assert handle_all(queue) == ["a1", "b1", "b2", "b3"]


def test_tenants_are_told_apart_inside_a_priority_and_priorities_come_first(queue):
    for key in ("a1", "a2", "b1"):
        queue.add(key)
    for key in ("b8", "b9", "a9"):
        queue.add_with(key, priority=1)
    assert handle_all(queue) == ["b8", "a9", "b9", "a1", "b1", "a2"]


def test_a_raised_key_takes_its_tenants_turn_in_its_new_priority(queue):
    queue.add_with("a9", "a8", "b9", priority=1)
    queue.add("c1")
    queue.add("b1")
    queue.add_with("b1", priority=1)
    queue.add_with("c1", priority=1)
    assert handle_all(queue) == ["a9", "b9", "c1", "a8", "b1"]


def test_keys_that_come_due_take_turns(queue, clock):
    for key in ("a1", "a2", "b1"):
        queue.add_after(key, 1)
    clock.step(1)
    assert handle_all(queue) == ["a1", "b1", "a2"]


def test_a_key_that_comes_back_takes_its_tenants_turn(queue):
    for key in ("a1", "b1"):
        queue.add(key)
        assert queue.get(timeout=0) == key
    for key in ("b1", "a1"):
        queue.add(key)
    queue.add("b2")
    queue.done("a1")
    queue.add("a2")
    queue.done("b1")
    # b came first, with b2, and b1 has the older turn of its two.
    assert handle_all(queue) == ["b1", "a1", "b2", "a2"]


def test_of_one_tenant_a_key_with_an_older_turn_comes_first(queue):
    queue.add_after("a1", 60)
    queue.add("a2")
    queue.add("b1")
    queue.add("a1")
    assert handle_all(queue) == ["a1", "b1", "a2"]


def test_a_key_taken_back_leaves_its_tenant_its_turn_and_the_last_one_takes_it_away(queue):
    for key in ("a1", "a2", "b1", "c1"):
        queue.add(key)
    queue.cancel("a1")
    queue.cancel("b1")
    queue._check()
    queue.add("b2")
    assert handle_all(queue) == ["a2", "c1", "b2"]


@settings(max_examples=60, deadline=None)
@given(
    waiting=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40),
    later=st.lists(st.sampled_from("abcdefgh"), max_size=40),
    newcomer=st.sampled_from("abcdefghz"),
)
def test_a_tenants_first_key_comes_within_as_many_gets_as_tenants_wait(waiting, later, newcomer):
    queue = PriorityQueue(fairness=letter)
    for number, tenant in enumerate(waiting):
        queue.add(f"{tenant}{number}")
    tenants = set(waiting)
    if newcomer in tenants:  # it waits already: its next key is the one that is meant
        first = next(f"{tenant}{number}" for number, tenant in enumerate(waiting) if tenant == newcomer)
    else:
        first = f"{newcomer}-first"
        queue.add(first)
    bound, gets = len(tenants | {newcomer}), 0
    while True:
        gets += 1
        key = queue.get(timeout=0)
        if key == first:
            break
        queue.done(key)
        if later:  # whatever the others add meanwhile, tenants that come now included
            queue.add(f"{later.pop()}+{gets}")
    assert gets <= bound
    queue._check()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("aaaaabbc"), min_size=1, max_size=60))
def test_while_all_of_them_wait_tenants_get_the_same_to_one_key(tenants):
    queue = PriorityQueue(fairness=letter)
    left = Counter(tenants)
    for number, tenant in enumerate(tenants):
        queue.add(f"{tenant}{number}")
    got = Counter()
    while min(left.values()):
        tenant = queue.get(timeout=0)[0]
        left[tenant] -= 1
        got[tenant] += 1
        assert max(got[each] for each in left) - min(got[each] for each in left) <= 1


# Whose a key is.


def test_a_namespace_is_a_tenant():
    queue = PriorityQueue(fairness=by_namespace)
    for namespace, name in (("a", "1"), ("a", "2"), ("", "node"), ("b", "1")):
        queue.add(ObjectKey(namespace, name))
    assert [str(key) for key in handle_all(queue)] == ["a/1", "node", "b/1", "a/2"]


def test_the_function_is_asked_once_for_a_ready_key_whatever_it_says_later(clock):
    asked = []

    def whim(key):
        asked.append(key)
        return len(asked)

    queue = PriorityQueue(clock=clock, fairness=whim)
    queue.add("a")
    queue.add("a")
    queue.add_after("b", 1)
    assert asked == ["a"]
    clock.step(1)
    queue.cancel("a")
    queue._check()
    assert handle_all(queue) == ["b"]
    assert asked == ["a", "b"]
    queue._check()


def test_none_is_a_tenant_like_any_other():
    queue = PriorityQueue(fairness=lambda key: None if key < 3 else "other")
    for key in (0, 1, 2, 3):
        queue.add(key)
    assert handle_all(queue) == [0, 3, 1, 2]


@pytest.mark.parametrize(
    "fairness",
    [lambda key: key.namespace, lambda key: [key], lambda key: {}[key]],
    ids=["raises", "unhashable", "lookup"],
)
def test_keys_whose_tenant_cannot_be_told_are_one_tenant_with_a_warning_and_no_flood(fairness, caplog):
    queue = PriorityQueue(fairness=fairness)
    for number in range(100):
        queue.add(number)
    assert handle_all(queue) == list(range(100))
    assert len(caplog.records) == 7, "the 1st, 2nd, 4th, … 64th"
    assert "no tenant for 0 (1 times so far)" in caplog.records[0].getMessage()
    assert "no tenant for 63 (64 times so far)" in caplog.records[-1].getMessage()
    queue._check()


def test_a_function_that_raises_for_some_keys_serves_the_others(caplog):
    queue = PriorityQueue(fairness=lambda key: key.split("/", 1)[1])
    for key in ("x/a", "none", "y/a", "nor this", "z/b"):
        queue.add(key)
    assert handle_all(queue) == ["x/a", "none", "z/b", "y/a", "nor this"]
    assert len(caplog.records) == 2


@pytest.mark.parametrize("fairness", ["namespace", 5, True, ("namespace",)], ids=repr)
def test_what_is_no_function_is_refused_by_name(fairness):
    with pytest.raises(
        ConfigurationError, match=r"^fairness=.*: expected a function from a key to its tenant, or None$"
    ):
        PriorityQueue(fairness=fairness)


# The end.


def test_tenants_take_turns_after_a_shutdown_too(queue):
    for key in ("a1", "a2", "b1"):
        queue.add(key)
    queue.shut_down()
    assert handle_all(queue) == ["a1", "b1", "a2"]
    assert queue.shut_down_with_drain(timeout=0) is True
