"""Keeps Kopf's watches and its discovery going through whatever the API server does to them.

Alone, Kopf ends the operator when a watch, or the question which resources there are, is answered by
403 or 5xx for a minute, a watch also by an ERROR event other than 410 or bytes that are no JSON. Here
each of these is one line in the log, a pause, and another try, for as long as it takes.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from workqueue.base.clock import Clock

logger = logging.getLogger("workqueue.plugin")

#: Seconds until the first next try; doubled each time.
FIRST_PAUSE = 1.0
#: The longest pause, in seconds.
MAXIMUM_PAUSE = 30.0
#: A watch that held for so many seconds has recovered: pauses begin anew.
GOOD = 60.0

T = TypeVar("T")

Watch = AsyncGenerator[Any, None]


class Endurance:
    """For one run of Kopf. Its state is touched in the thread of Kopf's loop only."""

    def __init__(self, clock: Clock) -> None:
        """:param clock: tells how long a watch held."""
        self._clock = clock
        #: Resources whose watches never begin.
        self._left_out: set[str] = set()
        #: By what is tried: when it last failed, and for how long it paused then.
        self._failures: dict[str, tuple[float, float]] = {}

    def leave_out(self, resource: str) -> None:
        """Never begin to watch a resource: the user has no right to, and trying would take for ever.

        :param resource: plural and group, such as "customresourcedefinitions.apiextensions.k8s.io".
        """
        self._left_out.add(resource)

    async def watch(self, attempt: Callable[[], Watch], *, resource: str, namespace: str | None) -> Watch:
        """One watch of Kopf's, which ends normally where Kopf's own raises: Kopf then begins the next.

        :param attempt: begins Kopf's own.
        :param resource: what is watched: plural and group.
        :param namespace: where; None is everywhere.
        """
        if resource in self._left_out:
            await asyncio.Event().wait()  # Kopf cancels this while it stops
        name = f"{resource} in {namespace}" if namespace else resource
        try:
            async with contextlib.aclosing(attempt()) as events:
                async for event in events:
                    yield event
        except Exception as error:  # whatever the server made of its answer: the next one may be better
            await self._breathe(f"the watch of {name}", error)

    async def persist(self, attempt: Callable[[], Awaitable[T]], *, what: str) -> T:
        """Try until it works: Kopf cannot go on without it.

        :param attempt: makes one try.
        :param what: it is, for the log.
        :return: what the first attempt that works returns.
        """
        while True:
            try:
                return await attempt()
            except Exception as error:
                await self._breathe(what, error)

    async def _breathe(self, what: str, error: Exception) -> None:
        pause = self._pause(what)
        logger.warning("%s failed, next try in %g s: %s", what, pause, _one_line(error))
        await asyncio.sleep(pause)

    def _pause(self, name: str) -> float:
        now = self._clock.now()
        failed_at, before = self._failures.get(name, (now, 0.0))
        held = now - failed_at - before
        pause = FIRST_PAUSE if not before or held > GOOD else min(before * 2, MAXIMUM_PAUSE)
        self._failures[name] = now, pause
        return pause


def _one_line(error: Exception) -> str:
    """What an error says. Kopf's carry the server's sentence and then the whole answer."""
    told = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return " ".join(told.split()) or type(error).__name__
