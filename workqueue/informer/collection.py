"""What a list has brought so far: kept apart until it is whole, so that no cache is ever replaced by a part."""

import logging
from collections.abc import Collection as Sized
from typing import Literal

from workqueue.base.errors import InvalidObject
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache import Prepared, Raw, parse_identity, parse_object
from workqueue.cache.batches import Batch
from workqueue.cache.parsing import TooDeep
from workqueue.informer.informer import Informer
from workqueue.informer.wire import Malformed

logger = logging.getLogger("workqueue.informer")


class Collection:
    """The objects of one list, for one informer."""

    def __init__(self, informer: Informer) -> None:
        """:param informer: whose cache they are for."""
        self._informer = informer
        self._prepared: dict[ObjectKey, Prepared] = {}
        #: Those of them that are to be made small next, and bytes of bodies that were before them.
        self._batch = Batch()
        self._bytes = 0
        #: Objects that could not be stored.
        self.ignored = 0

    def __len__(self) -> int:
        return len(self._prepared)

    @property
    def objects(self) -> Sized[Prepared]:
        """For :meth:`Informer.replace`."""
        return self._prepared.values()

    def add(self, raw: Raw, *, head: bytes = b"") -> bool:
        """An object is in the list.

        :param raw: its JSON.
        :param head: as of :meth:`workqueue.cache.Indexer.prepare`.
        :return: False if it cannot be stored, and is ignored.
        """
        try:
            prepared = self._informer.prepare(raw, head=head)
        except Exception as error:  # of a user's transform, too
            self.ignored += 1
            logger.warning("informer %s: an object of the list was ignored: %s", self._informer.name, error)
            return False
        key = prepared.entry.key
        # Should its transform have failed, what the list said of it before is newer than what is stored.
        if prepared.entry is not self._informer.reader.entry(key):
            self._prepared[key] = prepared
            self._batch.add(prepared.entry)
            if self._batch.is_full:
                self._bytes += self._informer.pack(self._batch.take(), beside=self._bytes)
        else:
            self._prepared.setdefault(key, prepared)
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
                self._prepared.pop(object_key(parse_identity(raw)), None)
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
