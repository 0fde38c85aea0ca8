"""A request for a reconcile function that is called by itself, without a queue and a controller."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache import Indexer, IndexFunc, named_indexers
from workqueue.control import Lifetime, Request
from workqueue.control.context import KeyLogger, RunContext
from workqueue.control.lifetime import Ending
from workqueue.testing.objects import Numbers, Objects, checked_objects
from workqueue.testing.passing import PassingClock

logger = logging.getLogger("workqueue.control")


class _AlwaysPassing(PassingClock):
    """Whoever sleeps on it lets time pass, in any thread."""

    def wait(self, condition: Any, until: float | None) -> None:
        with self.passing():
            super().wait(condition, until)


def make_request(
    what: Mapping[str, Any] | ObjectKey | tuple[str, str] | str,
    *,
    cache: Iterable[Mapping[str, Any]] = (),
    indexers: Mapping[str, IndexFunc] | None = None,
    retry: int = 0,
    priority: int = 0,
    reasons: Collection[str] = (),
    timeout: float | None = None,
    grace: float | None = None,
) -> Request:
    """A request to call a reconcile function with. ``request.wait`` takes no time, and ``request.deadline`` counts it.

    :param what: the object, which is in the cache then; or a key, of which the cache knows what ``cache`` has.
    :param cache: other objects of the resource; uid, resourceVersion and so on are filled in where they are missing.
    :param indexers: indexes of the cache by name, beside the one by "namespace".
    :param retry, priority, reasons: what the request says.
    :param timeout: seconds that the run may take; None is without end.
    :param grace: seconds that are left of an operator that stops; None for one that does not.
    :raises InvalidKey: if it is a key and none.
    :raises InvalidObject: if an object has no name.
    :raises ConfigurationError: if ``cache`` is no list, or ``indexers`` have no names.
    """
    clock = _AlwaysPassing()
    others = checked_objects(cache, what="make_request(cache)")
    if isinstance(what, Mapping):
        key, given = object_key(what), [*others, what]
    else:
        key, given = ObjectKey.of(what), others
    indexer = Indexer(named_indexers(indexers, what="make_request(indexers)"))
    numbers = Numbers(clock.now)
    for body in given:
        kind, version = str(body.get("kind", "Pod")), str(body.get("apiVersion", "v1"))
        namespaced = bool(object_key(body).namespace)
        stored, _ = Objects(numbers, kind=kind, api_version=version, namespaced=namespaced).put(body)
        indexer.add({**stored, "metadata": {**stored["metadata"], **body["metadata"]}})
    ending = Ending(clock)
    if grace is not None:
        ending.begin(grace)
    context = RunContext("test", key, f"test-{retry + 1}", retry + 1)
    return Request(
        key=key,
        retry=retry,
        priority=priority,
        logger=KeyLogger(logger, context),
        lifetime=Lifetime(ending, until=timeout),
        cache=indexer.reader,
        id=context.reconcile_id,
        reasons=frozenset(reasons),
    )
