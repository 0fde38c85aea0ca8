"""Objects taken from their bytes, against the long way: what each, decoded as a whole, is stored as and found under."""

import gc
import json
import os

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workqueue.base.errors import InvalidObject
from workqueue.cache import Indexer, annotation, field, label, namespace, owner_uid
from workqueue.cache.entry import Entry, encode
from workqueue.cache.indexes import index_values
from workqueue.cache.parsing import Part, TooDeep, parse_object
from workqueue.cache.shared import LIMIT, LONGEST_LABELS, LONGEST_VALUE
from workqueue.cache.wire import WireDecoder

INDEXERS = {
    "kind": field("kind"),
    "version": field("apiVersion"),
    "name": field("metadata.name"),
    "all labels": field("metadata.labels"),
    "metadata": field("metadata"),
    "app": field("metadata.labels.app"),
    "dotted": label("app.kubernetes.io/name"),
    "odd label": label('a"b\\c.é\n'),
    "spec": field("spec"),
    "a": field("spec.a"),
    "b": field("spec.a.b"),
    "deep": field("spec.x.y.z"),
    "same": field("spec.x.y.z"),
    "top": field("top"),
    "odd": field('spec.é "\\'),
    "dashes": field("spec.a-b"),
    "method": field("spec.__init__"),
    "own": field("f_6b696e64"),
    "under managed": field("spec.managedFields"),
    "namespace": namespace(),
    "owner": owner_uid(),
    "note": annotation("x"),
    "users": lambda body: [str(body.get("top"))],
}
#: Those of them that need no function of the user's, and no field on the way to another's.
KNOWN = {name: index for name, index in INDEXERS.items() if name not in (
    "name", "all labels", "metadata", "spec", "a", "odd", "users",
)}  # fmt: skip
SETS = {
    "all": INDEXERS,
    "known": KNOWN,
    "spec": {"spec": INDEXERS["spec"], "app": label("app")},
    "a": {"a": INDEXERS["a"], "namespace": namespace()},
}
HEAD = b'"kind":"Pod","apiVersion":"v1",'
LONG = settings(
    max_examples=80,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def outcome(function):
    """What it gives, or the error it raises."""
    try:
        return function()
    except InvalidObject as error:
        return type(error), str(error)


def by_the_long_way(raw, indexers, head):
    entry = encode(parse_object(raw, head=head))
    values = []
    for function in indexers.values():
        try:
            values.append(() if function == namespace() else index_values(function, entry.decode()))
        except Exception:
            values.append(None)
    return entry, tuple(values)


#: Decoders are not made anew for each example.
DECODERS = {name: WireDecoder(indexers) for name, indexers in SETS.items()}


def check(raw, indexers=None, head=b""):
    """What is found by each set of indexes, or by some; returns what those that the decoder knows find."""
    if indexers is not None:
        return check_one(raw, indexers, WireDecoder(indexers), head)
    found = {name: check_one(raw, indexers, DECODERS[name], head) for name, indexers in SETS.items()}
    assert not (found["all"] and found["all"].values), "a function of the user's is not called"
    return found["known"]


def check_one(raw, indexers, decoder, head):
    found = outcome(lambda: decoder.decode(raw, head=head))
    beside = b'"\\u0061","managedFields":[]'
    part = Part(beside + raw + beside, len(beside), len(beside) + len(raw))
    in_place = outcome(lambda: decoder.decode(part, head=head))
    if isinstance(in_place, tuple) or isinstance(found, tuple):
        assert in_place == found
    else:
        assert (in_place.body, in_place.values) == (found.body, found.values)
    expected = outcome(lambda: by_the_long_way(raw, indexers, head))
    if isinstance(found, tuple):
        assert found == expected
        return None
    wanted, wanted_values = expected
    assert isinstance(wanted, Entry), f"{wanted} was not refused"
    for name in ("key", "uid", "resource_version", "labels", "compact_uid", "compact_version"):
        assert getattr(found, name) == getattr(wanted, name)
        assert type(getattr(found, name)) is type(getattr(wanted, name))
    stored = found.decode()
    if says_something_twice(raw):  # which no API server does; managed fields may be left then, and nothing else
        stored["metadata"].pop("managedFields", None)
    assert identical(stored, wanted.decode(), ordered=not head)
    assert found.values in ((), wanted_values)
    assert type(found.body) is bytes
    return found


def says_something_twice(raw):
    """Whether an object in it has a name twice, however that is written."""
    found = []

    def note(pairs):
        found.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    try:
        json.loads(raw, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return False
    return any(found)


def identical(one, other, *, ordered):
    """Equal, also in the kinds of numbers and the order of names."""
    if ordered:
        return json.dumps(one) == json.dumps(other)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


scalars = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4) | st.sampled_from([2**63, 2**64, 2**64 - 1, -(2**63), -(2**63) - 1, "", 0, -0.0, 1e300])
)  # fmt: skip
names = st.sampled_from(
    ["a", "b", "x", "y", "z", "a-b", 'é "\\', "__init__", "f_6b696e64", "managedFields", "name", "metadata", ""]
) | st.text(max_size=3)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
texts = st.sampled_from(["web", "ü", "a b", "x/y", "", "😀"]) | st.text(max_size=5)
rarely = st.integers(0, 9).map(lambda number: number == 0)


def mostly(usual, odd=values):
    return st.tuples(rarely, usual, odd).map(lambda drawn: drawn[2] if drawn[0] else drawn[1])


managed = st.just([{"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:labels": {".": {}}}}}]) | values
labels = st.dictionaries(
    st.sampled_from(["app", "app.kubernetes.io/name", 'a"b\\c.é\n', "", "x"]), mostly(texts), max_size=3
)
owners = st.lists(mostly(st.fixed_dictionaries({}, optional={"uid": mostly(texts), "name": texts})), max_size=3)
metadata_fields = {
    "name": mostly(texts), "namespace": mostly(texts), "uid": mostly(texts), "resourceVersion": mostly(texts),
    "labels": mostly(labels), "managedFields": managed, "annotations": mostly(labels), "generateName": values,
    "ownerReferences": mostly(owners),
}  # fmt: skip
metadata = st.fixed_dictionaries({"name": metadata_fields["name"]}, optional={
    name: value for name, value in metadata_fields.items() if name != "name"
})  # fmt: skip
spec = st.fixed_dictionaries({}, optional={
    "a": values,
    "x": mostly(st.fixed_dictionaries({}, optional={"y": mostly(st.fixed_dictionaries({}, optional={"z": values}))})),
    'é "\\': values, "a-b": values, "__init__": values, "managedFields": managed, "metadata": values,
})  # fmt: skip
objects = st.fixed_dictionaries({"metadata": mostly(metadata)}, optional={
    "kind": mostly(texts), "apiVersion": mostly(texts), "spec": mostly(spec), "top": values, "f_6b696e64": values,
    "managedFields": managed, "status": values,
})  # fmt: skip


class Writer:
    """Writes JSON as nobody should: in any order, names twice, with escapes and blanks."""

    def __init__(self, draw):
        self._draw = draw
        self._wild = draw(rarely) or draw(rarely)

    def _chance(self):
        return self._wild and self._draw(rarely)

    def blank(self):
        return self._draw(st.sampled_from([" ", "\n", "\t\r "])) if self._chance() else ""

    def text(self, value):
        plain = json.dumps(value, ensure_ascii=False)
        if not self._chance():
            return plain
        return '"' + "".join(f"\\u{unit:04x}" for unit in utf16(value)) + '"'

    def write(self, value):
        before, after = self.blank(), self.blank()
        match value:
            case str():
                inner = self.text(value)
            case list():
                inner = "[" + ",".join(map(self.write, value)) + "]"
            case dict():
                items = list(value.items())
                if self._chance():
                    items = self._draw(st.permutations(items))
                if items and self._chance():
                    items.insert(self._draw(st.integers(0, len(items))), (items[0][0], self._draw(values)))
                if items and self._chance():
                    items.insert(self._draw(st.integers(0, len(items))), self._draw(st.sampled_from(items)))
                inner = "{" + ",".join(
                    f"{self.blank()}{self.text(name)}{self.blank()}:{self.write(each)}" for name, each in items
                ) + "}"  # fmt: skip
            case _:
                inner = json.dumps(value)
        return before + inner + after


def utf16(text):
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@st.composite
def written(draw):
    return Writer(draw).write(draw(objects)).encode()


@LONG
@given(raw=written(), chosen=st.sets(st.sampled_from(sorted(INDEXERS))), head=st.sampled_from([b"", b"", HEAD]))
@example(raw=b'{"metadata":{"name":"a"},"kind":null}', chosen={"kind"}, head=HEAD)
@example(raw=b'{"metadata":{"name":"a"}}', chosen={"kind", "version"}, head=HEAD)
def test_any_object_is_what_the_long_way_makes_of_it(raw, chosen, head):
    if head and (b"kind" in raw) is not (b"apiVersion" in raw):
        head = b""  # nobody says the one without the other
    check(raw, {name: INDEXERS[name] for name in INDEXERS if name in chosen}, head)


@LONG
@given(raw=written(), cut=st.integers(0, 400), junk=st.sampled_from([b"", b"}", b"x", b"\xff", b" \n", b"\x00"]))
def test_any_damaged_object_is_refused_as_by_the_long_way(raw, cut, junk):
    check(raw[: cut % (len(raw) + 1)] + junk)


# Each shape on its own, so that none is left to chance.


def body(metadata, rest=""):
    return ('{"metadata":{' + metadata + "}" + rest + "}").encode()


MANAGED = '"managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{"k:{\\"a\\":1}":{}}}}]'


@pytest.mark.parametrize(
    "metadata",
    [
        f'{MANAGED},"name":"a"', f'"name":"a",{MANAGED}', f'"name":"a",{MANAGED},"uid":"u"',
        '"name":"a","managedFields":null', '"name":"a","managedFields":[]', '"managedFields":{},"name":"a"',
        '"name":"a","managedFields":"text"', '"name":"a","managedFields":7', '"name":"a","managedFields":true',
        f'"name":"a",{MANAGED} ,"uid":"u"', f'"name":"a", {MANAGED}', '"name":"a","managedFields" :[1]',
        '"name":"a","managedFields": [1]', '"name":"a","managed\\u0046ields":[1]', f'"name":"a",{MANAGED},{MANAGED}',
        f'"name":"a",{MANAGED},"managedFields":[]', '"name":"a","annotations":{"managedFields":"x"}',
        f'"name":"a","annotations":{{"managedFields":"x"}},{MANAGED}',
        '"name":"a","annotations":{"x":"\\"managedFields\\":"},"managedFields":[1]',
    ],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["", ',"spec":{"managedFields":[1]}', f',"spec":{{{MANAGED}}}', f",{MANAGED}"])
def test_managed_fields_of_the_metadata_are_cut_and_no_others(metadata, rest):
    raw = body(metadata, rest)
    entry = check(raw, {"a": field("spec.a")})
    expected = orjson.loads(raw)
    expected["metadata"].pop("managedFields", None)
    assert entry.decode() == expected
    if not rest and "annotations" not in metadata:
        assert b"manage" not in entry.body


@pytest.mark.parametrize("spec", ['{"managedFields":[1],"x":1}', '{"x":1,"managedFields":[1]}', '{"managedFields":[1]}',
                                  '{"a\\"managedFields":[1],"x":2}'])  # fmt: skip
@pytest.mark.parametrize("own", ['"managed\\u0046ields":[1]', '"managedFields" :[1]', '"managedFields": [1]'])
def test_managed_fields_that_are_written_oddly_are_not_mistaken_for_others_of_the_same_value(spec, own):
    raw = ('{"spec":' + spec + ',"metadata":{"name":"a",' + own + "}}").encode()
    entry = check(raw, {})
    assert entry.decode() == {"spec": json.loads(spec), "metadata": {"name": "a"}}


def test_two_metadata_are_the_last():
    raw = b'{"metadata":{"name":"a","managedFields":[1],"uid":"u"},"metadata":{"name":"b"}}'
    entry = check(raw)
    assert (entry.key, entry.uid) == (("", "b"), "")
    check(b'{"metadata":{"name":"a"},"metadata":{"name":"b","managedFields":[1]}}')
    check(b'{"metadata":{"name":"a","managedFields":[1]},"metadata":{"name":"b","managedFields":[1]}}')


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"[]", b'"a"', b"7", b"{}", b'{"metadata":null}', b'{"metadata":[]}', b'{"metadata":{}}',
        b'{"metadata":{"name":""}}', b'{"metadata":{"name":null}}', b'{"metadata":{"name":7}}',
        b'{"metadata":{"name":"a/b"}}', b'{"metadata":{"name":"a","namespace":"n/m"}}', b'{"metadata":{"name":"a"}',
        b'{"metadata":{"name":"a","namespace":7}}', b'{"metadata":{"name":"a"}}x', b'{"metadata":{"name":"a",}}',
        b'{"metadata":{"name":"a"},"spec":{"a":NaN}}', b'{"metadata":{"name":"a"},"other":NaN}',
        b'{"metadata":{"name":"a"},"other":"\xff"}', b'{"metadata":{"name":"a"},"other":"\xed\xa0\x80"}',
        b'{"metadata":{"name":"a"},"other":"\\ud800"}', b'{"metadata":{"name":"\xff"}}',
        b'\xef\xbb\xbf{"metadata":{"name":"a"}}',
        b'{"metadata":{"name":"a"},"other":01}', b'{"metadata":{"name":"a"},"other":"\x01"}',
        b'{"metadata":{"name":"a","managedFields":["\xff"]}}',
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_with_the_same_words(raw):
    assert check(raw) is None
    assert check(raw, {}) is None


@pytest.mark.parametrize("head", [b"", b'"kind":"Pod","apiVersion":"v1",'])
@pytest.mark.parametrize("managed", ["", ',"managedFields":[{"a":[1e400]}]'])
@pytest.mark.parametrize("number", ["1" * 400, "1" * 5000, "1e400", "-1e400", "1e" + "9" * 30])
def test_an_object_with_a_number_beyond_all_bounds_is_kept_and_no_index_finds_it_by_that(number, managed, head):
    indexer = Indexer({"a": field("spec.a"), "b": field("spec.b"), "user's": lambda body: [body["spec"]["b"]]})
    raw = '{"metadata":{"name":"a"%s},"spec":{"a":%s,"b":"x"}}'
    indexer.put(indexer.prepare((raw % (managed, number)).encode(), head=head))
    assert indexer.entry("a").body.replace(head, b"") == (raw % ("", number)).encode()
    assert indexer.entry("a").values == ((), ("x",), ("x",))
    assert indexer.statistics().index_errors == 0
    indexer._check()


@pytest.mark.parametrize("part", ["uid", "resourceVersion", "namespace"])
@pytest.mark.parametrize("value", ["null", '""', '"x"', "0", "7", "false", "[]", "1.5"])
def test_parts_of_the_metadata_may_be_of_any_type(part, value):
    check(body(f'"name":"a","{part}":{value}'))


@pytest.mark.parametrize("value",
    ["null", "{}", "[]", '"x"', "7", '{"app":null}', '{"app":""}', '{"app":7}', '{"app":"x"}',
                                   '{"app":"x","app":"y"}', '{"":"x"}', '{"app":"x","b":[1]}'])  # fmt: skip
def test_labels_may_be_of_any_type(value):
    check(body(f'"name":"a","labels":{value}'))


@pytest.mark.parametrize(
    "value",
    ["null", "{}", "[]", '""', '"x"', "0", "-0", "7", "-7", "1.0", "-0.0", "1e3", "true", "false",
     "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
     "-9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "0.1", "1e-400", '[{"b":1}]'],
)  # fmt: skip
@pytest.mark.parametrize("path", ["kind", "spec", "spec.a", "spec.a.b", "spec.x.y.z", "top"])
def test_a_field_may_be_of_any_type_where_an_index_looks(path, value):
    *way, last = path.split(".")
    raw = f'"{last}":{value}'
    for name in reversed(way):
        raw = f'"{name}":{{{raw}}}'
    raw = ('{"metadata":{"name":"a"},' + raw + "}").encode()
    check(raw)
    for name, function in INDEXERS.items():
        check(raw, {name: function})


def test_indexes_of_which_one_leads_through_another_are_all_right():
    indexers = {"spec": field("spec"), "a": field("spec.a"), "b": field("spec.a.b")}
    indexer = Indexer(indexers)
    for number, rest in enumerate(['"x"', '{"a":"y"}', '{"a":{"b":"z"}}', "null", "[]", '{"a":null}']):
        indexer.put(indexer.prepare(body(f'"name":"n{number}"', f',"spec":{rest}')))
    indexer._check()
    assert [indexer.index_keys(name, value) for name, value in (("spec", "x"), ("a", "y"), ("b", "z"))] == [
        [("", "n0")], [("", "n1")], [("", "n2")],
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [100, 253, 300, 900, 1000, 1010, 1023, 1024, 1030, 5000, 100_000])
@pytest.mark.parametrize("kind", ["list", "object"])
def test_an_object_of_any_depth_is_read_or_refused_and_what_is_stored_can_be_read(depth, kind):
    inner = b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth
    for place in (b"spec", b"other"):
        raw = b'{"metadata":{"name":"a"},"' + place + b'":' + inner + b"}"
        try:
            entry = WireDecoder(INDEXERS).decode(raw)
        except TooDeep:
            assert depth >= 1000
        else:
            assert entry.body == raw
            assert entry.decode()["metadata"] == {"name": "a"}, "it can be read"


@pytest.mark.parametrize("depth", [1, 250, 300, 900])
@pytest.mark.parametrize("first", ['"managedFields":1,', '"spec":{"managedFields":[]},', ""])
@pytest.mark.parametrize("head", [b"", HEAD])
def test_an_object_that_takes_the_long_way_may_be_nested_as_deep_as_any(depth, first, head):
    nested = '{"a":' * depth + "1" + "}" * depth
    metadata = f'"annotations":{{"managedFields":"x"}},"name":"n",{MANAGED},"uid":"u","labels":{{"a":"b"}}'
    raw = ("{" + first + '"metadata":{' + metadata + '},"x":' + nested + "}").encode()
    entry = WireDecoder(INDEXERS).decode(raw, head=head)
    assert entry.body == b"{" + head + raw[1:].replace(MANAGED.encode() + b",", b"")
    assert (entry.key, entry.uid, entry.labels) == (("", "n"), "u", {"a": "b"})
    assert entry.decode()["metadata"]["annotations"] == {"managedFields": "x"}


def test_neither_objects_of_known_kinds_nor_custom_resources_take_the_long_way():
    """A kube-apiserver sorts the fields of the latter: much of their metadata comes after the managed fields."""
    known = body(f'"name":"a","namespace":"s","uid":"u","labels":{{"app":"x"}},{MANAGED}', ',"spec":{"x":{}}')
    custom = body(f'"labels":{{"app":"x"}},{MANAGED},"name":"a","namespace":"s","uid":"u"', ',"spec":{"x":{}}')
    first = body(f'{MANAGED},"name":"a","namespace":"s","uid":"u"', ',"spec":{"x":{}}')
    for raw in (known, custom, first):
        entry = check(raw)
        assert len(entry.values) == len(KNOWN)
        assert entry.body == raw.replace(MANAGED.encode() + b",", b"").replace(b"," + MANAGED.encode(), b"")


def test_a_field_of_the_name_is_no_managed_fields_whatever_its_value():
    check(b'{"metadata":{"name":"n","managed\\u0046ields":0},"spec":{"managedFields":0,"w":1}}')
    check(b'{"spec":{"managedFields":[1],"w":1},"metadata":{"name":"n","managed\\u0046ields":[1]}}')
    check(b'{"metadata":{"name":"n","managed\\u0046ields":[1]},"spec":{"metadata":{"managedFields":[1]}}}')


def test_the_head_is_put_where_an_object_does_not_say_what_it_is():
    entry = check(b'{"metadata":{"name":"a"}}', {}, HEAD)
    assert entry.body == b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}'
    raw = b'{"apiVersion":"v2","kind":"Other","metadata":{"name":"a"}}'
    assert check(raw, {}, HEAD).body == raw
    check(b' {"metadata":{"name":"a"}}', {}, HEAD)
    check(b'{"metadata":{"name":7}}', {}, HEAD)
    check(b"{}", {}, HEAD)
    check(b"null", {}, HEAD)


# Memory.


def test_what_is_kept_holds_nothing_larger():
    rest = '"' + "x" * 100_000 + '"'
    entry = WireDecoder(KNOWN).decode(body(f'"name":"a","managedFields":[{rest}],"labels":{{"app":"x"}}'))
    assert type(entry.body) is bytes
    assert len(entry.body) < 100
    seen, left = set(), [entry.key, entry.uid, entry.labels, entry.body, entry.values]
    while left:
        each = left.pop()
        if id(each) not in seen and not isinstance(each, type):
            seen.add(id(each))
            assert not isinstance(each, memoryview)
            assert not (isinstance(each, bytes | str) and len(each) > 1000)
            left.extend(gc.get_referents(each))


def test_what_needs_no_change_is_kept_as_it_came():
    raw = b'{"metadata":{"name":"a"},  "spec":{}}'
    assert WireDecoder({}).decode(raw).body is raw


def test_of_a_part_nothing_is_kept_but_the_object():
    raw = b'{"metadata":{"name":"a"},"spec":{}}'
    entry = WireDecoder({}).decode(Part(b"x" * 10_000 + raw, 10_000, 10_000 + len(raw)))
    assert entry.body == raw
    assert type(entry.body) is bytes


def test_what_repeats_is_kept_once_and_what_does_not_is_forgotten():
    decoder = WireDecoder({"app": label("app"), "node": field("spec.nodeName"), "namespace": namespace()})

    def decode(name, app, node):
        metadata = f'"name":"{name}","namespace":"tenant","labels":{{"app":"{app}","of":"{app}"}}'
        return decoder.decode(body(metadata, f',"spec":{{"nodeName":"{node}"}}'))

    one, other = decode("a", "web", "node-1"), decode("b", "web", "node-1")
    assert one.labels is other.labels
    assert one.namespace is other.namespace
    assert one.values is other.values
    assert decode("c", "web", "node-2").values[0] is one.values[0]
    for number in range(3 * LIMIT):
        entry = decode("c", f"app-{number}", f"node-{number}")
        assert entry.labels == {"app": f"app-{number}", "of": f"app-{number}"}
        assert entry.values == ((f"app-{number}",), (f"node-{number}",), ())
    pools = (decoder._shared_labels, decoder._shared_values, decoder._shared_combinations)
    assert max(map(len, pools)) <= LIMIT


def test_texts_that_label_sets_have_in_common_are_kept_once():
    decoder = WireDecoder({})
    names, values = set(), set()
    for number in range(3 * LIMIT):
        text = f'"name":"a","labels":{{"app.kubernetes.io/name":"web-server","instance":"web-{number}"}}'
        entry = decoder.decode(body(text))
        assert entry.labels == {"app.kubernetes.io/name": "web-server", "instance": f"web-{number}"}
        names.update(map(id, entry.labels))
        values.add(id(entry.labels["app.kubernetes.io/name"]))
    assert len(names) == 2
    assert len(values) <= 4
    assert max(map(len, (decoder._shared_labels.names, decoder._shared_labels.texts))) <= LIMIT + 1
    long = "x" * LONGEST_LABELS
    assert decoder.decode(body(f'"name":"a","labels":{{"app":"{long}"}}')).labels == {"app": long}
    assert long not in decoder._shared_labels.texts


def test_what_is_long_is_not_remembered():
    decoder = WireDecoder({"app": label("app")})
    for size in (LONGEST_VALUE, LONGEST_VALUE + 1, LONGEST_LABELS + 1, 100_000):
        entry = decoder.decode(body(f'"name":"a","labels":{{"app":"{"x" * size}"}}'))
        assert (entry.labels, entry.values) == ({"app": "x" * size}, (("x" * size,),))
    assert {*decoder._shared_values} == {"", "x" * LONGEST_VALUE}
    assert len(decoder._shared_labels) == 2


def test_combinations_of_what_is_long_are_not_remembered():
    decoder = WireDecoder({"app": label("app"), "note": annotation("x")})
    for number in range(10):
        note = f"{number}" + "x" * LONGEST_VALUE
        entry = decoder.decode(body(f'"name":"a","labels":{{"app":"y"}},"annotations":{{"x":"{note}"}}'))
        assert entry.values == (("y",), (note,))
    assert len(decoder._shared_combinations) == 0
    decoder.decode(body('"name":"a","labels":{"app":"y"},"annotations":{"x":"short"}'))
    assert [*decoder._shared_combinations] == [(("y",), ("short",))]


def test_labels_cannot_be_changed():
    for metadata in ('"name":"a"', '"name":"a","labels":{"app":"x"}', '"name":"a","labels":{}'):
        entry = WireDecoder({}).decode(body(metadata))
        with pytest.raises(TypeError):
            entry.labels["app"] = "y"
