"""Both sides' answers to a script, one under the other: `python -m tests.compat '<json>'`."""

import sys

from tests.compat.comparison import Difference, compare
from tests.compat.ours import run
from tests.compat.referee import PROGRAM, Referee, RefereeError
from tests.compat.scripts import Script
from tests.golang import BuildError


def main(arguments: list[str]) -> int:
    """Print what each operation did. The exit status is 1 if the sides differ, 2 if it cannot be told."""
    if len(arguments) != 1:
        print("usage: python -m tests.compat '<script as JSON>'", file=sys.stderr)
        return 2
    try:
        script = Script.from_json(arguments[0])
    except (KeyError, ValueError) as error:
        print(f"error: this is no script: {error}", file=sys.stderr)
        return 2
    try:
        referee = Referee(PROGRAM.ensure())
        try:
            theirs = referee.ask(script)
        finally:
            referee.close()
    except (BuildError, RefereeError) as error:
        print(error, file=sys.stderr)
        return 2
    ours = run(script, ties=[tie for each in theirs for tie in each.ties])
    for number, (operation, our, their) in enumerate(zip(script.operations, ours, theirs, strict=True), start=1):
        print(f"{number:3} {operation}\n      ours:   {our}\n      theirs: {their}")
    try:
        verdict = compare(script, ours, theirs)
    except Difference as difference:
        print(f"they differ: {difference.why}")
        return 1
    excused = ", ".join(verdict.excused) or "nothing"
    print(f"no difference in the {verdict.operations} operations compared; excused: {excused}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
