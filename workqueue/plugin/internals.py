"""The one file that looks at what Kopf does not publish. Each look has an answer for when it is not there.

Everything else in this room stands on Kopf's public API.
"""

import asyncio
import contextlib
import fnmatch
from collections.abc import AsyncGenerator, Callable
from typing import Any

import kopf

#: Takes what begins a watch of Kopf's, plural and group of what it watches, and where; runs it in its own way.
WatchGuard = Callable[[Callable[[], AsyncGenerator[Any, None]], str, str | None], AsyncGenerator[Any, None]]

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


def guard_watches(settings: kopf.OperatorSettings, guard: WatchGuard) -> bool:
    """Put a guard around the watches of one operator; those of others in this process stay as they are.

    :param settings: the operator's.
    :param guard: yields what Kopf shall see.
    :return: False if this Kopf has no watches that can be guarded.
    """
    try:
        from kopf._cogs.clients import watching
    except ImportError:
        return False
    original = getattr(watching, "continuous_watch", None)
    if original is None:
        return False
    if not hasattr(original, _GUARD):

        async def guarded(**kwargs: Any) -> AsyncGenerator[Any, None]:
            def begin() -> AsyncGenerator[Any, None]:
                events: AsyncGenerator[Any, None] = original(**kwargs)
                return events

            found: WatchGuard | None = getattr(kwargs["settings"], _GUARD, None)
            events = found(begin, _name(kwargs["resource"]), kwargs["namespace"]) if found else begin()
            async with contextlib.aclosing(events):
                async for event in events:
                    yield event

        setattr(guarded, _GUARD, True)
        watching.continuous_watch = guarded
    setattr(settings, _GUARD, guard)
    return True


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
