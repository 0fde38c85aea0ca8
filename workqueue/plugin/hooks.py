"""What is hung into Kopf, and called in the place of functions of Kopf's: for one operator, by its settings.

Each wrapper takes what Kopf calls the function with, finds what was hung in for that run, and lets it
decide. Runs without anything hung in stay as they are. Where the wrappers go is known by
:mod:`workqueue.plugin.internals` alone.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import kopf

Events = AsyncGenerator[Any, None]

#: The name under which a run's settings carry what is hung in, and under which wrappers are known as such.
_HOOKS = "_kopf_workqueue_hooks"


class Guard(Protocol):
    """What stands between Kopf and the API server's moods."""

    def watch(self, attempt: Callable[[], Events], *, resource: str, namespace: str | None) -> Events:
        """One watch of Kopf's: yields what Kopf shall see."""

    def observe(
        self,
        attempt: Callable[[], Events],
        *,
        resource: str,
        namespace: str | None,
        listing: Literal["paged", "streamed"],
    ) -> Events:
        """The same for a watch by which Kopf itself learns what there is: namespaces and definitions."""

    def pace(self, attempt: Callable[[], Events], *, resource: str, namespace: str | None) -> Events:
        """One request of a watch: yields what came."""

    async def discover(self, attempt: Callable[[], Awaitable[Any]], *, groups: Collection[str] | None) -> Any:
        """Kopf's question which resources there are: returns what the attempt returns.

        :param groups: those that are asked for; None for all.
        """


class Intake(Protocol):
    """Who takes Kopf's watches over, for the resources that it wants."""

    def follow(self, resource: kopf.Resource, *, namespace: str | None, paused: "asyncio.Future[Any]") -> Events | None:
        """In the place of a watch of Kopf's; None leaves it to Kopf.

        :param resource: what is watched.
        :param namespace: where; None is everywhere.
        :param paused: done when Kopf wants no more.
        """

    def found(self, resources: Collection[kopf.Resource], *, groups: Collection[str] | None) -> None:
        """Kopf has looked around: these are the cluster's resources of some groups, or of all."""

    def served(self, resources: Collection[kopf.Resource], namespaces: Collection[str | None]) -> None:
        """Kopf has begun to watch these resources in these namespaces (None is all), and watches no others."""


@dataclass(frozen=True, slots=True)
class _Hooks:
    guard: Guard
    intake: Intake | None


def hang(settings: kopf.OperatorSettings, *, guard: Guard, intake: Intake | None) -> None:
    """Have the wrappers ask these, for the run of these settings."""
    setattr(settings, _HOOKS, _Hooks(guard, intake))


def wrap(module: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put a wrapper around a function, unless another run in this process has done it."""
    function = getattr(module, name)
    if not hasattr(function, _HOOKS):
        wrapped = wrapper(function)
        setattr(wrapped, _HOOKS, True)
        setattr(module, name, wrapped)


def _hooks(kwargs: dict[str, Any]) -> _Hooks | None:
    """What was hung in for a run. Nothing, if a changed Kopf does not say which run it is, or what about."""
    found: _Hooks | None = getattr(kwargs.get("settings"), _HOOKS, None)
    return found


def guarded_watch(watch: Any) -> Any:
    """For ``continuous_watch``: one watch of Kopf's, until it is interrupted."""

    @functools.wraps(watch)
    async def watch_in_kopfs_place(**kwargs: Any) -> Events:
        hooks = _hooks(kwargs)
        events: Events | None = None
        # Kopf's own observers watch without ever being paused, which shows: they wait for no task.
        paused = kwargs.get("operator_pause_waiter")
        observes = not isinstance(paused, asyncio.Task)
        if hooks is not None and hooks.intake is not None and isinstance(paused, asyncio.Task):
            events = hooks.intake.follow(kwargs["resource"], namespace=kwargs["namespace"], paused=paused)
        if events is None:
            guard: Callable[..., Events] | None = None
            if hooks is not None and observes:
                streams = getattr(kwargs["settings"].watching, "initial_streaming", False)  # 1.44 has no such setting
                guard = functools.partial(hooks.guard.observe, listing="streamed" if streams else "paged")
            elif hooks is not None:
                guard = hooks.guard.watch
            events = _guarded(watch, guard, kwargs)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    return watch_in_kopfs_place


def guarded_request(request: Any) -> Any:
    """For ``watch_objs``: one request of a watch."""

    @functools.wraps(request)
    async def request_in_kopfs_place(**kwargs: Any) -> Events:
        hooks = _hooks(kwargs)
        async with contextlib.aclosing(_guarded(request, hooks.guard.pace if hooks else None, kwargs)) as events:
            async for event in events:
                yield event

    return request_in_kopfs_place


def guarded_scan(scan: Any) -> Any:
    """For ``scan_resources``: which resources there are."""

    @functools.wraps(scan)
    async def scan_in_kopfs_place(**kwargs: Any) -> Any:
        hooks = _hooks(kwargs)
        if hooks is None:
            return await scan(**kwargs)
        found = await hooks.guard.discover(lambda: scan(**kwargs), groups=kwargs.get("groups"))
        if hooks.intake is not None:
            hooks.intake.found(found, groups=kwargs.get("groups"))
        return found

    return scan_in_kopfs_place


def told_adjust(adjust: Any) -> Any:
    """For ``adjust_tasks``: Kopf begins and ends its watches."""

    @functools.wraps(adjust)
    async def adjust_in_kopfs_place(**kwargs: Any) -> Any:
        result = await adjust(**kwargs)
        hooks = _hooks(kwargs)
        if hooks is not None and hooks.intake is not None:
            insights = kwargs["insights"]
            hooks.intake.served(frozenset(insights.watched_resources), frozenset(insights.namespaces))
        return result

    return adjust_in_kopfs_place


async def _guarded(original: Any, guard: Callable[..., Events] | None, kwargs: dict[str, Any]) -> Events:
    def begin() -> Events:
        events: Events = original(**kwargs)
        return events

    resource: kopf.Resource | None = kwargs.get("resource")
    if guard is not None and resource is not None and "namespace" in kwargs:
        watch = guard(begin, resource=_name(resource), namespace=kwargs["namespace"])
    else:
        watch = begin()
    async with contextlib.aclosing(watch) as events:
        async for event in events:
            yield event


def _name(resource: kopf.Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural
