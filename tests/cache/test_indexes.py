"""Index functions: what is ready-made, and what a user's own may return."""

import json

import pytest

from tests.cache.objects import names, pod
from workqueue.cache import Indexer, annotation, field, label, namespace, owner_uid
from workqueue.cache.indexes import index_values


def values(function, body):
    return index_values(function, body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.nodeName", ("n1",)), ("kind", ("Pod",)), ("spec.number", ("5",)), ("spec.ratio", ("1.5",)),
        ("spec.zero", ("0",)), ("spec.yes", ("true",)), ("spec.no", ("false",)),
        ("spec.nothing", ()), ("spec.empty", ()), ("spec.list", ()), ("spec", ()), ("spec.none", ()),
        ("none.at.all", ()), ("kind.deeper", ()), ("spec.list.0", ()),
    ],
)  # fmt: skip
def test_a_field_is_indexed_by_its_json_text_or_not_at_all(path, expected):
    body = pod(node="n1", number=5, ratio=1.5, zero=0, yes=True, no=False, nothing=None, empty="", list=["a"])
    assert values(field(path), body) == expected


@pytest.mark.parametrize("path", ["", ".", "spec.", ".spec", "spec..nodeName"])
def test_a_field_with_an_empty_name_in_it_is_refused(path):
    with pytest.raises(ValueError, match="expected names joined by dots") as caught:
        field(path)
    assert repr(path) in str(caught.value)


def test_a_label_may_have_dots_and_slashes_in_its_key():
    body = pod(labels={"app.kubernetes.io/name": "web", "empty": ""})
    assert values(label("app.kubernetes.io/name"), body) == ("web",)
    assert values(label("empty"), body) == values(label("other"), body) == values(label("app"), pod()) == ()


def test_a_label_without_a_key_is_refused():
    with pytest.raises(ValueError, match="expected the key of a label"):
        label("")


def test_an_annotation_is_as_a_label_is():
    body = pod()
    body["metadata"]["annotations"] = {"example.com/tenant": "blue", "empty": ""}
    assert values(annotation("example.com/tenant"), body) == ("blue",)
    assert (
        values(annotation("empty"), body) == values(annotation("other"), body) == values(annotation("x"), pod()) == ()
    )
    with pytest.raises(ValueError, match="expected the key of an annotation"):
        annotation("")


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([{"uid": "u1", "controller": True}, {"uid": "u2"}], ("u1", "u2")), ([{"uid": "u1"}, {"uid": "u1"}], ("u1",)),
        ([], ()), (None, ()), ([{}], ()), ([{"uid": None}, {"uid": ""}, {"uid": 5}, None, "u1"], ()),
        ({"uid": "u1"}, ()),
    ],
)  # fmt: skip
def test_an_object_is_found_by_the_uids_of_its_owners(references, expected):
    body = pod()
    body["metadata"]["ownerReferences"] = references
    assert values(owner_uid(), body) == expected
    indexer = Indexer({"owner": owner_uid()})
    indexer.add(body)
    indexer.put(indexer.prepare(json.dumps(body).encode()))
    assert [indexer.by_index("owner", uid) for uid in expected] == [[body]] * len(expected)
    assert sorted(indexer.list_index_func_values("owner")) == sorted(expected)
    indexer._check()


@pytest.mark.parametrize("scope", ["default", ""])
def test_the_namespace_is_a_value_in_the_cluster_scope_too(scope):
    assert values(namespace(), pod(namespace=scope)) == (scope,)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("alone", ("alone",)), ("", ("",)), (["a", "b"], ("a", "b")), (("b", "a", "b"), ("b", "a")), ([], ()),
        ({"k": 1}, ("k",)), (iter(["a"]), ("a",)),
    ],
)  # fmt: skip
def test_a_function_of_ones_own_returns_a_text_or_any_number_of_texts(returned, expected):
    assert values(lambda _: returned, pod()) == expected


@pytest.mark.parametrize("returned", [None, 5, True, ["a", 5], [None], b"bytes", [b"bytes"], [["a"]]])
def test_values_that_are_no_texts_are_a_type_error(returned):
    with pytest.raises(TypeError, match=r"^the index function returned .+, expected texts$"):
        values(lambda _: returned, pod())


# A function that fails.


def fail_on_bad(body):
    if body["metadata"]["name"].startswith("bad"):
        raise ArithmeticError("no value")
    return body["spec"]["nodeName"]


@pytest.mark.parametrize("wrong", [fail_on_bad, lambda body: None if "bad" in body["metadata"]["name"] else "n1"])
def test_an_object_whose_index_function_fails_is_kept_and_counted_and_not_found_by_it(caplog, wrong):
    indexer = Indexer({"wrong": wrong, "node": field("spec.nodeName")})
    indexer.add(pod("good", node="n1"))
    indexer.add(pod("bad", node="n1"))
    assert names(indexer.list()) == ["bad", "good"]
    assert names(indexer.by_index("wrong", "n1")) == ["good"]
    assert names(indexer.by_index("node", "n1")) == ["bad", "good"], "one index harmed another"
    assert indexer.statistics().index_errors == 1
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == (
        "index wrong failed on default/bad (1 times so far); the object is kept and not found by it"
    )
    assert record.exc_info is not None
    indexer._check()


def test_an_index_that_fails_on_each_object_is_no_flood_in_the_log(caplog):
    indexer = Indexer({"wrong": fail_on_bad, "too": fail_on_bad})
    indexer.replace([pod(f"bad-{number}", node="n1") for number in range(100)])
    assert indexer.statistics().index_errors == 2 * 100
    said = [(record.args[0], record.args[2]) for record in caplog.records]
    assert [number for name, number in said if name == "wrong"] == [1, 2, 4, 8, 16, 32, 64]
    assert [number for name, number in said if name == "too"] == [1, 2, 4, 8, 16, 32, 64]


def test_an_object_is_no_longer_found_by_an_index_that_fails_on_it_now():
    failing = []

    def sometimes(body):
        if failing:
            raise ArithmeticError
        return body["spec"]["nodeName"]

    indexer = Indexer({"sometimes": sometimes})
    indexer.add(pod(node="n1", rv=1))
    failing.append(True)
    indexer.add(pod(node="n1", rv=2))
    assert indexer.by_index("sometimes", "n1") == []
    assert indexer.list_index_func_values("sometimes") == []
    indexer._check()
    failing.clear()
    indexer.add(pod(node="n1", rv=3))
    assert indexer.by_index("sometimes", "n1") == [pod(node="n1", rv=3)]
    indexer._check()


def test_a_replace_keeps_objects_whose_index_function_fails():
    indexer = Indexer({"wrong": fail_on_bad})
    indexer.replace([pod("bad-1", node="n1"), pod("good", node="n1"), pod("bad-2", node="n1")])
    assert names(indexer.list()) == ["bad-1", "bad-2", "good"]
    assert names(indexer.by_index("wrong", "n1")) == ["good"]
    assert indexer.statistics().index_errors == 2
    indexer.replace([])
    indexer._check()


def test_indexes_added_later_keep_objects_on_which_they_fail(caplog):
    indexer = Indexer()
    indexer.replace([pod("bad", node="n1"), pod("good", node="n1")])
    indexer.add_indexers({"wrong": fail_on_bad})
    assert names(indexer.by_index("wrong", "n1")) == ["good"]
    assert indexer.statistics().index_errors == len(caplog.records) == 1
    indexer._check()


def test_asking_by_an_object_on_which_the_function_fails_is_the_askers_error():
    indexer = Indexer({"wrong": fail_on_bad})
    indexer.add(pod("good", node="n1"))
    with pytest.raises(ArithmeticError, match="no value"):
        indexer.index("wrong", pod("bad"))
    assert indexer.statistics().index_errors == 0
    assert names(indexer.index("wrong", pod("asker", node="n1"))) == ["good"], "a lock is held"
