"""What all queues are made of: getters that sleep until there is a key, a shutdown, a drain.

Semantics: client-go util/workqueue/queue.go. One lock and one condition, no thread of its own. A
wake-up stands beside the change that causes it and is sent only to a getter that sleeps and was not
sent one already, which is most of what makes the queues quick. While keys wait for their time, one
getter (the leader) sleeps until the next of them is due, so that a hundred idle workers cost one
timer and not a hundred.

How keys are ordered, and what is remembered of each, is the idea of the classes built on this one.

Departures from client-go, each because client-go's way loses or doubles work:

- :meth:`QueueCore.shut_down_with_drain` returns True only when nothing is queued *and* nothing is in
  processing, all concurrent callers return, and ``timeout`` bounds it (client-go waits for the
  keys in processing only, and leaves a second caller hanging).
- A second :meth:`QueueCore.shut_down` is harmless in every queue, and releases drainers as the first does
  (controller-runtime panics; client-go's delaying queue does nothing and leaves them hanging).
"""

import logging
import math
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import Interrupted, ShutDown
from workqueue.base.metrics import MetricsProvider, QueueStatistics
from workqueue.base.text import one_line
from workqueue.queues.measures import Measures

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger("workqueue.queues")

#: Bytes of an empty dictionary that are too many: some hundred keys.
LARGE = 64 * 1024

#: Seconds that a thread which finds the lock taken lets others run before each further try: 0 is a turn for whoever is
#: next, and the more threads there are, the longer it takes until it is the one that has the lock.
PAUSES = (0, 0, 0, 1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4, 3.2e-4, 6.4e-4, 1.3e-3, 2.5e-3, 5e-3, 1e-2)


class QueueCore(ABC, Generic[K]):
    """The life of a queue of hashable keys. Not to be made by itself."""

    def __init__(self, *, name: str = "", clock: Clock | None = None, metrics: MetricsProvider | None = None) -> None:
        """
        :param name: for metrics and log lines; a queue without one is not measured.
        :param clock: where time comes from; the machine's by default.
        :param metrics: who is told that this queue exists and may read its statistics.
        """
        self.name = name
        self._clock: Clock = clock if clock is not None else RealClock()
        self._metrics = metrics if name else None
        self._lock = threading.Lock()
        #: The lock's own methods, for the hot paths: see _contend.
        self._acquire = self._lock.acquire
        self._release = self._lock.release
        #: The one condition: getters and drainers sleep on it.
        self._changed = threading.Condition(self._lock)

        # All below are guarded by _lock.
        #: What can be handed out now: empty exactly if a getter has to wait. Its order is the subclass's.
        self._ready: Collection[object] = ()
        #: The keys that wait for their time: empty if none does. Kept by the subclass.
        self._delayed: Collection[object] = ()
        #: Getters asleep on _changed, and those that were woken and have not run yet.
        self._getters = 0
        #: Of the getters: wake-ups sent to them that none has run on yet. Never more than _getters.
        self._woken = 0
        #: The one getter that sleeps until the next delayed key is due, so that the others need not.
        self._leader: object | None = None
        #: Once True, adds are ignored; never False again.
        self._shutting_down = False
        #: Calls of the plain shut_down: each releases the drainers that wait at that moment, and no later one.
        self._releases = 0
        #: True once the provider was told that this queue is gone.
        self._closed = False
        self._adds = 0
        self._retries = 0
        self._dropped = 0
        self._refused = 0
        #: None for a queue that nobody measures: that is all such a queue pays.
        self._measures = Measures() if self._metrics is not None else None

    def _open(self) -> None:
        """Tell the provider, once the subclass is complete: it may read statistics from then on."""
        if self._metrics is not None:
            try:
                self._metrics.queue_opened(self.name, self.statistics)
            except BaseException:
                self._shutting_down = True  # there is no such queue: it holds no limiter
                raise

    @abstractmethod
    def add(self, key: K) -> None:
        """Ask for the key to be handled. Ignored once the queue is shutting down."""

    @abstractmethod
    def done(self, key: K) -> None:
        """Say that the key got by :meth:`get` is handled; if it was added meanwhile it is queued again.

        A key that nobody holds changes nothing (client-go queues it a second time).
        """

    @abstractmethod
    def get(self, timeout: float | None = None, *, unless: Callable[[], bool] | None = None) -> K:
        """Take the next key, which is then in processing until :meth:`done`.

        :param timeout: seconds to wait for one; None waits for ever, 0 does not wait.
        :param unless: take none if this is true, asked before a key is taken and after each :meth:`wake`, with the
            queue's lock held: it must be quick, and not use the queue.
        :raises ShutDown: when the queue is shut down and nothing is left to hand out.
        :raises Interrupted: when ``unless`` is true.
        :raises TimeoutError: when there was no key in time.
        :raises ValueError: if the timeout is not a number.
        """

    def wake(self) -> None:
        """Have all who wait ask their ``unless`` again."""
        with self._lock:
            self._wake_all_locked()

    @contextmanager
    def item(self, timeout: float | None = None) -> Iterator[K]:
        """``with queue.item() as key``: get, and done whatever the body raises.

        :param timeout: as of :meth:`get`.
        :raises ShutDown, TimeoutError: as :meth:`get`.
        """
        key = self.get(timeout)
        try:
            yield key
        finally:
            self.done(key)

    @abstractmethod
    def __len__(self) -> int:
        """How many keys are ready, not counting those that wait for their time."""

    def __bool__(self) -> bool:
        """A queue is a queue, also when it is empty."""
        return True

    @property
    def shutting_down(self) -> bool:
        """True once the queue was told to shut down: it accepts nothing any more."""
        return self._shutting_down

    def shut_down(self) -> None:
        """Accept no more keys; what is ready is still handed out, then getters see :class:`ShutDown`.

        Releases callers of :meth:`shut_down_with_drain`. A second call is harmless.
        """
        self._shut_down(release=True)

    def shut_down_with_drain(self, timeout: float | None = None, *, unless: Callable[[], bool] | None = None) -> bool:
        """Accept no more keys and wait until all accepted ones are handled and done.

        :param timeout: seconds to wait at most; None waits until drained or until :meth:`shut_down` is called.
        :param unless: wait no longer if this is true, asked as in :meth:`get`: for who knows that nobody will drain.
        :return: True when nothing is queued and nothing is in processing; else False, and what was left is logged.
        :raises ValueError: if the timeout is not a number.
        """
        until = None if timeout is None else self._deadline(timeout)
        releases = self._shut_down(release=False)
        with self._lock:
            while self._releases == releases and not self._is_idle_locked():
                if (unless is not None and unless()) or (until is not None and until <= self._clock.now()):
                    break
                self._clock.wait(self._changed, until)
            queued, processing = self._left_locked()
        if queued or processing:
            logger.warning(
                "queue %r: drain ended with %d keys queued (%s) and %d in processing (%s)",
                self.name, len(queued), brief(queued), len(processing), brief(processing),
            )  # fmt: skip
        return not queued and not processing

    def statistics(self) -> QueueStatistics:
        """The queue at this instant, consistent in itself."""
        with self._lock:
            if self._delayed:
                self._promote_locked()
            statistics = self._statistics_locked()
            return statistics if self._measures is None else self._measures.fill(statistics, self._clock.now())

    # What the classes built on this one say. All are called under the lock.

    def _promote_locked(self) -> float | None:
        """Make the delayed keys whose time has come ready; return when the next one is due, None if none waits."""
        return None

    def _next_due_locked(self) -> float | None:
        """When the next delayed key is due, None if none waits."""
        return None

    def _drop_delayed_locked(self) -> list[K]:
        """Forget the keys that wait for their time and return them."""
        return []

    def _give_back_locked(self) -> None:
        """No key is ready: what keys needed memory for that are through may be given back."""
        if self._measures is not None:
            give_back(self._measures.queued)

    @abstractmethod
    def _is_idle_locked(self) -> bool:
        """True if no key is queued and none in processing."""

    @abstractmethod
    def _left_locked(self) -> tuple[list[K], list[K]]:
        """The keys that are queued, and those that are in processing."""

    @abstractmethod
    def _statistics_locked(self) -> QueueStatistics:
        """The counts, without times."""

    # Hot paths take the lock by _acquire(False), and by _contend if that fails; a try with _release in its finally
    # follows. That is half the price of a with statement, and it keeps threads that do nothing but add and get from
    # forming a convoy. The lock is held for a microsecond, so who finds it taken has met a thread that the interpreter
    # stopped in the middle of that. Who would sleep on the lock now would be given it in its sleep, and everybody else
    # had to stop until the interpreter let it run: a switch of threads for each key from then on, six times the price.

    def _contend(self) -> None:
        """Take the lock, which another thread has: let that one run; sleep on the lock only if that does not help."""
        for pause in PAUSES:
            time.sleep(pause)
            if self._acquire(False):
                return
        self._acquire()

    # Sleeping and waking, under the lock.

    def _await_locked(self, timeout: float | None, unless: Callable[[], bool] | None = None) -> None:
        """Return when _ready has something; see :meth:`get`."""
        until = None if timeout is None else self._deadline(timeout)
        try:
            while True:
                due = self._promote_locked() if self._delayed else None
                if unless is not None and unless():
                    raise Interrupted(f"whoever waited for queue {self.name!r} is wanted elsewhere")
                if self._ready:
                    return
                if self._shutting_down:
                    raise ShutDown(f"queue {self.name!r} is shut down and empty")
                if until is not None and until <= self._clock.now():
                    raise TimeoutError(f"no key in queue {self.name!r} within {timeout} s")
                self._give_back_locked()
                self._sleep_locked(until, due)
        except BaseException:
            if self._ready:
                self._wake_locked()  # the wake-up that came here was for another
            raise
        finally:
            # A leader that leaves passes its duty on, whatever made it leave.
            if self._getters and self._leader is None and self._next_due_locked() is not None:
                self._wake_locked()

    def _sleep_locked(self, until: float | None, due: float | None) -> None:
        """Sleep until notified, until ``until``, or as the leader until the next delayed key is due."""
        lead = object() if due is not None and self._leader is None else None
        if lead is not None and due is not None:
            self._leader = lead
            until = due if until is None else min(until, due)
        self._getters += 1
        try:
            self._clock.wait(self._changed, until)
        except BaseException:
            # Interrupted, perhaps after a wake-up chose this getter: whoever else sleeps must look.
            self._wake_all_locked()
            raise
        finally:
            self._getters -= 1
            # One wake-up is used by whoever runs, meant for it or not: counting one too few wakes in vain, never too
            # few, as a getter that runs looks for itself.
            if self._woken:
                self._woken -= 1
            if lead is not None and self._leader is lead:
                self._leader = None

    def _wake_locked(self) -> None:
        """A getter must look, if one sleeps that was not told to already.

        Drainers need not: while they sleep no getter does, all were woken to go home.
        """
        if self._getters > self._woken:
            self._woken += 1
            self._changed.notify()

    def _wake_all_locked(self) -> None:
        self._woken = self._getters
        self._changed.notify_all()

    def _relieve_leader_locked(self) -> None:
        """An earlier key came: the leader, if there is one, sleeps too long. Let another look and take its place."""
        self._leader = None
        self._wake_locked()

    def _deadline(self, timeout: float) -> float:
        if math.isnan(timeout):
            raise ValueError("the timeout is not a number")
        return self._clock.now() + timeout

    # The end.

    def _shut_down(self, *, release: bool) -> int:
        """Shut down, and release the drainers if asked to; return how many releases there were."""
        with self._lock:
            if self._delayed:
                self._promote_locked()
            self._shutting_down = True
            if release:
                self._releases += 1
            releases = self._releases
            dropped = self._drop_delayed_locked()
            self._dropped += len(dropped)
            self._wake_all_locked()
            closed = self._close_locked()
        if dropped:
            # Nothing to warn of: every clean stop of who has keys wait does that, and the next start finds them anew.
            logger.info("queue %r: shut down; %d delayed keys dropped: %s", self.name, len(dropped), brief(dropped))
        if closed:
            self._report_closed()
        return releases

    def _close_locked(self) -> bool:
        """True the first time a queue that shuts down turns out to have nothing left."""
        if self._closed or not self._is_idle_locked():
            return False
        self._closed = True
        self._wake_all_locked()
        return True

    def _report_closed(self) -> None:
        """Outside the lock: the provider may be reading our statistics under a lock of its own."""
        if self._metrics is not None:
            try:
                self._metrics.queue_closed(self.name, self.statistics)
            except Exception:  # the key that was done, or the shutdown, has nothing to do with it
                logger.exception("queue %r: its provider of metrics failed", self.name)

    def _check(self) -> None:
        """Assert every invariant; for tests, after each step."""
        with self._lock:
            assert 0 <= self._woken <= self._getters, "wake-ups for getters that are not there"
            if self._delayed:
                self._promote_locked()
            self._check_locked()

    @abstractmethod
    def _check_locked(self) -> None:
        """The subclass's part of :meth:`_check`."""


def give_back(emptied: dict[K, Any]) -> None:
    """Let a dictionary that has nothing in it, and had much, have the memory of one that never had.

    Python's keep what they have grown to: after a list of a million objects a hundred megabytes, for nothing.
    """
    if not emptied and sys.getsizeof(emptied) > LARGE:
        emptied.clear()


def check_delay(key: object, delay: float) -> None:
    """:raises ValueError: if the delay is not a number."""
    if math.isnan(delay):
        raise ValueError(f"the delay of {key!r} is not a number")


def brief(keys: list[K], limit: int = 10) -> str:
    """A few keys for a log line."""
    shown = ", ".join(_told(key) for key in keys[:limit])
    return shown + (f" and {len(keys) - limit} more" if len(keys) > limit else "") if keys else "none"


def _told(key: object) -> str:
    try:
        return one_line(key)
    except Exception:
        return f"<a {type(key).__name__} that cannot be told>"
