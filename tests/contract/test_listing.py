"""Lists: pages, versions, selectors, metadata only."""

import base64
import json
from typing import Any

import pytest

from tests.contract.conftest import Api, assert_refused

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def names(document: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in document["items"]]


def test_a_list_carries_its_kind_and_a_version(api: Api) -> None:
    made = api.create()
    found = api.read(api.path())
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(found["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    assert "continue" not in found["metadata"]


def test_items_of_a_built_in_kind_do_not_carry_it(api: Api) -> None:
    made = api.create(data={"a": "1"})
    (item,) = api.read(api.path())["items"]
    assert item == {key: value for key, value in made.items() if key not in {"kind", "apiVersion"}}


def test_an_empty_list_has_items(api: Api) -> None:
    assert api.read(api.path())["items"] == []
    assert api.read("/api/v1/namespaces/nowhere/configmaps")["items"] == []


def test_items_come_by_namespace_and_name(api: Api) -> None:
    for name in ("b", "a-b", "a", "a.b"):
        api.create(name)
    assert names(api.read(api.path())) == ["a", "a-b", "a.b", "b"]


def test_a_list_across_namespaces_has_all_of_them(api: Api) -> None:
    api.create("here")
    items = api.read("/api/v1/configmaps")["items"]
    assert (api.namespace, "here") in {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
    keys = [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in items]
    assert keys == sorted(keys)


def test_pages_add_up_to_the_list(api: Api) -> None:
    for name in "abcde":
        api.create(name)
    first = api.read(api.path(), limit=2)
    assert first["metadata"]["remainingItemCount"] == 3
    second = api.read(api.path(), limit=2, **{"continue": first["metadata"]["continue"]})
    assert second["metadata"]["remainingItemCount"] == 1
    third = api.read(api.path(), limit=2, **{"continue": second["metadata"]["continue"]})
    assert [names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert "continue" not in third["metadata"]
    assert "remainingItemCount" not in third["metadata"]


def test_pages_show_one_moment_whatever_happens_between(api: Api) -> None:
    for name in "abcde":
        api.create(name, data={"k": "old"})
    first = api.read(api.path(), limit=2)
    api.delete(api.path(name="c"))
    api.create("bb")
    api.patch(api.path(name="d"), {"data": {"k": "new"}})
    rest = api.read(api.path(), **{"continue": first["metadata"]["continue"]})
    assert names(rest) == ["c", "d", "e"]
    assert [item["data"]["k"] for item in rest["items"]] == ["old"] * 3
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names(api.read(api.path())) == ["a", "b", "bb", "d", "e"]


def test_a_limit_that_is_not_reached_makes_no_pages(api: Api) -> None:
    api.create()
    assert "continue" not in api.read(api.path(), limit=1)["metadata"]


def test_pages_of_a_selection_do_not_say_how_much_remains(api: Api) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        api.create(name, labels={"colour": colour})
    first = api.read(api.path(), limit=1, labelSelector="colour=red")
    assert names(first) == ["a"]
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    assert names(api.read(api.path(), limit=1, labelSelector="colour=red", **{"continue": token})) == ["c"]


def test_a_token_that_is_none_is_a_bad_request(api: Api) -> None:
    assert_refused(
        api.get(api.path(), **{"limit": 1, "continue": "abc"}), 400, "BadRequest", "continue key is not valid"
    )


def test_a_token_and_a_version_exclude_each_other(api: Api) -> None:
    for name in "ab":
        api.create(name)
    token = api.read(api.path(), limit=1)["metadata"]["continue"]
    refused = api.get(api.path(), **{"continue": token, "resourceVersion": "1"})
    assert_refused(refused, 400, "BadRequest", "specifying resource version is not allowed when using continue")


def test_a_token_carries_the_version_of_its_list(api: Api) -> None:
    for name in "ab":
        api.create(name)
    metadata = api.read(api.path(), limit=1)["metadata"]
    token = json.loads(base64.urlsafe_b64decode(metadata["continue"] + "=="))
    assert token["v"] == "meta.k8s.io/v1"
    assert str(token["rv"]) == metadata["resourceVersion"]


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersion": ""},
        {"resourceVersion": "0"},
        {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": "1"},
    ],
)
def test_a_version_that_may_be_newer_gives_the_present(api: Api, query: dict[str, str]) -> None:
    version = int(api.create()["metadata"]["resourceVersion"])
    if query.get("resourceVersion") == "0":  # any version will do: wait for a cache that may lag
        with api.watch(resourceVersion="0") as events:
            events.next()
    found = api.read(api.path(), **query)
    assert names(found) == ["a"]
    assert int(found["metadata"]["resourceVersion"]) >= version


def test_version_zero_ignores_the_limit(api: Api) -> None:
    for name in "ab":
        api.create(name)
    with api.watch(resourceVersion="0") as events:
        events.told(2)
    found = api.read(api.path(), resourceVersion="0", limit=1)
    assert names(found) == ["a", "b"]
    assert "continue" not in found["metadata"]


@pytest.mark.parametrize("query", [{"resourceVersionMatch": "Exact"}, {"limit": 10}])
def test_an_exact_version_shows_the_past(api: Api, query: dict[str, Any]) -> None:
    api.create("a", data={"k": "old"})
    version = api.create("b")["metadata"]["resourceVersion"]
    api.patch(api.path(name="a"), {"data": {"k": "new"}})
    api.delete(api.path(name="b"))
    api.create("c")
    found = api.read(api.path(), resourceVersion=version, **query)
    assert names(found) == ["a", "b"]
    assert found["items"][0]["data"] == {"k": "old"}
    assert found["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "NotOlderThan", "limit": "1"},
        {"resourceVersionMatch": "Exact"},
    ],
)
def test_a_version_of_the_future_times_out_with_a_cause(api: Api, query: dict[str, str]) -> None:
    refused = api.get(api.path(), resourceVersion="999999999", **query)
    status = assert_refused(refused, 504, "Timeout", "Too large resource version: 999999999, current: ")
    assert status["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }


def test_a_get_at_a_version_of_the_future_times_out_too(api: Api) -> None:
    api.create()
    assert_refused(api.get(api.path(name="a"), resourceVersion="999999999"), 504, "Timeout")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"resourceVersionMatch": "Exact"}, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ({"resourceVersionMatch": "Other", "resourceVersion": "1"}, 'Unsupported value: "Other"'),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 'is forbidden for resourceVersion "0"'),
    ],
)
def test_versions_that_make_no_sense_are_invalid(api: Api, query: dict[str, str], words: str) -> None:
    assert_refused(api.get(api.path(), **query), 422, "Invalid", words)


@pytest.mark.parametrize(("query", "words"), [({"resourceVersion": "x"}, "invalid"), ({"limit": "x"}, "ParseInt")])
def test_numbers_that_are_none_are_bad_requests(api: Api, query: dict[str, str], words: str) -> None:
    assert_refused(api.get(api.path(), **query), 400, "BadRequest", words)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", "abcd"),
        ("colour=red", "a"),
        ("colour==red", "a"),
        ("colour!=red", "bcd"),
        ("colour in (red,blue)", "ab"),
        ("colour in (red, blue), size=big", "b"),
        ("colour notin (red,blue)", "cd"),
        ("colour", "abc"),
        ("!colour", "d"),
        ("colour=", "c"),
        ("size=big,colour!=blue", "d"),
        ("example.com/x", "d"),
        (" colour = red ", "a"),
    ],
)
def test_labels_select(api: Api, selector: str, expected: str) -> None:
    api.create("a", labels={"colour": "red"})
    api.create("b", labels={"colour": "blue", "size": "big"})
    api.create("c", labels={"colour": ""})
    api.create("d", labels={"size": "big", "example.com/x": "y"})
    assert names(api.read(api.path(), labelSelector=selector)) == list(expected)


@pytest.mark.parametrize("selector", ["a===", "a in b", "a in (b", "a b", "=a", "a,"])
def test_a_label_selector_that_is_none_is_a_bad_request(api: Api, selector: str) -> None:
    assert_refused(api.get(api.path(), labelSelector=selector), 400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=a", "a"),
        ("metadata.name!=a", "bc"),
        ("metadata.namespace=nowhere", ""),
        ("spec.nodeName=one", "ab"),
        ("spec.nodeName==one,metadata.name!=a", "b"),
        ("spec.nodeName=", "c"),
        ("spec.nodeName!=one", "c"),
        ("status.phase=Running", "b"),
        ("status.phase!=Running", "ac"),
        ("status.phase=Pending,spec.nodeName=one", "a"),
    ],
)
def test_fields_select(api: Api, selector: str, expected: str) -> None:
    api.create_pod("a", spec={"nodeName": "one"})
    api.create_pod("b", spec={"nodeName": "one"})
    api.create_pod("c")
    api.patch(api.path("pods", "b", "status"), {"status": {"phase": "Running"}})
    assert names(api.read(api.path("pods"), fieldSelector=selector)) == list(expected)


@pytest.mark.parametrize("selector", ["spec.bogus=x", "metadata.name"])
def test_a_field_selector_that_is_none_is_a_bad_request(api: Api, selector: str) -> None:
    assert_refused(api.get(api.path(), fieldSelector=selector), 400, "BadRequest")
    assert_refused(api.get(api.path("pods"), fieldSelector=selector), 400, "BadRequest")


def test_a_list_of_metadata_has_nothing_else(api: Api) -> None:
    made = api.create_pod(labels={"x": "y"})
    found = api.read(api.path("pods"), accept=METADATA_LIST)
    assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert found["items"] == [
        {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    ]


def test_pages_of_metadata_are_pages(api: Api) -> None:
    for name in "abc":
        api.create(name)
    first = api.read(api.path(), accept=METADATA_LIST, limit=2)
    assert first["metadata"]["remainingItemCount"] == 1
    token = first["metadata"]["continue"]
    assert names(api.read(api.path(), accept=METADATA_LIST, limit=2, **{"continue": token})) == ["c"]


def test_metadata_of_one_object(api: Api) -> None:
    made = api.create_pod()
    assert api.read(api.path("pods", "a"), accept=METADATA) == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


def test_the_first_format_that_can_be_served_is(api: Api) -> None:
    api.create_pod()
    accept = f"application/x-unknown,{METADATA_LIST},application/json"
    assert api.read(api.path("pods"), accept=accept)["kind"] == "PartialObjectMetadataList"
    assert api.read(api.path("pods"), accept=f"application/json,{METADATA_LIST}")["kind"] == "PodList"


def test_formats_that_nobody_speaks_are_not_acceptable(api: Api) -> None:
    assert_refused(api.get(api.path("pods"), accept="text/html"), 406, "NotAcceptable")
