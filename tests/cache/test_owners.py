"""Owner references are read from the bytes, and what has not their shape is passed over."""

import json
import random
from types import MappingProxyType

import pytest

from tests.cache.objects import raw_entry
from workqueue.cache import Body, Indexer
from workqueue.cache.owners import OwnerReference, controller_of, owner_references

FOO = {"apiVersion": "example.com/v1", "kind": "Foo", "name": "a", "uid": "u1", "controller": True}
BAR = {"apiVersion": "v1", "kind": "Bar", "name": "b", "uid": "u2"}
READ_FOO = OwnerReference("example.com", "Foo", "a", "u1", controller=True)
READ_BAR = OwnerReference("", "Bar", "b", "u2", controller=False)

#: What is no reference to an object.
MALFORMED = [
    None,
    5,
    "Foo",
    [],
    {},
    {**FOO, "kind": None},
    {**FOO, "kind": ""},
    {**FOO, "name": 5},
    {**FOO, "name": ""},
    {**FOO, "name": "a/b"},
    {**FOO, "uid": []},
    {**FOO, "controller": "true"},
    {**FOO, "apiVersion": ""},
    {**FOO, "apiVersion": "/v1"},
    {**FOO, "apiVersion": "example.com/"},
    {**FOO, "apiVersion": "a/b/c"},
    *({name: value for name, value in FOO.items() if name != left_out} for left_out in ("apiVersion", "kind", "name")),
]


def raw(body):
    """As an informer gives it to handlers: bytes that are decoded by whoever touches it."""
    return Body(raw_entry(json.dumps(body).encode()))


def child(*references):
    return {"kind": "Child", "metadata": {"name": "x", "ownerReferences": list(references)}, "spec": {"a": [1, {}]}}


@pytest.fixture(params=["bytes", "dictionary", "views"])
def given(request):
    """``given(body)`` is the object in one of the forms in which there are objects."""
    if request.param == "views":  # as Kopf's, whose parts are views as well

        def view(value):
            if isinstance(value, dict):
                return MappingProxyType({name: view(each) for name, each in value.items()})
            return [view(each) for each in value] if isinstance(value, list) else value

        return view
    return raw if request.param == "bytes" else lambda body: body


def test_all_references_are_read_in_their_order(given):
    assert owner_references(given(child(BAR, FOO))) == [READ_BAR, READ_FOO]


def test_the_controller_is_the_one_that_says_so(given):
    assert controller_of(given(child(BAR, FOO))) == READ_FOO
    assert controller_of(given(child(BAR, {**FOO, "controller": False}))) is None
    assert controller_of(given(child())) is None


def test_of_two_controllers_the_first_counts(given):
    assert controller_of(given(child(FOO, {**FOO, "name": "second"}))) == READ_FOO


def test_the_version_of_the_owner_tells_nothing(given):
    assert owner_references(given(child({**FOO, "apiVersion": "example.com/v2beta1"}))) == [READ_FOO]


def test_what_may_be_left_out_may_be_null(given):
    assert owner_references(given(child({**BAR, "uid": None, "controller": None}))) == [READ_BAR._replace(uid="")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        {"metadata": 5},
        {"metadata": {}},
        {"metadata": {"ownerReferences": None}},
        {"metadata": {"ownerReferences": {}}},
        {"metadata": {"ownerReferences": "Foo"}},
        {"metadata": {"ownerReferences": []}},
    ],
)
def test_an_object_that_names_no_owner_has_none(given, body):
    assert owner_references(given(body)) == []
    assert controller_of(given(body)) is None


@pytest.mark.parametrize("malformed", MALFORMED, ids=repr)
def test_a_malformed_reference_is_passed_over_and_the_others_are_not(given, malformed):
    assert owner_references(given(child(malformed))) == []
    assert owner_references(given(child(BAR, malformed, FOO))) == [READ_BAR, READ_FOO]
    assert controller_of(given(child(malformed, FOO))) == READ_FOO


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff",
        b'{"metadata":{"ownerReferences":[{"kind":"\xff"}]}}',
        b"[" * 100_000,
        b'{"spec":' + b"[" * 100_000,
    ],
    ids=lambda each: repr(each[:20]),
)
def test_bytes_that_are_no_object_name_no_owner(garbage):
    body = Body(raw_entry(garbage))
    assert owner_references(body) == []


def test_an_object_of_the_cache_is_not_decoded():
    indexer = Indexer({})
    indexer.put(indexer.prepare(json.dumps(child(FOO)).encode()))
    body = Body(indexer.entry("x"))
    assert controller_of(body) == READ_FOO
    assert body._decoded is None


def test_bytes_and_dictionaries_of_random_objects_say_the_same():
    chance = random.Random(20)
    for _ in range(2_000):
        references = [chance.choice([FOO, BAR, *MALFORMED]) for _ in range(chance.randrange(5))]
        for at, reference in enumerate(references):
            if isinstance(reference, dict) and chance.random() < 0.3:
                references[at] = {**reference, "blockOwnerDeletion": chance.choice([True, None, [{}]])}
        body = child(*references)
        assert owner_references(raw(body)) == owner_references(body)
