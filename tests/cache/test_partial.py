"""Caches of metadata only: what is left of an object, however it comes."""

import json

import pytest

from tests.cache.objects import pod
from workqueue.base.errors import ConfigurationError, InvalidObject
from workqueue.cache import Indexer, annotation, field, label, namespace, owner_uid
from workqueue.cache.parsing import Part

WHOLE = {
    **pod("a", "n", labels={"app": "x"}, node="n1", text="é"),
    "status": {"kind": "no", "metadata": {"name": "no"}, "phase": "Running"},
}
CUT = {"apiVersion": "v1", "kind": "Pod", "metadata": WHOLE["metadata"]}
HEAD = b'"kind":"Pod","apiVersion":"v1",'
STAND_IN = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": WHOLE["metadata"]}


def raw(body):
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.fixture
def indexer():
    made = Indexer({"namespace": namespace(), "app": label("app")}, metadata_only=True)
    made.objects_are("Pod", "v1")
    return made


def part(data):
    return Part(b"{" + data + b"}", 1, 1 + len(data))


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (WHOLE, b""),
        (raw(WHOLE), b""),
        (part(raw(WHOLE)), b""),
        (raw({name: value for name, value in WHOLE.items() if name not in ("kind", "apiVersion")}), HEAD),
        (raw(CUT), b""),
        (raw(STAND_IN), b""),
        (STAND_IN, b""),
        (raw({**CUT, "kind": None}), HEAD),
        ({"metadata": WHOLE["metadata"]}, b""),
        (raw({**WHOLE, "deep": "HERE"}).replace(b'"HERE"', b"[" * 20_000 + b"]" * 20_000), b""),
        (raw(STAND_IN), b'"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'),
        (raw({"metadata": WHOLE["metadata"]}), b'"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'),
        (raw({"metadata": WHOLE["metadata"]}), b""),
        (b" " + json.dumps(WHOLE, indent=1).encode() + b"\n", b""),
    ],
    ids=lambda each: repr(each)[:60],
)
def test_what_is_left_is_what_it_is_and_its_metadata(indexer, body, head):
    entry = indexer.put(indexer.prepare(body, head=head)).new
    assert entry.decode() == CUT
    assert (entry.key, entry.uid, entry.labels) == (("n", "a"), "u1", {"app": "x"})
    assert indexer.by_index("app", "x") == indexer.by_index("namespace", "n") == [CUT]
    indexer._check()


def test_managed_fields_are_left_out_too(indexer):
    managed = [{"manager": "x", "fieldsV1": {"f:metadata": {}}}]
    for number, body in enumerate((WHOLE, STAND_IN)):
        metadata = {**body["metadata"], "name": str(number), "managedFields": managed}
        entry = indexer.put(indexer.prepare(raw({**body, "metadata": metadata}))).new
        assert entry.decode() == {**CUT, "metadata": {**CUT["metadata"], "name": str(number)}}


def test_what_objects_are_may_change_and_may_not_be_known():
    indexer = Indexer(metadata_only=True)
    assert indexer.prepare(raw(STAND_IN)).decode() == STAND_IN
    indexer.objects_are("Thing", "example.com/v1")
    assert indexer.prepare(raw(STAND_IN)).decode()["kind"] == "Thing"
    indexer.objects_are("Thing", "example.com/v2")
    assert indexer.prepare(raw(STAND_IN)).decode()["apiVersion"] == "example.com/v2"
    assert indexer.prepare(raw(WHOLE)).decode() == CUT, "what says what it is is that"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"kind":"Pod"}', b'{"metadata":null}', b'{"metadata":{}}', b'{"metadata":[]}',
     b'{"metadata":{"name":7}}',
     b'{"metadata":{"name":"a"}', b'{"metadata":{"name":"a"}}x', b'{"metadata":{"name":"\xff"}}',
     b'{"kind":"PartialObjectMetadata"}'],
)  # fmt: skip
def test_what_is_no_object_is_refused(indexer, body):
    with pytest.raises(InvalidObject):
        indexer.prepare(body)


def test_a_transform_is_given_what_is_left():
    given = []
    indexer = Indexer(transform=lambda body: given.append(body) or body, metadata_only=True)
    indexer.add(WHOLE)
    assert given == [CUT] == indexer.list()


@pytest.mark.parametrize("index", [annotation("x"), label("x"), owner_uid(), namespace(), field("metadata.name"),
                                   field("kind"), field("apiVersion"), lambda body: []])  # fmt: skip
def test_an_index_of_what_is_left_is_fine(index):
    Indexer({"x": index}, metadata_only=True)


@pytest.mark.parametrize("path", ["spec.nodeName", "status.phase", "data"])
def test_an_index_of_what_is_not_kept_is_told(path):
    with pytest.raises(ConfigurationError, match=rf"^index 'x' wants {path}: with metadata_only=True nothing is known"):
        Indexer({"x": field(path)}, metadata_only=True)
    Indexer({"x": field(path)})
