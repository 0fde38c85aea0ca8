"""Label selectors as kubectl takes them: ``app=web,tier in (a, b),!canary``.

Source: apimachinery pkg/labels/selector.go. Equality (``=``, ``==``, ``!=``), sets (``in``,
``notin``), presence (``key``, ``!key``) and order (``key>3``, ``key<3``); all parts must hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from workqueue.base.errors import InvalidSelector


class Selector(Protocol):
    """Decides by an object's labels."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True if an object with these labels is selected."""
        ...


#: A number as apimachinery takes it: of 64 bits, nearly.
_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """See :meth:`Selector.matches`. As in Kubernetes, != and notin also select objects without the label."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        if value is None or not _WHOLE.fullmatch(value):  # int() would also take 1_000
            return False
        number, (bound,) = int(value), map(int, self.values)
        return number > bound if self.operator == ">" else number < bound


@dataclass(frozen=True, slots=True)
class Everything:
    """All requirements must hold; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """See :meth:`Selector.matches`."""
        return all(requirement.matches(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Selects no object."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Never."""
        del labels
        return False


_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"(?:{_NAME}/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_PART = re.compile(
    rf"""\s*(?:
        !\s*(?P<absent>{_KEY})
      | (?P<key>{_KEY})\s*(?:
            \s(?P<set>in|notin)\s*\((?P<members>[^()]*)\)
          | (?P<op>==|=|!=|>|<)\s*(?P<value>{_VALUE})
          | (?P<exists>)
        )
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def parse_selector(text: str) -> Everything:
    """Read a label selector.

    :param text: parts joined by commas; empty selects everything.
    :raises InvalidSelector: naming the part that cannot be read.
    """
    requirements: list[Requirement] = []
    text, position = text.strip(), 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise InvalidSelector(f"label selector {text!r}: cannot read {text[position:].strip()!r}")
        requirements.append(_requirement(text, part))
        position = part.end()
    if text.endswith(","):
        raise InvalidSelector(f"label selector {text!r}: nothing after the last comma")
    return Everything(tuple(requirements))


def _requirement(text: str, part: re.Match[str]) -> Requirement:
    if part["absent"]:
        return Requirement(part["absent"], "!")
    key = part["key"]
    if part["set"]:
        values = [value.strip() for value in part["members"].split(",")]
        if bad := [value for value in values if not re.fullmatch(_VALUE, value)]:
            raise InvalidSelector(f"label selector {text!r}: {bad[0]!r} is no label value")
        return Requirement(key, part["set"], frozenset(values))
    match part["op"]:
        case None:
            return Requirement(key, "exists")
        case "=" | "==":
            return Requirement(key, "in", frozenset([part["value"]]))
        case "!=":
            return Requirement(key, "notin", frozenset([part["value"]]))
        case op:
            if not _WHOLE.fullmatch(part["value"]):
                raise InvalidSelector(f"label selector {text!r}: {key}{op} wants a whole number")
            return Requirement(key, op, frozenset([part["value"]]))


def as_selector(given: "Selector | str | Mapping[str, str] | None") -> Selector:
    """Take a selector in any of the forms a user may hold it.

    :param given: a selector, its text, labels that must all be equal, or None for everything.
    :raises InvalidSelector: if a text cannot be read.
    """
    if given is None:
        return Everything()
    if isinstance(given, str):
        return parse_selector(given)
    if isinstance(given, Mapping):
        if bad := [key for key, value in given.items() if not (isinstance(key, str) and isinstance(value, str))]:
            raise InvalidSelector(f"label selector {dict(given)!r}: {bad[0]!r} and its value must be texts")
        return Everything(tuple(Requirement(key, "in", frozenset([value])) for key, value in given.items()))
    return given
