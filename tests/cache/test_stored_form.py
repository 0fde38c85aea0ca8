"""What is kept of an object: all of it but managedFields, and versions as texts that mean nothing."""

from types import MappingProxyType

import pytest

from tests.cache.objects import pod
from workqueue.base.errors import InvalidObject
from workqueue.cache import Body, Indexer
from workqueue.cache.entry import Entry, encode

MANAGED = [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]


def with_metadata(body, **metadata):
    return {**body, "metadata": {**body["metadata"], **metadata}}


def test_managed_fields_are_dropped_and_nothing_else():
    indexer = Indexer()
    given = with_metadata(pod(labels={"app": "web"}, node="n1"), managedFields=MANAGED, annotations={"a": "b"})
    indexer.add(given)
    assert indexer.get_by_key("default/web") == with_metadata(
        pod(labels={"app": "web"}, node="n1"), annotations={"a": "b"}
    )
    assert b"managedFields" not in indexer.entry("default/web").body
    assert given["metadata"]["managedFields"] is MANAGED, "the caller's object was changed"


def test_managed_fields_elsewhere_than_in_the_metadata_are_kept():
    body = {**pod(), "spec": {"managedFields": [1], "template": {"metadata": {"managedFields": MANAGED}}}}
    assert encode(body).decode() == body


def test_every_kind_of_json_value_comes_back_as_it_was():
    values = [None, True, False, 0, -1, 2**63 - 1, 1.5, 1e300, "", "é\n\u2028\U0001f600", [], {}, [[{"a": [None]}]]]
    body = {**pod(), "status": {"values": values, "": 1, "a.b/c": 2}}
    assert encode(body).decode() == body


def test_a_body_that_is_views_of_mappings_is_stored_as_dictionaries():
    plain = with_metadata(pod(labels={"app": "web"}, node="n1"), managedFields=MANAGED)
    view = MappingProxyType(
        {
            **plain,
            "metadata": MappingProxyType({**plain["metadata"], "labels": MappingProxyType({"app": "web"})}),
            "spec": MappingProxyType(plain["spec"]),
        }
    )
    entry = encode(view)
    assert entry.decode() == pod(labels={"app": "web"}, node="n1")
    assert entry.labels == {"app": "web"}
    with pytest.raises(TypeError):
        entry.labels["app"] = "other"


@pytest.mark.parametrize("part", [{"uid": None}, {"uid": ""}, {"resourceVersion": None}, {"resourceVersion": ""}, {}])
def test_a_missing_uid_or_resource_version_is_legal(part):
    entry = encode({"metadata": {"name": "a", **part}})
    assert (entry.uid, entry.resource_version, entry.labels) == ("", "", {})


@pytest.mark.parametrize("version", ["1", "18446744073709551616", "abc", "1-2", "0x10", "²", " 5"])
def test_a_resource_version_is_kept_as_it_came(version):
    assert encode(pod(rv=version)).resource_version == version
    assert encode(pod(rv=version)).decode()["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize(
    ("mine", "theirs", "older"),
    [
        ("1", "2", True), ("2", "1", False), ("2", "2", False), ("9", "10", True), ("10", "9", False),
        ("99999999999999999999", "100000000000000000000", True),
        ("a", "b", False), ("b", "a", False), ("1", "b", False), ("a", "2", False), ("-1", "2", False),
        (None, "2", False), ("1", None, False), (None, None, False),
    ],
)  # fmt: skip
def test_only_numbers_tell_which_version_is_older(mine, theirs, older):
    assert encode(pod(rv=mine)).is_older_than(encode(pod(rv=theirs))) is older


@pytest.mark.parametrize(
    ("mine", "theirs", "same"), [("u1", "u1", True), ("u1", "u2", False), (None, "u1", True), ("u1", None, True)]
)
def test_only_two_known_uids_tell_two_objects_of_one_name_apart(mine, theirs, same):
    assert encode(pod(uid=mine)).is_same_object(encode(pod(uid=theirs))) is same


@pytest.mark.parametrize("labels", [None, {}])
def test_an_object_without_labels_has_none(labels):
    assert encode({"metadata": {"name": "a", "labels": labels}}).labels == {}


@pytest.mark.parametrize("value", [{1, 2}, object(), 2**64, "\ud800", {1: 2}, b"bytes"])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(InvalidObject, match="default/web cannot be stored as JSON"):
        encode({**pod(), "status": value})


def test_an_object_that_holds_itself_is_refused():
    body = pod()
    body["spec"]["self"] = body
    with pytest.raises(InvalidObject, match="default/web cannot be stored as JSON"):
        encode(body)


UIDS = ["", "u1", "00000000-0000-0000-0000-000000000000", "0f8fad5b-d9cb-469f-a165-70867728950e",
        "0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5bd9cb469fa16570867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950",
        "0f8fad5b-d9cb-469f-a165-70867728950e\n", "00000000-0000-0000-0000-000000000001"]  # fmt: skip
VERSIONS = ["", "0", "1", "007", "123456789012345678", "1234567890123456789", "9" * 100, "-1", "+1", "1_0", "1.0", " 1",
            "1\n", "\u0664", "opaque"]  # fmt: skip


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_uids_and_versions_come_back_as_they_were(uid, version):
    entry = encode(pod(uid=uid, rv=version))
    assert (entry.uid, entry.resource_version) == (uid, version)
    assert type(entry.uid) is type(entry.resource_version) is str


def test_only_what_was_written_as_the_same_uid_or_version_is_the_same():
    entries = [encode(pod(uid=uid, rv=version)) for uid in UIDS for version in VERSIONS]
    for one in entries:
        for other in entries:
            same_uid, same_version = one.uid == other.uid, one.resource_version == other.resource_version
            assert one.is_same_state(other) == bool(one.resource_version and same_version and same_uid)
            assert one.is_same_object(other) == (same_uid or not one.uid or not other.uid)


def test_what_readers_are_given_of_the_cache_itself_cannot_be_changed():
    entry = encode(pod(labels={"app": "x"}))
    for name in ("namespace", "name", "compact_uid", "compact_version", "labels", "stored", "values", "dictionary"):
        with pytest.raises(AttributeError):
            setattr(entry, name, getattr(entry, name))
    with pytest.raises(TypeError):
        entry.labels["app"] = "y"


# A body that is decoded when somebody touches it.


def test_a_body_is_decoded_at_its_first_touch_and_once(monkeypatch):
    decoded = []

    def decode(entry):
        decoded.append(entry.key)
        return pod()

    entry = encode(pod())
    monkeypatch.setattr(Entry, "decode", decode)
    body = Body(entry)
    assert repr(body) == "<default/web at 1>"
    assert decoded == []
    assert body["metadata"]["name"] == "web"
    assert body.get("status") is None
    assert decoded == [("default", "web")]


def test_a_body_is_a_mapping_of_the_object():
    body = Body(encode(pod(node="n1")))
    assert body == pod(node="n1")
    assert {**body} == pod(node="n1")
    assert len(body) == 4
    assert "spec" in body
    assert not hasattr(body, "__setitem__")


def test_a_body_without_a_version_says_so():
    assert repr(Body(encode(pod("n1", "", rv=None)))) == "<n1 at no resourceVersion>"
