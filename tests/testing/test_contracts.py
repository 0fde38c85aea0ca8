"""The contracts for others find what is wrong: each of these is broken in one way, and the test of that way fails."""

import pytest

from workqueue.cache import Indexer
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue, Queue, RateLimitingQueue
from workqueue.testing.contracts import IndexerContract, QueueContract, RateLimiterContract, RateLimitingQueueContract


class LastFirst(Queue):
    def get(self, timeout=None, **options):
        keys = [super().get(timeout, **options)]
        while self._ready:
            keys.append(super().get(0))
        for key in keys[:-1]:
            self.done(key)
            self.add(key)
        return keys[-1]


class Forgetful(Queue):
    def add(self, key):
        if key not in self._processing:
            super().add(key)


class Generous(Queue):
    def done(self, key):
        is_held = key in self._processing
        super().done(key)
        if not is_held:
            self.add(key)


class Impatient(RateLimitingQueue):
    def add_after(self, key, delay):
        super().add_after(key, delay / 2)


class LatestWins(PriorityQueue):
    def add_after(self, key, delay):
        self.cancel(key)
        super().add_after(key, delay)


class NeverForgets(RateLimitingQueue):
    def forget(self, key):
        pass


class OneForAll(ItemExponentialFailureRateLimiter):
    def when(self, key):
        return super().when("all")


class Keeps(ItemExponentialFailureRateLimiter):
    def forget(self, key):
        pass


class AddsOnly(Indexer):
    def replace(self, bodies, **options):
        for body in bodies:
            self.add(body)


class OneNamespace(Indexer):
    def delete(self, body):
        for key in [each for each in self.list_keys() if each.name == body["metadata"]["name"]]:
            self.remove(key)


class SharedCopies(Indexer):
    def get_by_key(self, key):
        copies = self.__dict__.setdefault("copies", {})
        return copies.setdefault(str(key), super().get_by_key(key))


class StaleIndex(Indexer):
    def by_index(self, name, value):
        seen = self.__dict__.setdefault("seen", {})
        for body in super().by_index(name, value):
            seen.setdefault((name, value), {})[body["metadata"]["name"]] = body
        return list(seen.get((name, value), {}).values())


def failures(contract, make, **made):
    """The names of the tests of a contract that fail for what is made like this."""
    suite = type("Suite", (contract,), {**made})()
    setattr(suite, *make)
    failed = set()
    for name in dir(contract):
        if name.startswith("test_"):
            test = getattr(suite, name)
            marks = getattr(test, "pytestmark", [])
            for value in marks[0].args[1] if marks else [None]:
                try:
                    test(*([value] if marks else []))
                except (Exception, pytest.fail.Exception):
                    failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (LastFirst, "test_keys_come_in_the_order_they_were_added"),
        (Forgetful, "test_a_key_added_while_in_processing_comes_back_after_done"),
        (Generous, "test_done_twice_is_done_once"),
    ],
)
def test_what_is_wrong_with_a_queue_is_found(broken, found_by, monkeypatch):
    monkeypatch.setattr("workqueue.testing.contracts.queues.PATIENCE", 0.2)
    monkeypatch.delattr(QueueContract, "test_many_workers_and_producers_lose_no_key_and_hold_none_twice")
    assert found_by in failures(QueueContract, ("make_queue", lambda clock: broken(clock=clock)))


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (Impatient, "test_a_delayed_key_comes_at_its_time_and_not_before_and_once"),
        (LatestWins, "test_of_two_delays_of_a_key_the_later_is_ignored"),
        (NeverForgets, "test_a_key_that_was_forgotten_starts_again"),
    ],
)
def test_what_is_wrong_with_a_queue_that_delays_is_found(broken, found_by):
    def make(clock):
        return broken(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(0.005, 1000))

    assert found_by in failures(RateLimitingQueueContract, ("make_queue", make))


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (OneForAll, "test_each_key_is_counted_for_itself"),
        (Keeps, "test_a_key_that_was_forgotten_was_put_off_never"),
    ],
)
def test_what_is_wrong_with_a_limiter_is_found(broken, found_by):
    assert found_by in failures(RateLimiterContract, ("make_limiter", lambda clock: broken(1, 1000)))


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (AddsOnly, "test_after_a_replace_there_is_what_it_was_given_and_nothing_else"),
        (OneNamespace, "test_one_name_in_two_namespaces_is_two_objects"),
        (SharedCopies, "test_what_is_handed_out_or_given_can_be_changed_without_changing_what_is_stored"),
        (StaleIndex, "test_an_object_is_found_by_its_values_as_long_as_it_has_them"),
    ],
)
def test_what_is_wrong_with_a_store_is_found(broken, found_by):
    assert found_by in failures(IndexerContract, ("make_store", lambda indexers=None: broken(indexers)))


def test_what_is_right_fails_in_nothing():
    assert failures(IndexerContract, ("make_store", Indexer)) == set()
    assert failures(QueueContract, ("make_queue", lambda clock: Queue(clock=clock))) == set()
