"""What a test may lend of an operator: the shapes of its parts, as this package does not know the plugin."""

from collections.abc import Sequence
from typing import Any, Protocol

from workqueue.control import Controller
from workqueue.control.events import Outbox
from workqueue.control.options import Recipe
from workqueue.informer import Informer
from workqueue.queues import PriorityQueue


class OperatorInformer(Protocol):
    """What ``manager.informer`` returns."""

    lent_as: Any

    @property
    def name(self) -> str:
        """Unique in its operator."""
        ...

    @property
    def spec(self) -> object:
        """The resource, whose text is its name and group."""
        ...

    @property
    def informer(self) -> Informer:
        """Cache and handlers."""
        ...

    @property
    def outbox(self) -> Outbox | None:
        """What sends the events of the operator's recorders."""
        ...


class OperatorController(Protocol):
    """What ``manager.controller`` returns."""

    queue: PriorityQueue[Any]
    controller: Controller

    @property
    def name(self) -> str:
        """Unique in its operator."""
        ...

    @property
    def recipe(self) -> Recipe:
        """What it is made of."""
        ...

    @property
    def wait_for(self) -> Sequence[OperatorInformer]:
        """Its informers; the first is of the objects that are reconciled."""
        ...

    def catch_up(self) -> None:
        """It is known what the owners are."""

    def renew(self) -> None:
        """Make ready for a run of the operator."""
