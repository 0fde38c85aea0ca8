"""An informer without an API server: the real cache and handlers, fed by the calls of a test.

What a watch would bring comes by :meth:`FakeInformer.apply` and :meth:`FakeInformer.delete`, and has been
told to all handlers when the call returns. :meth:`FakeInformer.disconnected` is a watch that was cut,
with the list after it; :meth:`FakeInformer.resync` is what a resync brings.
"""

import builtins
import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache import Lister, Reader
from workqueue.informer import Handler, HandlerFunc, Informer, InformerStatistics, Kind
from workqueue.testing.objects import Objects, checked_objects

F = TypeVar("F", bound=HandlerFunc)
#: Why :meth:`FakeInformer.wait_for` does not wait.
NOBODY = "nobody brings it meanwhile; the client that a test stands in with has to apply() or delete() what it writes"
#: A key in any of its forms.
KeyLike = ObjectKey | tuple[str, str] | str


@dataclass(frozen=True, slots=True)
class FakeResource:
    """What an informer is of."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool


class FakeInformer:
    """One resource of a cluster that is not there. It reads as an informer of ``manager.informer`` does."""

    def __init__(
        self,
        name: str,
        *,
        objects: Objects,
        informer: Informer,
        existing: Iterable[Mapping[str, Any]],
        failed: Callable[[BaseException], None],
        told: Callable[[], None],
        known: Callable[[FakeResource], None] = lambda _: None,
    ) -> None:
        """For the harness: see :meth:`workqueue.testing.Harness.informer` and :meth:`workqueue.testing.Harness.feed`.

        :param objects: what is in the cluster; nothing so far.
        :param informer: cache and handlers, with nothing in the cache. It is the operator's own if that is lent.
        :param existing: what is there at the start.
        :param failed: told of what a handler raised.
        :param told: called when handlers were told of all there is.
        :param known: called once the first object has told what the resource is, if nothing else did.
        """
        self.name = name
        self._objects = objects
        self._informer = informer
        self._failed = failed
        self._told = told
        self._known = known
        self._connected = True
        for body in checked_objects(existing, what="existing"):
            objects.put(body)
        #: The handlers that were there before, and their functions.
        self._lent: dict[Handler, HandlerFunc] = {}
        for handler in informer.handlers:
            self._lent[handler], handler.function = handler.function, self._watched(handler.function)
        informer.progress.stop(NOBODY)
        informer.replace(objects.all(), initial=True)
        informer.progress.mark_served()
        informer.progress.mark_synced()
        informer.progress.mark_told()
        if self.resource is not None:
            known(self.resource)

    @property
    def resource(self) -> FakeResource | None:
        """What it is of; None until the first object has told."""
        objects = self._objects
        if objects.kind is None or objects.api_version is None or objects.namespaced is None:
            return None
        group, _, version = objects.api_version.rpartition("/")
        return FakeResource(group, version, objects.kind, self.name.partition(".")[0], objects.namespaced)

    def deliver_existing(self) -> None:
        """For the harness: tell handlers of what is there at the start."""
        self._deliver()

    def give_back(self) -> None:
        """For the harness: leave the informer as if there had been no test."""
        for handler in self._informer.handlers:
            if handler in self._lent:
                handler.function = self._lent[handler]
            else:
                self._informer.forget_handler(handler)
        self._informer.renew()

    # What happens in the cluster.

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """An object is created, or changed into this; what an API server fills in is filled in.

        An object as it is already is nothing new. One with a deletionTimestamp goes once it has no finalizer left.

        :param body: the whole object; apiVersion and kind may be left out.
        :return: the object as it is then, with uid, resourceVersion, generation and creationTimestamp.
        :raises InvalidObject: if it is none, or has no name.
        :raises ConfigurationError: if it is none of this resource.
        """
        known = self.resource is not None
        stored, changed = self._objects.put(body)
        if not known and self.resource is not None:
            self._known(self.resource)
        if changed:
            self._show(stored)
        return stored

    def delete(self, key: KeyLike) -> dict[str, Any]:
        """An object is deleted. With finalizers it is only marked; :meth:`apply` it without them.

        :param key: its key, in any form.
        :return: its last state, or the one it waits in.
        :raises LookupError: if there is none.
        """
        final = self._objects.delete(ObjectKey.of(key))
        self._show(final)
        return final

    def recreate(self, key: KeyLike) -> dict[str, Any]:
        """An object is deleted, finalizers or not, and another one created like it, under its name: a new uid.

        :param key: its key, in any form.
        :return: the successor.
        :raises LookupError: if there is none.
        """
        final = self._objects.end(ObjectKey.of(key))
        self._show(final)
        successor = copy.deepcopy(final)
        for field in ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"):
            successor["metadata"].pop(field, None)
        return self.apply(successor)

    def resync(self) -> None:
        """Every cached object is told again, as an update from itself to itself, as with ``resync=``."""
        self._informer.resync()
        self._told()

    @contextmanager
    def disconnected(self) -> Iterator[None]:
        """While the block runs the watch is cut: what happens is not seen. At its end comes a list.

        So a deletion is a tombstone (``final_state_known=False``, ``old`` is the last state that was seen), several
        changes are one, and what came and went was never there. Meanwhile :attr:`has_synced` is False.
        """
        self._connected = False
        self._informer.progress.mark_stale("the watch is cut")
        try:
            yield
        finally:
            self._connected = True
            self._informer.replace(self._objects.all())
            self._informer.progress.mark_synced()
            self._deliver()

    # Events.

    def on_add(self, function: F) -> F:
        """Decorator: call this for each object that comes to be, and for those that exist at the start."""
        self._listen(function, "add")
        return function

    def on_update(self, function: F) -> F:
        """Decorator: call this for each change of an object, and at each resync."""
        self._listen(function, "update")
        return function

    def on_delete(self, function: F) -> F:
        """Decorator: call this for each object that is gone; ``old`` is its last known state."""
        self._listen(function, "delete")
        return function

    # The cache.

    @property
    def indexer(self) -> Reader:
        """The cache, for reading; every object read from it is a copy of your own."""
        return self._informer.reader

    @property
    def lister(self) -> Lister:
        """The cache by namespace, name and labels."""
        return Lister(self._informer.reader)

    def get(self, key: KeyLike) -> dict[str, Any] | None:
        """The cached object under the key, None if there is none."""
        return self._informer.reader.get_by_key(key)

    def by_index(self, name: str, value: str) -> builtins.list[dict[str, Any]]:
        """The cached objects found under a value of an index."""
        return self._informer.reader.by_index(name, value)

    @property
    def has_synced(self) -> bool:
        """False while the watch is cut."""
        return self._informer.has_synced

    def wait_for(self, key: KeyLike, *, resource_version: str, timeout: float = 30.0) -> dict[str, Any] | None:
        """What the cache has, if it has come as far as your own write. It does not sleep: nobody would bring anything.

        So let the client of the test :meth:`apply` what it is to write, and answer with what came of it.

        :param key: its key, in any form.
        :param resource_version: of the answer to the write.
        :param timeout: as of the real one; it is not waited for.
        :return: the object as the cache has it then; None if it is gone again.
        :raises TimeoutError: if the cache has not come so far.
        :raises RuntimeError: in a thread that runs an event loop, as the real one.
        """
        found = self._informer.wait_for(ObjectKey.of(key), version=str(resource_version), timeout=timeout)
        return None if found is None else found.decode()

    def expect_gone(self, key: KeyLike, *, uid: str, timeout: float = 30.0) -> None:
        """Nothing, if the cache does not hold the object any more that you deleted. See :meth:`wait_for`.

        :param key: its key, in any form.
        :param uid: the object's; a successor under its name is another one.
        :param timeout: as of the real one; it is not waited for.
        :raises TimeoutError: if the cache holds it.
        :raises RuntimeError: in a thread that runs an event loop, as the real one.
        """
        self._informer.expect_gone(ObjectKey.of(key), uid=uid, timeout=timeout)

    def statistics(self) -> InformerStatistics:
        """The informer at this instant."""
        return self._informer.statistics()

    def _listen(self, function: HandlerFunc, kind: Kind) -> None:
        Handler(function, kind=kind, clock=self._informer.clock)  # says what is wrong with it, before it is wrapped

        self._informer.add_handler(self._watched(function), kind=kind)
        self._told()

    def _watched(self, function: HandlerFunc) -> HandlerFunc:
        @functools.wraps(function)
        def watched(**event: object) -> object:
            try:
                return function(**event)
            except BaseException as error:
                self._failed(error)
                raise

        return watched

    def _show(self, body: Mapping[str, Any]) -> None:
        """What a watch tells of an object that is in this state, or has gone in it."""
        if not self._connected:
            return
        if object_key(body) in self._objects:
            self._informer.apply(body)
        else:
            self._informer.remove(body)
        self._informer.progress.reached(body["metadata"]["resourceVersion"], namespace="")
        self._deliver()

    def _deliver(self) -> None:
        self._informer.deliver()
        self._told()
