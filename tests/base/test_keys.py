"""The key of an object, and what is no key.

The property asserted by client-go's tools/cache/object-names_test.go, and our refusals.
"""

import pickle
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workqueue.base.errors import InvalidKey, InvalidObject, WorkqueueError
from workqueue.base.keys import ObjectKey, object_key

names = st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text)

#: What client-go's SplitMetaNamespaceKey refuses, and then what it lets pass.
NO_KEYS = ["a/b/c", "a//b", "a/b/", "//", "", "/", "/a", "ns/"]


# Text.


@pytest.mark.parametrize(
    ("text", "namespace", "name"),
    [("default/web", "default", "web"), ("node-1", "", "node-1"), ("a.b/c:d", "a.b", "c:d")],
)
def test_a_text_names_an_object_in_a_namespace_or_in_the_cluster_scope(text, namespace, name):
    key = ObjectKey.parse(text)
    assert (key.namespace, key.name) == (namespace, name)
    assert str(key) == text


@given(namespace=st.one_of(st.just(""), names), name=names)
@settings(max_examples=100, deadline=None)
def test_every_key_is_read_back_from_its_text(namespace, name):
    key = ObjectKey(namespace, name)
    assert ObjectKey.parse(str(key)) == ObjectKey.of(str(key)) == key
    assert object_key({"metadata": {"namespace": namespace, "name": name}}) == key


@given(text=st.text(alphabet="ab/", max_size=8))
@settings(max_examples=200, deadline=None)
def test_every_text_is_a_key_of_that_text_or_refused(text):
    try:
        key = ObjectKey.parse(text)
    except InvalidKey:
        parts = text.split("/")
        assert len(parts) > 2 or not all(parts)
    else:
        assert str(key) == text
        assert key.name


@pytest.mark.parametrize("read", [ObjectKey.parse, ObjectKey.of])
@pytest.mark.parametrize("text", NO_KEYS)
def test_a_text_that_names_no_object_is_refused_and_named(text, read):
    with pytest.raises(InvalidKey, match="expected 'namespace/name', or 'name' in the cluster scope") as caught:
        read(text)
    assert str(caught.value).startswith(f"{text!r} is no key")


# Any form.


@pytest.mark.parametrize("value", [ObjectKey("ns", "a"), ("ns", "a"), "ns/a"])
def test_a_key_a_pair_and_a_text_are_one_key(value):
    key = ObjectKey.of(value)
    assert type(key) is ObjectKey
    assert key == ObjectKey("ns", "a")


def test_a_key_is_taken_as_it_is():
    key = ObjectKey("ns", "a")
    assert ObjectKey.of(key) is key


def test_a_pair_in_the_cluster_scope_has_an_empty_namespace():
    assert ObjectKey.of(("", "a")) == ObjectKey.of("a") == ObjectKey("", "a")


@pytest.mark.parametrize(
    "value",
    [
        ("", ""), ("ns", ""), ("ns", "a/b"), ("n/s", "a"), ("ns", "a", "b"), ("ns",), (), (None, "a"), ("ns", None),
        ObjectKey("ns", ""), ObjectKey("n/s", "a"), ObjectKey("ns", "a/b"), ObjectKey(None, "a"),
        None, 1, b"ns/a", {"namespace": "ns", "name": "a"}, object,
    ],
)  # fmt: skip
def test_a_value_that_names_no_object_is_refused_and_named(value):
    with pytest.raises(InvalidKey, match=r"is no key: expected an ObjectKey, a .namespace, name. pair or") as caught:
        ObjectKey.of(value)
    assert repr(value) in str(caught.value)


def test_a_refused_key_is_a_value_error_and_one_of_ours():
    assert issubclass(InvalidKey, ValueError)
    assert issubclass(InvalidKey, WorkqueueError)


def test_a_key_is_a_tuple():
    key = ObjectKey("ns", "a")
    assert key == ("ns", "a")
    assert {("ns", "a"): 1}[key] == 1
    assert min(ObjectKey("b", "a"), ObjectKey("a", "b"), ObjectKey("", "z")) == ("", "z")
    assert pickle.loads(pickle.dumps(key)) == key


# Of an object.


@pytest.mark.parametrize("namespace", [{}, {"namespace": ""}, {"namespace": None}])
def test_an_object_without_a_namespace_is_in_the_cluster_scope(namespace):
    key = object_key({"metadata": {"name": "a", **namespace}})
    assert key == ObjectKey("", "a")
    assert key.namespace == ""


def test_the_key_of_any_mapping_can_be_told():
    body = MappingProxyType({"metadata": MappingProxyType({"namespace": "ns", "name": "a"})})
    assert object_key(body) == ObjectKey("ns", "a")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"metadata": None}, {"metadata": {}}, {"metadata": []}, {"metadata": "name"}, {"metadata": {"name": ""}},
        {"metadata": {"name": None}}, {"metadata": {"name": 5}}, {"metadata": {"namespace": "ns"}}, None, "a", [],
    ],
)  # fmt: skip
def test_an_object_without_a_name_has_no_key(body):
    with pytest.raises(InvalidObject, match="object has no meta"):
        object_key(body)


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "a/b"},
        {"namespace": "n/s", "name": "a"},
        {"namespace": 5, "name": "a"},
        {"namespace": ["n"], "name": "a"},
    ],
)
def test_an_object_whose_key_could_not_be_read_back_has_none(metadata):
    with pytest.raises(InvalidObject, match="is no key"):
        object_key({"metadata": metadata})
