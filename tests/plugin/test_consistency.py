"""A cache compared with what exists: what differs twice is a difference, what is under way is none."""

import threading

import pytest

from tests.informer.conftest import AlarmClock
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer
from workqueue.informer import Informer
from workqueue.plugin import consistency
from workqueue.plugin.consistency import ConsistencyCheck
from workqueue.plugin.presence import Presence

PERIOD = 60.0


def pod(name, version):
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": str(version)}}


class World:
    """An informer, what the API server would list, and what happens while it does."""

    def __init__(self, *bodies):
        self.clock = AlarmClock()
        self.informer = Informer("pods", indexer=Indexer(), clock=self.clock)
        self.informer.replace(bodies)
        self.informer.progress.mark_synced()
        self.listed = {(each["metadata"]["name"]): each["metadata"]["resourceVersion"] for each in bodies}
        self.looks = 0
        self.looked = threading.Semaphore(0)
        #: Called while the list is made, with its number.
        self.meanwhile = lambda number: None
        self.mended = []
        self.check = ConsistencyCheck(self.informer, period=PERIOD, look=self.look, mend=self.mend)

    def look(self):
        self.looks += 1
        versions = {ObjectKey("ns", name): version for name, version in self.listed.items()}
        self.meanwhile(self.looks)
        self.looked.release()
        return [Presence("", "100", versions)]

    def mend(self, found):
        self.mended.append({str(key): difference for key, difference in found.items()})

    def compare(self, *, twice=True):
        """One period, and the second look if there is one."""
        self.clock.wait_until_asleep_until(self.clock.now() + PERIOD)
        self.clock.step(PERIOD)
        assert self.looked.acquire(timeout=PATIENCE)
        if twice:
            self.clock.wait_until_asleep_until(self.clock.now() + consistency.PATIENCE)
            self.clock.step(consistency.PATIENCE)
            assert self.looked.acquire(timeout=PATIENCE)
        self.clock.wait_until_asleep_until(self.clock.now() + PERIOD)
        return self.check.statistics()


@pytest.fixture
def world():
    made = World(pod("a", 1), pod("b", 2))
    made.check.start()
    yield made
    made.check.stop()


def test_a_cache_that_is_right_is_said_nothing_of(world, caplog):
    statistics = world.compare(twice=False)
    assert (statistics.checks, statistics.failures, statistics.differences) == (1, 0, {})
    assert world.mended == []
    assert caplog.records == []


def test_each_kind_of_difference_is_counted_named_and_mended(world, caplog):
    world.listed = {"a": "5", "c": "3"}
    statistics = world.compare()
    assert statistics.differences == {"outdated": 1, "gone": 1, "missing": 1}
    assert world.mended == [{"ns/a": "outdated", "ns/b": "gone", "ns/c": "missing"}]
    [record] = caplog.records
    assert record.getMessage() == (
        "informer pods: the cache differs from the API server, and is being mended: "
        "ns/a is outdated, ns/c is missing, ns/b is gone"
    )


def test_what_comes_between_the_two_looks_is_no_difference(world):
    world.listed = {"a": "5", "c": "3"}

    def meanwhile(number):
        if number == 2:  # the events that were under way
            world.informer.apply(pod("a", 5))
            world.informer.remove(pod("b", 6))
            world.informer.apply(pod("c", 3))

    world.meanwhile = meanwhile
    statistics = world.compare()
    assert (statistics.checks, statistics.differences) == (1, {})
    assert world.mended == []


def test_what_changes_while_the_list_is_made_is_no_difference(world):
    def meanwhile(number):
        world.informer.apply(pod("a", 7))  # newer than the list
        world.informer.apply(pod("new", 8))
        world.informer.remove(pod("b", 9))

    world.meanwhile = meanwhile
    world.listed["b"] = "2"
    statistics = world.compare()  # b is listed and not there: it takes a second look
    world.listed.pop("b")
    assert statistics.differences.get("gone", 0) == 0
    assert "ns/new" not in {key for found in world.mended for key in found}


def test_a_difference_that_is_another_one_at_the_second_look_is_none_yet(world):
    world.listed["a"] = "5"

    def meanwhile(number):
        world.listed["a"] = str(5 + number)

    world.meanwhile = meanwhile
    assert world.compare().differences == {}


def test_while_the_cache_is_known_to_be_behind_nothing_is_compared(world):
    world.informer.progress.mark_stale("away")
    world.clock.wait_until_asleep_until(world.clock.now() + PERIOD)
    world.clock.step(PERIOD)
    world.clock.wait_until_asleep_until(world.clock.now() + PERIOD)
    assert world.looks == 0
    assert world.check.statistics().checks == 0


def test_a_list_that_fails_is_counted_and_tried_again_the_next_time(world, caplog):
    def meanwhile(number):
        if number == 1:
            world.looked.release()
            raise OSError("away\nfor good")

    world.meanwhile = meanwhile
    statistics = world.compare(twice=False)
    assert (statistics.checks, statistics.failures) == (0, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "informer pods: the consistency check failed: away for good"
    ]
    world.meanwhile = lambda number: None
    assert world.compare(twice=False).checks == 1


def test_what_cannot_be_mended_is_tried_once_said_once_and_counted_once(world, caplog):
    world.listed["odd"] = "7"  # its transform raises, say
    assert world.compare().differences == {"missing": 1}
    for _ in range(3):
        statistics = world.compare()
    assert (statistics.checks, statistics.differences) == (4, {"missing": 1})
    assert world.mended == [{"ns/odd": "missing"}]
    assert [record.getMessage() for record in caplog.records] == [
        "informer pods: the cache differs from the API server, and is being mended: ns/odd is missing",
        "informer pods: could not be mended: ns/odd is missing",
    ]
    world.listed["odd"] = "8"  # it has changed: another try
    assert world.compare().differences == {"missing": 2}
    assert world.mended[1:] == [{"ns/odd": "missing"}]


def test_a_mending_that_fails_is_counted_and_does_not_end_the_checks(world, caplog):
    world.listed = {"a": "1"}
    world.mended = None  # so that it raises
    statistics = world.compare()
    assert (statistics.checks, statistics.failures) == (1, 1)
    assert "the consistency check failed: 'NoneType' object has no attribute 'append'" in caplog.messages[-1]
    world.mended = []
    world.listed = {"a": "1", "b": "2"}
    assert world.compare(twice=False).checks == 2


def test_many_differences_are_not_all_named(world, caplog):
    world.listed = {f"p{number}": "1" for number in range(9)}
    world.compare()
    assert caplog.records[0].getMessage().endswith(" and 6 more")


@pytest.mark.parametrize("period", [9.9, -1, float("nan"), "60", True])
def test_a_period_that_cannot_be_is_told(period):
    with pytest.raises(ConfigurationError, match="expected at least 10 seconds, or 0 for none"):
        ConsistencyCheck(World().informer, period=period, look=list, mend=print)


def test_a_stop_ends_the_thread_at_once():
    made = World()
    made.check.start()
    made.check.stop()
    assert not made.check._sleeper.is_alive
