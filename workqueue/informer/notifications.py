"""What handlers are told, and what is known of each of them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError, WorkqueueError, with_place
from workqueue.base.functions import cannot_take, is_async, taken_by_keyword
from workqueue.base.origin import INITIAL, LOW_PRIORITY, Origin
from workqueue.cache import Body, Entry

logger = logging.getLogger("workqueue.informer")

#: Handlers only enqueue; one that takes longer than this, in seconds, holds up the events behind it.
SLOW_HANDLER = 0.05

Kind = Literal["add", "update", "delete"]

#: What a handler is called with, by keyword only.
ARGUMENTS = ("key", "namespace", "name", "uid", "labels", "old", "new", "final_state_known", "initial")

#: Called with :data:`ARGUMENTS`; or, if it has no ``**``, with those of them that it has, the key among them.
HandlerFunc = Callable[..., object]


_RESYNC = Origin("resync", LOW_PRIORITY, news=False)
_CHANGE = {kind: Origin(kind) for kind in get_args(Kind)}


class Notification(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One change of one object."""

    kind: Kind
    #: The object before; None for an add. For a delete the last state that is known.
    old: Entry | None
    #: The object after; None for a delete.
    new: Entry | None
    #: Part of what existed at the start.
    initial: bool = False
    #: Delivered again though nothing changed.
    resync: bool = False
    #: False for a deletion noticed only by the object's absence: ``old`` may be stale.
    #: client-go's DeletedFinalStateUnknown.
    final_state_known: bool = True

    @property
    def entry(self) -> Entry:
        """The object, after or before."""
        entry = self.new if self.new is not None else self.old
        assert entry is not None
        return entry

    @property
    def origin(self) -> Origin:
        """Why a key that the handler adds is added."""
        if self.resync:
            return _RESYNC
        return INITIAL if self.initial else _CHANGE[self.kind]


@dataclass(frozen=True, slots=True)
class HandlerStatistics:
    """One handler at one instant."""

    name: str
    kind: Kind
    #: Calls so far.
    calls: int
    #: Calls that raised; the event counts as handled.
    errors: int
    #: Calls that took longer than SLOW_HANDLER.
    slow: int


class Handler:
    """A user's function for one kind of change."""

    def __init__(self, function: HandlerFunc, *, kind: Kind, clock: Clock) -> None:
        """
        :param function: called with keyword arguments, see :data:`HandlerFunc`; sync and quick.
        :param kind: the changes it is called for.
        :param clock: to notice slow calls.
        :raises ConfigurationError: if it is no function, or an async one, or there is no such kind.
        """
        if kind not in get_args(Kind):
            raise ConfigurationError(f"a handler of kind {kind!r}: expected one of {', '.join(get_args(Kind))}")
        name = getattr(function, "__name__", function)
        if not callable(function):
            raise ConfigurationError(f"handler {name!r} is no function")
        if is_async(function):
            raise ConfigurationError(f"handler {name!r} is async: handlers are called in line, plain functions")
        #: Called with all arguments.
        self.function = function
        if why := cannot_take(function, **dict.fromkeys(ARGUMENTS)):
            taken = taken_by_keyword(function, ARGUMENTS)
            if "key" not in taken or cannot_take(function, **dict.fromkeys(taken)):
                raise ConfigurationError(f"handler {name!r} must take its arguments by keyword and end in **_: {why}")
            self.function = _given(function, taken)
        self.kind = kind
        self.name: str = getattr(function, "__qualname__", repr(function))
        self._clock = clock
        # Written by the one thread that delivers, see Informer.deliver.
        self._calls = 0
        self._errors = 0
        self._slow = 0

    def tell(self, notification: Notification) -> None:
        """Call the function; the change is of its kind. An error ends that call and nothing else."""
        old, new, entry = notification.old, notification.new, notification.entry
        key = entry.key
        started = self._clock.now()
        try:
            self.function(
                key=key,
                namespace=key.namespace,
                name=key.name,
                uid=entry.uid,
                labels=entry.labels,
                old=Body(old) if old is not None else None,
                new=Body(new) if new is not None else None,
                final_state_known=notification.final_state_known,
                initial=notification.initial,
            )
        except WorkqueueError as error:
            self._errors += 1
            logger.error("handler %s failed on %s of %s: %s", self.name, notification.kind, key, with_place(error))
        except BaseException:
            self._errors += 1
            logger.exception("handler %s failed on %s of %s", self.name, notification.kind, key)
        self._calls += 1
        took = self._clock.now() - started
        if took > SLOW_HANDLER:
            self._slow += 1
            if self._slow & (self._slow - 1) == 0:  # the 1st, 2nd, 4th, 8th … time: a warning and no flood
                logger.warning(
                    "handler %s took %.0f ms on %s (slow %d times so far): handlers should only add keys",
                    self.name, took * 1000, key, self._slow,
                )  # fmt: skip

    def statistics(self) -> HandlerStatistics:
        """The handler at this instant; a call in progress is not counted yet."""
        return HandlerStatistics(
            name=self.name,
            kind=self.kind,
            calls=self._calls,
            errors=self._errors,
            slow=self._slow,
        )


def _given(function: HandlerFunc, names: tuple[str, ...]) -> HandlerFunc:
    """A function of all arguments that gives another one those that it has."""

    def call(**arguments: object) -> object:
        return function(**{name: arguments[name] for name in names})

    return call
