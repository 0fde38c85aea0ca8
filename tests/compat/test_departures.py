"""What is excused: each departure by a script that meets it, and what comes near one but is none."""

from typing import Any

import pytest

from tests.compat.comparison import DEPARTURES
from tests.compat.referee import Referee
from tests.compat.scripts import Operation, Script
from tests.compat.test_same_scripts import both

pytestmark = pytest.mark.compat

ADD, GET, DONE, DOWN, DRAIN = ["add", "a"], ["get"], ["done", "a"], ["shut_down"], ["shut_down_with_drain"]
FIVE = ["add_with", "a", {"priority": 5}]

MET = [
    ("done", "plain", [ADD, DONE]),
    ("drain", "plain", [ADD, DRAIN]),  # theirs returns at once
    ("drain", "plain", [ADD, GET, ADD, DRAIN, DONE]),  # theirs returns though the key came back
    ("drain", "plain", [ADD, GET, DRAIN, DRAIN, DONE]),  # one of theirs hangs
    ("drain", "priority", [ADD, GET, DRAIN, DONE]),
    ("release", "delaying", [ADD, GET, DOWN, DRAIN, DOWN]),
    ("second shutdown", "priority", [DOWN, DRAIN]),
    ("ready at shutdown", "priority", [ADD, DOWN, GET]),
    ("kept priority", "priority", [FIVE, GET, ["add_after", "a", 1], ["step", 1]]),
    ("kept priority", "priority", [FIVE, GET, ["add_rate_limited", "a"]]),
    ("kept priority", "priority", [FIVE, GET, ["add_with", "b", "a", {"after": 0}]]),
]
NEAR = [
    ("plain", [DONE, ADD, GET, DONE, DONE]),
    ("plain", [ADD, GET, DRAIN, DONE, DRAIN]),
    ("plain", [ADD, GET, DRAIN, DOWN, DOWN, GET]),
    ("delaying", [ADD, GET, DRAIN, DOWN, DONE]),
    ("priority", [ADD, DONE, GET, DONE, DONE, DRAIN, GET]),
    ("priority", [ADD, GET, ADD, DOWN, GET, ["len"]]),  # ready, but in somebody's hands
    ("priority", [["add_after", "a", 1], DOWN, ["step", 1], GET]),
    ("priority", [FIVE, GET, ADD, ["add_after", "b", 1], ["add_with", "a", {"priority": 0, "after": 1}], DONE, GET]),
    ("priority", [["add_with", "a", {"priority": 0}], GET, ["add_after", "a", 1], DONE, ["step", 1], GET]),
]


def script(queue: str, operations: list[Any]) -> Script:
    limiter = ["exponential", 1, 8] if queue == "priority" else None
    return Script(queue, tuple(map(Operation.from_json, operations)), limiter)


@pytest.mark.parametrize(("departure", "queue", "operations"), MET)
def test_a_departure_is_excused_by_its_name(
    departure: str, queue: str, operations: list[Any], referee: Referee
) -> None:
    assert set(both(script(queue, operations), referee).excused) == {departure}


def test_every_departure_is_met() -> None:
    assert {departure for departure, _, _ in MET} == set(DEPARTURES)


@pytest.mark.parametrize(("queue", "operations"), NEAR)
def test_what_comes_near_is_compared_to_the_end(queue: str, operations: list[Any], referee: Referee) -> None:
    verdict = both(script(queue, operations), referee)
    assert not verdict.excused
    assert verdict.operations == len(operations)


def test_keys_that_are_due_together_are_asked_for_in_the_other_sides_order(referee: Referee) -> None:
    operations = [["add_after", key, 3] for key in "abcd"] + [["step", 3]] + [GET] * 4
    told = referee.ask(script("delaying", operations))
    theirs = [each.got[0].key for each in told[5:]]
    assert sorted(theirs) == [*"abcd"]
    assert theirs != [*"abcd"], "client-go keeps the order now: then ties need no care"
    assert not both(script("delaying", operations), referee).excused
