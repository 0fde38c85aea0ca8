"""What repeats from object to object, kept once: label sets, and the values that indexes find by.

A thousand pods of one Deployment have one label set, and stand on a hundred nodes. Each kept by
itself would be most of what the cache needs beside the bodies, and would have to be looked at by
the garbage collector again and again.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

#: As many are remembered; what does not repeat is forgotten again.
LIMIT = 4096

NO_LABELS: Mapping[str, str] = MappingProxyType({})

_labels = msgspec.json.Decoder(dict[str, str] | None)


class SharedValues(dict[str, tuple[str, ...]]):
    """The tuple that holds a text alone, by the text: looked up, it is there."""

    def __missing__(self, value: str) -> tuple[str, ...]:
        if len(self) >= LIMIT:
            self.clear()
        self[value] = made = (value,)
        return made


class SharedLabels(dict[bytes, Mapping[str, str]]):
    """Label sets, by their JSON: looked up, they are there. They cannot be changed."""

    def __missing__(self, raw: bytes) -> Mapping[str, str]:
        """:raises msgspec.MsgspecError: if it is no mapping of texts."""
        found = _labels.decode(raw)
        if len(self) >= LIMIT:
            self.clear()
        self[raw] = made = MappingProxyType(found) if found else NO_LABELS
        return made
