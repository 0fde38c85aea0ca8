"""What all recorders of one operator share: one queue, one thread, one memory of what was sent."""

import random as random_numbers
import threading
import time
from collections.abc import Callable

from workqueue.base.clock import Clock, RealClock
from workqueue.base.logs import SafeLogger
from workqueue.control.events.correlation import Correlator
from workqueue.control.events.event import Event
from workqueue.control.events.sending import Sender
from workqueue.control.events.sink import EventSink
from workqueue.control.events.tally import EventStatistics, EventTally, Why

logger = SafeLogger("workqueue.control")


class Outbox:
    """Takes events from any thread, and sends them one by one. Closed and renewed as often as the operator runs.

    A new run remembers nothing of what the former sent, as a new sink in client-go; numbers go on.
    """

    def __init__(
        self,
        sink: EventSink,
        *,
        clock: Clock | None = None,
        wall: Callable[[], int] = time.time_ns,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """
        :param sink: where events go.
        :param clock: where time comes from, but for the timestamps of events.
        :param wall: where these come from: nanoseconds since 1970.
        :param random: from 0 to 1, anew at each call: how long the first pause is.
        """
        self._sink = sink
        self._clock: Clock = clock if clock is not None else RealClock()
        self._wall = wall
        self._random = random
        self._tally = EventTally()
        self._lock = threading.Lock()
        # All below are guarded by _lock.
        self._sender = self._new_sender()
        #: The last instant that was handed out.
        self._instant = 0
        #: Who does the work of this one meanwhile; None is itself.
        self._deputy: Outbox | None = None

    def put(self, event: Event) -> None:
        """Send an event some time; it does not wait. One that cannot be taken is dropped and counted."""
        with self._lock:
            sender, deputy = self._sender, self._deputy
        if deputy is not None:
            deputy.put(event)
            return
        self._tally.recorded()
        if (why := sender.put(event)) is not None:
            self._tally.dropped(why)

    def drop(self, why: Why) -> None:
        """An event was none: count it."""
        with self._lock:
            deputy = self._deputy
        if deputy is not None:
            deputy.drop(why)
            return
        self._tally.recorded()
        self._tally.dropped(why)

    def instant(self) -> int:
        """The time for an event, in nanoseconds since 1970; another one at each call, as names are made of it."""
        with self._lock:
            if self._deputy is not None:
                return self._deputy.instant()
            self._instant = max(self._wall(), self._instant + 1)
            return self._instant

    def divert(self, deputy: "Outbox | None") -> None:
        """Hand events on to another outbox, for tests; what came before is still sent.

        :param deputy: the other; None ends it.
        """
        with self._lock:
            self._deputy = deputy

    def close(self, timeout: float) -> None:
        """Send what waits, and end the thread; events are dropped from now on.

        :param timeout: seconds; when they are over the rest is dropped, which is said in one line.
        """
        with self._lock:
            sender = self._sender
        if lost := sender.close(timeout):
            logger.warning("%d events were not sent before the end", lost)

    def renew(self) -> None:
        """Take events again, after it was closed or before it was used."""
        with self._lock:
            former, self._sender = self._sender, self._new_sender()
        former.close(0)

    def statistics(self) -> EventStatistics:
        """What has become of the events of all recorders."""
        with self._lock:
            deputy = self._deputy
        if deputy is not None:
            return deputy.statistics()
        return self._tally.snapshot()

    def _new_sender(self) -> Sender:
        return Sender(
            self._sink,
            correlator=Correlator(clock=self._clock),
            tally=self._tally,
            clock=self._clock,
            random=self._random,
        )
