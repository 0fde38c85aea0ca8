"""Fairness between tenants: who adds much does not hold up who adds little.

Asked for in kubernetes/kubernetes#25744 ("round-robin work queue proposal") and
kubernetes-sigs/controller-runtime#3261 ("Priorityqueue: Optionally return items fairly").

Inside one priority tenants take turns, each with its oldest key: a tenant's first key is handed out
within as many gets as tenants wait, however many keys the others have. With one tenant that is plain FIFO.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from workqueue.base.keys import ObjectKey
from workqueue.base.text import told
from workqueue.queues.core import brief
from workqueue.queues.levels import FifoLevel

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger("workqueue.queues")


def by_namespace(key: ObjectKey) -> str:
    """A tenant for each namespace: ``PriorityQueue(fairness=by_namespace)``.

    :param key: an :class:`ObjectKey`, or any pair of namespace and name.
    """
    return key[0]


class Tenants(Generic[K]):
    """Asks the user's function whose a key is."""

    def __init__(self, fairness: Callable[[K], Hashable]) -> None:
        """:param fairness: from a key to its tenant; quick, and always the same for one key."""
        self._fairness = fairness
        #: Keys for which it raised; written under the lock of the queue.
        self._failures = 0

    def of(self, key: K) -> Hashable:
        """The key's tenant; None, which is a tenant like any other, if the function raises."""
        try:
            tenant = self._fairness(key)
            hash(tenant)
        except Exception as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th … time: a warning and no flood
                logger.warning(
                    "fairness: no tenant for %s (%d times so far): %s", brief([key]), self._failures, told(error)
                )
            return None
        return tenant


class FairLevel(Generic[K]):
    """The ready keys of one priority, tenants in turn."""

    __slots__ = ("_levels", "_tenant", "_tenants")

    def __init__(self, tenants: Tenants[K]) -> None:
        """:param tenants: knows whose a key is."""
        self._tenants = tenants
        #: The tenants that have ready keys; whose turn is next comes first.
        self._levels: OrderedDict[Hashable, FifoLevel[K]] = OrderedDict()
        #: The tenant of each of these keys: asked for once, whatever a user's function says later.
        self._tenant: dict[K, Hashable] = {}

    def push(self, key: K) -> None:
        """See :meth:`Level.push`."""
        self._of(key).push(key)

    def push_late(self, key: K, rank: int) -> None:
        """See :meth:`Level.push_late`."""
        self._of(key).push_late(key, rank)

    def pop(self, ranks: Mapping[K, int]) -> K:
        """See :meth:`Level.pop`.

        :raises IndexError: if no key is ready.
        """
        for tenant, level in self._levels.items():
            key = level.pop(ranks)
            del self._tenant[key]
            if level:
                self._levels.move_to_end(tenant)
            else:
                del self._levels[tenant]
            return key
        raise IndexError("no key is ready")

    def remove(self, key: K, rank: int) -> None:
        """See :meth:`Level.remove`."""
        tenant = self._tenant.pop(key)
        level = self._levels[tenant]
        level.remove(key, rank)
        if not level:
            del self._levels[tenant]

    def __len__(self) -> int:
        """See :meth:`Level.__len__`."""
        return len(self._tenant)

    def check(self) -> None:
        """See :meth:`Level.check`."""
        assert sum(map(len, self._levels.values())) == len(self._tenant), "keys without a tenant"
        assert set(self._tenant.values()) == set(self._levels), "tenants without a key pile up"
        for level in self._levels.values():
            level.check()

    def _of(self, key: K) -> FifoLevel[K]:
        """The keys of the key's tenant."""
        tenant = self._tenants.of(key)
        level = self._levels.get(tenant)
        if level is None:
            level = self._levels[tenant] = FifoLevel()
        self._tenant[key] = tenant
        return level
