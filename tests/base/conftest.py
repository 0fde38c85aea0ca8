"""What the tests of the queues made for threads."""

import sys

import pytest

from tests.queues.conftest import background

__all__ = ["background", "hectic"]


@pytest.fixture
def hectic():
    """Threads are switched as often as the interpreter can, so that rare orders become common."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
