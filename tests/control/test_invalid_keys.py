"""What is no key can still get into the queue past the controller: it is forgotten, and hurts nobody."""

import logging

import pytest

from tests.control.conftest import settle, until
from workqueue.base.keys import ObjectKey


@pytest.mark.parametrize(
    "garbage", [42, None, "text", "default/pod", ("a", ""), ("", ""), ("a/b", "c"), ("a",), ("a", "b", "c"), (1, 2)],
    ids=repr,
)  # fmt: skip
def test_a_thing_that_is_no_key_is_forgotten_counted_and_reported_once(make, runs, clock, caplog, garbage):
    caplog.set_level(logging.DEBUG, "workqueue")
    controller = make(runs)
    controller.queue.add_rate_limited(garbage)
    controller.start()
    clock.wait_for_waiters(1)
    clock.step(0.005)
    until(lambda: controller.statistics().invalid == 1)
    settle(controller)
    assert controller.queue.num_requeues(garbage) == 0
    assert len(runs) == 0
    statistics = controller.statistics()
    assert (statistics.error, statistics.success, statistics.restarts, statistics.workers) == (0, 0, 0, 1)
    assert [each.getMessage() for each in caplog.records if each.name == "workqueue.control"] == [
        f"controller pods: {garbage!r} in the queue is no key; forgotten"
    ]
    retries = controller.queue.statistics().retries
    clock.step(10_000)
    controller.add("default/good")
    runs.wait(1)
    assert controller.statistics().invalid == 1
    assert controller.queue.statistics().retries == retries


def test_a_plain_pair_in_the_queue_is_a_key(make, runs, clock):
    runs.answer = lambda request: None if request.retry else RuntimeError()
    controller = make(runs)
    controller.queue.add(("default", "a"))
    controller.start()
    until(lambda: controller.queue.statistics().delayed == 1)
    clock.step(0.005)
    until(lambda: controller.statistics().success == 1)
    assert runs.keys == [ObjectKey("default", "a")] * 2
    assert all(type(key) is ObjectKey for key in runs.keys)
    assert controller.queue.num_requeues(("default", "a")) == 0
