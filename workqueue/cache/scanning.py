"""JSON taken apart without recursion: the parts of an object or a list as bytes, however deep they are.

Decoders recurse and give up at a thousand levels or so; an API server takes ten thousand. Of what is
nested deeper than they go one still has to know what it is, to notice that it is gone, and what
stands beside it in a list must not suffer. Slow, and only for those.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping

import orjson

from workqueue.base.errors import InvalidObject

#: A text; one that does not end takes all the rest, and is not looked for again from each quote that is in it.
_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"?'
#: What changes the depth, separates, or may hide something that looks like it.
_TOKEN = re.compile(_TEXT + rb"|[{}\[\],:]", re.DOTALL)


def members(raw: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each value as its bytes; of a name that comes twice the last.

    :raises InvalidObject: if it is no object, or a name in it is damaged.
    """
    found: dict[str, bytes] = {}
    for name, value in _named(raw):
        try:
            found[orjson.loads(name)] = value
        except ValueError as error:
            raise InvalidObject(f"an object that is no JSON: {error}") from None
    return found


def member(raw: bytes, name: str) -> bytes | None:
    """One member of a JSON object, its value as bytes, though the names of others may be damaged; None if it has none.

    :raises InvalidObject: if it is no object.
    """
    found = None
    for known, value in _named(raw):
        with contextlib.suppress(ValueError):
            found = value if orjson.loads(known) == name else found
    return found


def _named(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The members of a JSON object as names and values, both as they are written."""
    for part in _parts(raw, opening=b"{", closing=b"}"):
        name = _TOKEN.match(part)
        if name is None or name[0][:1] != b'"' or part[name.end() :].lstrip()[:1] != b":":
            raise InvalidObject("an object that is no JSON: a member without a name")
        yield name[0], part[name.end() :].lstrip()[1:].strip()


def joined(members: Mapping[str, bytes]) -> bytes:
    """The JSON object that has these members."""
    return b"{" + b",".join(orjson.dumps(name) + b":" + value for name, value in members.items()) + b"}"


def elements(raw: bytes) -> list[bytes]:
    """The elements of a JSON list, each as its bytes.

    :raises InvalidObject: if it is no list.
    """
    return _parts(raw, opening=b"[", closing=b"]")


def _parts(raw: bytes, *, opening: bytes, closing: bytes) -> list[bytes]:
    """What stands between the commas of the outermost brackets."""
    raw = raw.strip()
    if raw[:1] != opening or raw[-1:] != closing:
        raise InvalidObject("an object that is no JSON: its brackets do not close")
    found: list[bytes] = []
    depth, begin = 0, 1
    for token in _TOKEN.finditer(raw):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == 0 and token.end() != len(raw):
                    raise InvalidObject("an object that is no JSON: something follows it")
            case b"," if depth == 1:
                found.append(raw[begin : token.start()].strip())
                begin = token.end()
    if depth != 0:
        raise InvalidObject("an object that is no JSON: its brackets do not close")
    if (last := raw[begin:-1].strip()) or found:
        found.append(last)
    return found
