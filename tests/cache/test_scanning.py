"""Objects and lists taken apart as bytes: as a decoder does it, and where it cannot go any deeper."""

import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workqueue.base.errors import InvalidObject
from workqueue.cache import parse_identity, parse_object
from workqueue.cache.scanning import elements, member, members, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000


@given(st.dictionaries(st.text(), VALUES), st.sampled_from([None, 2]))
def test_the_members_of_an_object_are_those_that_a_decoder_finds(body, indent):
    raw = json.dumps(body, indent=indent).encode()
    assert {name: json.loads(part) for name, part in members(raw).items()} == body


@given(st.lists(VALUES), st.booleans(), st.sampled_from([None, 2]))
def test_the_elements_of_a_list_are_those_that_a_decoder_finds(items, ascii_only, indent):
    raw = json.dumps(items, ensure_ascii=ascii_only, indent=indent).encode(errors="surrogatepass")
    assert [json.loads(part) for part in elements(raw)] == items


def decoded(function, raw, refused):
    """What it says of it, with types; None if it refuses it."""
    try:
        return repr(function(raw))
    except refused:
        return None


@given(VALUES, st.sampled_from([None, 1]), st.data())
def test_what_is_read_without_a_decoder_is_what_a_decoder_reads_or_refuses(value, indent, data):
    raw = json.dumps(value, indent=indent, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass")
    if data.draw(st.booleans()):  # damage it
        at = data.draw(st.integers(0, len(raw)))
        put = st.sampled_from([b"", *(bytes([byte]) for byte in b'"\\{}[],:0e.- \x00\x0b\xff'), b"null", b"1"])
        raw = raw[:at] + data.draw(put) + raw[at + data.draw(st.integers(0, 2)) :]
    wanted = decoded(orjson.loads, raw, ValueError)
    if wanted is None and decoded(json.loads, raw, ValueError) is not None:
        return  # what Python's own is not strict with
    assert decoded(read, raw, InvalidObject) == wanted


def test_depth_does_not_matter():
    raw = b'{"metadata":{"name":"x"},"spec":' + DEEP + b',"list":[' + DEEP + b",2]}"
    found = members(raw)
    assert found["metadata"] == b'{"name":"x"}'
    assert found["spec"] == DEEP
    assert elements(found["list"]) == [DEEP, b"2"]
    inner, depth = read(DEEP), 0
    while inner != 1:
        inner, depth = inner["a"], depth + 1
    assert depth == 5000


def test_what_looks_like_a_bracket_in_a_text_is_none():
    assert members(rb'{"a":"}],{\"","b":[1,"]"]}') == {"a": rb'"}],{\""', "b": b'[1,"]"]'}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"}", b"[]", b'{"a":1', b'{"a":1}}', b'{"a":{}]', b'{"a":1}{"b":2}', b"{1:2}"]
)
def test_what_is_no_object_is_told(raw):
    with pytest.raises(InvalidObject):
        members(raw)


#: Texts in their quotes that no decoder takes.
BAD_TEXTS = [b'"\xff"', rb'"\ud800"', rb'"\x"', b'"\x01"']


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_a_member_whose_name_is_damaged_is_told_and_does_not_hide_another(bad):
    raw = b'{"a":1,%s:2,"b":[3],"a":4}' % bad
    with pytest.raises(InvalidObject, match="an object that is no JSON"):
        members(raw)
    assert [member(raw, name) for name in "abc"] == [b"4", b"[3]", None]


def test_a_text_that_was_cut_off_is_looked_through_once():
    # Tried again from each quote in it, this would take many minutes.
    raw = b'{"metadata":{"name":"x"},"text":"' + rb"\"" * 400_000 + b"}"
    began = time.process_time()
    with pytest.raises(InvalidObject, match="its brackets do not close"):
        members(raw)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_what_is_damaged_beside_the_metadata_hides_no_identity(bad):
    for raw in (
        b'{%s:1,"metadata":{"name":"x","namespace":null,"uid":"u"}}',
        b'{"metadata":{"name":"x","uid":"u"},"a":%s}',
    ):
        assert parse_identity(raw % bad) == {"metadata": {"name": "x", "uid": "u"}}
        with pytest.raises(InvalidObject, match=r"^x is no JSON: "):
            parse_object(raw % bad)


@pytest.mark.parametrize("bad", BAD_TEXTS)
@pytest.mark.parametrize(
    "metadata",
    [
        b'{"name":"x",%s:"ns"}', b'{"name":%s}', b'{"name":"x","namespace":%s}', b'{"name":"x","uid":%s}',
        b'{"name":"x","resourceVersion":%s}',
    ],
)  # fmt: skip
def test_an_identity_that_is_damaged_itself_is_none(bad, metadata):
    # A name that is damaged may be "namespace": without it this would be another object.
    raw = b'{"metadata":' + metadata % bad + b"}"
    with pytest.raises(InvalidObject, match=r"^an object whose name cannot be read is no JSON: "):
        parse_identity(raw)


def test_the_identity_of_an_object_that_nobody_can_read():
    managed = b'[{"fieldsV1":' + DEEP + b"}]"
    raw = (
        b'{"apiVersion":"v1","kind":"Foo","metadata":{"name":"x","namespace":"ns","uid":"u","resourceVersion":"7",'
        b'"labels":{"a":"b"},"managedFields":' + managed + b'},"spec":' + DEEP + b"}"
    )
    identity = {"name": "x", "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    assert parse_identity(raw) == {"metadata": identity}
    readable = b'{"metadata":{"name":"x"},"spec":1}'
    assert parse_identity(readable) == {"metadata": {"name": "x"}, "spec": 1}
    for damaged in (raw.replace(b'"name":"x"', b'"name":7'), raw.replace(b'"metadata"', b'"meta"')):
        with pytest.raises(InvalidObject):
            parse_identity(damaged)
