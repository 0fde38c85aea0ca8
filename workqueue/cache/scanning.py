"""JSON taken apart without recursion: the parts of an object or a list as bytes, however deep they are.

Decoders recurse and give up at a thousand levels or so; an API server takes ten thousand. Of what is
nested deeper than they go one still has to know what it is, to notice that it is gone, and what
stands beside it in a list must not suffer. How deep some of them go depends on who calls them, too:
what one reader of the cache can read, all must. Slow, and only for those, and for numbers that no
decoder takes.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import orjson

from workqueue.base.errors import InvalidObject

#: A text; one that does not end takes all the rest, and is not looked for again from each quote that is in it.
_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"?'
#: What changes the depth, separates, or may hide something that looks like it.
_TOKEN = re.compile(_TEXT + rb"|[{}\[\],:]", re.DOTALL)
#: All that JSON consists of but white space, and all that it does not.
_WORD = re.compile(_TEXT + rb"|[{}\[\],:]|[^ \t\r\n{}\[\],:\"]+", re.DOTALL)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


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


def read(raw: bytes) -> Any:
    """JSON of any depth, with numbers of any size: what is beyond all bounds of a float is an int or a Decimal.

    What is beyond all bounds of that, too, is infinite.

    :raises InvalidObject: if it is none.
    """
    root: list[Any] = []
    #: What is not closed yet, the innermost last.
    around: list[list[Any] | dict[str, Any]] = [root]
    name = ""
    #: What may come: a value or the name of a member, which an end of its list or object may stand for; what is
    #: between a name and its value; or what follows a value.
    wanted: Literal["value", "value or end", "name", "name or end", "colon", "more"] = "value"
    for match in _WORD.finditer(raw):
        word = match[0]
        inside = around[-1]
        if wanted.startswith("value") and word not in _NO_VALUES:
            value: Any = [] if word == b"[" else {} if word == b"{" else _scalar(word)
            if isinstance(inside, dict):
                inside[name] = value
            else:
                inside.append(value)
            wanted = "more"
            if word == b"[":
                around.append(value)
                wanted = "value or end"
            elif word == b"{":
                around.append(value)
                wanted = "name or end"
        elif wanted.startswith("name") and word[:1] == b'"':
            name = _scalar(word)
            wanted = "colon"
        elif wanted == "colon" and word == b":":
            wanted = "value"
        elif wanted == "more" and word == b"," and inside is not root:
            wanted = "name" if isinstance(inside, dict) else "value"
        elif wanted in ("more", "value or end", "name or end") and word == (b"}" if isinstance(inside, dict) else b"]"):
            around.pop()
            wanted = "more"
            if not around:
                raise InvalidObject("an object that is no JSON: its brackets do not close")
        else:
            raise InvalidObject(f"an object that is no JSON: {word[:20]!r} at {match.start()}")
    if len(around) > 1 or wanted != "more":
        raise InvalidObject("an object that is no JSON: its brackets do not close")
    return root[0]


_NO_VALUES = frozenset((b"}", b"]", b",", b":"))


def _scalar(word: bytes) -> Any:
    try:
        return orjson.loads(word)
    except ValueError as error:
        number = _NUMBER.fullmatch(word)
        if number is None:
            raise InvalidObject(f"an object that is no JSON: {error}") from None
    if number[1] is None and number[2] is None:
        with contextlib.suppress(ValueError):  # Python reads no integer of more digits than some thousand
            return int(word)
    try:
        return Decimal(word.decode())
    except InvalidOperation:  # an exponent of more digits than even that has
        return float(word)
