"""What a request asks of an API server, as far as a meddling cares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Verb = Literal["watch", "list", "other"]
#: Of a namespace itself; any other word there is a resource in it.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request; of parameters that are there twice the first."""

    method: str
    path: str
    query: Mapping[str, str]

    @property
    def verb(self) -> Verb:
        """A watch is one of a single object too; a list is of a collection; all else is other."""
        place = _behind_the_version(self.path)
        if self.method != "GET" or not place:
            return "other"
        if place[0] == "watch" or is_true(self.query.get("watch")):
            return "watch"
        return "list" if _is_collection(place) else "other"

    @property
    def is_streaming_list(self) -> bool:
        """Whether it wants the present state as events of a watch."""
        return self.verb == "watch" and is_true(self.query.get("sendInitialEvents"))


def is_true(text: str | None) -> bool:
    """As the API server reads a parameter: there, and neither "false" nor "0"."""
    return text is not None and text.lower() not in {"false", "0"}


def _behind_the_version(path: str) -> list[str]:
    match [part for part in path.split("/") if part]:
        case ["api", _, *rest] | ["apis", _, _, *rest]:
            return rest
        case _:
            return []


def _is_collection(place: list[str]) -> bool:
    if place[0] == "namespaces" and len(place) == 3 and place[2] not in _NAMESPACE_SUBRESOURCES:
        return True
    return len(place) == 1
