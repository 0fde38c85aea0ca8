"""What a user holds: an informer of one resource, and a controller fed by informers.

Both outlive a run of the operator: each start renews what a run uses up, the cache and the queue.
"""

import builtins
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.base.metrics import MetricsProvider
from workqueue.cache import NAMESPACE_INDEX, Indexer, IndexFunc, Lister, Reader, Transform, namespace
from workqueue.control import Controller, ControllerStatistics, ReconcileFunc
from workqueue.informer import HandlerFunc, Informer, InformerStatistics, Resyncer
from workqueue.plugin.handlers_lane import HandlersLane
from workqueue.plugin.resources import ResourceSpec
from workqueue.queues import Debounce, PriorityQueue, RateLimiter

if TYPE_CHECKING:
    from workqueue.plugin.runtime import Runtime

F = TypeVar("F", bound=HandlerFunc)

#: Seconds after which a key of low priority has its turn whatever else there is.
MAX_STARVATION = 60.0


class QueueOptions(TypedDict, total=False):
    """How a controller's queue behaves: keywords of whatever makes a controller."""

    #: How long a failed key waits; 5 ms doubled with each failure, to 1000 s, by default. One that is given is used by
    #: every run of the operator in this process, and what it counted goes on; no other controller may use it.
    rate_limiter: RateLimiter[ObjectKey]
    #: Seconds after which a key has its turn whatever its priority; 60 by default, None is never.
    max_starvation: float | None
    #: Whose a key is: inside one priority, tenants take turns. :func:`workqueue.queues.by_namespace`, or a function of
    #: yours; by default keys come in the order of their adds.
    fairness: Callable[[ObjectKey], Hashable]
    #: How long the changes of one object are gathered into one run; not at all by default.
    debounce: Debounce


class ResourceInformer:
    """A resource's cache and events. Made by :meth:`workqueue.Manager.informer`."""

    def __init__(
        self,
        lane: Callable[[Informer], HandlersLane],
        *,
        name: str,
        spec: ResourceSpec,
        runtime: "Runtime",
        indexers: Mapping[str, IndexFunc] | None,
        transform: Transform | None,
        resync: float,
        cache_sync_timeout: float,
        clock: Clock,
    ) -> None:
        """For the manager: see :meth:`workqueue.Manager.informer` for the parameters."""
        self.name = name
        self.spec = spec
        self.cache_sync_timeout = cache_sync_timeout
        self._runtime = runtime
        self._resync = resync
        indexer = Indexer({NAMESPACE_INDEX: namespace(), **(indexers or {})}, transform=transform)
        self.informer = Informer(name, indexer=indexer, clock=clock)
        self._indexer = indexer
        self._resyncer: Resyncer | None = Resyncer(self.informer, period=resync) if resync else None
        self.lane = lane(self.informer)

    # Events.

    def on_add(self, function: F) -> F:
        """Decorator: call this for each object that comes to be, and for those that exist at the start.

        The function takes keyword arguments (key, namespace, name, uid, labels, old, new,
        final_state_known, initial) and should end with ``**_``. It is called in the thread of
        Kopf's loop, where everything waits for it: it should only add keys.
        """
        self.lane.add_handler(function, kind="add")
        return function

    def on_update(self, function: F) -> F:
        """Decorator: call this for each change of an object, and at each resync. See :meth:`on_add`."""
        self.lane.add_handler(function, kind="update")
        return function

    def on_delete(self, function: F) -> F:
        """Decorator: call this for each object that is gone; ``old`` is its last known state. See :meth:`on_add`."""
        self.lane.add_handler(function, kind="delete")
        return function

    # The cache.

    @property
    def indexer(self) -> Reader:
        """The cache, for reading; every object read from it is a copy of your own."""
        return self.informer.reader

    @property
    def lister(self) -> Lister:
        """The cache by namespace, name and labels."""
        return Lister(self.informer.reader)

    def get(self, key: ObjectKey | tuple[str, str] | str) -> dict[str, Any] | None:
        """The object under the key, None if there is none. See :meth:`workqueue.cache.Reader.get_by_key`."""
        return self.informer.reader.get_by_key(key)

    def by_index(self, name: str, value: str) -> builtins.list[dict[str, Any]]:
        """The objects found under a value of an index. See :meth:`workqueue.cache.Reader.by_index`."""
        return self.informer.reader.by_index(name, value)

    @property
    def has_synced(self) -> bool:
        """True when everything that existed at the start is in the cache."""
        return self.informer.has_synced

    def statistics(self) -> InformerStatistics:
        """The informer at this instant."""
        return self.informer.statistics()

    # Work.

    def controller(
        self,
        reconcile: ReconcileFunc,
        *,
        name: str | None = None,
        workers: int = 1,
        max_retries: int | None = None,
        **queue: Unpack[QueueOptions],
    ) -> "ManagedController":
        """A controller that waits for this informer's cache and looks objects up in it.

        :param reconcile: called with a :class:`workqueue.Request` by one worker at a time for each key.
        :param name: for threads, logs and metrics; the resource's by default.
        :param workers, max_retries, queue: as of :meth:`workqueue.Manager.controller`.
        """
        return self._runtime.controller(
            name or self.name,
            reconcile,
            wait_for=[self],
            workers=workers,
            max_retries=max_retries,
            options=queue,
        )

    # For the runtime.

    def start_resync(self) -> None:
        """Begin to resync, if that was asked for."""
        if self._resyncer is not None:
            self._resyncer.start()

    def stop(self) -> None:
        """End what start began."""
        if self._resyncer is not None:
            self._resyncer.stop()
            self._resyncer = Resyncer(self.informer, period=self._resync)
        self.lane.stop()

    def renew(self) -> None:
        """Make ready for another run in the same process: an empty cache, not synced."""
        self.informer.renew()
        self.lane.renew()


class ManagedController:
    """A controller as its user holds it. Made by :meth:`workqueue.Manager.controller`."""

    def __init__(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        wait_for: Sequence[ResourceInformer],
        workers: int,
        max_retries: int | None,
        options: QueueOptions,
        clock: Clock,
        metrics: MetricsProvider,
    ) -> None:
        """For the manager: see :meth:`workqueue.Manager.controller` for the parameters."""
        self.name = name
        self.wait_for = tuple(wait_for)

        options = {"max_starvation": MAX_STARVATION, **options}

        def make() -> tuple[PriorityQueue[ObjectKey], Controller]:
            queue: PriorityQueue[ObjectKey] = PriorityQueue(
                name=name, clock=clock, metrics=metrics, backoff="steady", **options
            )
            try:
                controller = Controller(
                    name,
                    reconcile,
                    queue=queue,
                    workers=workers,
                    cache=self.wait_for[0].indexer if self.wait_for else None,
                    synced=lambda: all(source.has_synced for source in self.wait_for),
                    max_retries=max_retries,
                    clock=clock,
                )
            except ConfigurationError:
                queue.shut_down()  # nobody will: it would be shown in the metrics, and keep its limiter
                raise
            return queue, controller

        self._make = make
        self._metrics = metrics
        #: Of this run.
        self.queue, self.controller = make()

    def add(self, key: ObjectKey | tuple[str, str] | str) -> None:
        """Ask for a key to be reconciled; from any thread, any handler of Kopf, at any time.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :raises InvalidKey: if it names no object.
        """
        self.controller.add(key)

    def statistics(self) -> ControllerStatistics:
        """The controller at this instant."""
        return self.controller.statistics()

    def renew(self) -> None:
        """Make ready for another run in the same process: a queue that is open."""
        self.queue.shut_down()
        self._metrics.queue_closed(self.name, self.queue.statistics)  # it is not, if a key was left in somebody's hands
        self.queue, self.controller = self._make()
