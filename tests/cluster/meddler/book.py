"""The orders that are in force. Everything here belongs to the meddler's loop."""

from collections.abc import Callable
from typing import TypeVar

from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.deeds import Deed
from tests.cluster.meddler.meddling import Meddling

_D = TypeVar("_D", bound=Deed)


class _Order:
    def __init__(self, meddling: Meddling) -> None:
        self.meddling = meddling
        self.left = meddling.times
        self.is_forgotten = False


class Job:
    """What is to be done to one answer: an order's deeds, or none. Done with by `Book.close`."""

    def __init__(self, order: _Order | None, *, count: Callable[[str], None]) -> None:
        self.order = order
        self.struck = False
        self._count = count

    def deeds(self, kind: type[_D]) -> list[_D]:
        """Those of a sort, as long as the order is not taken back."""
        if self.order is None or self.order.is_forgotten:
            return []
        return [each for each in self.order.meddling.deeds if isinstance(each, kind)]

    def strike(self, kind: str) -> None:
        """A deed is done; before the client can notice."""
        self.struck = True
        self._count(kind)


class Book:
    """Orders, those first that were given first."""

    def __init__(self, *, count: Callable[[str], None]) -> None:
        """:param count: told the kind of each deed that is done."""
        self._orders: list[_Order] = []
        self._count = count

    def add(self, meddling: Meddling) -> None:
        """Take an order."""
        self._orders.append(_Order(meddling))

    def clear(self) -> None:
        """Forget all, those too that are being carried out."""
        for each in self._orders:
            each.is_forgotten = True
        self._orders.clear()

    def open(self, asked: Asked) -> Job:
        """The job that a request is; of several orders that fit it the first."""
        for each in self._orders:
            if each.left != 0 and each.meddling.fits(asked):
                if each.left is not None:
                    each.left -= 1
                return Job(each, count=self._count)
        return Job(None, count=self._count)

    def close(self, job: Job) -> None:
        """The answer is over: what was not done to it can be done to another."""
        order = job.order
        if order is not None and order.left is not None and not job.struck:
            order.left += 1
