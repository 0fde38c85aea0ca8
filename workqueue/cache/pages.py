"""Objects in pages: for those who show them, or cannot hold all of them."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.cache.batches import decode_all
from workqueue.cache.entry import Entry


class Objects(list[dict[str, Any]]):
    """Some objects, a private copy of each."""

    #: What to ask for the next page by; "" if there is none.
    continue_: str = ""


#: Objects by namespace. Of those that are behind a page nobody looks at the second.
Spaces = Mapping[str, Iterable[Entry]]


def by_namespace(entries: Iterable[Entry]) -> Spaces:
    """Some objects as :func:`page_of` wants them."""
    spaces: dict[str, list[Entry]] = {}
    for entry in entries:
        spaces.setdefault(entry.namespace, []).append(entry)
    return spaces


def page_of(spaces: Spaces, *, limit: int | None, continue_: str = "") -> Objects:
    """Decode some objects: all, in no order; or with a limit those that come next, in the order of their keys.

    What is there all the time is on exactly one page, whatever comes and goes meanwhile.

    :param spaces: all that there are.
    :param limit: as many at most; None is all.
    :param continue_: as the page before said; "" begins.
    :raises ConfigurationError: if the limit is no whole number from 1, or there is none to go on with.
    :raises InvalidKey: if no page says so.
    """
    if limit is None:
        if continue_:
            raise ConfigurationError(f"list(continue_={continue_!r}): a page wants a limit, such as limit=500")
        return Objects(decode_all([entry for entries in spaces.values() for entry in entries]))
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"list(limit={limit!r}): expected a whole number from 1, or None for all objects")
    chosen = _next(spaces, limit + 1, after=ObjectKey.parse(continue_) if continue_ else ObjectKey("", ""))
    page = Objects(decode_all(chosen[:limit]))
    if len(chosen) > limit:
        page.continue_ = str(chosen[limit - 1].key)
    return page


def _next(spaces: Spaces, limit: int, *, after: ObjectKey) -> Sequence[Entry]:
    """The first of those behind a key; no more is put in order than is wanted."""
    found: list[Entry] = []
    for space in sorted(space for space in spaces if space >= after.namespace):
        behind = (entry for entry in spaces[space] if space > after.namespace or entry.name > after.name)
        found += _first(behind, limit - len(found))
        if len(found) == limit:
            break
    return found


def _first(entries: Iterable[Entry], number: int) -> Iterable[Entry]:
    """Some, in the order of their names."""
    if number <= _RUN:
        return heapq.nsmallest(number, entries, key=_name)
    left = list(entries)
    runs = (sorted(left[start : start + _RUN], key=_name) for start in range(0, len(left), _RUN))
    return islice(heapq.merge(*runs, key=_name), number)


_name = attrgetter("name")


def in_order(entries: Iterable[Entry]) -> list[ObjectKey]:
    """Their keys, sorted; a namespace at a time, as Python runs nothing else while it sorts."""
    spaces: dict[str, list[str]] = {}
    for entry in entries:
        spaces.setdefault(entry.namespace, []).append(entry.name)
    return [ObjectKey(space, name) for space, names in sorted(spaces.items()) for name in _sorted(names)]


#: Texts that are sorted in one go: a millisecond or so.
_RUN = 4096


def _sorted(names: list[str]) -> Iterable[str]:
    if len(names) <= _RUN:
        return sorted(names)
    return heapq.merge(*(sorted(names[start : start + _RUN]) for start in range(0, len(names), _RUN)))
