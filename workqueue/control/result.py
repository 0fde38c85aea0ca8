"""The contract of a reconcile function: what it is given and what it may answer.

Source: controller-runtime pkg/reconcile/reconcile.go. It returns None or a :class:`Result`, or raises:
any exception is a failure and is retried with a growing delay; :class:`TerminalError` is not retried.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from workqueue.base.errors import ConfigurationError, WorkqueueError
from workqueue.base.keys import ObjectKey
from workqueue.cache import Reader


class TerminalError(WorkqueueError):
    """Raised by a reconcile function: trying again is of no use until the object changes."""


@dataclass(frozen=True, slots=True)
class Result:
    """What should happen to the key next. Build one with :meth:`done` or :meth:`requeue`."""

    #: "requeue" is with the limiter's delay, "requeue_after" with a given one: the label values of
    #: controller_runtime_reconcile_total.
    outcome: Literal["success", "requeue", "requeue_after"] = "success"
    #: Seconds, for "requeue_after".
    after: float = 0.0

    def __post_init__(self) -> None:
        if self.outcome not in ("success", "requeue", "requeue_after"):
            raise ConfigurationError(
                f"Result({self.outcome!r}): there is no such outcome; use Result.done or Result.requeue"
            )
        if self.outcome == "requeue_after" and (not self.after > 0 or math.isinf(self.after)):
            raise ConfigurationError(f"Result.requeue(after={self.after!r}): expected seconds, more than 0")

    @classmethod
    def done(cls) -> "Result":
        """Nothing more to do; the same as returning None."""
        return cls()

    @classmethod
    def requeue(cls, *, after: float | None = None) -> "Result":
        """Look at the key again.

        :param after: in so many seconds, failures forgotten; None leaves the delay to the limiter, as after a failure.
        :raises ConfigurationError: if it is not a positive number.
        """
        return cls("requeue") if after is None else cls("requeue_after", after)


@dataclass(frozen=True, slots=True)
class Request:
    """One run of a reconcile function for one key."""

    key: ObjectKey
    #: Failures and rate-limited requeues of this key since its last success: 0 at the first run.
    retry: int
    #: What the key was handed out with; a retry keeps it. The initial list and resyncs have -100, changes 0.
    priority: int
    #: Writes the key in front of each message.
    logger: "logging.LoggerAdapter[logging.Logger]"
    #: The cache to look the object up in; None for a controller without one.
    cache: Reader | None = None

    @property
    def namespace(self) -> str:
        """The object's namespace, "" in the cluster scope."""
        return self.key.namespace

    @property
    def name(self) -> str:
        """The object's name."""
        return self.key.name

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


#: Takes a request, returns None or a Result.
ReconcileFunc = Callable[[Request], Result | None]
