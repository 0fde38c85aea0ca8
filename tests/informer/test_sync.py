"""Waiting for the first sync, which counts only while the resource is served; stopping; beginning again."""

import pytest

from tests.cache.objects import names, pod
from tests.queues.conftest import PATIENCE


def test_an_informer_is_synced_when_it_is_told_so(informer):
    assert informer.has_synced is False
    informer.progress.mark_served()
    informer.replace([pod()], initial=True)
    assert informer.has_synced is informer.statistics().synced is False
    informer.progress.mark_synced()
    assert informer.has_synced is informer.statistics().synced is True
    assert informer.wait_for_sync(0) is True


def test_all_who_wait_wake_at_the_sync(informer, clock, background):
    informer.progress.mark_served()
    waiting = [background(informer.wait_for_sync, timeout) for timeout in (10, 20, 30)]
    clock.wait_for_timed_waiters(3)
    clock.step(5)
    informer.progress.mark_synced()
    assert [each.result(PATIENCE) for each in waiting] == [True] * 3


def test_a_wait_ends_after_its_timeout_and_not_before(informer, clock, background):
    informer.progress.mark_served()
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_timed_waiters(1)
    clock.step(9.5)
    assert clock.waiters() == 1
    assert not waiting.done()
    clock.step(0.5)
    assert waiting.result(PATIENCE) is False


def test_the_time_counts_only_once_the_resource_is_served(informer, clock, background):
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_waiters(1)
    clock.step(1000)
    assert (clock.waiters(), clock.timed_waiters()) == (1, 0)
    informer.progress.mark_served()
    clock.wait_for_timed_waiters(1)
    clock.step(9.5)
    assert clock.timed_waiters() == 1
    clock.step(0.5)
    assert waiting.result(PATIENCE) is False


def test_the_time_counts_from_the_first_time_it_was_served(informer, clock, background):
    informer.progress.mark_served()
    clock.step(6)
    informer.progress.mark_served()
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_timed_waiters(1)
    clock.step(4)
    assert waiting.result(PATIENCE) is False
    assert informer.wait_for_sync(10) is False


def test_a_sync_after_the_timeout_is_still_a_sync(informer, clock):
    informer.progress.mark_served()
    clock.step(100)
    assert informer.wait_for_sync(10) is False
    informer.progress.mark_synced()
    assert informer.wait_for_sync(10) is True


@pytest.mark.parametrize("served", [True, False])
def test_a_stop_wakes_those_who_wait(informer, clock, background, served):
    if served:
        informer.progress.mark_served()
    waiting = [background(informer.wait_for_sync, 10) for _ in range(2)]
    clock.wait_for_waiters(2)
    informer.stop()
    assert [each.result(PATIENCE) for each in waiting] == [False] * 2
    assert informer.wait_for_sync(10) is False


def test_a_stop_after_the_sync_takes_nothing_back(informer):
    informer.progress.mark_synced()
    informer.stop()
    assert informer.has_synced is True
    assert informer.wait_for_sync(0) is True


# Again.


def test_a_renewed_informer_has_seen_nothing_and_tells_nothing(informer, told, clock, background):
    informer.progress.mark_served()
    informer.replace([pod("a", node="n1"), pod("b")])
    informer.deliver()
    informer.progress.mark_synced()
    informer.stop()
    told.take()
    informer.renew()
    informer.deliver()
    assert told.take() == []
    assert informer.reader.list() == informer.reader.list_index_func_values("node") == []
    assert informer.has_synced is False
    # Neither stopped nor served: who waits sleeps without an instant.
    waiting = background(informer.wait_for_sync, 10)
    clock.wait_for_waiters(1)
    assert clock.timed_waiters() == 0
    informer.progress.mark_served()
    clock.wait_for_timed_waiters(1)
    informer.progress.mark_synced()
    assert waiting.result(PATIENCE) is True


def test_handlers_stay_and_hear_of_the_second_run_as_of_the_first(informer, told):
    for _ in range(2):
        informer.replace([pod(uid="u1", rv=5)], initial=True)
        informer.deliver()
        [add] = told.take()
        assert (add.kind, add.initial) == ("add", True)
        informer.renew()


def test_a_renewed_informer_ignores_nothing_for_being_older(informer, told):
    informer.apply(pod(rv=9))
    informer.deliver()
    informer.renew()
    informer.apply(pod(rv=2))
    informer.deliver()
    assert told.lines() == ["add default/web 9", "add default/web 2"]
    assert names(informer.reader.list()) == ["web"]
