"""The referee for the whole run, and what was compared in it, printed at the end."""

from collections.abc import Iterator

import pytest

from tests.compat.counting import Tally
from tests.compat.referee import PROGRAM, Referee
from tests.golang import BuildError

TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def referee() -> Iterator[Referee]:
    """Client-go's and controller-runtime's side. Without Go the tests fail and are never skipped."""
    failure = ""
    try:
        binary = PROGRAM.ensure()
    except BuildError as error:
        failure = str(error)
    if failure:  # outside of `except`, else pytest prints it twice
        pytest.fail(failure, pytrace=False)
    running = Referee(binary)
    yield running
    running.close()


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """What was compared in this run."""
    return request.config.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The figures of the comparison, if there was one."""
    tally = config.stash.get(TALLY, None)
    if tally is not None and tally.counts:
        terminalreporter.section("the same scripts on client-go, controller-runtime and ours")
        for line in tally.lines():
            terminalreporter.write_line(line)
