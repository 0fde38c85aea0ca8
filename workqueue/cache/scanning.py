"""JSON taken apart without recursion: the parts of an object or a list as bytes, however deep they are.

Decoders recurse and give up at a thousand levels or so; an API server takes ten thousand. Of what is
nested deeper than they go one still has to know what it is, to notice that it is gone, and what
stands beside it in a list must not suffer. Slow, and only for those.
"""

import re
from collections.abc import Mapping

import orjson

from workqueue.base.errors import InvalidObject

#: What changes the depth, separates, or may hide something that looks like it.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


def members(raw: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each value as its bytes; of a name that comes twice the last.

    :raises InvalidObject: if it is no object.
    """
    found: dict[str, bytes] = {}
    for part in _parts(raw, opening=b"{", closing=b"}"):
        name = _TOKEN.match(part)
        if name is None or name[0][:1] != b'"' or part[name.end() :].lstrip()[:1] != b":":
            raise InvalidObject("an object that is no JSON: a member without a name")
        found[orjson.loads(name[0])] = part[name.end() :].lstrip()[1:].strip()
    return found


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
