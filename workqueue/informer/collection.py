"""What a list has brought so far: kept apart until it is whole, so that no cache is ever replaced by a part."""

import logging
from typing import Literal

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import object_key
from workqueue.cache import Raw, parse_identity, parse_object
from workqueue.cache.parsing import TooDeep
from workqueue.informer.informer import Informer
from workqueue.informer.wire import Malformed

logger = logging.getLogger("workqueue.informer")


class Collection:
    """The objects of one list, for one informer."""

    def __init__(self, informer: Informer) -> None:
        """:param informer: whose cache they are for."""
        self._informer = informer
        #: For :meth:`Informer.replace`.
        self.draft = informer.draft()
        #: Objects that could not be stored.
        self.ignored = 0

    def __len__(self) -> int:
        return len(self.draft)

    def add(self, raw: Raw, *, head: bytes = b"") -> bool:
        """An object is in the list.

        :param raw: its JSON.
        :param head: as of :meth:`workqueue.cache.Indexer.prepare`.
        :return: False if it cannot be stored, and is ignored: what the cache has of it stays.
        """
        try:
            entry = self._informer.prepare(raw, head=head)
        except Exception as error:  # of a user's transform, too
            self.ignored += 1
            stored = self._informer.stored_of(raw)
            if stored is not None:
                self.draft.add(stored)
            logger.warning(
                "informer %s: %s was ignored: %s",
                self._informer.name,
                "an object of the list" if stored is None else f"{stored.key} in the list, whose state before stays,",
                error if isinstance(error, InvalidObject) else repr(error),
            )
            return False
        self.draft.add(entry)
        return True

    def change(self, kind: Literal["ADDED", "MODIFIED", "DELETED"], raw: Raw) -> bool:
        """Something changed while the list was streamed.

        :param kind: of the event.
        :param raw: the object's JSON.
        :return: False if it is nested too deep for anybody to read.
        :raises Malformed: if it cannot be read: another list is needed.
        """
        if kind == "DELETED":
            try:
                self.draft.remove(object_key(parse_identity(raw)))
            except InvalidObject as error:
                raise Malformed(f"an event that cannot be read: {error}") from None
            return True
        return self.add(raw) or is_readable(raw)


def is_readable(raw: Raw) -> bool:
    """Tell an object that cannot be stored from bytes that were damaged on the way.

    :param raw: an object's JSON, as it came.
    :return: False if it is nested too deep: an API server takes such, and would only say it again.
    :raises Malformed: if it is no object with a name.
    """
    try:
        object_key(parse_object(raw))
    except TooDeep:
        return False
    except InvalidObject as error:
        raise Malformed(f"an event that cannot be read: {error}") from None
    return True
