"""Which objects a list or a watch is about: label selectors and field selectors, as texts in a query.

Grammar: apimachinery's labels/selector.go and fields/selector.go.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workqueue.testing.apiserver.errors import bad_request

_LABEL_TOKEN = re.compile(r"\s*(?:(==|!=|=|,|\(|\)|<|>|!)|([^\s,=!()<>]+))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label or field."""

    key: str
    #: "in", "notin", "exists" or "absent"; equality is "in" with one value.
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil it. A label that is not there is not in any set, so "notin" holds."""
        match self.operator:
            case "in":
                return self.key in labels and labels[self.key] in self.values
            case "notin":
                return self.key not in labels or labels[self.key] not in self.values
            case "exists":
                return self.key in labels
            case _:
                return self.key not in labels


class _Parser:
    """Reads one label selector, word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _LABEL_TOKEN.match(text, position)
            if found is None:
                raise bad_request(f"unable to parse requirement: found '{text[position]}', expected: identifier")
            self._words.append(found[1] or found[2])
            position = found.end()

    def _peek(self) -> str:
        return self._words[0] if self._words else ""

    def _next(self) -> str:
        return self._words.pop(0) if self._words else ""

    def _word(self) -> str:
        word = self._next()
        if not word or word in {"=", "==", "!=", ",", "(", ")", "<", ">", "!"}:
            raise bad_request(f"unable to parse requirement: found '{word}', expected: identifier")
        return word

    def _value(self) -> str:
        """A value may be nothing at all: ``a=`` and ``a=,b`` are legal."""
        return "" if self._peek() in {"", ","} else self._word()

    def _set(self) -> frozenset[str]:
        if (word := self._next()) != "(":
            raise bad_request(f"unable to parse requirement: found '{word}' expected: '('")
        values = set()
        while True:
            values.add("" if self._peek() in {",", ")"} else self._word())
            word = self._next()
            if word == ")":
                return frozenset(values)
            if word != ",":
                raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or ')'")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._word(), "absent")
        key = self._word()
        match self._peek():
            case "" | ",":
                return Requirement(key, "exists")
            case "=" | "==":
                self._next()
                return Requirement(key, "in", frozenset([self._value()]))
            case "!=":
                self._next()
                return Requirement(key, "notin", frozenset([self._value()]))
            case "in" | "notin":
                return Requirement(key, self._next(), self._set())
            case word:
                raise bad_request(
                    f"unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, gt, lt"
                )

    def parse(self) -> tuple[Requirement, ...]:
        requirements: list[Requirement] = []
        while self._words:
            requirements.append(self._requirement())
            if (word := self._next()) not in {"", ","}:
                raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or 'end of string'")
            if word == "," and not self._words:
                raise bad_request("unable to parse requirement: found '', expected: identifier after ','")
        return tuple(requirements)


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a label selector: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``.

    :raises ApiError: 400 if it is none.
    """
    return _Parser(text).parse() if text.strip() else ()


def parse_fields(text: str, *, supported: Callable[[str], str]) -> tuple[Requirement, ...]:
    """Read a field selector: ``spec.nodeName=a,status.phase!=Running``.

    :param supported: called with each field, returns why it cannot be selected by, or "".
    :raises ApiError: 400 if it is none, or selects by a field it cannot.
    """
    requirements = []
    for term in filter(None, re.split(r"(?<!\\),", text)):
        found = re.fullmatch(r"([^=!]*)(!=|==|=)(.*)", term)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if problem := supported(found[1]):
            raise bad_request(problem)
        value = re.sub(r"\\([\\,=])", r"\1", found[3])
        requirements.append(Requirement(found[1], "notin" if found[2] == "!=" else "in", frozenset([value])))
    return tuple(requirements)


def field_text(document: Mapping[str, Any], path: str) -> str:
    """A field as selectors see it: text, "" where there is none.

    :param path: e.g. "spec.nodeName".
    """
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    match value:
        case None:
            return "false" if path in {"spec.unschedulable", "spec.hostNetwork"} else ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or a watch is about: one namespace or all of them, and selectors."""

    #: "" for all namespaces.
    namespace: str = ""
    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    @property
    def selective(self) -> bool:
        """Whether there is a selector at all."""
        return bool(self.labels or self.fields)

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether an object is selected; its namespace is the caller's to compare."""
        if self.labels:
            labels = document["metadata"].get("labels") or {}
            if not all(requirement.matches(labels) for requirement in self.labels):
                return False
        return all(
            requirement.matches({requirement.key: field_text(document, requirement.key)}) for requirement in self.fields
        )
