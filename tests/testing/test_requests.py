"""A reconcile function that is called by itself: its request, a recorder, and a clock that its sleeps move."""

import threading

import pytest

from workqueue import ObjectKey, Request
from workqueue.base.errors import InvalidKey, InvalidObject
from workqueue.cache import label
from workqueue.testing import FakeRecorder, make_request
from workqueue.testing.passing import PassingClock


def named(name="web", namespace="default", **metadata):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, **metadata}}


# The request.


def test_a_request_for_an_object_finds_it_with_what_an_api_server_fills_in():
    request = make_request(named())
    assert isinstance(request, Request)
    assert (request.key, request.namespace, request.name) == (ObjectKey("default", "web"), "default", "web")
    found = request.get()["metadata"]
    assert (found["uid"], found["resourceVersion"], found["generation"]) == (request.uid, "1", 1)


def test_what_the_object_says_of_itself_stays():
    request = make_request(named(uid="mine", resourceVersion="77", generation=4))
    found = request.get()["metadata"]
    assert (request.uid, found["resourceVersion"], found["generation"]) == ("mine", "77", 4)


@pytest.mark.parametrize("key", [ObjectKey("default", "gone"), ("default", "gone"), "default/gone"])
def test_a_request_for_a_key_finds_what_the_cache_was_given(key):
    request = make_request(key, cache=[named("gone-not")])
    assert (request.get(), request.uid) == (None, None)
    assert request.cache.get_by_key("default/gone-not")["metadata"]["name"] == "gone-not"


def test_a_request_has_a_cache_with_indexes():
    request = make_request(
        named(labels={"app": "a"}), cache=[named("b", labels={"app": "a"})], indexers={"app": label("app")}
    )
    assert len(request.cache.by_index("app", "a")) == len(request.cache.by_index("namespace", "default")) == 2


def test_an_object_in_the_cluster_scope_and_of_any_kind_may_be_asked_for():
    request = make_request({"kind": "Node", "metadata": {"name": "n1"}})
    assert (str(request.key), request.get()["kind"], request.get()["apiVersion"]) == ("n1", "Node", "v1")


def test_a_request_says_what_it_was_made_to_say(caplog):
    request = make_request(named(), retry=3, priority=-100, reasons=["update"])
    assert (request.retry, request.priority, request.reasons) == (3, -100, {"update"})
    request.logger.warning("told")
    (record,) = caplog.records
    assert (record.key, record.attempt) == ("default/web", 4)
    assert record.getMessage().endswith("default/web: told")


def test_a_sleep_takes_no_time_and_ends_with_the_time_of_the_run():
    request = make_request(named(), timeout=10)
    assert (request.deadline, request.stopping) == (10, False)
    assert request.wait(4) is False
    assert request.wait(3600) is True
    assert request.stopping


def test_a_sleep_takes_no_time_in_any_thread():
    request = make_request(named())
    thread = threading.Thread(target=request.wait, args=[3600], daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_a_request_of_an_operator_that_stops():
    request = make_request(named(), grace=20)
    assert (request.stopping, request.deadline, request.wait(5)) == (True, 20, True)


def test_what_is_no_key_and_no_object_is_refused():
    with pytest.raises(InvalidKey):
        make_request("a/b/c")
    with pytest.raises(InvalidObject):
        make_request({"metadata": {}})


# The recorder.


def test_a_recorder_keeps_its_events():
    with FakeRecorder("pods") as recorder:
        for _ in range(3):
            recorder.event(named(), type="Normal", reason="Seen", message="hello")
        recorder.event(named(), type="normal", reason="Wrong", message="no such type")
        (event,) = recorder.events
    assert (event["reason"], event["message"], event["count"]) == ("Seen", "hello", 3)
    assert event["source"] == {"component": "pods"}
    assert recorder.statistics().dropped["invalid"] == 1


# The clock.


def test_where_time_passes_a_sleep_ends_exactly_at_its_instant():
    moves = []
    clock = PassingClock(0.1, moved=lambda: moves.append(clock.now()))
    condition = threading.Condition(threading.Lock())
    with condition, clock.passing():
        clock.wait(condition, 0.3)
        clock.wait(condition, 0.2)
    assert (clock.now(), moves) == (0.3, [0.3])


def test_where_time_passes_nobody_sleeps_for_ever():
    clock = PassingClock()
    condition = threading.Condition()
    with condition, clock.passing(), pytest.raises(RuntimeError, match="a sleep without an end"):
        clock.wait(condition, None)


def test_others_who_sleep_on_the_same_condition_are_woken_when_time_passes():
    clock = PassingClock()
    condition = threading.Condition(threading.Lock())
    woken = threading.Event()

    def sleep():
        with condition:
            clock.wait(condition, 5)
        woken.set()

    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    clock.wait_for_waiters(1)
    with condition, clock.passing():
        clock.wait(condition, 10)
    assert woken.wait(30)
    thread.join(30)
