"""The pauses between tries: they grow, spread, and begin anew only after quiet."""

import random
import statistics

import pytest

from workqueue.informer import Backoff
from workqueue.informer.backoff import FIRST, LONGEST, MAXIMUM, QUIET
from workqueue.testing import FakeClock


class Chance:
    """What chance adds: always the same part."""

    def __init__(self, part=0.0):
        self.part = part

    def random(self):
        return self.part


@pytest.fixture
def clock():
    return FakeClock()


def test_pauses_double_up_to_the_maximum(clock):
    backoff = Backoff(clock=clock, chance=Chance())
    assert [backoff.pause() for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert (FIRST, MAXIMUM, QUIET) == (0.8, 30.0, 120.0)


@pytest.mark.parametrize(("part", "first", "last"), [(0.0, 0.8, 30.0), (0.5, 1.2, 45.0), (1.0, 1.6, 60.0)])
def test_chance_adds_up_to_as_much_again_and_nothing_to_the_next(clock, part, first, last):
    backoff = Backoff(clock=clock, chance=Chance(part))
    pauses = [backoff.pause() for _ in range(10)]
    assert pauses[0] == pytest.approx(first)
    assert pauses[1] == pytest.approx(2 * first)
    assert pauses[-1] == pytest.approx(last)


def test_pauses_of_many_are_spread(clock):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    pauses = [Backoff(clock=clock, chance=random.Random(seed + number)).pause() for number in range(500)]
    assert 0.8 <= min(pauses) < 0.9
    assert 1.5 < max(pauses) < 1.6
    assert 1.1 < statistics.mean(pauses) < 1.3


def test_two_that_were_given_no_chance_of_their_own_differ(clock):
    assert Backoff(clock=clock).pause() != Backoff(clock=clock).pause()


def test_an_outage_of_an_hour_never_begins_anew(clock):
    backoff = Backoff(clock=clock, chance=Chance(0.5))
    before = 0.0
    for _ in range(80):
        pause = backoff.pause()
        assert pause >= before
        clock.step(pause + 0.5)
        before = pause
    assert before == 45.0


def test_it_begins_anew_after_quiet_and_not_before(clock):
    backoff = Backoff(clock=clock, chance=Chance())
    for _ in range(3):
        pause = backoff.pause()
    clock.step(pause + QUIET)  # quiet counts from the end of the pause
    assert backoff.pause() == 6.4
    clock.step(6.4 + QUIET + 0.1)
    assert backoff.pause() == 0.8


def test_a_long_pause_is_no_quiet(clock):
    backoff = Backoff(clock=clock, chance=Chance())
    backoff.pause(at_least=500)
    clock.step(500)
    assert backoff.pause() == 1.6


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.8), (0.5, 0.8), (-5, 0.8), (7.0, 7.0), (LONGEST, LONGEST)])
def test_a_server_is_obeyed(clock, asked, pause):
    backoff = Backoff(clock=clock, chance=Chance())
    assert backoff.pause(at_least=asked) == pause
    assert backoff.pause() == 1.6


@pytest.mark.parametrize("asked", [1e9, float("inf"), float("nan")])
def test_a_server_that_has_lost_its_senses_is_not(clock, asked):
    assert Backoff(clock=clock, chance=Chance()).pause(at_least=asked) == LONGEST
    assert Backoff(clock=clock, chance=Chance()).pause(at_least=float("-inf")) == 0.8


def test_other_numbers_may_be_given(clock):
    backoff = Backoff(clock=clock, first=1.0, maximum=3.0, chance=Chance())
    assert [backoff.pause() for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
    nothing = Backoff(clock=clock, first=0.0, maximum=0.0)
    assert [nothing.pause() for _ in range(3)] == [0.0] * 3
