"""The thread that sends events, and the bounded queue before it: whoever records one waits for nobody.

Source: the broadcaster and recordToSink of client-go tools/record/event.go. One event after the other: while
the API server cannot be reached all wait behind the first, and what does not fit the queue is dropped.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from workqueue.base.clock import Clock
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line
from workqueue.control.events.correlation import Correlated, Correlator
from workqueue.control.events.event import Event
from workqueue.control.events.sink import (
    EventExists,
    EventGone,
    EventRejected,
    EventSink,
    NamespaceTerminating,
    SinkUnavailable,
)
from workqueue.control.events.tally import EventTally, Fate, Why

logger = SafeLogger("workqueue.control")

#: Events that wait at most.
QUEUE = 1000
#: Times that one is tried.
TRIES = 12
#: Seconds between two of them. The first pause is a random part of it: else all clients of an API server that was away
#: would come back at once.
PAUSE = 10.0


class Sender:
    """Sends events from the first one until it is closed."""

    def __init__(
        self,
        sink: EventSink,
        *,
        correlator: Correlator,
        tally: EventTally,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """
        :param sink: where events go.
        :param correlator: makes them few; used by the thread alone from now on.
        :param tally: where they are counted.
        :param clock: where time comes from.
        :param random: from 0 to 1, anew at each call.
        """
        self._sink = sink
        self._correlator = correlator
        self._tally = tally
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        #: Told of everything that the thread, or whoever closes, waits for.
        self._changed = threading.Condition(self._lock)
        # All below are guarded by _lock.
        self._waiting: deque[Event] = deque()
        #: Made with the first event; another one when that has ended.
        self._thread: threading.Thread | None = None
        #: Whether the thread has an event that was not counted yet.
        self._in_hands = False
        #: Nothing is taken any more, and nothing tried twice.
        self._closing = False
        #: Whether the thread has ended.
        self._ended = False
        #: Events of which it was said that they are lost.
        self._lost = 0
        #: True once it was said that events are dropped, until no more wait.
        self._dropping = False
        #: Belongs to the thread. What was said last to be wrong, so that it is said once; "" after a success.
        self._wrong = ""

    def put(self, event: Event) -> Why | None:
        """Send an event some time.

        :return: why not, or None.
        """
        with self._changed:
            if self._closing:
                return "closed"
            why: Why | None = None
            if len(self._waiting) >= QUEUE:
                why = "full"
            elif not self._started_locked():
                why = "no thread"
            if why is None:
                self._waiting.append(event)
                self._changed.notify_all()
                return None
            said, self._dropping = self._dropping, True
        if not said:
            told = f"{QUEUE} of them wait already" if why == "full" else "no thread could be started to send them"
            logger.error("events are dropped, such as %s: %s", event, told)
        return why

    def close(self, timeout: float) -> int:
        """Take no more, send what waits, trying each once, and end the thread.

        :param timeout: seconds; when they are over the rest is lost.
        :return: how many were lost.
        """
        with self._changed:
            until = self._clock.now() + timeout
            self._closing = True
            self._changed.notify_all()
            while self._thread is not None and not self._ended and self._clock.now() < until:
                self._clock.wait(self._changed, until)
            left = len(self._waiting) + self._in_hands
            self._waiting.clear()
            self._in_hands = False
            self._lost += left
            self._tally.dropped("shutdown", count=left)
            return self._lost

    def _started_locked(self) -> bool:
        """True if there is a thread; one is started where there is none, or where a clock that failed has ended it."""
        if self._thread is None or self._ended:
            thread = threading.Thread(target=self._run, name="workqueue-events", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread, self._ended = thread, False
        return True

    # In the thread.

    def _run(self) -> None:
        try:
            while (event := self._next()) is not None:
                try:
                    self._deliver(event)
                except BaseException:  # a mistake of the sink's, or of ours: the next event may fare better
                    self._settle("failed")
                    logger.exception("the event %s could not be sent", event)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _next(self) -> Event | None:
        """Wait for an event; None is the end."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._dropping = False
                self._clock.wait(self._changed, None)
            self._in_hands = True
            return self._waiting.popleft()

    def _deliver(self, event: Event) -> None:
        """Send an event, or see to it that it is counted as what became of it."""
        correlated = self._correlator.correlate(event)
        if correlated is None:
            self._settle("filtered")
            return
        event = correlated.event
        for tries in range(1, TRIES + 1):
            try:
                fate, answer = self._send(correlated)
            except EventExists as error:
                if tries == 1:
                    logger.debug("the event %s was rejected: %s", event, error)
                self._settle("sent" if tries > 1 else "failed")
            except NamespaceTerminating as error:
                logger.debug("the event %s was rejected: %s", event, error)
                self._settle("failed")
            except EventRejected as error:
                self._say(logging.ERROR, f"the event {event} was rejected and will not be retried", error)
                self._settle("failed")
            except SinkUnavailable as error:
                if not self._may_retry(event, error, tries=tries):
                    return
                continue
            else:
                self._wrong = ""
                self._correlator.answered(correlated, answer)
                self._settle(fate)
            return

    def _send(self, correlated: Correlated) -> tuple[Fate, Mapping[str, Any]]:
        event = correlated.event
        if not correlated.is_new:
            try:
                return "patched", self._sink.patch(event.namespace, event.name, event.patch())
            except EventGone:
                logger.debug("the event %s has expired, and is created anew", event)
        return "sent", self._sink.create(event.namespace, event.body())

    def _may_retry(self, event: Event, error: SinkUnavailable, *, tries: int) -> bool:
        """Pause after a try in vain; False if there is to be no other."""
        if tries == TRIES:
            logger.error("the event %s was given up after %d tries: %s", event, tries, one_line(error))
            self._settle("failed")
            return False
        with self._changed:
            if not self._closing:
                self._say(logging.WARNING, f"the event {event} could not be sent, and will be retried", error)
            until = self._clock.now() + PAUSE * (self._random() if tries == 1 else 1.0)
            while not self._closing and self._clock.now() < until:
                self._clock.wait(self._changed, until)
            if self._closing and self._in_hands:
                self._in_hands = False
                self._lost += 1
                self._tally.dropped("shutdown")
            return not self._closing

    def _settle(self, fate: Fate) -> None:
        """The event in hands is through, unless it was said to be lost meanwhile."""
        with self._changed:
            if self._in_hands:
                self._in_hands = False
                self._tally.settled(fate)

    def _say(self, level: int, what: str, error: Exception) -> None:
        """Once for several events in a row that have the same problem."""
        former, self._wrong = self._wrong, one_line(error)
        if former != self._wrong:
            logger.log(level, "%s: %s", what, self._wrong)
