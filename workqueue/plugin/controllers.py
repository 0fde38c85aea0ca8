"""What a user holds of the work: a controller fed by informers.

It outlives a run of the operator: each start renews what a run uses up, the queue.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Never

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.base.functions import name_of, wrong_shape
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, ControllerStatistics, ParkedKey, Readiness, ReconcileFunc, WatchedLoop
from workqueue.control.options import MAX_STARVATION, QueueOptions, Recipe
from workqueue.informer import HandlerFunc
from workqueue.informer.relations import MapFunc, OwnerHandler, check_function, map_handler
from workqueue.plugin.kopf_errors import judge
from workqueue.plugin.sources import ResourceInformer
from workqueue.prometheus import PrometheusMetrics
from workqueue.queues import PriorityQueue


class ManagedController:
    """A controller as its user holds it. Made by :meth:`workqueue.Manager.controller`."""

    def __init__(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        wait_for: Sequence[ResourceInformer] | ResourceInformer,
        workers: int,
        max_retries: int | None,
        timeout: float | None,
        max_replacements: int | None,
        options: QueueOptions,
        loop: Callable[[], WatchedLoop | None],
        clock: Clock,
        metrics: PrometheusMetrics,
    ) -> None:
        """For the manager: see :meth:`workqueue.Manager.controller` for the parameters."""
        self.name = name
        self._metrics = metrics
        self.wait_for = self._sources(wait_for)
        #: Whose objects are reconciled; what owns and maps add to wait_for is beside it.
        self._primary = self.wait_for[0] if self.wait_for else None

        self._owned: list[tuple[ResourceInformer, OwnerHandler]] = []
        #: How many were wanted last: those of the next run.
        self._workers = workers

        fairness = options.get("fairness")
        if callable(fairness) and (why := wrong_shape(fairness, argument="the key")):
            raise ConfigurationError(f"controller {name!r}: fairness={name_of(fairness)}: {why}")
        options = {"max_starvation": MAX_STARVATION, **options}
        #: For :meth:`workqueue.testing.Harness.of`, which lends queue and controller of its own.
        self.recipe = Recipe(reconcile, max_retries, timeout, options)

        def make() -> tuple[PriorityQueue[ObjectKey], Controller]:
            queue: PriorityQueue[ObjectKey] = PriorityQueue(
                name=name, clock=clock, metrics=metrics, backoff="steady", **options
            )
            try:
                controller = Controller(
                    name,
                    reconcile,
                    queue=queue,
                    workers=self._workers,
                    cache=self._primary.indexer if self._primary is not None else None,
                    synced=lambda: all(source.informer.progress.synced_once for source in self.wait_for),
                    max_retries=max_retries,
                    timeout=timeout,
                    max_replacements=max_replacements,
                    judge=judge,
                    loop=loop,
                    clock=clock,
                )
            except ConfigurationError:
                queue.shut_down()  # nobody will: it would be shown in the metrics, and keep its limiter
                raise
            return queue, controller

        self._make = make
        #: Of this run.
        self.queue, self.controller = make()
        metrics.controller_opened(self.statistics)

    def add(self, key: ObjectKey | tuple[str, str] | str, *more: Never, after: float | None = None) -> None:
        """Ask for a key to be reconciled; from any thread, any handler of Kopf, at any time.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :param more: nothing: a key is one argument.
        :param after: in so many seconds, client-go's ``AddAfter``; zero or less is now.
        :raises InvalidKey: if it names no object.
        :raises ConfigurationError: if the delay is no number of seconds.
        """
        if more or after is not None:
            self.controller.add(key, *more, after=after)
        else:  # what handlers do for each event: to pass nothing on is a quarter quicker
            self.controller.add(key)

    def owns(self, source: ResourceInformer) -> None:
        """Reconcile the owner of each object of another resource that comes, changes or goes.

        Of an object's owners that is the one with ``controller: true``, if it is of the resource of the first informer
        in ``wait_for``. The workers wait for the cache of the other resource, too.

        :param source: the informer of those that are owned.
        :raises ConfigurationError: if it is none of this operator, or the controller has no informer of the owners.
        """
        self._check_source(source, "owns")
        if self._primary is None:
            raise ConfigurationError(
                f"controller {self.name!r}: owns({source.name}): there is no informer of the owners; make the "
                "controller with it, as in owners.controller(reconcile)"
            )
        handler = OwnerHandler(self._primary, self.add, name=f"{self.name}.owns({source.name})")
        self._owned.append((source, handler))
        self._follow(source, handler)

    def maps(self, source: ResourceInformer, *, by: MapFunc) -> None:
        """Reconcile what a function names for each object of another resource that comes, changes or goes.

        :param source: its informer; the workers wait for its cache, too.
        :param by: called with the object, and for a change with the former state as well; returns a key, several,
            or None. A pair of texts is one key. It runs as handlers do, and must be as quick.
        :raises ConfigurationError: if it is no informer of this operator, or no plain function of one argument.
        """
        self._check_source(source, "maps")
        check_function(by, controller=self.name, source=source.name)
        name = getattr(by, "__qualname__", repr(by))
        self._follow(source, map_handler(by, self.add, name=f"{self.name}.maps({source.name}, {name})"))

    def _sources(self, wait_for: object) -> tuple[ResourceInformer, ...]:
        if isinstance(wait_for, ResourceInformer):
            wait_for = (wait_for,)
        sources: tuple[object, ...] = tuple(wait_for) if isinstance(wait_for, Iterable) else (wait_for,)
        if not all(isinstance(source, ResourceInformer) for source in sources) or isinstance(wait_for, str | bytes):
            raise ConfigurationError(
                f"controller {self.name!r}: wait_for={wait_for!r}: expected informers, such as [pods]"
            )
        return tuple(self._check_source(source, "wait_for") for source in sources)

    def _check_source(self, source: object, verb: str) -> ResourceInformer:
        # Each runtime has metrics of its own, so those tell whether two parts are of one.
        if not isinstance(source, ResourceInformer) or source._runtime.metrics is not self._metrics:  # noqa: SLF001
            name = source.name if isinstance(source, ResourceInformer) else repr(source)
            raise ConfigurationError(
                f"controller {self.name!r}: {verb}({name}): expected an informer of the same operator, as "
                "manager.informer makes them"
            )
        return source

    def _follow(self, source: ResourceInformer, handler: HandlerFunc) -> None:
        for listen in (source.on_add, source.on_update, source.on_delete):
            listen(handler)
        if source not in self.wait_for:
            self.wait_for += (source,)

    def catch_up(self) -> None:
        """The caches are synced: add what :meth:`owns` had to pass over before it was known what the owners are."""
        for source, handler in self._owned:
            handler.catch_up(source.indexer.entries())

    @property
    def readiness(self) -> Readiness:
        """How far it has come with what existed at the start; it begins anew with each run of the operator.

        "syncing" until the caches are "synced"; "queued" once the handlers were told of everything that existed;
        "processed" once each key that they added was reconciled, whatever came of it.
        """
        return self.controller.readiness

    @property
    def workers(self) -> int:
        """How many keys are worked on at once."""
        return self._workers

    def resize(self, workers: int) -> None:
        """Work on so many keys at once from now on; runs under way are not cut short.

        :param workers: how many.
        :raises ConfigurationError: if it is no whole number of at least 1.
        :raises RuntimeError: if there are no threads to be had for all of them.
        """
        try:
            self.controller.resize(workers)
        finally:
            self._workers = self.controller.workers

    def pause(self) -> None:
        """Take no key until :meth:`resume`. Runs under way go on, and keys are queued as ever."""
        self.controller.pause()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self.controller.resume()

    def parked(self, *, limit: int = 100) -> list[ParkedKey]:
        """The keys that were given up, the latest first; :meth:`add` asks for one again.

        :param limit: how many at most; :meth:`statistics` counts them all.
        :raises ConfigurationError: if it is no whole number, or less than 0.
        """
        return self.controller.parked(limit=limit)

    def statistics(self) -> ControllerStatistics:
        """The controller at this instant."""
        return self.controller.statistics()

    def renew(self) -> None:
        """Make ready for another run in the same process: a queue that is open."""
        self.queue.shut_down()
        self._metrics.queue_closed(self.name, self.queue.statistics)  # it is not, if a key was left in somebody's hands
        self.queue, self.controller = self._make()
