"""A lister: the cache as a client would be asked, by namespace, name and labels.

Semantics: client-go tools/cache/listers.go. Labels are matched without decoding any object.
"""

import builtins
from collections.abc import Mapping
from typing import Any

from workqueue.base.errors import ObjectNotFound
from workqueue.base.keys import ObjectKey
from workqueue.cache.batches import decode_all
from workqueue.cache.reader import Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, as_selector

#: The index by namespace that listers use where it exists: ``NamespaceIndex``, tools/cache/index.go.
NAMESPACE_INDEX = "namespace"


class Lister:
    """Lists and gets from a cache."""

    def __init__(self, reader: Reader) -> None:
        """:param reader: the cache; one with an index named "namespace" lists a namespace without a scan."""
        self._reader = reader

    def list(
        self, selector: Selector | str | Mapping[str, str] | None = None, *, namespace: str = ""
    ) -> builtins.list[dict[str, Any]]:
        """The objects that a selector selects, in no order.

        :param selector: a text such as ``"app=web,!canary"``, labels that must be equal, or None for all.
        :param namespace: one namespace; "" is all of them.
        :raises InvalidSelector: if the text cannot be read.
        """
        chosen = as_selector(selector)
        if isinstance(chosen, Nothing):
            return []
        if not namespace:
            entries = self._reader.entries()
        elif NAMESPACE_INDEX in self._reader.indexers():
            entries = self._reader.entries_by_index(NAMESPACE_INDEX, namespace)
        else:
            entries = [entry for entry in self._reader.entries() if entry.key.namespace == namespace]
        if chosen != Everything():
            entries = [entry for entry in entries if chosen.matches(entry.labels)]
        return decode_all(entries)

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        """One object.

        :param namespace: "" in the cluster scope.
        :raises ObjectNotFound: if the cache does not hold it.
        """
        key = ObjectKey(namespace, name)
        found = self._reader.get_by_key(key)
        if found is None:
            raise ObjectNotFound(f"{key} not found in the cache")
        return found
