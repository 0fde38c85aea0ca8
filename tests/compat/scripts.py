"""Scripts: which queue, with which limiter, and what is done to it, as both sides read them.

As JSON an operation is an array: its name, the keys, then a number of units of time, then options. All of it but the
name may be absent: `["add", "a"]`, `["add_after", "a", 3]`, `["get"]`, `["add_with", "a", "b", {"priority": 5}]`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Nanoseconds of a unit of time: 1/512 s, a whole number of them and exact as a float too, so that both sides'
#: instants are equal and not nearly equal.
UNIT = 1_953_125

#: What each kind of queue is asked to do, by client-go's names.
PLAIN = ("add", "get", "done", "len", "shut_down", "shut_down_with_drain", "shutting_down")
DELAYING = (*PLAIN, "add_after", "step")
RATE_LIMITING = (*DELAYING, "add_rate_limited", "forget", "num_requeues")
PRIORITY = (*RATE_LIMITING, "add_with", "get_with_priority")
LIMITER = ("when", "forget", "num_requeues", "step")
OPERATIONS = {
    "plain": PLAIN,
    "delaying": DELAYING,
    "ratelimiting": RATE_LIMITING,
    "priority": PRIORITY,
    "limiter": LIMITER,
}


@dataclass(frozen=True)
class Operation:
    """One call. units: of its delay, or how far time goes."""

    name: str
    keys: tuple[str, ...] = ()
    units: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of an operation that has one."""
        return self.keys[0]

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        arguments = [*self.keys, *([] if self.units is None else [str(self.units)]), *options]
        return f"{self.name}({', '.join(arguments)})"

    def to_json(self) -> list[Any]:
        """The array."""
        options = [dict(self.options)] if self.options else []
        return [self.name, *self.keys, *([] if self.units is None else [self.units]), *options]

    @classmethod
    def from_json(cls, parts: list[Any]) -> "Operation":
        """The operation that an array means."""
        name, *rest = parts
        keys = tuple(each for each in rest if isinstance(each, str))
        units = next((each for each in rest if isinstance(each, int)), None)
        return cls(name, keys, units, next((each for each in rest if isinstance(each, dict)), {}))


@dataclass(frozen=True, repr=False)
class Script:
    """Operations for one queue. limiter: its name and arguments, None for the queue's own default."""

    queue: str
    operations: tuple[Operation, ...] = ()
    limiter: Any = None
    unit: int = UNIT

    def __repr__(self) -> str:
        return f"Script.from_json({self.to_json()!r})"

    def seconds(self, units: float) -> float:
        """A number of units as our side wants it."""
        return units * self.unit / 1e9

    def to_json(self) -> str:
        """One line."""
        operations = [each.to_json() for each in self.operations]
        head = {"queue": self.queue, "limiter": self.limiter, "unit": self.unit}
        return json.dumps({**head, "operations": operations})

    @classmethod
    def from_json(cls, text: str) -> "Script":
        """The script that a line means; KeyError or ValueError if it means none."""
        parts = json.loads(text)
        operations = tuple(map(Operation.from_json, parts["operations"]))
        if unknown := {each.name for each in operations} - set(OPERATIONS[parts["queue"]]):
            raise ValueError(f"a {parts['queue']} queue has no {', '.join(sorted(unknown))}")
        return cls(parts["queue"], operations, parts.get("limiter"), parts.get("unit", UNIT))


@dataclass(frozen=True)
class Delivery:
    """What a get gave. key: None if it told of the shutdown; priority: None if nobody asked; at: nanoseconds."""

    key: str | None
    priority: int | None
    at: int


@dataclass(frozen=True)
class Tie:
    """Keys that came due at one instant, in the order in which client-go queued them."""

    at: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What one operation did, and which calls that waited came back during it.

    result: what it returned, None for nothing; length: of the queue after it, None if not asked; got: what gets
    returned; drained: how many drains returned; ties: theirs only.
    """

    result: Any = None
    length: int | None = None
    got: tuple[Delivery, ...] = ()
    drained: int = 0
    ties: tuple[Tie, ...] = ()

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> "Answer":
        """The referee's answer."""
        got = [
            Delivery(None if each["shutdown"] else each["key"], each["priority"], each["at"])
            for each in parts["got"] or ()
        ]
        ties = tuple(Tie(each["at"], tuple(each["keys"])) for each in parts.get("tied", ()))
        return cls(parts["result"], parts["length"], tuple(got), parts["drained"], ties)

    def __str__(self) -> str:
        got = [
            f"got {'shutdown' if each.key is None else each.key}"
            f"{'' if each.priority is None else f' with priority {each.priority}'} at {each.at / 1e6:g} ms"
            for each in self.got
        ]
        parts = [
            *([] if self.result is None else [f"returned {self.result}"]),
            *([] if self.length is None else [f"length {self.length}"]),
            *got,
            *([f"{self.drained} drained"] if self.drained else []),
        ]
        return ", ".join(parts) or "nothing"
