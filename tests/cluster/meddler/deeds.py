"""What a meddling can do, by where it does it: to the whole answer, to its head, to its body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tests.cluster.meddler.asked import Asked
from tests.cluster.meddler.steps import Passage


class Deed:
    """One thing that goes wrong with an answer."""

    #: Under which it is counted.
    kind: ClassVar[str]

    def concerns(self, asked: Asked) -> bool:
        """Whether it can be done to the answer of a request; a meddling passes over all others."""
        return True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client gets instead of the server's answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class AnsweringDeed(Deed):
    """Answers, and the server is not asked."""

    def answer(self) -> Answer:
        """The answer."""
        raise NotImplementedError


class HeadDeed(Deed):
    """Holds the server's answer back, or the one in its place."""

    def pause(self) -> float:
        """For so many seconds."""
        raise NotImplementedError


class BodyDeed(Deed):
    """Changes the body on its way."""

    def passage(self) -> Passage:
        """A new passage, for one answer."""
        raise NotImplementedError


class WatchDeed(BodyDeed):
    """Changes the lines of a watch that the server has accepted."""

    def concerns(self, asked: Asked) -> bool:
        return asked.verb == "watch"


class StreamingListDeed(WatchDeed):
    """Changes the lines of a streaming list."""

    def concerns(self, asked: Asked) -> bool:
        return asked.is_streaming_list


def check_count(**counts: int) -> None:
    """Raise ValueError for a number of events or bytes that is none."""
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} is 0 or more, not {count!r}")
