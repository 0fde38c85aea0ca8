"""A witness who looks at what objects are, too: where a backup is restored, one resourceVersion can be two states."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.lanes.witness import Witness
from workqueue.cache import Reader


def content(body: Mapping[str, Any]) -> str:
    """All of an object but what the cache does not keep, in a few letters."""
    kept = {name: value for name, value in body.items() if name not in ("kind", "apiVersion", "metadata")}
    kept["metadata"] = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


@dataclass
class KeenWitness(Witness):
    """Objects also to versions that stay the same, unless they are said to be given a second time."""

    #: A backup was restored: an update to the same version is one if the content is another.
    versions_may_come_twice: bool = False
    #: By key: the content of what there is, going by what was told.
    contents: dict[str, str] = field(default_factory=dict)
    #: How often the deletion of each object was told.
    deletions: Counter[tuple[str, str]] = field(default_factory=Counter)

    def _handler(self, kind: str) -> Any:
        heard = super()._handler(kind)

        def heard_keenly(key: Any, uid: str, old: Any, new: Any, **kwargs: Any) -> None:
            text, before = str(key), len(self.objections)
            known = self.contents.get(text)
            heard(key=key, uid=uid, old=old, new=new, **kwargs)
            with self._lock:
                told = None if new is None else content(new)
                if kind == "update":
                    if known is not None and content(old) != known:
                        self.objections.append(f"an update of {text} says that it had another content before")
                    if self.versions_may_come_twice and told != known:
                        same = [each for each in self.objections[before:] if "that it had" in each and "to the" in each]
                        for each in same:
                            self.objections.remove(each)
                if kind == "delete":
                    self.deletions[text, uid] += 1
                    if self.deletions[text, uid] > 1 and not self.versions_may_come_twice:
                        self.objections.append(f"{text} with uid {uid} was deleted twice")
                if told is None:
                    self.contents.pop(text, None)
                else:
                    self.contents[text] = told

        heard_keenly.__name__ = f"keen_{kind}"
        return heard_keenly

    def check(self, cache: Reader) -> None:
        super().check(cache)
        with self._lock:
            assert self.contents == {str(entry.key): content(entry.decode()) for entry in cache.entries()}
