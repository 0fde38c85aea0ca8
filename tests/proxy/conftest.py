"""A target that only listens, and the proxy before it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cluster.proxy import Proxy
from tests.proxy.line import Line


@pytest.fixture
def line() -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(stack)


@pytest.fixture
def proxy(line: Line) -> Proxy:
    return line.proxy
