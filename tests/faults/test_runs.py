"""A dozen runs that have every kind of fault. `make faults` has hundreds."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.__main__ import story
from tests.faults.kinds import HANDS, KINDS, hand
from tests.faults.runs import Runs, running

SEEDS = range(HANDS)


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def struck() -> Counter[str]:
    return Counter()


@pytest.mark.e2e
@pytest.mark.parametrize("seed", SEEDS)
def test_random_faults_leave_a_cache_that_equals_the_list(runs: Runs, struck: Counter[str], seed: int) -> None:
    outcome = runs.run(seed)
    struck.update(outcome.struck)
    assert outcome.is_good, story(outcome)
    if seed == SEEDS[-1] and len(struck) > HANDS:  # all were run, and not this one alone
        # Once in some hundred times a fault finds nothing to strike; what had its only card there gets another hand.
        for more in range(HANDS, 4 * HANDS):
            if {each.name for each in hand(more)} - struck.keys():
                outcome = runs.run(more)
                struck.update(outcome.struck)
                assert outcome.is_good, story(outcome)
        assert {each.name for each in KINDS} - struck.keys() == set()


def test_a_dozen_runs_have_every_kind() -> None:
    for first in (0, 12 * HANDS):
        dealt = Counter(each.name for seed in range(first, first + HANDS) for each in hand(seed))
        assert dealt == {each.name: each.cards for each in KINDS}
