"""A controller without a cluster: real cache, queue and controller, a clock that stands still, and no threads.

Nothing runs by itself. :meth:`Harness.run_until_idle` runs in the thread of the test whatever is due, one
key after the other in the order in which a controller with one worker would, so that each run of a test
is like the other, a debugger stops where it should, and what the test has patched is patched. What it is
not for is two workers at a time: :func:`workqueue.testing.explore` is.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Self, Unpack
from weakref import WeakSet

from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.base.text import told
from workqueue.cache import Indexer, IndexFunc, Transform, named_indexers
from workqueue.control import Controller, ReconcileFunc
from workqueue.control.events import EventRecorder
from workqueue.control.options import MAX_STARVATION, QueueOptions, Recipe
from workqueue.control.shape import check_shape
from workqueue.informer import Informer, Kind
from workqueue.informer.relations import MapFunc, OwnerHandler, check_function, map_handler
from workqueue.queues import PriorityQueue
from workqueue.testing.feed import FakeInformer, FakeResource, KeyLike
from workqueue.testing.kopf_errors import judge
from workqueue.testing.lent import OperatorController, OperatorInformer
from workqueue.testing.objects import Numbers, Objects
from workqueue.testing.recording import RecordedEvents
from workqueue.testing.report import Report
from workqueue.testing.running import Runner

#: Runs until a test is told that it never ends.
LIMIT = 1000

#: The operators' informers that harnesses have now.
_LENT: WeakSet[Informer] = WeakSet()


class Harness:
    """A reconcile function in a cluster that is not there. Use it with ``with``, or close it."""

    def __init__(
        self,
        reconcile: ReconcileFunc,
        *,
        resource: str = "pods",
        kind: str = "Pod",
        api_version: str = "v1",
        namespaced: bool = True,
        existing: Iterable[Mapping[str, Any]] = (),
        indexers: Mapping[str, IndexFunc] | None = None,
        transform: Transform | None = None,
        on: Collection[Kind] = ("add", "update", "delete"),
        max_retries: int | None = None,
        timeout: float | None = None,
        errors: Literal["raise", "keep"] = "raise",
        **queue: Unpack[QueueOptions],
    ) -> None:
        """
        :param reconcile: the function, a plain one or an ``async def``.
        :param resource, kind, api_version, namespaced, existing, indexers, transform: of its objects; see
            :meth:`informer`.
        :param on: the changes of an object upon which its key is asked for; for others add handlers to :attr:`objects`.
        :param max_retries, timeout: as of ``manager.controller``.
        :param errors: "raise" has :meth:`run_until_idle` raise what the function raised, unless that says itself what
            should become of the key (TerminalError, Kopf's TemporaryError and PermanentError); "keep" has it in the
            report alone. What a handler raises is raised in both.
        :param queue: ``rate_limiter``, ``max_starvation``, ``fairness``, ``debounce``, as of ``manager.controller``.
        :raises ConfigurationError: if one of them cannot be.
        """
        if errors not in ("raise", "keep"):
            raise ConfigurationError(f"Harness(errors={errors!r}): expected 'raise' or 'keep'")
        if unknown := sorted(set(queue) - QueueOptions.__optional_keys__):
            raise ConfigurationError(f"Harness({unknown[0]}=…): there is no such option")
        check_shape(resource, reconcile)
        self._begin(reconcile, errors=errors)
        #: The first informer: of the objects that are reconciled.
        self.objects = self.informer(
            resource,
            kind=kind,
            api_version=api_version,
            namespaced=namespaced,
            existing=existing,
            indexers=indexers,
            transform=transform,
        )
        options: QueueOptions = {"max_starvation": MAX_STARVATION, **queue}
        self._make(resource, Recipe(reconcile, max_retries, timeout, options))
        listen = {"add": self.objects.on_add, "update": self.objects.on_update, "delete": self.objects.on_delete}
        for each in on:
            if each not in listen:
                raise ConfigurationError(f"Harness(on={on!r}): expected some of {', '.join(listen)}")
            listen[each](self._enqueue)

    @classmethod
    def of(
        cls,
        controller: OperatorController,
        *,
        existing: Iterable[Mapping[str, Any]] = (),
        errors: Literal["raise", "keep"] = "raise",
    ) -> Self:
        """An operator's own controller, with its informers, handlers and recorders, as its file has made them.

        They are lent until the harness is closed: what the module reads from ``pods`` is what the test applies, its
        handlers are told of it, and its events are :attr:`events`. No operator may run with them meanwhile.

        :param controller: what ``manager.controller`` or ``pods.controller`` has returned.
        :param existing: what is there at the start of the objects that are reconciled.
        :param errors: as of the class.
        :raises ConfigurationError: if it is no such controller, it has no informer, or another harness has it.
        """
        if not hasattr(controller, "recipe"):
            raise ConfigurationError(
                f"Harness.of({told(controller)[:100]}): expected what manager.controller returns; a function is for "
                "Harness(reconcile)"
            )
        if not controller.wait_for:
            raise ConfigurationError(
                f"Harness.of({controller.name}): it has no informer; test its function with Harness(reconcile)"
            )
        harness = cls.__new__(cls)
        harness._lend(controller, existing=existing, errors=errors)  # noqa: SLF001 - one of this class
        return harness

    def _begin(self, reconcile: ReconcileFunc, *, errors: Literal["raise", "keep"]) -> None:
        """What comes first: clock and numbers."""
        self._runner = Runner(reconcile, errors=errors)
        self.clock = self._runner.clock
        self._numbers = Numbers(self.clock.now)
        self._recorded: RecordedEvents | None = None
        #: What is to be done when it is closed, the last first.
        self._ends = ExitStack()
        #: Of the operator's informers that are lent.
        self._fed: dict[Informer, FakeInformer] = {}
        self._owners_known: Callable[[], None] = lambda: None

    def _lend(
        self, controller: OperatorController, *, existing: Iterable[Mapping[str, Any]], errors: Literal["raise", "keep"]
    ) -> None:
        self._begin(controller.recipe.reconcile, errors=errors)
        try:
            primary = controller.wait_for[0]
            self._owners_known = controller.catch_up
            self.objects = self.feed(primary, existing=existing)
            for source in controller.wait_for[1:]:
                self.feed(source)
            if primary.outbox is not None:
                primary.outbox.divert(self._kept_events().outbox)
                self._ends.callback(primary.outbox.divert, None)
            former = controller.queue, controller.controller

            def give_back() -> None:
                controller.queue, controller.controller = former
                controller.renew()

            self._ends.callback(give_back)
            controller.queue.shut_down()  # a rate limiter is for one queue at a time
            self._make(controller.name, controller.recipe)
        except BaseException:
            self._ends.close()
            raise
        controller.queue, controller.controller = self.queue, self.controller
        for feed in self._fed.values():
            feed.deliver_existing()

    def _make(self, name: str, recipe: Recipe) -> None:
        """Queue and controller."""
        self.queue: PriorityQueue[ObjectKey] = PriorityQueue(
            name=name, clock=self.clock, backoff="steady", **recipe.queue
        )
        self.controller = Controller(
            name,
            self._runner.call,
            queue=self.queue,
            cache=self.objects.indexer,
            max_retries=recipe.max_retries,
            timeout=recipe.timeout,
            judge=judge,
            clock=self.clock,
        )
        self._runner.take(self.controller, self.queue)

    # What happens in the cluster, to the objects that are reconciled.

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """See :meth:`FakeInformer.apply`."""
        return self.objects.apply(body)

    def delete(self, key: KeyLike) -> dict[str, Any]:
        """See :meth:`FakeInformer.delete`."""
        return self.objects.delete(key)

    def recreate(self, key: KeyLike) -> dict[str, Any]:
        """See :meth:`FakeInformer.recreate`."""
        return self.objects.recreate(key)

    def resync(self) -> None:
        """See :meth:`FakeInformer.resync`."""
        self.objects.resync()

    def add(self, key: KeyLike) -> None:
        """Ask for a key by hand. See :meth:`workqueue.control.Controller.add`."""
        self.controller.add(key)

    # Other resources.

    def informer(
        self,
        resource: str,
        *,
        kind: str,
        api_version: str = "v1",
        namespaced: bool = True,
        existing: Iterable[Mapping[str, Any]] = (),
        indexers: Mapping[str, IndexFunc] | None = None,
        transform: Transform | None = None,
    ) -> FakeInformer:
        """One more resource of the cluster, with a cache that is synced.

        :param resource: its name, such as "deployments".
        :param kind, api_version: of its objects, such as "Deployment" and "apps/v1".
        :param namespaced: False for the cluster scope.
        :param existing: what is there at the start: handlers are told of it as ``initial``.
        :param indexers: indexes by name, beside the one by "namespace".
        :param transform: changes each object before it is stored.
        :raises ConfigurationError: if an object is none of the resource, or an index none.
        """
        indexer = Indexer(named_indexers(indexers, what="indexers"), transform=transform)
        return FakeInformer(
            resource,
            objects=Objects(self._numbers, kind=kind, api_version=api_version, namespaced=namespaced),
            informer=Informer(resource, indexer=indexer, clock=self.clock),
            existing=existing,
            failed=self._runner.handler_failed,
            told=self._runner.raise_handler_errors,
        )

    def feed(self, source: OperatorInformer, *, existing: Iterable[Mapping[str, Any]] = ()) -> FakeInformer:
        """Bring the events of an informer of the operator's, until the harness is closed: see :meth:`of`.

        Those of the controller, and what it owns and maps, are lent already; then it is the same one again.

        :param source: what ``manager.informer`` has returned.
        :param existing: what is there at the start, if it was not lent yet.
        :return: the calls of the test, for these objects.
        :raises ConfigurationError: if it is no such informer, another harness has it, or an object is none of it.
        """
        if not hasattr(source, "lent_as"):
            raise ConfigurationError(f"feed({told(source)[:100]}): expected what manager.informer returns")
        # Here, as that package needs aiohttp: what lends an operator's parts has Kopf, and Kopf has it.
        from workqueue.testing.apiserver.registry import BUILT_IN

        informer = source.informer
        if informer in self._fed:
            return self._fed[informer]
        if informer in _LENT:
            raise ConfigurationError(f"the informer {source.name} is lent to another Harness: close that first")
        name = str(source.spec)
        served = next((each for each in BUILT_IN if each.name == name), None)  # others are told by their first object
        objects = Objects(
            self._numbers,
            kind=served.kind if served else None,
            api_version=served.group_version if served else None,
            namespaced=served.namespaced if served else None,
        )

        def known(resource: FakeResource) -> None:
            source.lent_as = resource
            self._owners_known()

        _LENT.add(informer)
        self._ends.callback(_LENT.discard, informer)
        self._ends.callback(setattr, source, "lent_as", None)
        informer.renew()
        made = FakeInformer(
            name,
            objects=objects,
            informer=informer,
            existing=existing,
            failed=self._runner.handler_failed,
            told=self._runner.raise_handler_errors,
            known=known,
        )
        self._ends.callback(made.give_back)
        self._fed[informer] = made
        return made

    def owns(self, source: FakeInformer) -> None:
        """Reconcile the owner of each object of another resource that comes, changes or goes, as ``controller.owns``.

        :param source: the informer of those that are owned.
        """
        handler = OwnerHandler(self.objects, self.add, name=f"{self.controller.name}.owns({source.name})")
        for listen in (source.on_add, source.on_update, source.on_delete):
            listen(handler)

    def maps(self, source: FakeInformer, *, by: MapFunc) -> None:
        """Reconcile what a function names for each object of another resource, as ``controller.maps``.

        :param source: its informer.
        :param by: called with the object; returns a key, several, or None.
        :raises ConfigurationError: if it is no plain function of one argument.
        """
        check_function(by, controller=self.controller.name, source=source.name)
        name = getattr(by, "__qualname__", repr(by))
        handler = map_handler(by, self.add, name=f"{self.controller.name}.maps({source.name}, {name})")
        for listen in (source.on_add, source.on_update, source.on_delete):
            listen(handler)

    # Events.

    def recorder(self, component: str = "test") -> EventRecorder:
        """A recorder of Kubernetes events, as ``manager.recorder``; :attr:`events` has what it was told.

        :param component: who tells.
        """
        return EventRecorder(component, outbox=self._kept_events().outbox, instance="test")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The Kubernetes events so far, as the API server would have them."""
        return self._kept_events().all

    # Running.

    def run_until_idle(self, *, limit: int = LIMIT) -> Report:
        """Run whatever is due now, until nothing is. Time stands still, but for the runs that sleep.

        :param limit: runs after which it is given up.
        :return: what ran, and what waits.
        :raises NotIdle: if there is always more to run.
        :raises RuntimeError: if a run calls it.
        :raises BaseException: what the reconcile function has raised, the first of it: see ``errors``.
        """
        return self._runner.run(until=self.clock.now(), limit=limit)

    def advance(self, seconds: float, *, limit: int = LIMIT) -> Report:
        """Let time pass, and run each key at the instant at which it is due.

        :param seconds: how much.
        :param limit: runs after which it is given up.
        :return: what ran meanwhile, and what waits then.
        :raises ValueError: if time would go back, or not end.
        :raises NotIdle, RuntimeError, BaseException: as of :meth:`run_until_idle`.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"advance({seconds!r}): expected seconds, 0 or more")
        return self._runner.run(until=self.clock.now() + seconds, limit=limit)

    def _enqueue(self, *, key: ObjectKey, **_: object) -> None:
        self.controller.add(key)

    def _kept_events(self) -> RecordedEvents:
        if self._recorded is None:
            self._recorded = RecordedEvents(clock=self.clock, wall=self._numbers.nanoseconds)
        return self._recorded

    # Its end.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what it has: the queue, the loop, the thread that brings events. Again: nothing."""
        for key in self.queue.waiting():
            self.queue.cancel(key)
        self.queue.shut_down()
        self._ends.close()
        if self._recorded is not None:
            self._recorded.close()
        self._runner.close()
