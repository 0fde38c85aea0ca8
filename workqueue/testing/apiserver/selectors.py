"""Which objects a list or a watch is about: label selectors and field selectors, as texts in a query.

Labels are read and matched by the very code that listers use (:mod:`workqueue.cache`), so the contract
tests, which also run against the real API server, vouch for that too. Fields: apimachinery's
fields/selector.go.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workqueue.base.errors import InvalidSelector
from workqueue.cache import Everything, parse_selector
from workqueue.cache.selectors import Requirement
from workqueue.testing.apiserver.errors import bad_request


def parse_labels(text: str) -> Everything:
    """Read a label selector: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``.

    :raises ApiError: 400 if it is none.
    """
    try:
        return parse_selector(text.strip())
    except InvalidSelector as error:
        raise bad_request(f"unable to parse requirement: {error}") from None


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
    labels: Everything = field(default_factory=Everything)
    fields: tuple[Requirement, ...] = ()

    @property
    def selective(self) -> bool:
        """Whether there is a selector at all."""
        return bool(self.labels.requirements or self.fields)

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether an object is selected; its namespace is the caller's to compare."""
        if not self.labels.matches(document["metadata"].get("labels") or {}):
            return False
        return all(
            requirement.matches({requirement.key: field_text(document, requirement.key)}) for requirement in self.fields
        )
