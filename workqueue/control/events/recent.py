"""What was used last, and no more of it than a given number: memory that cannot grow with the cluster.

Source: k8s.io/utils/lru, with which client-go's tools/record remembers.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A dictionary that forgets what was not looked at for longest. It has no lock."""

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        """:param size: how many entries are kept."""
        self._size = size
        #: The one used last is the last.
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """What is kept under a key, which counts as use; None if there is nothing, or no more."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Keep something under a key."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
