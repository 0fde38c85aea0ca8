"""A thread that sleeps by a clock ends when it is told, whatever it is at."""

import threading

import pytest

from workqueue.base.sleeper import JOIN_TIMEOUT, Sleeper
from workqueue.testing import FakeClock

PATIENCE = 30.0


class Worker:
    """Notes the instant each time that it wakes, every ten seconds."""

    def __init__(self):
        self.clock = FakeClock(start=0.0)
        self.instants = []
        self.turn = threading.Event()
        self.sleeper = Sleeper("workqueue-sleeper", self.run, clock=self.clock)
        self.at_work = lambda: None

    def run(self):
        while self.sleeper.sleep(self.clock.now() + 10.0):
            self.instants.append(self.clock.now())
            self.at_work()
            self.turn.set()


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.sleeper.stop()
    assert not made.sleeper.is_alive


def test_it_wakes_at_the_instant_and_not_before(worker):
    worker.sleeper.start()
    for number in range(1, 4):
        worker.clock.wait_for_waiters(1)
        worker.clock.step(9.5)
        assert len(worker.instants) == number - 1
        worker.clock.step(0.5)
        assert worker.turn.wait(PATIENCE)
        worker.turn.clear()
    assert worker.instants == [10.0, 20.0, 30.0]


def test_a_stop_wakes_it_and_it_does_nothing_more(worker):
    worker.sleeper.start()
    worker.clock.wait_for_waiters(1)
    assert not worker.sleeper.is_stopped
    worker.sleeper.stop()
    assert worker.sleeper.is_stopped
    assert not worker.sleeper.is_alive
    assert worker.instants == []
    worker.sleeper.stop()


def test_one_that_was_never_started_may_be_stopped_and_then_sleeps_no_more(worker):
    worker.sleeper.stop()
    assert worker.sleeper.sleep(100.0) is False


def test_it_may_stop_itself(worker):
    worker.at_work = worker.sleeper.stop
    worker.sleeper.start()
    worker.clock.wait_for_waiters(1)
    worker.clock.step(10.0)
    assert worker.turn.wait(PATIENCE)
    worker.sleeper.stop()
    assert worker.instants == [10.0]


def test_a_stop_does_not_wait_for_ever_for_what_it_is_at(worker, monkeypatch):
    busy, gate = threading.Event(), threading.Event()
    worker.at_work = lambda: (busy.set(), gate.wait(PATIENCE))
    monkeypatch.setattr("workqueue.base.sleeper.JOIN_TIMEOUT", JOIN_TIMEOUT / 20)
    worker.sleeper.start()
    worker.clock.wait_for_waiters(1)
    worker.clock.step(10.0)
    assert busy.wait(PATIENCE)
    worker.sleeper.stop()
    assert worker.sleeper.is_alive
    gate.set()
    monkeypatch.setattr("workqueue.base.sleeper.JOIN_TIMEOUT", PATIENCE)
