"""The Go programs that measure client-go and controller-runtime: `python -m tests.bench.build` builds them.

There are two, each with what it needs and no more: what a program links decides how often Go collects its garbage.
Benchmarks do without these peers where they cannot be had, and say so.
"""

import sys
from pathlib import Path

from tests.golang import BuildError, Program, required_version, say

SOURCES = Path(__file__).resolve().parent / "peers"


def _program(name: str, what: str, package: str) -> Program:
    return Program(
        what=f"the {what} of client-go",
        whom="measuring client-go",
        sources=SOURCES,
        kind="bench",
        name=name,
        command=("build", package),
    )


QUEUES = _program("queues", "queues", ".")
INFORMERS = _program("informers", "informer", "./informers")


def versions() -> dict[str, str]:
    """The pinned versions of the peers' modules."""
    go_mod = (SOURCES / "go.mod").read_text(encoding="utf-8")
    modules = {"client-go": "k8s.io/client-go", "controller-runtime": "sigs.k8s.io/controller-runtime"}
    return {name: required_version(go_mod, module=module) for name, module in modules.items()}


def main() -> int:
    """Print the paths of the binaries; the exit status is 1, and the reason on stderr, where one cannot be had."""
    try:
        for program in (QUEUES, INFORMERS):
            print(program.ensure())
    except BuildError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
