"""What all tests share: the real control plane, and the check that no test leaves a thread behind."""

import gc
import signal
import threading
import time
from collections.abc import Generator, Iterator

import pytest

from tests.cluster.components import WHOLE
from tests.cluster.controlplane import ControlPlane, ControlPlaneError
from tests.golang import BuildError


def pytest_configure() -> None:
    """Where a shell lets what it runs in the background ignore Ctrl-C: tests and what they start must hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def what_was_there_before_is_no_garbage() -> Iterator[None]:
    """Tests collect garbage, each its own: what was imported and gathered for all of them is not looked at again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One real and whole control plane for the whole run, with a user `operator` that has no rights.

    Its controllers and scheduler touch what asks for them: work in a namespace of the test's own, and let pods that are
    to be left alone have the schedulerName `nobody`. It has no nodes until a test wants the fixture `nodes`.

    Without Go or binaries the test fails, with one line, and is never skipped: a skipped test proves nothing.
    """
    plane = ControlPlane(parts=WHOLE, users={"operator": (), "nobody": ()})
    failure = ""
    try:
        plane.start()
    except (BuildError, ControlPlaneError) as error:
        failure = str(error)
    if failure:  # outside of `except`, else pytest prints it twice
        pytest.fail(failure, pytrace=False)
    yield plane
    plane.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged reaches xdist's main process as UTF-8, which half a surrogate pair is not."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test that leaves a non-daemon thread, or any thread of ours (named workqueue…), 5 s after its end.

    The pool in which Kopf runs synchronous handlers is nobody's to close: it goes when the settings it hangs on are
    collected, and they are in cycles. A thread that needs a collection to end is therefore no thread left.
    """
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5.0
    collect_at = time.monotonic() + 0.5
    while left := [each for each in threading.enumerate() if each not in before and _counts(each)]:
        if time.monotonic() > deadline:
            names = ", ".join(f"{each.name}{' (daemon)' if each.daemon else ''}" for each in left)
            pytest.fail(f"the test left threads alive: {names}", pytrace=False)
        if time.monotonic() > collect_at:
            gc.collect()
            collect_at += 2.0
        time.sleep(0.01)


def _counts(thread: threading.Thread) -> bool:
    return not thread.daemon or thread.name.startswith("workqueue")
