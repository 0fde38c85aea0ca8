"""Objects that nobody writes by hand: each is kept byte for byte and read back as it was, or refused by its key."""

import base64
import functools
import json
import math
import random
from decimal import Decimal

import pytest

from tests.cache.objects import pod
from workqueue.base.errors import InvalidObject
from workqueue.cache import Indexer, annotation, field, label, namespace, owner_uid
from workqueue.cache.packing import MAGIC, SAMPLES
from workqueue.informer import Informer
from workqueue.informer.collection import Collection

INDEXERS = {"namespace": namespace(), "app": label("app"), "node": field("spec.nodeName"), "owner": owner_uid(),
            "note": annotation("note")}  # fmt: skip


def raw(kind, /, **rest):
    metadata = {"name": "odd", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"app": "x"}}
    body = {"kind": kind, "apiVersion": "v1", "metadata": metadata, **rest}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def with_data(text):
    """A config map with something in its data that JSON of Python's does not write."""
    return raw("ConfigMap", data="HERE").replace(b'"HERE"', text.encode())


@functools.cache
def random_bytes(size):
    return base64.b64encode(random.Random(size).randbytes(size)).decode()


ODD = {
    "a secret of random bytes": raw("Secret", data={f"key{n}": random_bytes(1000 + n) for n in range(10)}),
    "a secret of a megabyte": raw("Secret", data={"key": random_bytes(1024 * 1024)}),
    "a config map of a megabyte": raw("ConfigMap", data={"text": "the same again and again " * 42_000}),
    "a config map of a thousand keys": raw("ConfigMap", data={f"key-{n}": str(n) * n for n in range(1000)}),
    "an empty object": raw("ConfigMap"),
    "every character": raw("ConfigMap", data={"text": "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))}),
    "astral characters": raw("ConfigMap", data={"\U0001f600" * 50: "\U0010ffff\U00010000"}),
    "escapes": with_data(r'{"a":"\u0000\u001f\"\\\/\b\f\n\r\té","\u0061b":"\ud83d\ude00"}'),
    "numbers over 2^53": with_data("[9007199254740993,-9007199254740993,9223372036854775807,18446744073709551615]"),
    "numbers with a fraction": with_data("[0.1,1e-300,1.7976931348623157e308,5e-324,-0.0,1.0,1E2]"),
    "keys that come twice": with_data('{"a":1,"a":2,"b":{"c":1,"c":2}}'),
    "white space": raw("ConfigMap", data={"a": [1, {}]}).replace(b",", b" ,\n\t").replace(b":{", b" : {"),
    "lists in lists": with_data("[" * 200 + "]" * 200),
    "objects in objects": with_data('{"a":' * 200 + "1" + "}" * 200),
    "what looks like a frame": raw("ConfigMap", data={"a": "(\udcff".encode("utf-8", "replace").decode()}),
    "many labels": raw("ConfigMap").replace(
        b'"app":"x"', b'"app":"x",' + b",".join(b'"l%d":"v"' % n for n in range(999))
    ),
    "text of all lengths": raw("ConfigMap", data=["x" * n for n in range(300)]),
}


@pytest.fixture(params=["none", "zstd", "trained", "trained on others"])
def indexer(request):
    """A cache whose bodies are kept so."""
    if not request.param.startswith("trained"):
        return Indexer(INDEXERS, compression=request.param)
    made = Indexer(INDEXERS)
    others = [pod(f"p{n}", text=random_bytes(4000 + n) if "others" in request.param else f"{n} " * 2000)
              for n in range(2 * SAMPLES)]  # fmt: skip
    made.replace(others)
    assert made.statistics().packing.dictionaries == 1
    return made


def settled(indexer, body, way):
    """Stored in that way, and packed if it can be."""
    if way == "list":
        kept = [each for each in indexer.entries() if each.name != "odd"]
        draft = indexer.draft(kept)
        draft.add(indexer.complete(indexer.prepare(body)))
        indexer.replace(draft)
    else:
        indexer.put(indexer.prepare(body))
        for number in range(64):
            indexer.add(pod(f"more-{number}"))
    return indexer.entry("n/odd")


@pytest.mark.parametrize("way", ["list", "event"])
@pytest.mark.parametrize("body", list(ODD.values()), ids=list(ODD))
def test_an_odd_object_is_kept_byte_for_byte(indexer, body, way):
    entry = settled(indexer, body, way)
    assert entry.body == body
    assert indexer.get_by_key("n/odd") == json.loads(body)
    assert indexer.by_index("namespace", "n") == indexer.by_index("app", "x") == [json.loads(body)]
    assert json.loads(body) in list(indexer)
    statistics = indexer.statistics()
    if statistics.packing.compression != "none":
        assert entry.is_settled
        assert entry.stored.startswith((MAGIC, b"{"))
        assert len(entry.stored) <= len(body)
    indexer._check()
    indexer.remove(entry.key)
    assert indexer.get_by_key("n/odd") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e400", Decimal("1e400")),
        ("-1.5E+999", Decimal("-1.5e999")),
        ("1" * 400, int("1" * 400)),
        ("1e-400", 0.0),
        ("7" * 5000, Decimal("7" * 5000)),
        ("1e" + "9" * 30, math.inf),
        ("-1e" + "9" * 30, -math.inf),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775809", -9223372036854775809.0),
    ],
)
def test_a_number_beyond_all_bounds_is_read_as_it_is(indexer, text, number):
    body = with_data(f"[{text},1.5,7]")
    entry = settled(indexer, body, "event")
    assert entry.body == body
    assert indexer.get_by_key("n/odd")["data"] == [number, 1.5, 7]
    assert type(indexer.get_by_key("n/odd")["data"][0]) is type(number)
    assert any(each["data"] == [number, 1.5, 7] for each in indexer.by_index("namespace", "n"))


def far_down(function, frames=400):
    """Called by somebody who was called by many others."""
    return function() if frames == 0 else far_down(function, frames - 1)


@pytest.mark.parametrize("nesting", [("[", "1e400", "]"), ('{"a":', "1e400", "}"), ("[", "", "]")])
def test_what_was_stored_is_read_by_everybody_however_deep_in_calls(indexer, nesting):
    settled(indexer, deep(700, *nesting), "event")
    wanted = indexer.statistics().objects
    for read in (indexer.list, lambda: list(indexer), lambda: indexer.by_index("namespace", "n"), indexer.entries):
        assert len(far_down(read)) >= 1
    assert len(far_down(indexer.list)) == wanted
    assert far_down(lambda: indexer.get_by_key("n/odd"))["metadata"]["name"] == "odd"


def test_what_is_nested_deep_is_compared_however_deep_in_calls():
    informer = Informer("odd", indexer=Indexer())
    informer.apply(deep(700, "[", "1", "]"))
    collection = Collection(informer)
    assert collection.add(deep(700, "[", "2", "]"))
    assert far_down(lambda: informer.replace(collection.draft, versions="begin anew")) == 1


@pytest.mark.parametrize("number", ["1e400", "1" * 400, "1e" + "9" * 30])
def test_a_number_beyond_all_bounds_comes_to_a_transform_which_may_leave_it_out(number):
    body = with_data(f"[{number},1.5]")
    with pytest.raises(InvalidObject, match=r"^n/odd cannot be stored as JSON: "):
        Indexer(transform=lambda body: body).prepare(body)
    indexer = Indexer(transform=lambda body: {**body, "data": body["data"][1:]})
    indexer.put(indexer.prepare(body))
    assert indexer.get_by_key("n/odd")["data"] == [1.5]


@pytest.mark.parametrize(
    "text", ["1e400x", "01e400", "1e400,", "[1e400", "1e400]", "1e400,01", '1e400,"\\ud800"', "--1"]
)
def test_what_is_damaged_beside_a_number_beyond_all_bounds_is_refused(text):
    with pytest.raises(InvalidObject, match=r"^(n/odd|an object whose name cannot be read) is no JSON: "):
        Indexer().prepare(with_data(f"[{text}]"))


def deep(depth, opening, middle, closing):
    return with_data(opening * depth + middle + closing * depth)


@pytest.mark.parametrize("depth", [400, 1100, 10_000, 200_000])
@pytest.mark.parametrize("nesting", [("[", "", "]"), ('{"a":', "1", "}"), ('[{"a":', "1", "}]")])
def test_what_is_nested_deep_is_kept_or_refused_by_its_key(indexer, depth, nesting):
    body = deep(depth, *nesting)
    why = ""
    try:
        indexer.put(indexer.prepare(body))
    except InvalidObject as error:
        why = str(error)
    if why:
        assert (why, depth > 400) == ("n/odd is nested too deep to be read", True)
        assert indexer.get_by_key("n/odd") is None
    else:
        assert indexer.entry("n/odd").body == body
        assert indexer.get_by_key("n/odd")["metadata"]["name"] == "odd"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({**pod("odd", "n"), "text": "\ud800"}, "n/odd cannot be stored as JSON: str is not valid UTF-8"),
        ({**pod("odd", "n"), "number": 2**64}, "n/odd cannot be stored as JSON: Integer exceeds 64-bit range"),
        ({**pod("odd", "n"), "set": {1}}, "n/odd cannot be stored as JSON: Type is not JSON serializable: set"),
        ({**pod("odd", "n"), 7: 1}, "n/odd cannot be stored as JSON: Dict key must be str"),
    ],
)
def test_what_python_has_and_json_has_not_is_refused_by_its_key(indexer, body, why):
    with pytest.raises(InvalidObject) as caught:
        indexer.add(body)
    assert str(caught.value).startswith(why)
    assert indexer.get_by_key("n/odd") is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [lambda number: number, lambda number: {"a": [None, {"b": number}]}])
def test_what_is_no_number_is_refused_and_not_made_nothing_of(indexer, number, place):
    with pytest.raises(InvalidObject, match=r"^n/odd cannot be stored as JSON: not a number, or an infinite one$"):
        indexer.add({**pod("odd", "n"), "number": place(number)})
    indexer.add({**pod("odd", "n"), "number": None})
    assert indexer.get_by_key("n/odd")["number"] is None


@pytest.mark.parametrize("how", ["a mapping", "with a transform"])
def test_what_is_nested_deeper_than_orjson_writes_is_stored_all_the_same(how):
    nested = json.loads('{"a":' * 400 + "1" + "}" * 400)
    body = {**pod("odd", "n", labels={"app": "x"}), "data": nested}
    indexer = Indexer(INDEXERS, transform=(lambda body: body) if how == "with a transform" else None)
    indexer.put(indexer.prepare(json.dumps(body).encode() if how == "with a transform" else body))
    assert indexer.get_by_key("n/odd") == body
    assert indexer.by_index("app", "x") == [body]


def test_what_is_too_deep_for_everybody_is_refused_by_its_key():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidObject, match=r"^n/odd cannot be stored as JSON: "):
        Indexer().add({**pod("odd", "n"), "data": nested})
    while nested:  # let go of it level by level: Python's own way to do that recurses, too
        nested = nested.pop()


DAMAGED = {
    "an infinite number": with_data("1e400"), "no UTF-8": with_data('"\xff"').replace(b"\xc3\xbf", b"\xff"),
    "half a character": with_data('"\\ud800"'), "a bad escape": with_data(r'"\x"'),
    "a control character": with_data('"\x01"'),
    "too deep": with_data("[" * 5000 + "]" * 5000),
}  # fmt: skip


@pytest.mark.parametrize("damaged", list(DAMAGED.values()), ids=list(DAMAGED))
def test_what_is_refused_is_named_and_its_deletion_is_understood(damaged):
    informer = Informer("odd", indexer=Indexer({"data": field("data")}, transform=lambda body: body))
    whole = with_data('"whole"')
    informer.apply(whole)
    with pytest.raises(InvalidObject, match=r"^n/odd (is|cannot)"):
        informer.apply(damaged)
    collection = Collection(informer)
    assert not collection.add(damaged)
    assert collection.ignored == 1
    informer.replace(collection.draft)
    assert informer.reader.get_by_key("n/odd") == json.loads(whole), "what could be stored of it stays"
    informer.remove(damaged)
    assert informer.reader.get_by_key("n/odd") is None
