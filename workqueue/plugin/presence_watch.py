"""Knows when the first listing is through, and finds deletions that nobody saw.

For the handlers lane, where Kopf tells neither: a thread that lists metadata and compares.
"""

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import kopf
import requests

from workqueue.base.keys import ObjectKey
from workqueue.cache import Entry
from workqueue.informer import Informer
from workqueue.plugin.discovery import discover, discover_all
from workqueue.plugin.lack import Lack
from workqueue.plugin.login import Login
from workqueue.plugin.presence import Presence, exists, list_namespaces, list_presence
from workqueue.plugin.resources import ResourceSpec, look_at
from workqueue.plugin.scope import Scope

T = TypeVar("T")

#: What else is asked of the objects of a resource, as parts of a query.
Selectors = Callable[[kopf.Resource], Mapping[str, str]]

logger = logging.getLogger("workqueue.plugin")

#: Seconds until the first metadata list is compared with a fresh one if keys are still unseen; doubled each time.
FIRST_RELIST = 1.0
#: The longest pause between two attempts, in seconds.
MAXIMUM_PAUSE = 30.0
#: Seconds between two looks for a resource that is not served yet: controller-runtime's Kind source.
DISCOVERY_PERIOD = 10.0
#: Kopf's listing is over when it brought nothing for so many seconds.
QUIET = 1.0
#: Seconds between two looks for deletions that nobody saw.
GAP_CHECK_PERIOD = 300.0


class PresenceWatch:
    """Says when the first listing is through, and finds deletions that nobody saw. Works in a thread of its own."""

    def __init__(
        self,
        spec: ResourceSpec,
        *,
        informer: Informer,
        login: Login,
        ambiguous: Callable[[str], None],
        lack: Lack | None = None,
    ) -> None:
        """
        :param spec: the resource.
        :param informer: whose cache is compared.
        :param login: whose client lists.
        :param ambiguous: called with one line if the spec fits several resources.
        :param lack: told what the cluster does not have.
        """
        self._lack = lack if lack is not None else Lack()
        self._spec = spec
        self._name = str(spec)
        self._ambiguous = ambiguous
        self._informer = informer
        self._login = login
        self._clock = informer.clock
        #: The thread sleeps here.
        self._changed = threading.Condition()

        #: What the spec means in this cluster; None until it is known. Written by the thread.
        self.resource: kopf.Resource | None = None
        #: Why the informer is not synced, in a few words. Written by the thread, read by probes.
        self._problem = f"{spec}: not logged in"
        # All below are guarded by _changed.
        #: True once everything that was listed has been seen.
        self._synced = False
        #: Until then: keys whose last event says that they exist.
        self._seen: set[ObjectKey] = set()
        #: Until then: keys of the last list that are not in _seen.
        self._missing: set[ObjectKey] = set()
        #: When Kopf last brought an object of a listing after the first sync; None if a look took care of it.
        self._relisted_at: float | None = None
        self._stopped = False
        self._scope = Scope()
        self._selectors: Selectors = lambda _: {}
        self._thread = threading.Thread(target=self._run, name=f"workqueue-lists-{spec}", daemon=True)

    def start(self, scope: Scope, *, selectors: Selectors = lambda _: {}) -> None:
        """Begin.

        :param scope: the namespaces that are served.
        :param selectors: what Kopf asks of the objects of a resource besides.
        """
        self._scope = scope
        self._selectors = selectors
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a request under way is left to end by itself."""
        with self._changed:
            self._stopped = True
            self._selectors = lambda _: {}  # what was given holds Kopf's settings, and with them its threads
            self._changed.notify_all()
        with self._login.changed:
            self._login.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    @property
    def problem(self) -> str:
        """Why the informer is not synced, in a few words."""
        return self._problem

    def seen(self, key: ObjectKey, *, by: Literal["listing", "change", "deletion"]) -> None:
        """The handlers were told of an event of the key.

        :param by: where Kopf has it from.
        """
        if self._synced and by != "listing":  # nearly always; read without the lock, as it never changes back
            return
        with self._changed:
            if self._synced:
                self._relisted_at = self._clock.now()
                self._changed.notify_all()
            elif by == "deletion":
                # If the list has the key all the same, that is its successor, or the next list will not have it.
                self._seen.discard(key)
            else:
                self._seen.add(key)
                self._missing.discard(key)
                if not self._missing:
                    self._changed.notify_all()

    def _run(self) -> None:
        try:
            with self._login.changed:
                while not self._login.is_logged_in and not self._stopped:
                    self._clock.wait(self._login.changed, None)
            resource = self._find()
            if resource is not None and self._sync(resource):
                self._look_for_gaps(resource)
        except Exception:
            logger.exception("%s: the lists ended; deletions that nobody saw will stay in the cache", self._name)

    def _find(self) -> kopf.Resource | None:
        """Wait until the cluster serves the resource; None when stopped or when it is not clear which one is meant."""
        while (found := self._persistently(lambda: discover(self._login.pykube(), self._spec))) is not None:
            if len(found) == 1:
                self._lack.over()
                self.resource = found[0]
                return found[0]
            if len(found) > 1:
                names = " and ".join(sorted(f"{r.plural}.{r.version}.{r.group}" for r in found))
                self._ambiguous(f"informer({self._name!r}) fits {names}: name one of them")
                return None
            self._wait_for(f"{self._name} is not served by the cluster", hint=lambda: look_at(self._nearest()))
        return None

    def _sync(self, resource: kopf.Resource) -> bool:
        """Mark the informer synced when the handlers were told of all that exists."""
        if not self._wait_for_namespaces(resource):
            return False
        self._informer.progress.mark_served()
        self._problem = f"{self._name}: waiting for the first listing"
        pause = FIRST_RELIST
        while (present := self._list(resource)) is not None:
            relist_at = self._clock.now() + pause
            pause = min(pause * 2, MAXIMUM_PAUSE)
            with self._changed:
                self._missing = {key for presence in present for key in presence.keys} - self._seen
                while self._missing and not self._stopped and self._clock.now() < relist_at:
                    self._clock.wait(self._changed, relist_at)
                if self._stopped:
                    return False
                if not self._missing:
                    self._synced = True
                    self._seen = set()
                    break
                self._problem = f"{self._name}: {len(self._missing)} objects of the first listing have not come"
        if present is not None:
            self._informer.progress.mark_synced()
            self._informer.progress.mark_told()  # a key counts as seen once the handlers were told of it
        return present is not None

    def _wait_for_namespaces(self, resource: kopf.Resource) -> bool:
        """Wait until there is a namespace to serve; False when stopped."""
        while (namespaces := self._persistently(lambda: self._namespaces(resource))) is not None:
            if namespaces:
                self._lack.over()
                return True
            self._wait_for(
                f"{self._name}: no namespace fits {self._scope}",
                hint=lambda: "waiting for one (are the patterns right?)",
            )
        return False

    def _wait_for(self, problem: str, *, hint: Callable[[], str]) -> None:
        """What is needed is not there yet: say so, then wait a while."""
        self._problem = problem
        self._lack.say(problem, hint=hint)
        self._pause(DISCOVERY_PERIOD)

    def _nearest(self) -> str:
        try:
            return self._spec.nearest(discover_all(self._login.pykube()))
        except Exception:  # it is a courtesy
            return ""

    def _namespaces(self, resource: kopf.Resource) -> list[str]:
        client = self._login.pykube()
        return self._scope.resolve(functools.partial(list_namespaces, client)) if resource.namespaced else [""]

    def _look_for_gaps(self, resource: kopf.Resource) -> None:
        """Find deletions that nobody saw, when Kopf has listed again and every now and then."""
        looked_at = self._clock.now()
        while self._wait_for_gap(looked_at + GAP_CHECK_PERIOD):
            looked_at = self._clock.now()
            present = self._list(resource)
            if present is None:
                return
            by_namespace = {presence.namespace: presence for presence in present}
            for entry in self._informer.reader.entries():
                presence = by_namespace.get("") or by_namespace.get(entry.key.namespace)
                if presence is not None and entry.key in presence.keys:
                    continue
                newer = presence.is_newer_than(entry) if presence is not None else None
                if newer is None:  # versions that cannot be compared, or a namespace that is served no more
                    newer = self._is_gone(resource, entry)
                if self._stopped:  # the cache may be another run's by now
                    return
                if newer:
                    self._informer.remove_missing(entry)
            self._informer.deliver()

    def _is_gone(self, resource: kopf.Resource, entry: Entry) -> bool:
        """Ask about one object; in doubt it stays."""
        try:
            return not exists(self._login.pykube(), resource, entry)
        except Exception as error:
            logger.warning("%s: asking for %s failed: %s", self._name, entry.key, error)
            return False

    def _wait_for_gap(self, latest: float) -> bool:
        with self._changed:
            while not self._stopped:
                now = self._clock.now()
                quiet_at = latest if self._relisted_at is None else self._relisted_at + QUIET
                if now >= min(quiet_at, latest):
                    self._relisted_at = None
                    return True
                self._clock.wait(self._changed, min(quiet_at, latest))
            return False

    def _list(self, resource: kopf.Resource) -> list[Presence] | None:
        """What exists in the namespaces served; None when stopped."""
        return self._persistently(lambda: self.look(resource))

    def look(self, resource: kopf.Resource) -> list[Presence]:
        """Ask once what exists in the namespaces served.

        :raises requests.RequestException: no answer, or an error as an answer.
        """
        client, selectors = self._login.pykube(), self._selectors(resource)
        return [
            list_presence(client, resource, namespace, selectors=selectors) for namespace in self._namespaces(resource)
        ]

    def _persistently(self, attempt: Callable[[], T]) -> T | None:
        """Try a request until it works; None when stopped, also if it worked after that."""
        pause = FIRST_RELIST
        while not self._stopped:
            try:
                result = attempt()
            except Exception as error:  # whatever an odd answer makes of itself: the next one may be better
                self._report(error, pause)
            else:
                return None if self._is_stopped() else result
            self._pause(pause)
            pause = min(pause * 2, MAXIMUM_PAUSE)
        return None

    def _is_stopped(self) -> bool:
        return self._stopped

    def _report(self, error: Exception, pause: float) -> None:
        if not self._stopped:
            told = str(error) if isinstance(error, requests.RequestException) else repr(error)
            self._problem = f"{self._name}: asking the API server failed: {told}"
            logger.warning("%s, next try in %g s", self._problem, pause)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            until = self._clock.now() + seconds
            while not self._stopped and self._clock.now() < until:
                self._clock.wait(self._changed, until)
