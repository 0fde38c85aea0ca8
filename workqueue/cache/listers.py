"""A lister: the cache as a client would be asked, by namespace, name and labels.

Semantics: client-go tools/cache/listers.go. Labels are matched without decoding any object, and
where an index knows which objects have one, no others are looked at (client-go goes through all).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workqueue.base.errors import ObjectNotFound
from workqueue.base.keys import ObjectKey
from workqueue.cache.entry import Entry
from workqueue.cache.indexes import FieldIndex
from workqueue.cache.pages import Objects, Spaces, by_namespace, page_of
from workqueue.cache.reader import Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, as_selector


class Lister:
    """Lists and gets from a cache."""

    def __init__(self, reader: Reader) -> None:
        """:param reader: the cache; an index by ``label(…)`` saves looking through all objects for that label."""
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
        spaces = {} if isinstance(chosen, Nothing) else self._candidates(chosen, namespace)
        if chosen != Everything():
            spaces = {space: self._selected(chosen, entries) for space, entries in spaces.items()}
        return page_of(spaces, limit=limit, continue_=continue_)

    @staticmethod
    def _selected(selector: Selector, entries: Iterable[Entry]) -> Iterator[Entry]:
        return (entry for entry in entries if selector.matches(entry.labels))

    def _candidates(self, selector: Selector, namespace: str) -> Spaces:
        """At least those that are selected: by the index that finds the fewest, or all there are."""
        ways = [
            (self._reader.count_by_index(name, *values), name, values) for name, values in self._indexes_of(selector)
        ]
        fewest, name, values = min(ways, default=(math.inf, "", ()))
        if fewest >= self._reader.count(namespace):
            return self._reader.spaces(namespace)
        found = by_namespace(self._reader.entries_by_index(name, *values))
        return {space: entries for space, entries in found.items() if not namespace or space == namespace}

    def _indexes_of(self, selector: Selector) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Indexes in which everything is that a selector may select, and the values to look under."""
        if not isinstance(selector, Everything):
            return
        # What has an empty value is in no index, nor is what has no such label.
        fitting = [part for part in selector.requirements if part.operator == "in" and "" not in part.values]
        for name, index in self._reader.indexers().items():
            if isinstance(index, FieldIndex):
                for part in fitting:
                    if index.path == ("metadata", "labels", part.key):
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
