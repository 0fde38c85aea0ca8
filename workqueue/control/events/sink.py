"""Where events go: who fills this protocol knows an API server, and nobody else in this room does."""

from collections.abc import Mapping
from typing import Any, Protocol

from workqueue.base.errors import WorkqueueError


class EventRejected(WorkqueueError):
    """The API server does not want the event, and would not want it the next time."""


class EventExists(EventRejected):
    """There is an event of that name: a former try has arrived, though its answer has not."""


class NamespaceTerminating(EventRejected):
    """The namespace is on its way out and takes nothing new: a normal case."""


class EventGone(EventRejected):
    """There is no event to change: it has expired."""


class SinkUnavailable(WorkqueueError):
    """The API server has not said whether it wants the event: try again later."""


class EventSink(Protocol):
    """Creates and changes events. Called by one thread; each call must end within some seconds.

    Of what a call raises an EventRejected is final and a SinkUnavailable is tried again; anything else is a mistake of
    the sink's own, and final.
    """

    def create(self, namespace: str, event: dict[str, Any]) -> Mapping[str, Any]:
        """Create an event.

        :param namespace: where.
        :param event: a core/v1 Event.
        :return: the event as the server has it.
        :raises EventExists: if there is one of that name.
        :raises NamespaceTerminating: if the namespace is being deleted.
        :raises EventRejected: if it is refused.
        :raises SinkUnavailable: if nobody knows what became of it.
        """
        ...

    def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> Mapping[str, Any]:
        """Change an event.

        :param namespace: where it is.
        :param name: its name.
        :param patch: the fields that change, none of them nested.
        :return: the event as the server has it.
        :raises EventGone: if there is none.
        :raises EventRejected: if it is refused.
        :raises SinkUnavailable: if nobody knows what became of it.
        """
        ...
