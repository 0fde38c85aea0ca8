"""What a queue tells of itself, and whom.

The numbers mean what client-go's util/workqueue/metrics.go means by them; here they are read, not pushed.
"""

import dataclasses

import pytest

from workqueue.base.metrics import QUEUE_BUCKETS, HistogramSnapshot, QueueStatistics
from workqueue.queues import PriorityQueue, Queue

from .conftest import Provider


@pytest.fixture
def queue(queue_class, clock, provider):
    return queue_class(name="pods", clock=clock, metrics=provider)


def durations(histogram):
    """How often, and how long in all."""
    return histogram.count, histogram.sum


# Counts, which every queue keeps.


def nothing(queue_class):
    """The statistics of a new queue with the name of pods."""
    return QueueStatistics(name="pods", priorities=() if queue_class is PriorityQueue else None)


def test_a_new_queue_has_nothing(queue_class):
    assert queue_class(name="pods").statistics() == nothing(queue_class)


def test_statistics_are_frozen(queue_class):
    with pytest.raises(dataclasses.FrozenInstanceError):
        queue_class().statistics().adds = 1


def test_adds_count_what_was_accepted_and_not_merged(queue):
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert queue.statistics().adds == 2
    queue.get(timeout=0)
    queue.add("a")
    queue.add("a")
    assert queue.statistics().adds == 3
    queue.done("a")
    assert queue.statistics().adds == 3


def test_depth_counts_the_keys_added_again_while_in_processing(queue):
    queue.add("a")
    queue.add("b")
    assert (queue.statistics().depth, queue.statistics().ready) == (2, 2)
    queue.get(timeout=0)
    assert (queue.statistics().depth, queue.statistics().ready, queue.statistics().processing) == (1, 1, 1)
    queue.add("a")
    assert (queue.statistics().depth, queue.statistics().ready) == (2, 1)
    queue.done("a")
    assert (queue.statistics().depth, queue.statistics().ready, queue.statistics().processing) == (2, 2, 0)


def test_shutting_down_is_told(queue):
    assert not queue.statistics().shutting_down
    queue.shut_down()
    assert queue.statistics().shutting_down


def test_nothing_but_what_is_under_way_changes_after_shutdown(queue):
    queue.add("a")
    queue.shut_down()
    before = queue.statistics()
    queue.add("a")
    queue.add("b")
    assert queue.statistics() == before
    queue.get()
    queue.add("a")
    assert queue.statistics().adds == 1
    assert queue.statistics().depth == 0


# Times, which only a measured queue keeps.


def test_queue_duration_is_from_the_first_add_to_the_get(queue, clock):
    queue.add("a")
    clock.step(2)
    queue.add("a")
    clock.step(3)
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (1, 5)


def test_work_duration_is_from_the_get_to_the_done(queue, clock):
    queue.add("a")
    clock.step(1)
    queue.get(timeout=0)
    clock.step(4)
    assert durations(queue.statistics().work_duration) == (0, 0)
    queue.done("a")
    assert durations(queue.statistics().work_duration) == (1, 4)


def test_a_key_added_again_in_processing_is_measured_from_that_add(queue, clock):
    queue.add("a")
    queue.get(timeout=0)
    clock.step(2)
    queue.add("a")
    clock.step(3)
    queue.add("a")
    queue.done("a")
    clock.step(4)
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (2, 7)
    assert durations(queue.statistics().work_duration) == (1, 5)


def test_a_delayed_key_is_measured_from_when_it_became_due_though_nobody_looked(delaying_class, clock, provider):
    queue = delaying_class(name="pods", clock=clock, metrics=provider)
    queue.add_after("a", 5)
    clock.step(8)
    queue.get(timeout=0)
    assert durations(queue.statistics().queue_duration) == (1, 3)


def test_unfinished_work_and_the_longest_run_are_computed_when_they_are_read(queue, clock):
    queue.add("a")
    queue.add("b")
    queue.get(timeout=0)
    clock.step(3)
    queue.get(timeout=0)
    clock.step(2)
    assert (queue.statistics().unfinished_work, queue.statistics().longest_running) == (7, 5)
    clock.step(1)
    assert (queue.statistics().unfinished_work, queue.statistics().longest_running) == (9, 6)
    queue.done("a")
    assert (queue.statistics().unfinished_work, queue.statistics().longest_running) == (3, 3)
    queue.done("b")
    assert (queue.statistics().unfinished_work, queue.statistics().longest_running) == (0, 0)


def test_durations_are_counted_in_the_bucket_they_belong_to(queue, clock):
    for seconds in (0, 1, 1.5, 2048):
        queue.add("a")
        clock.step(seconds)
        queue.get(timeout=0)
        queue.done("a")
    histogram = queue.statistics().queue_duration
    assert histogram.bounds == QUEUE_BUCKETS
    one = QUEUE_BUCKETS.index(1.0)
    expected = [0] * (len(QUEUE_BUCKETS) + 1)
    expected[0] = expected[one] = expected[one + 1] = expected[-1] = 1
    assert list(histogram.counts) == expected


def test_done_of_a_key_nobody_holds_measures_nothing(queue, clock):
    queue.add("a")
    clock.step(1)
    queue.done("a")
    assert durations(queue.statistics().work_duration) == (0, 0)


@pytest.mark.parametrize("named", [True, False], ids=["no-provider", "no-name"])
def test_a_queue_without_name_or_provider_keeps_no_times(queue_class, clock, provider, named):
    queue = queue_class(name="pods", clock=clock) if named else queue_class(clock=clock, metrics=provider)
    queue.add("a")
    clock.step(1)
    queue.get(timeout=0)
    clock.step(1)
    statistics = queue.statistics()
    assert (statistics.unfinished_work, statistics.longest_running) == (0, 0)
    queue.done("a")
    queue.shut_down()
    assert queue.statistics().queue_duration == queue.statistics().work_duration == HistogramSnapshot()
    assert queue.statistics().adds == 1
    assert not provider.opened
    assert not provider.closed
    queue._check()


# Telling the provider.


def test_the_provider_learns_of_a_queue_when_it_is_made_and_may_read_it(queue, provider):
    assert provider.opened == ["pods"]
    queue.add("a")
    assert provider.statistics["pods"]().adds == 1


def test_the_provider_may_read_the_queue_while_it_is_made(queue_class):
    class Curious(Provider):
        def queue_opened(self, name, statistics):
            super().queue_opened(name, statistics)
            assert statistics() == nothing(queue_class)

    curious = Curious()
    queue_class(name="pods", metrics=curious)
    assert curious.opened == ["pods"]


def test_an_empty_queue_is_closed_at_once_by_a_shutdown_and_once_only(queue, provider):
    queue.shut_down()
    queue.shut_down()
    queue.shut_down_with_drain()
    ((name, statistics),) = provider.closed
    assert name == "pods"
    assert statistics.shutting_down


def test_a_queue_is_closed_when_its_last_key_is_done_after_shutdown(queue, provider, clock):
    queue.add("a")
    queue.add("b")
    queue.get(timeout=0)
    queue.add("a")
    queue.shut_down()
    queue.done("a")
    queue.get()
    queue.done("b")
    assert not provider.closed, "a came back and is queued"
    queue.get()
    assert not provider.closed, "a is in processing"
    clock.step(2)
    queue.done("a")
    ((name, statistics),) = provider.closed
    assert (name, statistics.depth, statistics.processing) == ("pods", 0, 0)
    assert durations(statistics.work_duration) == (3, 2)
    queue.done("a")
    queue.shut_down()
    assert len(provider.closed) == 1


def test_delayed_keys_do_not_keep_a_queue_open(delaying_class, clock, provider):
    queue = delaying_class(name="pods", clock=clock, metrics=provider)
    queue.add_after("a", 5)
    queue.shut_down()
    ((_, statistics),) = provider.closed
    assert statistics.dropped == 1


def test_a_queue_is_not_closed_while_it_is_open_and_empty(queue, provider):
    queue.add("a")
    queue.done(queue.get(timeout=0))
    assert not provider.closed


def test_many_queues_may_share_a_provider(provider):
    first, second = (Queue(name=name, metrics=provider) for name in ("first", "second"))
    first.add("a")
    assert provider.opened == ["first", "second"]
    assert [provider.statistics[name]().adds for name in ("first", "second")] == [1, 0]
    second.shut_down()
    assert [name for name, _ in provider.closed] == ["second"]
