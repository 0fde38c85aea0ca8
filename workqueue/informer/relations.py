"""From an object of one resource to the keys of another: its owner's, or those that a function names.

Semantics: controller-runtime pkg/handler, enqueue_owner.go (of the owners only the controller, its
group and kind must fit and its version need not, an update looks at both states) and
enqueue_mapped.go (an update maps both states, each key is added once).

These are handlers of an informer as a user's are: a key is added under the origin of what happened
to the object, so the initial list of children is of low priority, and a resync brings no news.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from workqueue.base.errors import ConfigurationError, InvalidKey
from workqueue.base.functions import cannot_take, is_async
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, origin
from workqueue.cache import Body, Entry
from workqueue.cache.owners import controller_of
from workqueue.informer.notifications import HandlerFunc

#: A key in any of its forms.
KeyLike = ObjectKey | tuple[str, str] | str

#: From an object to a key, several, or None. A pair of texts is one key, so several are better a list.
MapFunc = Callable[[Mapping[str, Any]], KeyLike | Iterable[KeyLike] | None]


class Resource(Protocol):
    """What the cluster serves: :class:`kopf.Resource` is one."""

    @property
    def group(self) -> str:
        """The API group, "" for the core group."""
        ...

    @property
    def kind(self) -> str | None:
        """As in the objects."""
        ...

    @property
    def namespaced(self) -> bool | None:
        """False for the cluster scope."""
        ...


class Owners(Protocol):
    """An informer of those that may own."""

    @property
    def resource(self) -> Resource | None:
        """None until it is known; another object when the operator runs again."""
        ...


class OwnerHandler:
    """A handler that adds the key of the object that controls the one it is told of."""

    def __init__(self, owners: Owners, add: Callable[[ObjectKey], None], *, name: str) -> None:
        """
        :param owners: whose resource an owner must be of.
        :param add: takes the key.
        :param name: for the log.
        """
        self._owners = owners
        self._add = add
        self.__qualname__ = self.__name__ = name
        #: An event came before it was known what the owners are. Written by whoever delivers.
        self._passed_over = False

    def __call__(
        self, *, namespace: str, old: Mapping[str, Any] | None = None, new: Mapping[str, Any] | None = None, **_: object
    ) -> None:
        """One change of one object: the owners of both its states."""
        resource = self._owners.resource
        if resource is None:
            # The stream lane knows before there can be events; on the other one a thread of ours asks the API server,
            # and Kopf may have been told already. Either way it is known once the owners' cache is synced.
            self._passed_over = True
            return
        for key in dict.fromkeys(_owner(body, resource, namespace) for body in (old, new) if body is not None):
            if key is not None:
                self._add(key)

    def catch_up(self, children: Iterable[Entry]) -> None:
        """Add the owners of what there is now, if an event was passed over before.

        :param children: all that are cached; the owners' cache is synced.
        """
        if self._passed_over:
            self._passed_over = False
            with origin(INITIAL):
                for entry in children:
                    self(namespace=entry.key.namespace, new=Body(entry))


def _owner(body: Mapping[str, Any], resource: Resource, namespace: str) -> ObjectKey | None:
    owner = controller_of(body)
    if owner is None or (owner.group, owner.kind) != (resource.group, resource.kind):
        return None
    if not resource.namespaced:
        return ObjectKey("", owner.name)
    return ObjectKey(namespace, owner.name) if namespace else None  # what is in a namespace owns nothing outside of any


def map_handler(function: MapFunc, add: Callable[[ObjectKey], None], *, name: str) -> HandlerFunc:
    """A handler that adds the keys that a function finds for the object it is told of.

    What the function raises for one state of the object, and a key that is none, does not keep the other keys of the
    event; it is raised after they were added, for the informer to report.

    :param function: see :data:`MapFunc`.
    :param add: takes each key once for each event.
    :param name: for the log.
    """

    def maps(*, old: Mapping[str, Any] | None = None, new: Mapping[str, Any] | None = None, **_: object) -> None:
        found: dict[ObjectKey, None] = {}
        failures: list[BaseException] = []
        for body in (old, new):
            try:
                for key in _several(function(body)) if body is not None else ():
                    try:
                        found[ObjectKey.of(key)] = None
                    except InvalidKey as error:
                        failures.append(error)
            except BaseException as error:
                failures.append(error)
        for key in found:
            add(key)
        if failures:
            raise failures[0]

    maps.__qualname__ = name
    return maps


def check_function(function: object, *, controller: str, source: str) -> None:
    """A function of the wrong shape is found before there is an event.

    :param function: for :func:`map_handler`.
    :param controller: its name.
    :param source: the name of the informer whose objects it maps.
    :raises ConfigurationError: if it cannot be.
    """
    name = getattr(function, "__name__", repr(function))
    if not callable(function):
        raise ConfigurationError(
            f"controller {controller!r}: maps({source}, {name}): expected a function from an object to keys"
        )
    if is_async(function):
        raise ConfigurationError(
            f"controller {controller!r}: maps({source}, {name}): it is async; it is called in line, as handlers are"
        )
    if why := cannot_take(function, object()):
        raise ConfigurationError(
            f"controller {controller!r}: maps({source}, {name}): it must take one argument, the object: {why}"
        )


def _several(found: object) -> Iterable[object]:
    """What a function returned, as keys or what was meant to be some."""
    match found:
        case None:
            return ()
        case str() | bytes() | Mapping() | tuple((str(), str())):
            return (found,)
        case Iterable():
            return found
    return (found,)
