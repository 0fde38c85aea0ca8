"""One order: which requests, how often, and what goes wrong with their answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.deeds import AnsweringDeed, Deed, HeadDeed


@dataclass(frozen=True, kw_only=True)
class Meddling:
    """Which requests, how often, and what.

    what: one deed, or several for the same answer: those of a body one behind the other, each seeing what the one
    before has let through. Requests that a deed cannot be done to are passed over.
    method: such as "GET", "*" for any; path: a pattern as of fnmatch for the whole path; verb: "watch", "list" (of a
    collection, by GET) or "any"; query: asked with the parameters, None for any.
    times: how many answers, None for all. One that ended before a deed was done to it is not counted.
    """

    what: Deed | tuple[Deed, ...]
    method: str = "*"
    path: str = "*"
    verb: Literal["watch", "list", "any"] = "any"
    query: Callable[[Mapping[str, str]], bool] | None = None
    times: int | None = 1

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is 1 or more, or None for always, not {self.times!r}")
        if not self.deeds:
            raise ValueError("a meddling without a deed does nothing")
        answering = sum(isinstance(each, AnsweringDeed) for each in self.deeds)
        heads = sum(isinstance(each, HeadDeed) for each in self.deeds)
        if answering > 1 or heads > 1 or (answering and answering + heads < len(self.deeds)):
            raise ValueError("what is answered by a deed has no body for others, and neither is answered twice")

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """What is done, one behind the other."""
        return (self.what,) if isinstance(self.what, Deed) else self.what

    def fits(self, asked: Asked) -> bool:
        """Whether a request is one of these."""
        return (
            self.method in {"*", asked.method}
            and fnmatchcase(asked.path, self.path)
            and self.verb in {"any", asked.verb}
            and (self.query is None or self.query(asked.query))
            and all(each.concerns(asked) for each in self.deeds)
        )
