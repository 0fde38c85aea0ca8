"""The contract of a reconcile function: what it is given and what it may answer.

Source: controller-runtime pkg/reconcile/reconcile.go. It returns None or a :class:`Result`, or raises:
any exception is a failure and is retried with a growing delay; :class:`TerminalError` is not retried.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from workqueue.base.errors import ConfigurationError, WorkqueueError
from workqueue.base.keys import ObjectKey
from workqueue.cache import Reader
from workqueue.control.lifetime import Lifetime


def is_seconds(value: object) -> bool:
    """Whether it is a number of seconds that a clock can be asked for."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_duration(value: object) -> bool:
    """Whether it is such a number, more than 0."""
    return is_seconds(value) and cast("float", value) > 0


class TerminalError(WorkqueueError):
    """Raised by a reconcile function: trying again is of no use until the object changes."""


class TimeLimitExceeded(WorkqueueError, TimeoutError):
    """A run that was not over in time has failed by that, whatever comes of it."""


class WrongAnswer(WorkqueueError, TypeError):
    """A reconcile function returned what is no answer: the message names the function, and what was expected."""


@dataclass(frozen=True, slots=True)
class Result:
    """What should happen to the key next. Build one with :meth:`done` or :meth:`requeue`."""

    #: "requeue" is with the limiter's delay, "requeue_after" with a given one: the label values of
    #: controller_runtime_reconcile_total.
    outcome: Literal["success", "requeue", "requeue_after"] = "success"
    #: Seconds, for "requeue_after".
    after: float = 0.0
    #: What the key is queued with; None leaves it what it was handed out with.
    priority: int | None = None

    def __post_init__(self) -> None:
        if self.outcome not in ("success", "requeue", "requeue_after"):
            raise ConfigurationError(
                f"Result({self.outcome!r}): there is no such outcome; use Result.done or Result.requeue"
            )
        if self.outcome == "requeue_after" and not is_duration(self.after):
            raise ConfigurationError(f"Result.requeue(after={self.after!r}): expected seconds, more than 0")
        if self.outcome != "requeue_after" and self.after != 0:
            raise ConfigurationError(
                f"Result({self.outcome!r}, after={self.after!r}): the delay would be ignored; use "
                f"Result.requeue(after={self.after!r})"
            )
        if self.priority is not None and (isinstance(self.priority, bool) or not isinstance(self.priority, int)):
            raise ConfigurationError(
                f"Result.requeue(priority={self.priority!r}): expected a whole number, the greater the sooner"
            )

    @classmethod
    def done(cls) -> "Result":
        """Nothing more to do; the same as returning None."""
        return cls()

    @classmethod
    def requeue(cls, after: float | None = None, *, priority: int | None = None) -> "Result":
        """Look at the key again.

        :param after: in so many seconds, failures forgotten; None leaves the delay to the limiter, as after a failure.
        :param priority: what it is queued with; by default what it was handed out with.
        :raises ConfigurationError: if the first is not a positive number, or the second no whole one.
        """
        if after is None:
            return cls("requeue", priority=priority)
        return cls("requeue_after", after, priority)


@dataclass(frozen=True, slots=True)
class Request:
    """One run of a reconcile function for one key."""

    key: ObjectKey
    #: Failures and rate-limited requeues of this key since its last success: 0 at the first run.
    retry: int
    #: What the key was handed out with; a retry keeps it. The initial list and resyncs have -100, changes 0.
    priority: int
    #: Writes the key in front of each message; its records carry controller, key, reconcile_id and attempt.
    logger: "logging.LoggerAdapter[logging.Logger]"
    #: How long the run may go on: see deadline, stopping, wait.
    lifetime: Lifetime
    #: The cache to look the object up in; None for a controller without one.
    cache: Reader | None = None
    #: Of this run and no other, in each of its log records and its span.
    id: str = ""
    #: Why the key was asked for since it was last handed out, such as "update"; empty for a retry.
    reasons: frozenset[str] = frozenset()

    @property
    def namespace(self) -> str:
        """The object's namespace, "" in the cluster scope."""
        return self.key.namespace

    @property
    def name(self) -> str:
        """The object's name."""
        return self.key.name

    @property
    def deadline(self) -> float | None:
        """When the run should be over, as an instant of ``time.monotonic()``; None if it may take for ever.

        That is ``timeout`` seconds after its begin; and once the operator stops, the end of the grace, if that is
        earlier.
        """
        return self.lifetime.deadline

    @property
    def stopping(self) -> bool:
        """True once the run should come to its end: the operator stops, or the time of the run is over.

        For code that waits in a loop; whoever only sleeps uses :meth:`wait`.
        """
        return self.lifetime.is_over

    def wait(self, seconds: float) -> bool:
        """Sleep so long, or until the run should end. In a plain function; in an ``async def`` use asyncio's sleep.

        :param seconds: how long.
        :return: True if the run should end now: see :attr:`stopping`.
        :raises RuntimeError: in an ``async def``, where it would hold up the loop.
        """
        if _is_in_loop():
            raise RuntimeError("request.wait in an async def would hold up the loop: use await asyncio.sleep(…)")
        return self.lifetime.wait(seconds)

    def get(self) -> dict[str, Any] | None:
        """The object as the cache holds it now, a copy of your own; None if it does not exist any more.

        :raises LookupError: if the controller has no cache.
        """
        return self._reader().get_by_key(self.key)

    @property
    def uid(self) -> str | None:
        """The uid of the object as the cache holds it now, without decoding it; None if it does not exist any more."""
        entry = self._reader().entry(self.key)
        return None if entry is None else entry.uid

    def _reader(self) -> Reader:
        if self.cache is None:
            raise LookupError(
                "this controller was made without a cache: pass wait_for=[informer] to manager.controller"
            )
        return self.cache


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


#: Takes a request, returns None or a Result: a plain function, or an ``async def``.
ReconcileFunc = Callable[[Request], Result | None] | Callable[[Request], Awaitable[Result | None]]
