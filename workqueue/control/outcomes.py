"""What becomes of a key after its run: once more, later, aside, or forgotten; and what is said of it.

Source: reconcileHandler of controller-runtime pkg/internal/controller/controller.go. Unlike there
a terminal error forgets the key's failures, and a key can be given up: then it is parked.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import CoroutineType
from typing import cast

from workqueue.base.clock import Clock
from workqueue.base.errors import WorkqueueError, with_place
from workqueue.base.functions import described, is_async
from workqueue.base.keys import ObjectKey
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line, told
from workqueue.control.books import Books
from workqueue.control.priorities import Queue, add_after, add_rate_limited
from workqueue.control.result import Result, TerminalError, TimeLimitExceeded, WrongAnswer, is_seconds

logger = SafeLogger("workqueue.control")

#: What may be meant by answers of some types.
_MEANT = {bool: ", such as Result.requeue()", **dict.fromkeys((int, float), ", such as Result.requeue(after=…)")}

#: Characters of an error that are told in a line; the whole is in the trace that follows.
LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error itself says of trying again."""

    #: Trying again is of no use.
    is_terminal: bool = False
    #: Seconds until the next try; None leaves it to the limiter.
    after: float | None = None
    #: What is wrong with what it says, in a few words.
    remark: str = ""

    @classmethod
    def of_delay(cls, delay: object) -> "Verdict":
        """What an error says that names a delay.

        :param delay: seconds; None is at once, as in Kopf. One that is no time leaves it to the limiter, and is told.
        """
        if delay is None:
            return cls(after=0.0)
        if is_seconds(delay):
            return cls(after=max(0.0, cast("float", delay)))
        return cls(remark=f"its delay {one_line(told(delay), limit=100)} is no number of seconds and is ignored")


#: Reads an error that is somebody else's; None for one that says nothing.
Judge = Callable[[BaseException], Verdict | None]


class Outcomes:
    """Settles runs. Called by whoever ends one; raises what the queue or its limiter raises."""

    def __init__(
        self,
        name: str,
        *,
        queue: Queue,
        max_retries: int | None,
        books: Books,
        judge: Judge,
        clock: Clock,
    ) -> None:
        """
        :param name: of the controller.
        :param queue: the controller's.
        :param max_retries: how often a failing key is tried again; None is without end.
        :param books: where failures are counted, and keys go that are given up.
        :param judge: reads errors that are not ours.
        :param clock: where time comes from.
        """
        self._name = name
        self._queue = queue
        self._max_retries = max_retries
        self._attempts = books.attempts
        self._parking = books.parking
        self._tally = books.tally
        self._judge = judge
        self._clock = clock

    def begins(self, key: ObjectKey) -> None:
        """A run begins: whatever made it, the key is not parked any more."""
        self._parking.release(key)
        if self._max_retries is not None and self._attempts.failures(key) >= self._max_retries:
            self._parking.last_run(key)

    def finished(self, key: ObjectKey, result: Result) -> None:
        """A run has answered."""
        self._parking.run_ended(key)
        match result.outcome:
            case "requeue":
                self._attempts.requeued(key)
                add_rate_limited(self._queue, key, priority=result.priority)
            case "requeue_after":
                self._forget(key)
                add_after(self._queue, key, result.after, priority=result.priority)
            case _:
                self._forget(key)
        self._tally.count(result.outcome)

    def failed(self, key: ObjectKey, error: BaseException) -> None:
        """A run has raised, or its time was over."""
        retry, failures = self._attempts.retry(key), self._attempts.failures(key)
        self._tally.count("error")
        if isinstance(error, TimeLimitExceeded):
            self._tally.count("timeout")
        elif not isinstance(error, Exception | asyncio.CancelledError):
            self._tally.count("panic")
        verdict = Verdict(is_terminal=True) if _is_terminal(error) else self._judged(error)
        # A mistake in the use of ours is told by its line and its place; so is what says itself what to do about it.
        # Anything else may need the whole trace.
        plain = isinstance(error, WorkqueueError) or verdict.is_terminal or verdict.after is not None
        text, trace = (_brief(error), None) if plain else (told(error), error)
        if verdict.remark:
            text = f"{text} ({verdict.remark})"
        text, name = one_line(text, limit=LENGTH), one_line(key)
        if verdict.is_terminal:
            self._parking.run_ended(key)
            self._forget(key)
            self._tally.count("terminal")
            logger.error("controller %s: %s failed and will not be retried: %s", self._name, name, text)
        elif self._max_retries is None or failures < self._max_retries:
            self._attempts.failed(key)
            if verdict.after is None:
                delay = self._queue.add_rate_limited(key)
            else:
                delay = verdict.after
                self._queue.add_after(key, delay)
            if self._queue.shutting_down:
                fate = "left for the next start"
            else:
                fate = f"will be retried in {delay:g} s" if delay > 0 else "will be retried at once"
            logger.warning(
                "controller %s: %s failed (run %d), %s: %s",
                self._name, name, retry + 1, fate, text, exc_info=None if retry else trace,
            )  # fmt: skip
        else:
            parked = self._parking.park(key, error=text, runs=retry + 1, now=self._clock.now())
            if parked:
                self._tally.count("given_up")
            self._forget(key)
            logger.error(
                "controller %s: %s %s after %d runs: %s",
                self._name, name, "given up" if parked else "starts anew, as there is news of it,", retry + 1, text,
                exc_info=trace,
            )  # fmt: skip

    def _judged(self, error: BaseException) -> Verdict:
        """What the judge says; nothing, if it fails on what is somebody else's."""
        try:
            return self._read(error) or Verdict()
        except Exception:
            logger.exception("controller %s: an error could not be read, and counts as any other", self._name)
            return Verdict()

    def _read(self, error: BaseException) -> Verdict | None:
        """Of a group, such as a ``TaskGroup`` raises: terminal if one is, else the earliest try if each names one."""
        if not isinstance(error, BaseExceptionGroup):
            return self._judge(error)
        verdicts = [self._read(each) or Verdict() for each in error.exceptions]
        if any(verdict.is_terminal for verdict in verdicts):
            return Verdict(is_terminal=True)
        delays = [verdict.after for verdict in verdicts if verdict.after is not None]
        remark = next((verdict.remark for verdict in verdicts if verdict.remark), "")
        return Verdict(after=min(delays) if len(delays) == len(verdicts) else None, remark=remark)

    def _forget(self, key: ObjectKey) -> None:
        self._attempts.forget(key)
        self._queue.forget(key)


def checked(result: object, function: object) -> Result:
    """What a reconcile function returned.

    :param function: which one.
    :raises WrongAnswer: if it is neither None nor a Result; it says what was expected.
    """
    if result is None:
        return Result()
    if issubclass(type(result), Result):  # isinstance believes a mock that says so
        return cast("Result", result)
    who = described(function)
    if type(result) is CoroutineType:
        result.close()
        inner, remedy = result.cr_code, "await it"
        if not is_async(function):
            remedy = "what is around an async def, such as a decorator, must be an async def as well"
        raise WrongAnswer(
            f"{who} returned the coroutine {inner.co_qualname} ({inner.co_filename}:{inner.co_firstlineno}): {remedy}"
        )
    # No value, as it may be an object with secrets in it.
    kind = type(result)
    raise WrongAnswer(
        f"{who} returned a value of the type {kind.__name__}, expected None or a Result{_MEANT.get(kind, '')}"
    )


def _brief(error: BaseException) -> str:
    try:
        return with_place(error)
    except BaseException:  # its text is somebody else's code
        return told(error)


def _is_terminal(error: BaseException) -> bool:
    """A TerminalError, an error raised *from* one, or a group with one: as ``errors.Is``, which looks through both."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        found = left.pop()
        if isinstance(found, TerminalError):
            return True
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        left.append(found.__cause__)
        if isinstance(found, BaseExceptionGroup):
            left.extend(found.exceptions)
    return False
