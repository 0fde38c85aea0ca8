"""Somebody who hears all that an informer tells, and does not believe it: what handlers are told must make sense.

Folded in order it must give the cache: an add is of an object that was not there, an update of one that was and with
another version, a deletion of one that was.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from workqueue.cache import Reader


@dataclass
class Witness:
    """Use as: ``witness.listen(informer)`` with anything that has on_add, on_update and on_delete."""

    #: What was told, in order: kind, key, uid, version, initial, final_state_known.
    calls: list[tuple[str, str, str, str, bool, bool]] = field(default_factory=list)
    #: By key: uid and version of what there is, going by what was told.
    fold: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: What made no sense.
    objections: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listen(self, informer: Any) -> "Witness":
        for kind in ("add", "update", "delete"):
            getattr(informer, f"on_{kind}")(self._handler(kind))
        return self

    def _handler(self, kind: str) -> Any:
        def heard(*, key: Any, uid: str, old: Any, new: Any, initial: bool, final_state_known: bool, **_: Any) -> None:
            body = new if new is not None else old
            version = body["metadata"].get("resourceVersion", "") if body is not None and len(body) else ""
            with self._lock:
                self.calls.append((kind, str(key), uid, version, initial, final_state_known))
                self._fold(kind, str(key), uid, version, old)

        heard.__name__ = f"witness_{kind}"
        return heard

    def _fold(self, kind: str, key: str, uid: str, version: str, old: Any) -> None:
        known = self.fold.get(key)
        if kind == "add" and known is not None:
            self.objections.append(f"{key} was added twice")
        elif kind != "add" and known is None:
            self.objections.append(f"{kind} of {key}, which was not there")
        elif kind == "update" and known is not None:
            if known == (uid, version):
                self.objections.append(f"{key} was updated to the version {version} that it had")
            if known[0] != uid:
                self.objections.append(f"{key} was updated to another object")
            if old["metadata"].get("resourceVersion") != known[1]:
                self.objections.append(f"an update of {key} says that it was another version before")
        elif kind == "delete" and known is not None and known[0] != uid:
            self.objections.append(f"a deletion of {key} is of another object")
        if kind == "delete":
            self.fold.pop(key, None)
        else:
            self.fold[key] = (uid, version)

    def gives(self, cache: Reader) -> bool:
        """What was told gives the cache, which is ahead of it for a moment after each change."""
        with self._lock:
            return self.fold == _states(cache)

    def check(self, cache: Reader) -> None:
        """At a quiet moment: what was told gives the cache, and made sense on the way."""
        with self._lock:
            assert self.objections == []
            assert self.fold == _states(cache)

    def kinds(self, key: str) -> list[str]:
        """What was told of one key."""
        with self._lock:
            return [kind for kind, told, *_ in self.calls if told == key]

    def count(self) -> Counter[str]:
        with self._lock:
            return Counter(kind for kind, *_ in self.calls)


def _states(cache: Reader) -> dict[str, tuple[str, str]]:
    return {str(entry.key): (entry.uid, entry.resource_version) for entry in cache.entries()}
