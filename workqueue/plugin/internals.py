"""The one file that looks at what Kopf does not publish. Each look has an answer for when it is not there.

Everything else in this room stands on Kopf's public API.
"""

import asyncio
import fnmatch
import importlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import kopf

from workqueue.plugin import hooks
from workqueue.plugin.hooks import Guard, Intake

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


def hook_in(settings: kopf.OperatorSettings, guard: Guard, intake: Intake | None = None) -> bool:
    """Guard the watches and the discovery of one operator; those of others in this process stay as they are.

    :param settings: the operator's.
    :param guard: of this run.
    :param intake: takes watches over; only if there are no :func:`obstacles`.
    :return: False if this Kopf lacks something that is to be guarded; what it has is guarded all the same.
    """
    hooks.hang(settings, guard=guard, intake=intake)
    places: list[tuple[str, str, Callable[[Any], Any]]] = [
        ("kopf._cogs.clients.watching", "continuous_watch", hooks.guarded_watch),
        ("kopf._cogs.clients.watching", "watch_objs", hooks.guarded_request),
        ("kopf._cogs.clients.scanning", "scan_resources", hooks.guarded_scan),
        ("kopf._core.reactor.orchestration", "adjust_tasks", hooks.told_adjust),
    ]
    complete = True
    for module, name, wrapper in places:
        try:
            hooks.wrap(importlib.import_module(module), name, wrapper)
        except (ImportError, AttributeError):
            complete = False
    return complete


# What the stream lane stands on.

#: What Kopf raises for an answer that is an error. Empty if that is not known.
API_ERRORS: tuple[type[Exception], ...] = ()
_LISTED: object = None
_ask: Callable[..., Awaitable[aiohttp.ClientResponse]] | None = None
try:
    from kopf._cogs.clients import api as _api
    from kopf._cogs.clients import auth as _auth
    from kopf._cogs.clients import errors as _errors
    from kopf._cogs.clients import watching as _watching

    API_ERRORS = (_errors.APIError,)
    _LISTED = _watching.Bookmark.LISTED

    @_auth.authenticated
    async def _ask_once(*, context: Any = None, **kwargs: Any) -> aiohttp.ClientResponse:
        try:
            return await _api.request(context=context, **kwargs)
        except aiohttp.ClientConnectorCertificateError as error:
            # The server has another certificate than the login knows an authority for; a new login may know one.
            raise _errors.APISessionClosed(str(error)) from error

    _ask = _ask_once
except (ImportError, AttributeError):
    pass

#: Kopf reports each request that fails; the reflector says it better, once.
_silent = logging.getLogger("workqueue.plugin.requests")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


def obstacles() -> list[str]:
    """What this Kopf lacks of what the stream lane stands on, each in a few words; none if it can run."""
    return [what for what, check in _NEEDS.items() if not _holds(check)]


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:
        return False


def _takes(function: Any, *parameters: str) -> bool:
    """Whether a function of Kopf's takes these, and demands no others."""
    known = inspect.signature(function).parameters
    demanded = {
        name
        for name, parameter in known.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    }
    return set(parameters) <= set(known) and demanded <= set(parameters)


def _original(function: Any) -> Any:
    """A function of Kopf's as Kopf wrote it."""
    return getattr(function, "__wrapped__", function)


def _check_watch() -> bool:
    from kopf._cogs.clients import watching

    return (
        _takes(_original(watching.continuous_watch), "settings", "resource", "namespace", "operator_pause_waiter")
        and "continuous_watch" in watching.infinite_watch.__code__.co_names
    )


def _check_pause() -> bool:
    """Watches that can be paused wait for a task, which tells them from those of Kopf's own observers."""
    from kopf._cogs.clients import watching

    return "create_task" in _original(watching.streaming_block).__code__.co_names


def _check_scan() -> bool:
    from kopf._cogs.clients import scanning
    from kopf._core.reactor import observation

    return (
        "groups" in inspect.signature(_original(scanning.scan_resources)).parameters
        and "scan_resources" in observation.resource_observer.__code__.co_names
    )


def _check_request() -> bool:
    from kopf._cogs.clients import api

    return _ask is not None and _takes(
        api.request, "method", "url", "settings", "headers", "timeout", "backoffs", "context", "logger"
    )


def _check_adjust() -> bool:
    from kopf._core.reactor import orchestration

    return {"settings", "insights"} <= set(
        inspect.signature(_original(orchestration.adjust_tasks)).parameters
    ) and "adjust_tasks" in orchestration.orchestrator.__code__.co_names


def _check_insights() -> bool:
    from kopf._cogs.structs import references

    made = references.Insights()
    return isinstance(made.watched_resources, set) and isinstance(made.namespaces, set)


def _check_settings() -> bool:
    settings = kopf.OperatorSettings()
    resource = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
    selectors(settings, resource)
    return (
        all(hasattr(settings.watching, f"{name}_timeout") for name in ("inactivity", "server", "client", "connect"))
        and all(hasattr(settings.watching, f"{name}_selectors") for name in ("label", "field", "shard"))
        and all(hasattr(settings.networking, f"{name}_timeout") for name in ("connect", "request"))
    )


def _check_url() -> bool:
    resource = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
    return url(resource, namespace="a", params={"b": "c"}) == "/api/v1/namespaces/a/pods?b=c"


def _check_registry() -> bool:
    registry = kopf.OperatorRegistry()
    kopf.on.event("pods", id="x", registry=registry)(lambda **_: None)
    resource = kopf.Resource(group="", version="v1", plural="pods", kind="Pod", namespaced=True, preferred=True)
    return has_other_handlers(registry, resource, ours=()) and not has_other_handlers(registry, resource, ours=("x",))


_NEEDS: dict[str, Callable[[], bool]] = {
    "kopf._cogs.clients.watching.continuous_watch": _check_watch,
    "kopf._cogs.clients.watching.streaming_block": _check_pause,
    "kopf._cogs.clients.scanning.scan_resources": _check_scan,
    "kopf._cogs.clients.watching.Bookmark.LISTED": lambda: _LISTED is not None,
    "kopf._cogs.clients.api.request": _check_request,
    "kopf._cogs.clients.errors.APIError": lambda: bool(API_ERRORS),
    "kopf._core.reactor.orchestration.adjust_tasks": _check_adjust,
    "kopf._cogs.structs.references.Insights": _check_insights,
    "settings.watching of Kopf 1.45": _check_settings,
    "Resource.get_url": _check_url,
    "the registry of handlers": _check_registry,
}


async def request(
    url: str, *, accept: str, settings: kopf.OperatorSettings, timeout: aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    """One GET with Kopf's session and login; a login that is refused is renewed by Kopf meanwhile.

    :param url: from the API server's root.
    :param accept: the forms in which the answer may come.
    :param settings: of the run.
    :param timeout: of the connection and between bytes.
    :return: a response whose head has come and is no error; close it.
    :raises Exception: one of :data:`API_ERRORS`, or aiohttp's.
    """
    assert _ask is not None, "see obstacles()"
    return await _ask(
        method="get",
        url=url,
        settings=settings,
        headers={"Accept": accept},
        timeout=timeout,
        backoffs=(),
        logger=_silent,
    )


def url(resource: kopf.Resource, *, namespace: str | None, params: dict[str, str]) -> str:
    """Where a resource is listed and watched, from the API server's root."""
    made: Any = resource
    return str(made.get_url(namespace=namespace, params=params))


def selectors(settings: kopf.OperatorSettings, resource: kopf.Resource) -> dict[str, str]:
    """The parts of a query that narrow a watch, as the settings have them for a resource; as Kopf joins them.

    None before Kopf 1.45, which knows no such settings.
    """
    collected = {
        kind: sorted(set(mapping.collect(resource))) if kind != "shard" else list(mapping.collect(resource))[:1]
        for kind in ("label", "field", "shard")
        if (mapping := getattr(settings.watching, f"{kind}_selectors", None)) is not None
    }
    return {f"{kind}Selector": ",".join(found) for kind, found in collected.items() if found}


def has_other_handlers(registry: kopf.OperatorRegistry, resource: kopf.Resource, *, ours: tuple[str, ...]) -> bool:
    """Whether Kopf itself has something to do with a resource's events.

    :param registry: of the operator.
    :param resource: as Kopf found it.
    :param ours: what the ids of those handlers begin with that do not count: they want nothing of Kopf.
    """
    registries = (registry._watching, registry._changing, registry._spawning, registry._indexing)  # noqa: SLF001
    return any(
        handler.selector is not None and handler.selector.check(resource) and not handler.id.startswith(ours)
        for each in registries
        for handler in each.get_all_handlers()
    )


def has_handlers_of_others(registry: kopf.OperatorRegistry, *, ours: tuple[str, ...]) -> bool:
    """Whether there are handlers for objects that are not ours; True if that cannot be told.

    :param registry: of the operator.
    :param ours: what the ids of our handlers begin with.
    """
    try:
        registries = (registry._watching, registry._changing, registry._spawning, registry._indexing)  # noqa: SLF001
        return any(not handler.id.startswith(ours) for each in registries for handler in each.get_all_handlers())
    except AttributeError:
        return True


def listed_mark() -> object:
    """What Kopf's watches yield at the end of a listing."""
    return _LISTED


# Stopping.


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
