"""Keeps Kopf's watches and its discovery going through whatever the API server does to them.

Alone, Kopf ends the operator when a watch, or the question which resources there are, is answered by
403 or 5xx for a minute, a watch also by an ERROR event other than 410 or bytes that are no JSON. Here
each of these is one line in the log, a pause, and another try, for as long as it takes. And Kopf's own
observers are told what happened while nobody watched.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from workqueue.base.clock import Clock
from workqueue.base.text import one_line
from workqueue.plugin.observers import DEFINITIONS, OBSERVED, Listing, Observed, Scanned

logger = logging.getLogger("workqueue.plugin")

#: Seconds until the first next try; doubled each time.
FIRST_PAUSE = 1.0
#: The longest pause, in seconds.
MAXIMUM_PAUSE = 30.0
#: A watch that ends by itself in less than so many seconds did not work.
SHORT = 1.0
#: A watch that held for so many seconds has recovered: pauses begin anew.
GOOD = 60.0

#: Seconds between looks at a group that is not served as it is defined; doubled each time.
FIRST_LOOK = 0.1
#: So often, for a hundred seconds in all; then it is as it is.
LOOKS = 10

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
        #: What Kopf's observers were told, by resource.
        self._observed = {resource: Observed(resource) for resource in OBSERVED}
        #: Looks at the same groups come one after the other, by groups.
        self._looks: dict[frozenset[str] | None, asyncio.Lock] = {}
        #: What was not served as it is defined at the end of the last look, by groups.
        self._behind: dict[frozenset[str], frozenset[str]] = {}

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
        async with contextlib.aclosing(self._endure(attempt, resource=resource, namespace=namespace)) as events:
            async for event in events:
                yield event

    async def observe(
        self, attempt: Callable[[], Watch], *, resource: str, namespace: str | None, listing: Listing = "paged"
    ) -> Watch:
        """One watch of Kopf's own observers, which see what happened while nobody watched, too.

        A user's watch of the same resource is not for here: it sees what Kopf sees.

        :param attempt: begins Kopf's own.
        :param resource: what is watched: plural and group. One that Kopf does not observe (it watches its peers in the
            same way) is watched as by :meth:`watch`.
        :param namespace: where; None is everywhere.
        :param listing: "streamed" if Kopf's watch begins without lists of its own (``watching.initial_streaming``).
        """
        observed = self._observed.get(resource)
        if observed is not None:
            observed.begin(listing=listing)
        watch = self._endure(attempt, resource=resource, namespace=namespace, observed=observed)
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                yield event

    async def _endure(
        self, attempt: Callable[[], Watch], *, resource: str, namespace: str | None, observed: Observed | None = None
    ) -> Watch:
        if resource in self._left_out:
            await asyncio.Event().wait()  # Kopf cancels this while it stops
        name = f"{resource} in {namespace}" if namespace else resource
        began = self._clock.now()
        why = "it ended at once"
        try:
            async with contextlib.aclosing(attempt()) as events:
                async for event in events:
                    if _is_odd(event) or (observed is not None and not observed.understands(event)):
                        logger.warning(
                            "the watch of %s: an event without an object was ignored: %s", name, one_line(event)
                        )
                    elif observed is not None:
                        for told in observed.see(event):
                            yield told
                    else:
                        yield event
        except Exception as error:  # whatever the server made of its answer: the next one may be better
            why = _told(error)
        else:
            if self._clock.now() - began >= SHORT:
                return
        # Not inside of "except": what holds the error holds Kopf's own frames, with timers that would end this task.
        await self._breathe(f"the watch of {name}", why)

    async def pace(self, attempt: Callable[[], Watch], *, resource: str, namespace: str | None) -> Watch:
        """One request of a watch; Kopf makes the next as soon as this one ends, however soon that is.

        :param attempt: makes Kopf's own.
        :param resource: what is watched: plural and group.
        :param namespace: where; None is everywhere.
        """
        began = self._clock.now()
        empty = True
        async with contextlib.aclosing(attempt()) as events:
            async for event in events:
                empty = False
                yield event
        if empty and self._clock.now() - began < SHORT:
            where = f" in {namespace}" if namespace else ""
            await self._breathe(f"a request to watch {resource}{where}", "it ended at once")

    async def discover(
        self, attempt: Callable[[], Awaitable[Collection[Scanned]]], *, groups: Collection[str] | None
    ) -> Collection[Scanned]:
        """One of Kopf's looks at the resources that there are, tried until it works.

        Kopf looks at a group again with each event of a definition in it, and what it found last is what counts. Two
        looks at a time could end in the wrong order, so that it goes by the older for ever: they are made in turn. And
        one during which a listing of definitions ended may be older than that: it is made again. So is one that comes
        before the API server serves a group as it is defined.

        :param attempt: makes one look.
        :param groups: that are looked at; None is all.
        :return: what was found.
        """
        key = None if groups is None else frozenset(groups)
        definitions = self._observed[DEFINITIONS]
        async with self._looks.setdefault(key, asyncio.Lock()):
            pauses = iter([FIRST_LOOK * 2**number for number in range(LOOKS)])
            while True:
                before = definitions.listings
                found = await self.persist(attempt, what="discovery")
                if definitions.listings != before:
                    continue
                if key is not None:
                    behind = definitions.behind(found, groups=key)
                    if behind and behind != self._behind.get(key) and (pause := next(pauses, None)) is not None:
                        await asyncio.sleep(pause)
                        continue
                    self._behind[key] = behind
                definitions.scanned(found, groups=key)
                return found

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
                why = _told(error)
            await self._breathe(what, why)

    async def _breathe(self, what: str, why: str) -> None:
        pause = self._pause(what)
        logger.warning("%s failed, next try in %g s: %s", what, pause, why)
        await asyncio.sleep(pause)

    def _pause(self, name: str) -> float:
        now = self._clock.now()
        failed_at, before = self._failures.get(name, (now, 0.0))
        held = now - failed_at - before
        pause = FIRST_PAUSE if not before or held > GOOD else min(before * 2, MAXIMUM_PAUSE)
        self._failures[name] = now, pause
        return pause


def _told(error: Exception) -> str:
    """What an error says. Kopf's carry the server's sentence and then the whole answer."""
    told = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return one_line(told) or type(error).__name__


def _is_odd(event: Any) -> bool:
    """Whether Kopf would die of an event: it takes the metadata and the uid of an object for granted."""
    if not isinstance(event, Mapping) or event.get("type") in ("ERROR", "BOOKMARK"):
        return False
    body = event.get("object")
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    return not isinstance(metadata, Mapping) or not isinstance(metadata.get("uid", ""), str)
