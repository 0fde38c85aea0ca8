"""What a user holds of a resource: its informer.

It outlives a run of the operator: each start renews what a run uses up, the cache.
"""

import builtins
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

import kopf

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.base.functions import name_of, wrong_shape
from workqueue.base.keys import ObjectKey
from workqueue.cache import Compression, Indexer, IndexFunc, Lister, Reader, Transform, named_indexers
from workqueue.control import ReconcileFunc
from workqueue.control.events import Outbox
from workqueue.control.options import QueueOptions
from workqueue.informer import HandlerFunc, Informer, InformerStatistics, Resyncer
from workqueue.informer.lane import Difference, LaneName
from workqueue.plugin.consistency import ConsistencyCheck
from workqueue.plugin.handlers_lane import HandlersLane
from workqueue.plugin.lack import Lack
from workqueue.plugin.presence import Presence
from workqueue.plugin.presence_watch import Selectors
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.plugin.stream_lane import StreamLane

if TYPE_CHECKING:
    from workqueue.plugin.controllers import ManagedController
    from workqueue.plugin.runtime import Runtime

F = TypeVar("F", bound=HandlerFunc)


class ResourceInformer:
    """A resource's cache and events. Made by :meth:`workqueue.Manager.informer`."""

    def __init__(
        self,
        name: str,
        *,
        spec: ResourceSpec,
        lane: LaneName,
        registry: kopf.OperatorRegistry,
        runtime: "Runtime",
        indexers: Mapping[str, IndexFunc] | None,
        transform: Transform | None,
        compression: Compression,
        metadata_only: bool,
        resync: float,
        consistency_check: float,
        cache_sync_timeout: float,
        clock: Clock,
    ) -> None:
        """For the manager: see :meth:`workqueue.Manager.informer` for the parameters."""
        self.name = name
        self.spec = spec
        self.cache_sync_timeout = cache_sync_timeout
        self._runtime = runtime
        self._resync = resync
        if transform is not None and (why := wrong_shape(transform, argument="the object")):
            raise ConfigurationError(f"informer({str(spec)!r}): transform={name_of(transform)}: {why}")
        named = named_indexers(indexers, what=f"informer({str(spec)!r}): indexers")
        indexer = Indexer(named, transform=transform, compression=compression, metadata_only=metadata_only)
        self.informer = Informer(name, indexer=indexer, clock=clock)
        self._indexer = indexer
        self._resyncer: Resyncer | None = Resyncer(self.informer, period=resync) if resync else None
        self._consistency_check = consistency_check
        self._checker: ConsistencyCheck | None = self._make_checker()
        #: Of what resource it is while a test brings the events: see :meth:`workqueue.testing.Harness.of`.
        self.lent_as: Any = None
        #: What was asked for.
        self.wanted_lane = lane
        #: What the cluster does not have of what it needs.
        self.lack = Lack(waiting=lambda: runtime.waiting_for(self))
        #: Kopf watches for its handlers, whichever lane runs.
        self.handlers_lane = HandlersLane(
            spec,
            name=name,
            informer=self.informer,
            registry=registry,
            login=runtime.login,
            ambiguous=runtime.fatal,
            lack=self.lack,
        )
        self.stream_lane = StreamLane(spec, informer=self.informer, login=runtime.login, lack=self.lack)
        #: The one that runs.
        self.lane: HandlersLane | StreamLane = self.handlers_lane

    # Events.

    def on_add(self, function: F) -> F:
        """Decorator: call this for each object that comes to be, and for those that exist at the start.

        The function takes keyword arguments (key, namespace, name, uid, labels, old, new,
        final_state_known, initial) and should end with ``**_``; one that does not is given those that
        it has, the key among them, so ``controller.add`` itself will do. It is called in the thread of
        Kopf's loop, where everything waits for it: it should only add keys.
        """
        self.handlers_lane.add_handler(function, kind="add")
        return function

    def on_update(self, function: F) -> F:
        """Decorator: call this for each change of an object, and at each resync. See :meth:`on_add`."""
        self.handlers_lane.add_handler(function, kind="update")
        return function

    def on_delete(self, function: F) -> F:
        """Decorator: call this for each object that is gone; ``old`` is its last known state. See :meth:`on_add`."""
        self.handlers_lane.add_handler(function, kind="delete")
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
        """True while everything that exists is in the cache: false again while a watch is interrupted."""
        return self.informer.has_synced

    @property
    def is_ready(self) -> bool:
        """True while it is synced, and handlers have been told of everything that existed at the start."""
        return self.has_synced and self.informer.progress.handlers_told

    @property
    def resource(self) -> kopf.Resource | None:
        """What the cluster serves under the name; None until Kopf has found it."""
        if self.lent_as is not None:
            lent: kopf.Resource = self.lent_as
            return lent
        return self.stream_lane.resource if self.lane is self.stream_lane else self.handlers_lane.resource

    def wait_for(
        self, key: ObjectKey | tuple[str, str] | str, *, resource_version: str, timeout: float = 30.0
    ) -> dict[str, Any] | None:
        """Sleep until the cache shows your own write: an object as it was at a resourceVersion, or later.

        Call it where a moment's sleep harms nobody: in a reconcile function, not in a handler. On the handlers lane
        only the object's own events are known; on the stream lane whatever the watch says, of any object, tells how far
        the cache has come.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :param resource_version: of the answer to the write, ``metadata.resourceVersion``.
        :param timeout: seconds.
        :return: the object as the cache has it then; None if it is gone again.
        :raises TimeoutError: if the cache does not come so far.
        :raises RuntimeError: in a thread that runs an event loop, such as Kopf's.
        :raises InvalidKey: if the key names no object.
        """
        found = self.informer.wait_for(ObjectKey.of(key), version=str(resource_version), timeout=timeout)
        return None if found is None else found.decode()

    def expect_gone(self, key: ObjectKey | tuple[str, str] | str, *, uid: str, timeout: float = 30.0) -> None:
        """Sleep until the cache does not hold an object any more that you deleted. See :meth:`wait_for`.

        :param key: an ObjectKey, a (namespace, name) pair, or the text of either.
        :param uid: the object's; a successor under its name is another one.
        :param timeout: seconds.
        :raises TimeoutError: if the cache does not come so far.
        :raises RuntimeError: in a thread that runs an event loop, such as Kopf's.
        :raises InvalidKey: if the key names no object.
        """
        self.informer.expect_gone(ObjectKey.of(key), uid=uid, timeout=timeout)

    @property
    def outbox(self) -> Outbox | None:
        """What sends the events of the operator's recorders; None as long as there are none. For tests."""
        return self._runtime.outbox

    def statistics(self) -> InformerStatistics:
        """The informer at this instant."""
        consistency = self._checker.statistics() if self._checker is not None else None
        return dataclasses.replace(self.informer.statistics(), lane=self.lane.statistics(), consistency=consistency)

    # Work.

    def controller(
        self,
        reconcile: ReconcileFunc,
        *,
        name: str | None = None,
        workers: int = 1,
        max_retries: int | None = None,
        timeout: float | None = None,
        max_replacements: int | None = None,
        **queue: Unpack[QueueOptions],
    ) -> "ManagedController":
        """A controller that waits for this informer's cache and looks objects up in it.

        :param reconcile: called with a :class:`workqueue.Request` by one worker at a time for each key.
        :param name: for threads, logs and metrics; the resource's by default.
        :param workers, max_retries, timeout, max_replacements, queue: as of :meth:`workqueue.Manager.controller`.
        """
        return self._runtime.controller(
            self.name if name is None else name,
            reconcile,
            wait_for=[self],
            workers=workers,
            max_retries=max_retries,
            timeout=timeout,
            max_replacements=max_replacements,
            options=queue,
        )

    # For the runtime.

    def start(self, scope: Scope, *, lane: Literal["stream", "handlers"], selectors: Selectors) -> None:
        """Begin to be fed, and to resync and check, if that was asked for.

        :param scope: the namespaces that are served.
        :param lane: what feeds it in this run.
        :param selectors: what Kopf asks of the objects of a resource besides.
        """
        if lane == "stream":
            self.handlers_lane.stand_aside()
            self.lane = self.stream_lane
        else:
            self.lane = self.handlers_lane
            self.handlers_lane.start(scope, selectors=selectors)
        if self._checker is not None:
            self._checker.start()
        if self._resyncer is not None:
            self._resyncer.start()

    def stop(self) -> None:
        """End what start began."""
        if self._resyncer is not None:
            self._resyncer.stop()
            self._resyncer = Resyncer(self.informer, period=self._resync)
        if self._checker is not None:
            self._checker.stop()
            self._checker = self._make_checker()
        self.lane.stop()

    def _make_checker(self) -> ConsistencyCheck | None:
        if not self._consistency_check:
            return None

        def look() -> Sequence[Presence] | None:
            return self.lane.look()  # of the lane that runs then

        def mend(found: Mapping[ObjectKey, Difference]) -> None:
            self.lane.mend(found)

        return ConsistencyCheck(self.informer, period=self._consistency_check, look=look, mend=mend)

    def renew(self) -> None:
        """Make ready for another run in the same process: an empty cache, not synced."""
        self.informer.renew()
        self.lack.over()
        self.handlers_lane.renew()
        self.stream_lane = StreamLane(self.spec, informer=self.informer, login=self._runtime.login, lack=self.lack)
