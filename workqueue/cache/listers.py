"""A lister: the cache as a client would be asked, by namespace, name and labels.

Semantics: client-go tools/cache/listers.go. Labels are matched without decoding any object, and
where an index knows which objects have one, no others are looked at (client-go goes through all).
"""

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

from workqueue.base.errors import ObjectNotFound
from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import FieldIndex, NamespaceIndex
from workqueue.cache.pages import Objects, page_of
from workqueue.cache.reader import Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, as_selector

#: How the index by namespace is called: ``NamespaceIndex``, tools/cache/index.go.
NAMESPACE_INDEX = "namespace"


class Lister:
    """Lists and gets from a cache."""

    def __init__(self, reader: Reader) -> None:
        """:param reader: the cache; an index of its by ``namespace()`` or ``label(…)`` saves looking through all."""
        self._reader = reader

    def list(
        self,
        selector: Selector | str | Mapping[str, str] | None = None,
        *,
        namespace: str = "",
        limit: int | None = None,
        continue_: str = "",
    ) -> Objects:
        """The objects that a selector selects, in no order; with a limit a page of them, in the order of their keys.

        :param selector: a text such as ``"app=web,!canary"``, labels that must be equal, or None for all.
        :param namespace: one namespace; "" is all of them.
        :param limit, continue_: as of :meth:`workqueue.cache.Reader.list`, as is what is returned and raised.
        :raises InvalidSelector: if the text cannot be read.
        """
        chosen = as_selector(selector)
        entries = [] if isinstance(chosen, Nothing) else self._candidates(chosen, namespace)
        if namespace:
            entries = [entry for entry in entries if entry.namespace == namespace]
        if chosen != Everything():
            entries = [entry for entry in entries if chosen.matches(entry.labels)]
        return page_of(entries, limit=limit, continue_=continue_)

    def _candidates(self, selector: Selector, namespace: str) -> builtins.list[Entry]:
        """At least those that are selected: by the index that finds the fewest, or all there are."""
        counted = [
            (self._reader.count_by_index(name, *values), name, values)
            for name, values in self._ways(selector, namespace)
        ]
        if not counted:
            return self._reader.entries()
        _, name, values = min(counted)
        return self._reader.entries_by_index(name, *values)

    def _ways(self, selector: Selector, namespace: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Indexes that fit, and the values to look under."""
        for name, index in self._reader.indexers().items():
            if namespace and isinstance(index, NamespaceIndex):
                yield name, (namespace,)
            if isinstance(index, FieldIndex) and isinstance(selector, Everything):
                for part in selector.requirements:
                    # What has an empty value is in no index, nor is what has no such label.
                    if (
                        index.path == ("metadata", "labels", part.key)
                        and part.operator == "in"
                        and "" not in part.values
                    ):
                        yield name, tuple(sorted(part.values))

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
