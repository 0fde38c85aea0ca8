"""What handlers have not been told yet.

Of what a list has brought only the objects wait, and they are in the cache anyway: a notification
for each would need 150 bytes more, for a moment, and Python gives little of that back.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from workqueue.cache import Change, Changes
from workqueue.informer.notifications import Handler, Kind, Notification

#: Whom to tell: those who were there at the change, by what they want to hear of.
Listeners = Mapping[Kind, tuple[Handler, ...]]


class _Many:
    """The changes of a list; each becomes what is to be told when it is its turn."""

    def __init__(self, changes: Changes, *, initial: bool) -> None:
        self.left = len(changes)
        self._told = self._tell(changes, initial=initial)

    def _tell(self, changes: Changes, *, initial: bool) -> Iterator[Notification]:
        for change in changes:
            self.left -= 1
            yield from notifications(change, initial=initial)

    def take(self) -> Notification | None:
        """The next; None at the end."""
        return next(self._told, None)


class Pending:
    """Told in the order in which it came. One thread at a time adds, one takes."""

    def __init__(self) -> None:
        # Its ends are used by one thread each, which a deque allows.
        self._waiting: deque[tuple[Notification | _Many, Listeners]] = deque()

    def __len__(self) -> int:
        """Changes that wait, nearly: one of them may be about to be told."""
        return sum(what.left if isinstance(what, _Many) else 1 for what, _ in self._waiting.copy())

    def __bool__(self) -> bool:
        """False if there is nothing to tell; True if there may be."""
        return bool(self._waiting)

    def add(self, notification: Notification, listeners: Listeners) -> None:
        """One more is to be told."""
        if listeners[notification.kind]:
            self._waiting.append((notification, listeners))

    def add_all(self, changes: Changes, listeners: Listeners, *, initial: bool) -> None:
        """Many more are to be told."""
        if changes and any(listeners.values()):
            self._waiting.append((_Many(changes, initial=initial), listeners))

    def clear(self) -> None:
        """Forget all of it; while nobody takes."""
        self._waiting.clear()

    def take(self) -> tuple[Notification, tuple[Handler, ...]] | None:
        """What is to be told next, and to whom; None if there is nothing."""
        while self._waiting:
            what, listeners = self._waiting[0]
            if isinstance(what, Notification):
                self._waiting.popleft()
                return what, listeners[what.kind]
            notification = what.take()
            if notification is None:
                self._waiting.popleft()
            elif handlers := listeners[notification.kind]:
                return notification, handlers
        return None


def notifications(change: Change, *, initial: bool) -> Iterator[Notification]:
    """What is to be told of a change of the cache.

    :param change: with an object before it, or after it, or both.
    :param initial: it was there at the start.
    """
    old, new = change
    if old is not None and (new is None or not old.is_same_object(new)):
        # Its deletion was not seen: what is known is the last state before it.
        yield Notification("delete", old, None, final_state_known=False)
        old = None
    if new is not None:
        yield Notification("update", old, new) if old is not None else Notification("add", None, new, initial=initial)
