"""The same scripts on client-go's, controller-runtime's and our queues do the same, but for the named departures."""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.compat import ours
from tests.compat.comparison import Difference, compare
from tests.compat.counting import Count, Tally
from tests.compat.generation import scripts
from tests.compat.referee import Referee
from tests.compat.scripts import Script

pytestmark = pytest.mark.compat

#: How many scripts hypothesis is asked for. At least ENOUGH different ones must have been compared.
ASKED = {"plain": 450, "delaying": 700, "ratelimiting": 1000, "priority": 1200, "limiter": 400}
ENOUGH = {"plain": 300, "delaying": 450, "ratelimiting": 650, "priority": 800, "limiter": 300}
#: Those that must occur.
LIMITERS = {
    "ratelimiting": ("exponential", "fast_slow", "bucket", "max_of", "max_wait", "default_controller"),
    "priority": ("exponential", "fast_slow", "bucket", "max_of", "max_wait", "default_controller", "none"),
    "limiter": ("exponential", "fast_slow", "bucket", "max_of", "max_wait", "default_controller", "default_item"),
}


def both(script: Script, referee: Referee, make: ours.Make | None = None):
    """The verdict on a script; raises Difference."""
    theirs = referee.ask(script)
    ties = [tie for each in theirs for tie in each.ties]
    return compare(script, ours.run(script, make=make, ties=ties), theirs)


@pytest.mark.parametrize("queue", ASKED)
def test_the_same_script_does_the_same(queue: str, referee: Referee, tally: Tally) -> None:
    count = tally.counts[queue] = Count(queue)

    @settings(
        max_examples=ASKED[queue],
        deadline=None,
        database=None,
        derandomize="CI" in os.environ,  # else other scripts in each run; a difference is printed with its script
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(scripts(queue))
    def check(script: Script) -> None:
        try:
            verdict = both(script, referee)
        except Difference:
            count.differences = 1
            raise
        count.add(script, verdict)

    check()
    assert len(count.scripts) >= ENOUGH[queue], "too few different scripts"
    assert count.share_touched() <= 0.1, "too many scripts touch a departure"
    share, name = count.rarest()
    assert share >= 0.2, f"{name} occurs in too few scripts"
    rare = [each for each in LIMITERS.get(queue, ()) if count.limiters[each] < 10]
    assert not rare, "limiters that occur in too few scripts"


def test_two_thousand_scripts_are_asked_for() -> None:
    assert sum(ENOUGH.values()) >= 2000
