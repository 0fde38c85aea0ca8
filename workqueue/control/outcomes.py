"""What becomes of a key after its run: once more, later, or forgotten; and what is said of it.

Source: reconcileHandler of controller-runtime pkg/internal/controller/controller.go. Unlike there
a terminal error forgets the key's failures, and a key can be given up.
"""

import logging

from workqueue.base.errors import WorkqueueError, with_place
from workqueue.base.keys import ObjectKey
from workqueue.control.result import Result, TerminalError
from workqueue.control.tally import Tally
from workqueue.queues import PriorityQueue, RateLimitingQueue

logger = logging.getLogger("workqueue.control")


class Outcomes:
    """Settles runs. Called by the worker that holds the key; raises what the queue or its limiter raises."""

    def __init__(
        self,
        name: str,
        *,
        queue: PriorityQueue[ObjectKey] | RateLimitingQueue[ObjectKey],
        max_retries: int | None,
        tally: Tally,
    ) -> None:
        """
        :param name: of the controller.
        :param queue: the controller's.
        :param max_retries: how often a failing key is tried again; None is without end.
        :param tally: where outcomes are counted.
        """
        self._name = name
        self._queue = queue
        self._max_retries = max_retries
        self._tally = tally

    def finished(self, key: ObjectKey, result: Result) -> None:
        """A run has answered."""
        match result.outcome:
            case "requeue":
                self._queue.add_rate_limited(key)
            case "requeue_after":
                self._queue.forget(key)
                self._queue.add_after(key, result.after)
            case _:
                self._queue.forget(key)
        self._tally.count(result.outcome)

    def failed(self, key: ObjectKey, error: BaseException, *, retry: int) -> None:
        """A run has raised.

        :param retry: the key's failures before this one.
        """
        self._tally.count("error")
        # A mistake in the use of ours is told by its line and its place; anything else may need the whole trace.
        mistake = isinstance(error, WorkqueueError)
        told, trace = (with_place(error), None) if mistake else (repr(error), error)
        if _is_terminal(error):
            self._queue.forget(key)
            self._tally.count("terminal")
            logger.error("controller %s: %s failed and will not be retried: %s", self._name, key, error)
        elif self._max_retries is None or retry < self._max_retries:
            self._queue.add_rate_limited(key)
            fate = "left for the next start" if self._queue.shutting_down else "will be retried"
            logger.warning(
                "controller %s: %s failed (run %d), %s: %s",
                self._name, key, retry + 1, fate, told, exc_info=None if retry else trace,
            )  # fmt: skip
        else:
            self._queue.forget(key)
            self._tally.count("given_up")
            logger.error(
                "controller %s: %s given up after %d runs: %s", self._name, key, retry + 1, told, exc_info=trace
            )


def checked(result: object) -> Result:
    """What a reconcile function returned.

    :raises TypeError: if it is neither None nor a Result; it says what was expected.
    """
    if result is None:
        return Result()
    if isinstance(result, Result):
        return result
    raise TypeError(f"reconcile returned {result!r}, expected None or a Result")


def _is_terminal(error: BaseException) -> bool:
    """A TerminalError, or an error raised *from* one: as ``errors.Is``, which looks through wrapped errors."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, TerminalError):
            return True
        seen.add(id(cause))
        cause = cause.__cause__
    return False
