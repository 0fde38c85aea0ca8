"""What repeats from object to object, kept once: label sets and their texts, and the values that indexes find by.

A thousand pods of one Deployment have one label set, and stand on a hundred nodes. Each kept by
itself would be most of what the cache needs beside the bodies, and would have to be looked at by
the garbage collector again and again.
"""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

import msgspec

from workqueue.cache.indexes import Values

#: As many are remembered, or few more; what does not repeat is forgotten again.
LIMIT = 4096
#: Bytes of a label set, and characters of a value, above which it is not remembered: whoever may write objects can make
#: them as large as an object.
LONGEST_LABELS, LONGEST_VALUE = 2048, 256

NO_LABELS: Mapping[str, str] = MappingProxyType({})

_labels = msgspec.json.Decoder(dict[str, str] | None)


class SharedValues(dict[str, tuple[str, ...]]):
    """The tuple that holds a text alone, by the text: looked up, it is there."""

    def __missing__(self, value: str) -> tuple[str, ...]:
        made = (value,)
        if len(value) <= LONGEST_VALUE:
            if len(self) >= LIMIT:
                self.clear()
            self[value] = made
        return made


class SharedCombinations(dict[Values, Values]):
    """What objects are found under in all indexes: looked up, it is the one that is kept."""

    def __missing__(self, found: Values) -> Values:
        if sum(map(len, chain.from_iterable(filter(None, found)))) <= LONGEST_VALUE:
            if len(self) >= LIMIT:
                self.clear()
            self[found] = found
        return found


class SharedLabels(dict[bytes, Mapping[str, str]]):
    """Label sets, by their JSON: looked up, they are there. They cannot be changed."""

    def __init__(self) -> None:
        super().__init__()
        #: Names, and values, by themselves. The pods of a StatefulSet have a set each, and most of it in common.
        self.names: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def __missing__(self, raw: bytes) -> Mapping[str, str]:
        """:raises msgspec.MsgspecError: if it is no mapping of texts."""
        found = _labels.decode(raw) or {}
        if len(raw) > LONGEST_LABELS:
            return MappingProxyType(found)
        known: dict[Any, Any]
        for known in (self, self.names, self.texts):
            if len(known) >= LIMIT:
                known.clear()
        name_of, text_of = self.names.setdefault, self.texts.setdefault
        labels = {name_of(name, name): text_of(text, text) for name, text in found.items()}
        made = MappingProxyType(labels) if labels else NO_LABELS
        self[raw] = made
        return made
