"""The number of workers follows what is asked for, at any time, and no key suffers."""

import random
import threading

import pytest

from tests.control.conftest import PATIENCE, alive, settle, until
from workqueue.base.errors import ConfigurationError


def test_idle_workers_come_and_go(make, runs):
    controller = make(runs, workers=2)
    controller.start()
    for size in (5, 1, 3, 8, 2):
        controller.resize(size)
        assert controller.workers == controller.statistics().max_workers == size
        until(lambda wanted=size: controller.statistics().workers == len(alive()) == wanted)
    for number in range(50):
        controller.add(f"default/{number}")
    runs.wait(50)
    settle(controller)


def test_a_busy_worker_goes_after_its_run_and_a_new_one_works_at_once(make, runs, gate):
    runs.answer = gate
    controller = make(runs, workers=2)
    controller.start()
    for number in range(10):
        controller.add(f"default/{number}")
    runs.wait(2)
    controller.resize(4)
    runs.wait(4)
    controller.resize(1)
    assert controller.statistics().active == 4, "no run is cut short"
    gate.set()
    runs.wait(10)
    settle(controller)
    until(lambda: controller.statistics().workers == 1)
    assert controller.statistics().success == 10


def test_those_that_were_to_go_stay_if_they_are_wanted_again(make, runs, gate):
    runs.answer = gate
    controller = make(runs, workers=3)
    controller.start()
    for number in range(3):
        controller.add(f"default/{number}")
    runs.wait(3)
    controller.resize(1)
    controller.resize(3)
    gate.set()
    settle(controller)
    assert alive() == [f"workqueue-pods-{number}" for number in range(3)], "no thread was made for that"


def test_before_the_start_it_says_how_many_are_started(make, runs):
    controller = make(runs, workers=2)
    controller.resize(3)
    assert alive() == []
    controller.start()
    assert len(alive()) == 3


def test_while_it_is_paused_no_key_is_taken_by_those_who_come(make, runs):
    controller = make(runs)
    controller.start()
    controller.pause()
    controller.add("default/a")
    controller.resize(4)
    until(lambda: len(alive()) == 4)
    controller.resize(2)
    until(lambda: len(alive()) == 2)
    assert len(runs) == 0
    controller.resume()
    runs.wait(1)


def test_after_a_stop_nobody_is_started(make, runs):
    controller = make(runs, workers=2)
    controller.start()
    controller.stop(PATIENCE)
    controller.resize(5)
    assert (alive(), controller.workers) == ([], 5)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, None, "4"])
def test_what_is_no_number_of_workers_is_refused_and_changes_nothing(make, runs, wrong):
    controller = make(runs, workers=2)
    controller.start()
    with pytest.raises(ConfigurationError, match="expected a whole number of at least 1"):
        controller.resize(wrong)
    assert controller.workers == controller.statistics().workers == 2


def test_without_threads_for_all_of_them_it_is_an_error_and_those_there_are_work(make, runs, monkeypatch):
    start = threading.Thread.start

    def scarce(thread):
        if thread.name == "workqueue-pods-3":
            raise RuntimeError("can't start new thread")
        start(thread)

    controller = make(runs, workers=2)
    controller.start()
    monkeypatch.setattr(threading.Thread, "start", scarce)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        controller.resize(6)
    controller.add("default/a")
    runs.wait(1)
    assert controller.statistics().workers == 3


@pytest.mark.parametrize("seed", range(3))
def test_many_resizes_pauses_and_keys_at_once_lose_nothing(make, runs, hectic, seed):
    print(f"seed {seed}")
    dice = random.Random(seed)
    controller = make(runs, workers=4)
    controller.start()
    for number in range(300):
        controller.add(f"default/{number}")
        match dice.randrange(4):
            case 0:
                controller.resize(dice.randint(1, 8))
            case 1:
                controller.pause()
            case 2:
                controller.resume()
    controller.resize(3)
    controller.resume()
    until(lambda: controller.statistics().success == 300)
    until(lambda: controller.statistics().workers == len(alive()) == 3)
