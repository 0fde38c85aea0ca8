"""Fixtures for pytest, which finds them where this package is installed.

- ``workqueue_harness``: makes :class:`workqueue.testing.Harness` es, and closes them after the test.
- ``fake_clock``: a :class:`workqueue.testing.FakeClock`.
- ``api_server``: an API server in the process; KUBECONFIG leads to it until the test is over.

This file is loaded in every run of pytest, whatever is tested. So it imports nothing of ours and
nothing that pytest has not imported; a fixture does when it is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workqueue.testing.apiserver import ApiServer
    from workqueue.testing.clock import FakeClock
    from workqueue.testing.harness import Harness


@pytest.fixture
def workqueue_harness() -> Iterator[Callable[..., "Harness"]]:
    """``workqueue_harness(reconcile, …)`` runs a reconcile function without a cluster.

    Takes what :class:`workqueue.testing.Harness` takes; it is closed after the test.
    """
    from workqueue.testing.harness import Harness

    with ExitStack() as made:

        def make(*args: Any, **kwargs: Any) -> Harness:
            return made.enter_context(Harness(*args, **kwargs))

        yield make


@pytest.fixture
def fake_clock() -> "FakeClock":
    """A clock that stands still until it is told to move: give it to what takes ``clock=``."""
    from workqueue.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["ApiServer"]:
    """A Kubernetes API server inside the process, with nothing in it; KUBECONFIG leads to it."""
    try:
        from workqueue.testing.apiserver import ApiServer
    except ModuleNotFoundError as error:
        pytest.fail(f"the fixture api_server needs what is not installed: {error.name}", pytrace=False)
    with ApiServer() as server:
        kubeconfig = tmp_path / "workqueue-kubeconfig"
        server.write_kubeconfig(kubeconfig)
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield server
