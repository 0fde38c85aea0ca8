"""Why a key is being added, told by who delivers events to whoever adds keys meanwhile.

While an informer calls a handler it says here why; a plain ``controller.add(key)`` inside the
handler reads it. So handlers need not pass reasons along, and a key's first listing can be told
from a user's change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

#: controller-runtime's priority of the initial list and of resyncs (pkg/handler LowPriority).
LOW_PRIORITY = -100


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a key comes from."""

    #: A few words: "add", "update", "delete", "initial list", "resync", or "" when a user added the key.
    reason: str = ""
    #: Greater is sooner, for queues that know priorities.
    priority: int = 0
    #: False if there is nothing new to say of the object: no reason to cut the backoff of a key that fails.
    news: bool = True


#: Of what existed at the start. client-go: ``isInInitialList``.
INITIAL = Origin("initial list", LOW_PRIORITY)

_current: ContextVar[Origin] = ContextVar("workqueue_origin")
_USER = Origin()


def current_origin() -> Origin:
    """The origin of keys that are added now, in this thread or task."""
    return _current.get(_USER)


def set_origin(value: Origin) -> Token[Origin]:
    """Keys come from there from now on, in this thread or task.

    :return: for :func:`reset_origin`, which must follow.
    """
    return _current.set(value)


def reset_origin(token: Token[Origin]) -> None:
    """Keys come from where they came from before :func:`set_origin`."""
    _current.reset(token)


@contextmanager
def origin(value: Origin) -> Iterator[None]:
    """While the block runs, keys come from there."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)
