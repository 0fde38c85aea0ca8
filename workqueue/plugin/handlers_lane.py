"""The handlers lane: events from Kopf's public handlers into an informer.

It stands on ``@kopf.on.event`` alone, which any Kopf has, and is honest about what that cannot do:

- Kopf keeps events of one object in order, but not those of two objects of one name. So a DELETED
  with another uid than the stored one removes nothing, and an older resourceVersion never replaces
  a newer one (:class:`workqueue.informer.Informer` sees to both).
- Kopf does not say when its first listing is through. Synced is when every key of an own metadata
  list was seen or is gone.
- Kopf does not say what was deleted while its watch was interrupted. That list is made again when
  Kopf lists again, and from time to time; it removes a key only if the stored resourceVersion is
  not newer than the list.
- There is no atomic replacement of the cache, no news of being paused by peering, and where Kopf
  ends the operator after persistent errors of the API server, it ends.

Nothing is written to watched objects: the handlers return None, see also :mod:`workqueue.plugin.noise`.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import kopf

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.informer import Handler, HandlerFunc, Informer, Kind
from workqueue.informer.lane import Difference, LaneStatistics
from workqueue.plugin.lack import Lack
from workqueue.plugin.login import Login
from workqueue.plugin.noise import PREFIX
from workqueue.plugin.presence import Presence, get
from workqueue.plugin.presence_watch import PresenceWatch, Selectors
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope

logger = logging.getLogger("workqueue.plugin")


class HandlersLane:
    """Feeds one informer. Its own state is touched in the thread of Kopf's loop only."""

    def __init__(
        self,
        spec: ResourceSpec,
        *,
        name: str,
        informer: Informer,
        registry: kopf.OperatorRegistry,
        login: Login,
        ambiguous: Callable[[str], None],
        lack: Lack | None = None,
    ) -> None:
        """
        :param spec: the resource.
        :param name: of the informer; unique in the registry.
        :param informer: where its events go.
        :param registry: Kopf's, where the handlers are registered.
        :param login: for the metadata list.
        :param ambiguous: called with one line if the spec fits several resources.
        :param lack: told what the cluster does not have.
        """
        self._lack = lack
        self._spec = spec
        self._name = name
        self._informer = informer
        self._registry = registry
        self._login = login
        self._ambiguous = ambiguous
        self._settling = False
        #: True once a user's function, or a controller, wants to be told of the objects.
        self.has_handlers = False
        self.renew()

        async def intake(event: Any, **_: Any) -> None:
            if not self._idle:
                self._take(event)

        # First, so that the cache is up to date before any of the users' handlers hears of it.
        self._on_event(intake, name="intake")

    def renew(self) -> None:
        """Make ready for a run: nothing is known of the cluster yet."""
        #: The stream lane runs: what Kopf says here is known already.
        self._idle = False
        self._watch = PresenceWatch(
            self._spec, informer=self._informer, login=self._login, ambiguous=self._ambiguous, lack=self._lack
        )

    @property
    def resource(self) -> kopf.Resource | None:
        """What the spec means in this cluster; None until it is known."""
        return self._watch.resource

    @property
    def problem(self) -> str:
        """Why the cache is not synced, in a few words."""
        return self._watch.problem

    def add_handler(self, function: HandlerFunc, *, kind: Kind) -> Handler:
        """Register a user's function with Kopf and with the informer.

        :param function: see :meth:`workqueue.informer.Informer.add_handler`.
        :param kind: what it wants to hear of.
        """
        handler = self._informer.add_handler(function, kind=kind)
        self.has_handlers = True

        async def deliver(**_: Any) -> None:
            if not self._idle:
                self._informer.deliver()  # of all handlers, in the order of the changes; mostly that is this one

        self._on_event(deliver, name=getattr(function, "__name__", kind))
        return handler

    def stand_aside(self) -> None:
        """Do nothing in this run: the stream lane does it. The handlers stay, or Kopf would watch nothing."""
        self._idle = True

    def start(self, scope: Scope, *, selectors: Selectors = lambda _: {}) -> None:
        """Begin to look for the first sync.

        :param scope: the namespaces that are served.
        :param selectors: what Kopf asks of the objects of a resource besides.
        """
        if not self._settling:
            self._settling = True

            async def settled(event: Any, **_: Any) -> None:
                if not self._idle:
                    self._settle(event)

            # Last, after all handlers of the users' files: what it marks as seen, they have been told of.
            self._on_event(settled, name="settled")
        self._watch.start(scope, selectors=selectors)

    def stop(self) -> None:
        """Look no more. A request under way is left to end by itself."""
        self._watch.stop()
        self._informer.stop()

    def look(self) -> Sequence[Presence] | None:
        """Ask what exists in the namespaces served; None if it is not known where.

        :raises requests.RequestException: no answer, or an error as an answer.
        """
        return None if self.resource is None else self._watch.look(self.resource)

    def mend(self, found: Mapping[ObjectKey, Difference]) -> None:
        """Make good what a consistency check found, object by object, in the thread of the check."""
        resource, client = self.resource, self._login.pykube()
        if resource is None:
            return
        for key in found:
            stored = self._informer.reader.entry(key)  # first: what comes while it is asked for is not missing
            if body := get(client, resource, key):
                self._informer.apply(body)
            elif stored is not None:
                self._informer.remove_missing(stored)
        self._informer.deliver()

    def statistics(self) -> LaneStatistics:
        """The lane at this instant."""
        return LaneStatistics(lane="handlers", problem="" if self._informer.has_synced else self.problem)

    def _on_event(self, function: Callable[..., Any], *, name: str) -> None:
        kopf.on.event(
            *self._spec.args, **self._spec.kopf_kwargs(), id=f"{PREFIX}{self._name}/{name}", registry=self._registry
        )(function)

    def _take(self, event: Any) -> None:
        """One event. It must not raise: Kopf would hold back the object's next events."""
        try:
            body = event.get("object") or {}
            if event.get("type") == "DELETED":
                self._informer.remove(body)
            else:
                self._informer.apply(body, initial=_is_listed(event) and not self._informer.has_synced)
        except InvalidObject as error:
            logger.warning("%s: an event was ignored: %s", self._name, error)
        except Exception:
            logger.exception("%s: an event was not applied", self._name)

    def _settle(self, event: Any) -> None:
        """The handlers have been told of the event, or it could not be applied: either way it came."""
        by: Literal["listing", "change", "deletion"] = "listing" if _is_listed(event) else "change"
        if event.get("type") == "DELETED":
            by = "deletion"
        with contextlib.suppress(InvalidObject):  # reported at its intake
            self._watch.seen(object_key(event.get("object") or {}), by=by)


def _is_listed(event: Any) -> bool:
    """Kopf's events of a listing have no type."""
    return event.get("type") is None
