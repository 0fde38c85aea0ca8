"""The stream lane: an informer fed by the very bytes of Kopf's watch, before Kopf makes anything of them.

It lives inside Kopf's watchers: Kopf says which resources are watched in which namespaces, logs in,
pauses and stops; for the resources of informers a reflector then reads the watch
(:mod:`workqueue.informer.reflector`). Handlers of Kopf's on the same resource get their events
after the informer has them.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import kopf
import orjson

from workqueue.base.clock import Clock
from workqueue.base.keys import ObjectKey
from workqueue.informer import LISTED, Backoff, Heard, Informer, Reflector, ReflectorStatistics
from workqueue.informer.lane import Difference, LaneStatistics
from workqueue.plugin import internals
from workqueue.plugin.kopf_source import KopfSource
from workqueue.plugin.lack import Lack
from workqueue.plugin.login import Login
from workqueue.plugin.noise import PREFIX
from workqueue.plugin.presence import Presence, list_presence
from workqueue.plugin.resources import ResourceSpec, look_at
from workqueue.plugin.scope import Scope

logger = logging.getLogger("workqueue.plugin")

Events = AsyncGenerator[Any, None]


@dataclass(slots=True)
class _Counts:
    lists: int = 0
    watches: int = 0
    interruptions: int = 0
    ignored: int = 0

    def add(self, part: ReflectorStatistics) -> None:
        self.lists += part.lists
        self.watches += part.watches
        self.interruptions += part.interruptions
        self.ignored += part.ignored


class StreamLane:
    """Runs one informer. Its state is touched in the thread of Kopf's loop, and read by probes."""

    def __init__(self, spec: ResourceSpec, *, informer: Informer, login: Login, lack: Lack | None = None) -> None:
        """
        :param spec: the resource.
        :param informer: where its events go.
        :param login: for consistency checks, which have a thread of their own.
        :param lack: told what the cluster does not have.
        """
        self.lack = lack if lack is not None else Lack()
        self.spec = spec
        self.informer = informer
        self._login = login
        self._loop: asyncio.AbstractEventLoop | None = None
        self._selectors: Mapping[str, str] = {}
        #: What the spec means in this cluster; None while it serves no such thing.
        self.resource: kopf.Resource | None = None
        #: The namespaces that Kopf watches it in, None for all; empty if it does not.
        self._expected: frozenset[str | None] = frozenset()
        #: Those that were begun.
        self._parts: dict[str | None, Reflector] = {}
        #: What those had counted that are there no more, added up in one: a count never goes back.
        self._over = _Counts()
        self._why = f"{spec}: Kopf has not looked for it yet"
        self._stopped = False

    @property
    def problem(self) -> str:
        """Why the cache is not synced, in a few words."""
        parts = dict(self._parts)
        missing = [part for part in self._expected if part not in parts]
        if not self._expected:
            return self._why
        if missing:
            return f"{self.spec}: Kopf has not begun to watch it (is it paused by peering?)"
        where = next((part for part in parts.values() if not part.is_live), None)
        return f"{self.spec}: {where.problem}" if where is not None else f"{self.spec}: handlers are being told"

    def begin(self, namespace: str | None, reflector: Reflector, *, selectors: Mapping[str, str]) -> None:
        """Kopf begins to watch.

        :param namespace: where; None is everywhere.
        :param reflector: follows there.
        :param selectors: what is asked of the objects besides.
        """
        self._loop = asyncio.get_running_loop()
        self._selectors = selectors
        if (before := self._parts.get(namespace)) is not reflector:
            if before is not None:  # of another version of the resource: the same objects, said otherwise
                self._over.add(before.statistics())
                reflector.want_list("another version is served")
            self._parts[namespace] = reflector
        self.update()

    def expect(self, namespaces: Collection[str | None], *, why: str = "") -> None:
        """Kopf watches the resource in these namespaces and in no others: what is of others is gone.

        :param why: none, in a few words.
        """
        self._expected = frozenset(namespaces)
        if why:
            self._why = why
        for namespace in self._parts.keys() - self._expected:
            self._over.add(self._parts.pop(namespace).statistics())
            if self.informer.replace([], namespace=namespace):
                logger.info(
                    "informer %s: no longer served%s", self.informer.name, f" in {namespace}" if namespace else ""
                )
            self.informer.progress.forget_position(namespace=namespace or "")
        self.informer.deliver()
        self.update()

    def update(self) -> None:
        """Something about a part has changed."""
        progress = self.informer.progress
        parts = list(self._parts.values())
        if self._expected and self._expected <= self._parts.keys() and all(part.problem != PAUSED for part in parts):
            progress.mark_served()
        else:
            progress.mark_not_served()
        if self._expected and self._expected <= self._parts.keys() and all(part.is_live for part in parts):
            progress.mark_synced()
            if all(part.told for part in parts):
                progress.mark_told()
        else:
            progress.mark_stale(self.problem)

    def stop(self) -> None:
        """Kopf has stopped its watches. What they were read by holds Kopf's settings, and with them its threads."""
        self._parts = {}
        self._loop = None
        self.informer.stop()

    def statistics(self) -> LaneStatistics:
        """The lane at this instant."""
        parts = [part.statistics() for part in list(self._parts.values())]
        now = self.informer.clock.now()
        heard = [now - part.heard_at for part in parts if part.heard_at is not None]
        return LaneStatistics(
            lane="stream",
            problem="" if self.informer.has_synced else self.problem,
            lists=self._over.lists + sum(part.lists for part in parts),
            watches=self._over.watches + sum(part.watches for part in parts),
            interruptions=self._over.interruptions + sum(part.interruptions for part in parts),
            ignored=self._over.ignored + sum(part.ignored for part in parts),
            silence=max(heard) if len(heard) == len(parts) and heard else None,
        )

    def look(self) -> Sequence[Presence] | None:
        """Ask what exists where Kopf watches; None if that is not known. From any thread.

        :raises requests.RequestException: no answer, or an error as an answer.
        """
        resource, namespaces = self.resource, self._expected
        if resource is None or not namespaces:
            return None
        client = self._login.pykube()
        return [list_presence(client, resource, namespace or "", selectors=self._selectors) for namespace in namespaces]

    def mend(self, found: Mapping[ObjectKey, Difference]) -> None:
        """A watch that missed something may miss more: list anew. From any thread."""
        loop, parts = self._loop, dict(self._parts)
        if loop is not None:
            touched = {key.namespace for key in found} | {None}
            for part in [part for namespace, part in parts.items() if namespace in touched]:
                loop.call_soon_threadsafe(part.want_list, "the consistency check found differences")


#: What a reflector says of itself after it was told to stop.
PAUSED = "paused"


class Streams:
    """All stream lanes of one run: an :class:`workqueue.plugin.hooks.Intake`."""

    def __init__(
        self,
        lanes: Sequence[StreamLane],
        *,
        settings: kopf.OperatorSettings,
        scope: Scope,
        registry: kopf.OperatorRegistry,
        ambiguous: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """
        :param lanes: of the informers.
        :param settings: of the run.
        :param scope: the namespaces that are served, in the user's words.
        :param registry: tells whether Kopf has business with a resource itself.
        :param ambiguous: called with one line if a spec fits several resources.
        :param clock: tells how long things took.
        """
        self._lanes = tuple(lanes)
        self._settings = settings
        self._scope = scope
        self._registry = registry
        self._ambiguous = ambiguous
        self._clock = clock
        #: What the cluster serves, as far as Kopf has looked.
        self._known: set[kopf.Resource] = set()
        self._reflectors: dict[tuple[kopf.Resource, str | None, bool], Reflector] = {}

    def found(self, resources: Collection[kopf.Resource], *, groups: Collection[str] | None) -> None:
        """See :class:`workqueue.plugin.hooks.Intake`."""
        kept = {known for known in self._known if groups is not None and known.group not in groups}
        self._known = kept | set(resources)
        for lane in self._lanes:
            fitting = lane.spec.choose(self._known)
            if len(fitting) > 1:
                names = " and ".join(sorted(f"{r.plural}.{r.version}.{r.group}" for r in fitting))
                self._ambiguous(f"informer({str(lane.spec)!r}) fits {names}: name one of them")
            lane.resource = fitting[0] if len(fitting) == 1 else None
            if lane.resource is not None and lane.resource.kind:
                group, version = lane.resource.group, lane.resource.version
                lane.informer.objects_are(lane.resource.kind, f"{group}/{version}" if group else version)

    def served(self, resources: Collection[kopf.Resource], namespaces: Collection[str | None]) -> None:
        """See :class:`workqueue.plugin.hooks.Intake`."""
        for lane in self._lanes if self._known else ():
            resource = lane.resource
            if resource is None or resource not in resources:
                problem = f"{lane.spec} is not served by the cluster"
                lane.lack.say(problem, hint=functools.partial(self._look_at, lane.spec))
                lane.expect((), why=problem)
            elif resource.namespaced and not namespaces:
                problem = f"{lane.spec}: no namespace fits {self._scope}"
                lane.lack.say(problem, hint=lambda: "waiting for one (are the patterns right?)")
                lane.expect((), why=problem)
            else:
                lane.lack.over()
                lane.expect(namespaces if resource.namespaced else {None})
        watched = {
            (resource, namespace if resource.namespaced else None) for resource in resources for namespace in namespaces
        }
        for asked in [asked for asked in self._reflectors if asked[:2] not in watched]:
            del self._reflectors[asked]

    def follow(self, resource: kopf.Resource, *, namespace: str | None, paused: "asyncio.Future[Any]") -> Events | None:
        """See :class:`workqueue.plugin.hooks.Intake`."""
        lanes = [lane for lane in self._lanes if lane.resource == resource]
        if not lanes:
            return None
        # Of our own handlers only those of these informers want nothing of Kopf: another may be on the other lane.
        ours = tuple(f"{PREFIX}{lane.informer.name}/" for lane in lanes)
        others = internals.has_other_handlers(self._registry, resource, ours=ours)
        # Whole objects, if anybody wants them: one watch is enough, and informers cut what they do not keep.
        metadata_only = not others and all(lane.informer.metadata_only for lane in lanes)
        asked = (resource, namespace, metadata_only)
        reflector = self._reflectors.get(asked)
        if reflector is None:
            reflector = self._reflectors[asked] = self._make(lanes, *asked)
        for lane in lanes:
            lane.begin(namespace, reflector, selectors=internals.selectors(self._settings, resource))
        return self._run(reflector, resource, paused, tap="all" if others else "nothing")

    def _make(
        self,
        lanes: Sequence[StreamLane],
        resource: kopf.Resource,
        namespace: str | None,
        metadata_only: bool,  # noqa: FBT001 - a part of what reflectors are found by
    ) -> Reflector:
        def changed() -> None:
            for lane in lanes:
                lane.update()

        return Reflector(
            str(lanes[0].spec),
            source=KopfSource(
                settings=self._settings, resource=resource, namespace=namespace, metadata_only=metadata_only
            ),
            informers=[lane.informer for lane in lanes],
            clock=self._clock,
            backoff=Backoff(clock=self._clock),
            changed=changed,
            namespace=namespace or "",
            **({"page": self._settings.watching.chunk_size} if self._settings.watching.chunk_size else {}),
        )

    async def _run(
        self,
        reflector: Reflector,
        resource: kopf.Resource,
        paused: "asyncio.Future[Any]",
        *,
        tap: Literal["all", "nothing"],
    ) -> Events:
        backoff = Backoff(clock=self._clock)
        while not paused.done():
            try:
                async with contextlib.aclosing(reflector.run(paused, tap=tap)) as heard:
                    async for each in heard:
                        if each == LISTED:
                            yield internals.listed_mark()
                        elif isinstance(each, Heard) and (event := _for_kopf(each)) is not None:
                            yield event
                return
            except Exception:
                # A bug of ours is no reason for Kopf to end the operator, nor for a watch to be dead for good.
                logger.exception("informer %s: the watch failed and begins anew with a list", resource.plural)
                reflector.want_list("an error in the watch itself")
            await asyncio.wait([paused], timeout=backoff.pause())

    def _look_at(self, spec: ResourceSpec) -> str:
        return look_at(spec.nearest(self._known))


def _for_kopf(heard: Heard) -> dict[str, Any] | None:
    """An event as Kopf has it; None for one that it would die of."""
    try:
        body = orjson.loads(heard.raw)
    except ValueError:  # a number that no decoder takes, say: the informers have told of it
        return None
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("uid", ""), str):
        return None
    return {"type": heard.type, "object": body}
