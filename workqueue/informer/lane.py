"""A lane brings the events of one resource to an informer. What all lanes have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: What a user may ask for.
LaneName = Literal["auto", "stream", "handlers"]

#: What a consistency check may find of an object: the cache does not hold it, holds another state of it than the API
#: server, or holds it though it is gone.
Difference = Literal["missing", "outdated", "gone"]


@dataclass(frozen=True, slots=True)
class ConsistencyStatistics:
    """One consistency check at one instant."""

    #: Comparisons that came to an end.
    checks: int = 0
    #: Comparisons that did not, for want of an answer.
    failures: int = 0
    #: What was found and mended.
    differences: Mapping[Difference, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneStatistics:
    """One lane at one instant."""

    #: "stream" or "handlers".
    lane: str
    #: Why the cache is not live; "" if it is, as far as the lane can know.
    problem: str
    #: Lists that replaced the cache, watches begun, and both that ended otherwise than by their own end. Kopf does not
    #: tell the handlers lane of its own.
    lists: int = 0
    watches: int = 0
    interruptions: int = 0
    #: Events and objects that could not be read or stored.
    ignored: int = 0
    #: Seconds since the last byte came, of the namespace that has been silent the longest; None if nobody knows.
    silence: float | None = None
