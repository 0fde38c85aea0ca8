"""Functions of the user's and objects that are not as they should be: none harms the cache, or another object."""

import json
import threading

import pytest

from tests.cache.objects import names, pod
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import IndexNotFound, InvalidObject
from workqueue.base.keys import ObjectKey
from workqueue.cache import Draft, Indexer, field, label, namespace
from workqueue.cache import indexer as indexer_module
from workqueue.cache.entry import encode

# Index functions that change what they are given.


def ruin(body):
    body["metadata"].clear()
    body["spec"]["nodeName"] = "nowhere"
    body.pop("kind", None)
    return ["ruined"]


@pytest.fixture
def ruined():
    """With an index that changes its argument between others that are asked before and after it."""
    seen = []

    def own(body):
        seen.append(body)
        return [body["spec"]["nodeName"]]

    indexer = Indexer({"before": own, "ruin": ruin, "node": field("spec.nodeName"), "app": label("app"), "after": own})
    indexer.add_indexers({"namespace": namespace()})
    return indexer


def write_add(indexer, body):
    indexer.add(body)


def write_replace(indexer, body):
    indexer.replace([body])


def write_late(indexer, body):
    """The indexes are there only after the object."""
    late = dict(indexer.indexers())
    fresh = Indexer()
    fresh.add(body)
    fresh.add_indexers(late)
    indexer.__dict__.update(fresh.__dict__)


@pytest.mark.parametrize("write", [write_add, write_replace, write_late])
def test_an_index_function_that_changes_its_argument_harms_no_other_index_and_not_the_object(ruined, write):
    body = pod(node="n1", labels={"app": "web"})
    write(ruined, body)
    assert ruined.list() == [pod(node="n1", labels={"app": "web"})] == [body]
    for index, value in [
        ("before", "n1"), ("after", "n1"), ("node", "n1"), ("app", "web"), ("namespace", "default"), ("ruin", "ruined"),
    ]:  # fmt: skip
        assert ruined.index_keys(index, value) == [("default", "web")], index
    assert ruined.statistics().index_errors == 0
    ruined._check()
    ruined.delete(body)
    assert all(not ruined.list_index_func_values(index) for index in ruined.indexers())


# Index functions that use the cache.


def reading(reader, calls):
    """An index function that looks around in the cache it indexes."""

    def function(body):
        calls.append(body["metadata"]["name"])
        owner = reader().get_by_key("default/owner")
        reader().list()
        reader().list_keys()
        reader().by_index("node", "n1")
        reader().statistics()
        return [owner["spec"].get("nodeName", "none")] if owner else ["nobody"]

    return function


@pytest.mark.parametrize("verb", ["put", "add", "replace", "add_indexers"])
def test_an_index_function_that_reads_the_cache_hangs_nobody(background, verb):
    calls = []
    indexer = Indexer({"node": field("spec.nodeName")})
    indexer.add(pod("owner", node="n1"))
    function = reading(lambda: indexer, calls)
    if verb != "add_indexers":
        indexer.add_indexers({"reading": function})
    work = {
        "put": lambda: indexer.put(encode(pod("a"))),
        "add": lambda: indexer.add(pod("a")),
        "replace": lambda: indexer.replace([pod("owner", node="n1"), pod("a")]),
        "add_indexers": lambda: (indexer.add(pod("a")), indexer.add_indexers({"reading": function})),
    }[verb]
    background(work).result(PATIENCE)
    assert "a" in calls
    assert names(indexer.by_index("reading", "n1")) == ["a", "owner"]
    # Not indexer._check(): it calls the index functions with the lock held.


def test_an_index_function_that_waits_for_another_threads_write_does_not_hang(background):
    """The lock is not held while a function of the user's runs: others go on."""
    entered, written = threading.Event(), threading.Event()

    def waiting(body):
        if body["metadata"]["name"] == "slow":
            entered.set()
            assert written.wait(PATIENCE)
        return "x"

    indexer = Indexer({"waiting": waiting})
    slow = background(indexer.add, pod("slow"))
    assert entered.wait(PATIENCE)
    background(indexer.add, pod("quick")).result(PATIENCE)
    assert names(background(indexer.list).result(PATIENCE)) == ["quick"]
    written.set()
    slow.result(PATIENCE)
    assert names(indexer.by_index("waiting", "x")) == ["quick", "slow"]
    indexer._check()


def test_an_index_that_is_added_while_objects_change_has_them_all(background):
    """Its values are computed outside the lock; who writes meanwhile computes those of what it writes."""
    entered, changed, writer = threading.Event(), threading.Event(), threading.current_thread()

    def slow(body):
        if threading.current_thread() is not writer:
            entered.set()
            assert changed.wait(PATIENCE)
        return body["spec"].get("nodeName", "none")

    indexer = Indexer()
    for name in "abc":
        indexer.add(pod(name, node="n1"))
    adding = background(indexer.add_indexers, {"slow": slow})
    assert entered.wait(PATIENCE)
    indexer.add(pod("a", node="n2", rv=2))
    indexer.delete(pod("b"))
    indexer.add(pod("d", node="n1"))
    assert indexer.indexers() == indexer.statistics().index_values == {}, "nobody sees it before it is whole"
    assert indexer.list_index_func_values("slow") == []
    with pytest.raises(IndexNotFound, match="there are: none"):
        indexer.by_index("slow", "n2")
    changed.set()
    adding.result(PATIENCE)
    assert names(indexer.by_index("slow", "n1")) == ["c", "d"]
    assert names(indexer.by_index("slow", "n2")) == ["a"]
    indexer._check()


# Metadata that is not as it should be.


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (None, {}), ("text", {}), (["app"], {}), (5, {}), ({}, {}),
        ({"app": 5, "tier": "gold"}, {"tier": "gold"}),
        ({"app": None, "b": ["c"], "d": {"e": "f"}, "g": True, "h": ""}, {"h": ""}),
    ],
)  # fmt: skip
def test_labels_that_are_no_texts_cannot_be_selected_by_and_stay_in_the_body(labels, kept):
    body = pod()
    body["metadata"]["labels"] = labels
    indexer = Indexer({"app": label("app")})
    indexer.add(body)
    assert indexer.entry("default/web").labels == kept
    assert indexer.get_by_key("default/web")["metadata"]["labels"] == labels
    assert indexer.statistics().index_errors == 0
    indexer._check()


def test_labels_whose_names_are_no_texts_are_no_json_and_the_object_is_refused():
    body = pod()
    body["metadata"]["labels"] = {5: "five"}
    with pytest.raises(InvalidObject, match="default/web cannot be stored as JSON"):
        Indexer().add(body)


@pytest.mark.parametrize(
    ("version", "stored"), [(7, "7"), (0, ""), (None, ""), ("", ""), ("7", "7"), ("opaque", "opaque"), (True, "True")]
)
def test_a_version_is_kept_as_a_text(version, stored):
    body = pod()
    body["metadata"]["resourceVersion"] = version
    assert encode(body).resource_version == stored


def test_a_version_that_is_a_number_is_compared_as_its_text():
    def at(version):
        body = pod()
        body["metadata"]["resourceVersion"] = version
        return encode(body)

    assert at(9).is_older_than(at("10"))
    assert at("9").is_older_than(at(10))
    assert not at(10).is_older_than(at("9"))
    assert at(10).is_same_state(at("10"))


def test_versions_of_5000_digits_are_compared():
    small, large = encode(pod(rv="1" * 5000)), encode(pod(rv="1" * 4999 + "2"))
    assert small.is_older_than(large)
    assert not large.is_older_than(small)
    assert not small.is_older_than(small)
    assert encode(pod(rv="9")).is_older_than(small)
    assert not small.is_older_than(encode(pod(rv="9")))


@pytest.mark.parametrize("uid", [None, ""])
def test_a_uid_that_is_missing_tells_nothing(uid):
    body = pod()
    body["metadata"]["uid"] = uid
    entry = encode(body)
    assert entry.uid == ""
    assert entry.is_same_object(encode(pod(uid="u1")))
    assert encode(pod(uid="u2")).is_same_object(entry)
    assert entry.decode()["metadata"]["uid"] == uid


def test_an_index_is_added_however_much_is_written_meanwhile():
    """Each call for what was there before is followed by a write."""
    writes = 0

    def writing(body):
        nonlocal writes
        if body["metadata"]["resourceVersion"] == "1" and writes < 1000:
            writes += 1
            indexer.add(pod("hot", node="n2", rv=1 + writes))
        return body["spec"].get("nodeName", "none")

    indexer = Indexer()
    indexer.replace([pod(f"p{number}", node="n1") for number in range(200)])
    indexer.add_indexers({"writing": writing})
    assert writes == 200
    assert len(indexer.by_index("writing", "n1")) == 200
    assert names(indexer.by_index("writing", "n2")) == ["hot"]
    writes = 1000
    indexer._check()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_whatever_an_index_function_raises_is_counted_and_survived(error, caplog):
    def raising(body):
        raise error

    indexer = Indexer({"raising": raising, "node": field("spec.nodeName")})
    indexer.add(pod("a", node="n1"))
    indexer.add_indexers({"too": raising, "app": label("app")})
    indexer.replace([pod("a", node="n1"), pod("b", node="n1", labels={"app": "x"})])
    assert indexer.statistics().index_errors == 1 + 1 + 2 * 2
    assert names(indexer.by_index("node", "n1")) == ["a", "b"]
    assert names(indexer.by_index("app", "x")) == ["b"]
    assert "index raising failed on default/a" in caplog.text


def test_an_index_for_which_there_is_no_memory_was_never_added(monkeypatch):
    indexer = Indexer({"node": field("spec.nodeName")})
    indexer.replace([pod(f"p{number}", node="n1", labels={"app": "x"}) for number in range(300)])
    left = 2

    def failing(entries, *args, **kwargs):
        nonlocal left
        left -= 1
        if not left:
            raise MemoryError
        return original(entries, *args, **kwargs)

    original = indexer_module.in_batches
    monkeypatch.setattr(indexer_module, "in_batches", failing)
    with pytest.raises(MemoryError):
        indexer.add_indexers({"app": label("app")})
    monkeypatch.undo()
    assert list(indexer.indexers()) == ["node"]
    indexer._check()
    indexer.add_indexers({"app": label("team"), "again": label("app")})
    assert indexer.by_index("app", "x") == []
    assert len(indexer.by_index("again", "x")) == 300
    indexer._check()


def failing_after(meanwhile):
    """Stands in for what an index that is added asks for first: something happens, and there is no memory."""

    def fail(*_):
        meanwhile()
        raise MemoryError

    return fail


@pytest.mark.parametrize("later", ["later", "gone"])
def test_what_was_completed_for_an_index_that_was_never_added_has_nothing_of_it_in_the_next(monkeypatch, later):
    """Between its being prepared, or completed, and its being put nobody knows of an object but its writer."""
    indexer = Indexer()
    indexer.add(pod("stored"))
    given = [pod(name, labels={"x": "old"}) for name in ("completed", "prepared", "drafted")]
    completed, on_the_way = indexer.prepare(given[0]), []

    def meanwhile():
        indexer.complete(completed)
        on_the_way.append(indexer.prepare(json.dumps(given[1]).encode()))
        on_the_way.append(indexer.draft([indexer.complete(indexer.prepare(body)) for body in [pod("stored"), *given]]))

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(indexer_module, "in_batches", failing_after(meanwhile))
        indexer.add_indexers({"gone": label("x"), "too": field("spec.nodeName")})
    prepared, draft = on_the_way
    indexer.put(completed)
    indexer.put(prepared)
    assert indexer.indexers() == indexer.statistics().index_values == indexer.statistics().index_entries == {}
    indexer.add_indexers({later: label("y")})
    assert list(indexer.indexers()) == [later]
    assert indexer.list_index_func_values(later) == []
    indexer._check()
    indexer.replace(draft)
    assert indexer.list_index_func_values(later) == []
    indexer.add(pod("new", labels={"y": "news"}))
    assert names(indexer.index_keys(later, "news")) == ["new"]
    indexer._check()
    for key in indexer.list_keys():
        indexer.remove(key)
    indexer._check()


def test_after_an_index_that_was_never_added_objects_need_no_decoding_for_those_there_are(monkeypatch):
    indexer = Indexer({"node": field("spec.nodeName")})
    indexer.add(pod("stored"))
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(indexer_module, "in_batches", failing_after(lambda: None))
        indexer.add_indexers({"gone": lambda _: "x"})
    indexer.add_indexers({"app": label("app")})
    entry = indexer.prepare(json.dumps(pod("a", node="n1", labels={"app": "x"})).encode())
    assert len(entry.values) == 3
    assert indexer.complete(entry).values == (("n1",), (), ("x",))
    indexer.put(entry)
    indexer._check()


def test_what_a_list_leaves_as_it_is_stays_found_by_an_index_that_is_added_meanwhile(background):
    """The transform fails on it, say: the draft has what is stored, and that has no value yet in the index."""
    entered, listed, writer = threading.Event(), threading.Event(), threading.current_thread()

    def slow(body):
        if threading.current_thread() is not writer:
            entered.set()
            assert listed.wait(PATIENCE)
        return body["metadata"]["labels"]["app"]

    indexer = Indexer()
    for name in "abc":
        indexer.add(pod(name, labels={"app": "web"}))
    before = indexer.draft(indexer.entries())
    adding = background(indexer.add_indexers, {"slow": slow})
    assert entered.wait(PATIENCE)
    draft = indexer.draft(
        [indexer.entry("default/a"), indexer.complete(indexer.prepare(pod("b", rv=2, labels={"app": "db"})))]
    )
    listed.set()
    adding.result(PATIENCE)
    assert names(indexer.index_keys("slow", "web")) == ["a", "b", "c"]
    indexer.replace(draft)
    assert names(indexer.index_keys("slow", "web")) == ["a"]
    indexer._check()
    assert indexer.remove(ObjectKey("default", "a")).old is not None
    indexer.replace(before)
    assert names(indexer.index_keys("slow", "web")) == ["a", "b", "c"]
    indexer._check()


def test_what_a_list_leaves_as_it_is_stays_found_if_an_index_is_there_once_its_table_was_made_anew(
    background, monkeypatch
):
    entered, planted, writer = threading.Event(), threading.Event(), threading.current_thread()

    def slow(body):
        if threading.current_thread() is not writer:
            entered.set()
            assert planted.wait(PATIENCE)
        return body["metadata"]["labels"]["app"]

    indexer = Indexer()
    indexer.add(pod("a", labels={"app": "web"}))
    draft = indexer.draft(indexer.entries())
    adding = background(indexer.add_indexers, {"slow": slow})
    assert entered.wait(PATIENCE)
    replant = Draft.replant

    def meanwhile(self, table):
        replant(self, table)
        planted.set()
        adding.result(PATIENCE)

    monkeypatch.setattr(Draft, "replant", meanwhile)
    indexer.replace(draft)
    assert names(indexer.index_keys("slow", "web")) == ["a"]
    indexer._check()
    indexer.remove(ObjectKey("default", "a"))
    indexer._check()


def test_what_comes_after_an_index_was_added_needs_no_decoding_for_it():
    indexer = Indexer()
    indexer.add_indexers({"node": field("spec.nodeName")})
    indexer.add_indexers({"app": label("app")})
    entry = indexer.prepare(json.dumps(pod("a", node="n1", labels={"app": "x"})).encode())
    assert entry.values == (("n1",), ("x",))


def test_an_index_that_is_added_while_a_draft_is_completed_for_another_finds_all_of_it(monkeypatch):
    indexer = Indexer()
    draft = indexer.draft([indexer.prepare(pod(name, node="n1", labels={"app": "x"})) for name in "abc"])
    indexer.add_indexers({"node": field("spec.nodeName")})
    complete = Indexer.complete

    def meanwhile(self, entry):
        done = complete(self, entry)
        if "app" not in indexer.indexers():
            indexer.add_indexers({"app": label("app")})
        return done

    monkeypatch.setattr(Indexer, "complete", meanwhile)
    indexer.replace(draft)
    assert names(indexer.by_index("node", "n1")) == names(indexer.by_index("app", "x")) == ["a", "b", "c"]
    indexer._check()


# Texts that are more than texts.


class Trap(str):
    """A text that runs code wherever it is hashed or compared."""

    __slots__ = ()

    def __hash__(self):
        raise RuntimeError("a text of the user's was hashed")

    def __eq__(self, other):
        raise RuntimeError("a text of the user's was compared")


@pytest.mark.parametrize("give", [lambda text: text, lambda text: [text], lambda text: iter((text, text))])
def test_values_that_inherit_from_texts_run_no_code_of_the_users_in_the_cache(give):
    """With the lock held that could stop half-way, or wait for the lock for ever."""
    indexer = Indexer({"trap": lambda _: give(Trap("v")), "node": field("spec.nodeName")})
    indexer.add(pod("a", node="n1"))
    indexer.add_indexers({"late": lambda _: give(Trap("v"))})
    indexer.replace([pod("a", node="n1", rv=2), pod("b", node="n1")])
    for index, value in (("trap", "v"), ("late", "v"), ("node", "n1")):
        assert names(indexer.index_keys(index, value)) == ["a", "b"]
        assert [type(value) for value in indexer.list_index_func_values(index)] == [str]
    assert names(indexer.index("trap", pod("x"))) == ["a", "b"]
    assert indexer.statistics().index_errors == 0
    indexer._check()
    indexer.delete(pod("a"))
    indexer.delete(pod("b"))
    assert indexer.list_index_func_values("trap") == []


def test_names_and_labels_that_inherit_from_texts_run_no_code_of_the_users_in_the_cache():
    class Name(str):
        __slots__ = ()
        armed = False

        def __hash__(self):
            assert not Name.armed
            return str.__hash__(self)

    indexer = Indexer({"app": label("app")})
    body = pod(Name("a"), Name("space"), labels={"app": Name("x")})
    entry = indexer.prepare(body)
    Name.armed = True
    indexer.put(entry)
    assert (entry.key, entry.labels) == (("space", "a"), {"app": "x"})
    assert {type(each) for each in (*entry.key, *entry.labels, *entry.labels.values())} == {str}
    assert indexer.index_keys("app", "x") == [("space", "a")]
    indexer._check()
