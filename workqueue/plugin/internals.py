"""The one file that looks at what Kopf does not publish. Each look has an answer for when it is not there.

Everything else in this room stands on Kopf's public API.
"""

import asyncio
import contextlib
import fnmatch
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

import kopf

Events = AsyncGenerator[Any, None]


class Guard(Protocol):
    """What stands between Kopf and the API server's moods."""

    def watch(self, attempt: Callable[[], Events], *, resource: str, namespace: str | None) -> Events:
        """One watch of Kopf's: yields what Kopf shall see."""

    def pace(self, attempt: Callable[[], Events], *, resource: str, namespace: str | None) -> Events:
        """One request of a watch: yields what came."""

    async def persist(self, attempt: Callable[[], Awaitable[Any]], *, what: str) -> Any:
        """One request that Kopf cannot do without: returns what the attempt returns."""


#: The name under which a run's settings carry the guard of its watches.
_GUARD = "_kopf_workqueue_watch_guard"

_match: Callable[[Any, Any], bool]
try:
    from kopf._cogs.structs.references import match_namespace as _match
except ImportError:  # another Kopf: its simplest patterns are globs
    _match = fnmatch.fnmatchcase


def match_namespace(name: str, pattern: str) -> bool:
    """Whether Kopf's ``-n PATTERN`` serves a namespace.

    :param name: the namespace.
    :param pattern: globs joined by commas, "!" in front excludes.
    """
    return _match(name, pattern)


def may_need_finalizers(registry: kopf.OperatorRegistry) -> bool:
    """Whether Kopf itself may have business with finalizers: a handler for deletions, a daemon or a timer.

    True if that cannot be told.
    """
    try:
        changing = registry._changing.get_all_handlers()  # noqa: SLF001
        spawning = registry._spawning.get_all_handlers()  # noqa: SLF001
        return any(True for _ in spawning) or any(handler.requires_finalizer for handler in changing)
    except AttributeError:
        return True


def guard_requests(settings: kopf.OperatorSettings, guard: Guard) -> bool:
    """Guard the watches and the discovery of one operator; those of others in this process stay as they are.

    :param settings: the operator's.
    :param guard: of this run.
    :return: False if this Kopf has nothing that can be guarded.
    """
    watch: Any
    request: Any
    scan: Any
    try:
        from kopf._cogs.clients import scanning, watching

        watch, request, scan = watching.continuous_watch, watching.watch_objs, scanning.scan_resources
    except (ImportError, AttributeError):
        return False
    if not hasattr(watch, _GUARD):

        async def guarded_watch(**kwargs: Any) -> Events:
            found: Guard | None = getattr(kwargs["settings"], _GUARD, None)
            async with contextlib.aclosing(_guarded(watch, found.watch if found else None, kwargs)) as events:
                async for event in events:
                    yield event

        async def guarded_request(**kwargs: Any) -> Events:
            found: Guard | None = getattr(kwargs["settings"], _GUARD, None)
            async with contextlib.aclosing(_guarded(request, found.pace if found else None, kwargs)) as events:
                async for event in events:
                    yield event

        async def guarded_scan(**kwargs: Any) -> Any:
            found: Guard | None = getattr(kwargs["settings"], _GUARD, None)
            if found is None:
                return await scan(**kwargs)
            return await found.persist(lambda: scan(**kwargs), what="discovery")

        setattr(guarded_watch, _GUARD, True)
        watching.continuous_watch = guarded_watch
        watching.watch_objs = guarded_request
        scanning.scan_resources = guarded_scan
    setattr(settings, _GUARD, guard)
    return True


async def _guarded(original: Any, guard: Callable[..., Events] | None, kwargs: dict[str, Any]) -> Events:
    def begin() -> Events:
        events: Events = original(**kwargs)
        return events

    resource, namespace = _name(kwargs["resource"]), kwargs["namespace"]
    async with contextlib.aclosing(
        guard(begin, resource=resource, namespace=namespace) if guard else begin()
    ) as events:
        async for event in events:
            yield event


def _name(resource: kopf.Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def stop_operator(loop: asyncio.AbstractEventLoop) -> bool:
    """Make the operator on this loop stop as if it was told from outside; call it in the loop's thread.

    :return: False if there is nothing to be found that stops it.
    """
    task = _stop_task(loop)
    return task is not None and task.cancel()


def on_stop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> bool:
    """Have a function called as soon as the operator on this loop begins to stop; call it in the loop's thread.

    :return: False if there is nothing to be found that would tell.
    """
    task = _stop_task(loop)
    if task is None:
        return False
    task.add_done_callback(lambda _: function())
    return True


def _stop_task(loop: asyncio.AbstractEventLoop) -> "asyncio.Task[Any] | None":
    """The task that waits for signals and stop flags; its end is the end of all others."""
    return next((task for task in asyncio.all_tasks(loop) if task.get_name() == "stop-flag checker"), None)
