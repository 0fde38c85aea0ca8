"""`python -m tests.faults`: many runs, a table, and the story of each run that went wrong."""

import argparse
import secrets
import sys
import time

from tests.faults import page
from tests.faults.kinds import HANDS
from tests.faults.runs import Outcome, running


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many (200)")
    parser.add_argument("--seed", type=int, help="of the first run; the others count on from it (a random one)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/faults.md")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10_000) * HANDS if arguments.seed is None else arguments.seed
    say, outcomes, began = sys.stdout, [], time.monotonic()  # KopfRunner has its own idea of sys.stdout meanwhile
    with running() as runs:
        for number in range(arguments.runs):
            outcome = runs.run(seed + number)
            outcomes.append(outcome)
            print(line(outcome), file=say, flush=True)
            if not outcome.is_good:
                print(story(outcome), file=say, flush=True)
    seconds = time.monotonic() - began
    table = page.table(outcomes, seed=seed, seconds=seconds)
    print(table, file=say)
    if arguments.write:
        page.write(table)
    return int(not all(each.is_good for each in outcomes))


def line(outcome: Outcome) -> str:
    """What a run was like."""
    missed = f", did not strike: {', '.join(outcome.missed)}" if outcome.missed else ""
    return (
        f"seed {outcome.seed}: {'good' if outcome.is_good else 'WRONG'}, {outcome.struck.total()} faults, "
        f"{outcome.writes} writes, {outcome.lists} lists, {outcome.watches} watches, "
        f"right {outcome.recovery:.1f} s after the healing, {outcome.seconds:.1f} s{missed}"
    )


def story(outcome: Outcome) -> str:
    """What went wrong, and all that led to it."""
    told = [f"{outcome.differences} differences, {outcome.missed_deletions} missed deletions"]
    return "\n".join(f"    {each}" for each in (*told, *outcome.problems, "its history:", *outcome.history))


if __name__ == "__main__":
    sys.exit(main())
