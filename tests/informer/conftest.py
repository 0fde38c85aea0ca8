"""An informer on a clock that stands still, and somebody who writes down what its handlers are told."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.base.conftest import background, hectic
from tests.queues.conftest import PATIENCE, WatchedClock
from workqueue.base.origin import Origin, current_origin
from workqueue.cache import Indexer, field
from workqueue.informer import Informer

__all__ = ["background", "hectic"]


class AlarmClock(WatchedClock):
    """A clock that tells until when somebody sleeps."""

    def wait_until_asleep_until(self, instant):
        """Block until a thread sleeps until exactly that instant."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(until == instant for _, until in self._waiting), PATIENCE)


@dataclass(frozen=True)
class Told:
    """One call of a handler."""

    kind: str
    arguments: dict[str, Any]
    origin: Origin

    def __getattr__(self, name):
        return self.__dict__["arguments"][name]

    def __str__(self):
        bodies = (self.arguments["old"], self.arguments["new"])
        versions = [body["metadata"].get("resourceVersion", "-") for body in bodies if body is not None]
        return f"{self.kind} {self.arguments['key']} {' -> '.join(versions)}"


class Recorder:
    """Handlers for all kinds, and what they were told in order."""

    def __init__(self):
        self.calls = []

    def of(self, kind):
        def handler(**arguments):
            self.calls.append(Told(kind, arguments, current_origin()))

        return handler

    def listen(self, informer, *kinds):
        for kind in kinds or ("add", "update", "delete"):
            informer.add_handler(self.of(kind), kind=kind)
        return self

    def take(self):
        """What was told since the last time."""
        told, self.calls = self.calls, []
        return told

    def lines(self):
        """The same, as texts."""
        return [str(told) for told in self.take()]


@pytest.fixture
def clock():
    return AlarmClock()


@pytest.fixture
def indexer():
    return Indexer({"node": field("spec.nodeName")})


@pytest.fixture
def informer(indexer, clock):
    """Checked at the end: whatever a test did, its cache keeps every invariant."""
    informer = Informer("pods", indexer=indexer, clock=clock)
    yield informer
    indexer._check()


@pytest.fixture
def told(informer):
    """A recorder that listens from the start."""
    return Recorder().listen(informer)
