"""Kubernetes events that are kept instead of sent: a recorder for tests, made few as by the real one."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from workqueue.base.clock import Clock
from workqueue.control.events import EventExists, EventGone, EventRecorder, Outbox
from workqueue.testing.clock import FakeClock
from workqueue.testing.objects import Numbers

#: Seconds of real time that events may be on their way.
PATIENCE = 30.0


class RecordedEvents:
    """An outbox whose events end here, as the API server would have them."""

    def __init__(self, *, clock: Clock, wall: Callable[[], int]) -> None:
        """:param clock: where time comes from.
        :param wall: for timestamps: nanoseconds since 1970.
        """
        self._lock = threading.Lock()
        #: Guarded by _lock. By namespace and name, in the order in which they were created.
        self._events: dict[tuple[str, str], dict[str, Any]] = {}
        self.outbox = Outbox(self, clock=clock, wall=wall, random=lambda: 0.5)

    @property
    def all(self) -> list[dict[str, Any]]:
        """All events so far, as core/v1 writes them; one that happened again has a higher ``count``."""
        until = time.monotonic() + PATIENCE
        while self.outbox.statistics().pending:
            if time.monotonic() > until:
                raise TimeoutError(f"an event has not come within {PATIENCE:g} s")
            time.sleep(0.001)  # the thread of the outbox has it
        with self._lock:
            return [dict(event) for event in self._events.values()]

    def close(self) -> None:
        """End the thread of the outbox."""
        _ = self.all
        self.outbox.close(PATIENCE)

    # As an EventSink, in the thread of the outbox.

    def create(self, namespace: str, event: dict[str, Any]) -> Mapping[str, Any]:
        """See :class:`workqueue.control.events.EventSink`."""
        key = namespace, event["metadata"]["name"]
        with self._lock:
            if key in self._events:
                raise EventExists(f'events "{key[1]}" already exists')
            self._events[key] = event
            return event

    def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> Mapping[str, Any]:
        """See :class:`workqueue.control.events.EventSink`."""
        with self._lock:
            if (namespace, name) not in self._events:
                raise EventGone(f'events "{name}" not found')
            self._events[namespace, name].update(patch)
            return self._events[namespace, name]


class FakeRecorder(EventRecorder):
    """A recorder that keeps its events, for a reconcile function called by itself. Close it, or use ``with``."""

    def __init__(self, component: str = "test", *, clock: FakeClock | None = None) -> None:
        """:param component: who tells.
        :param clock: where time comes from; one that stands still by default.
        """
        used = clock if clock is not None else FakeClock(0.0)
        self._kept = RecordedEvents(clock=used, wall=Numbers(used.now).nanoseconds)
        super().__init__(component, outbox=self._kept.outbox, instance="test")

    @property
    def events(self) -> list[dict[str, Any]]:
        """See :attr:`RecordedEvents.all`."""
        return self._kept.all

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its thread."""
        self._kept.close()
