"""Whatever one gets from the cache is one's own: changing it changes no cache and nobody else's copy."""

import copy

import pytest

from tests.cache.objects import pod
from workqueue.cache import Body, Indexer, Lister, field, label, namespace

OBJECT = pod(labels={"app": "web"}, node="n1", containers=[{"name": "main", "ports": [80]}])

#: Every way to get an object.
WAYS = {
    "get": lambda reader: reader.get(OBJECT),
    "get_by_key": lambda reader: reader.get_by_key("default/web"),
    "list": lambda reader: reader.list()[0],
    "list of a page": lambda reader: reader.list(limit=1)[0],
    "iter": lambda reader: next(iter(reader)),
    "index": lambda reader: reader.index("node", OBJECT)[0],
    "by_index": lambda reader: reader.by_index("node", "n1")[0],
    "entry": lambda reader: reader.entry("default/web").decode(),
    "entries": lambda reader: reader.entries()[0].decode(),
    "entries_by_index": lambda reader: reader.entries_by_index("node", "n1")[0].decode(),
    "Lister.list": lambda reader: Lister(reader).list()[0],
    "Lister.list by label": lambda reader: Lister(reader).list("app=web")[0],
    "Lister.list by namespace": lambda reader: Lister(reader).list(namespace="default")[0],
    "Lister.list of a page": lambda reader: Lister(reader).list("app=web", limit=1)[0],
    "Lister.get": lambda reader: Lister(reader).get("default", "web"),
    "Body": lambda reader: dict(Body(reader.entry("default/web"))),
}


@pytest.fixture
def indexer():
    return Indexer({"node": field("spec.nodeName"), "app": label("app"), "namespace": namespace()})


def ruin(body):
    """Change an object at every level."""
    body["spec"]["containers"][0]["ports"].append("ruined")
    body["spec"]["containers"].append("ruined")
    body["spec"]["nodeName"] = "ruined"
    body["metadata"]["labels"].update(app="ruined")
    body["metadata"]["name"] = "ruined"
    body["metadata"].pop("uid")
    body.pop("kind")


def assert_untouched(indexer):
    for way in WAYS.values():
        assert way(indexer.reader) == OBJECT
    assert indexer.entry("default/web").labels == {"app": "web"}
    assert indexer.list_keys() == [("default", "web")]
    for index, value in (("node", "n1"), ("app", "web"), ("namespace", "default")):
        assert indexer.list_index_func_values(index) == [value]
    assert indexer.by_index("node", "ruined") == Lister(indexer).list("app=ruined") == []
    indexer._check()


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_changing_what_one_got_changes_no_cache(indexer, way):
    indexer.add(OBJECT)
    mine, theirs = way(indexer.reader), way(indexer.reader)
    ruin(mine)
    assert theirs == OBJECT, "two callers share a copy"
    assert_untouched(indexer)


@pytest.mark.parametrize("write", ["add", "update", "replace"])
def test_changing_what_one_gave_changes_no_cache(indexer, write):
    mine = copy.deepcopy(OBJECT)
    getattr(indexer, write)([mine] if write == "replace" else mine)
    ruin(mine)
    assert_untouched(indexer)


def test_writing_changes_nothing_of_the_callers(indexer):
    mine = copy.deepcopy(OBJECT)
    for write in (indexer.add, indexer.update, indexer.get, indexer.delete, lambda body: indexer.replace([body])):
        write(mine)
        assert mine == OBJECT


def test_an_index_function_that_changes_its_object_changes_no_cache():
    def ruining(body):
        ruin(body)
        return "n1"

    indexer = Indexer({"ruining": ruining})
    indexer.add(OBJECT)
    assert indexer.get_by_key("default/web") == OBJECT
    indexer.add_indexers({"again": ruining})
    assert indexer.by_index("again", "n1") == [OBJECT]


def test_the_lists_and_indexes_one_got_are_ones_own(indexer):
    indexer.add(OBJECT)
    for got in (indexer.list(), indexer.list_keys(), indexer.entries(), indexer.indexers(), indexer.resync(),
                indexer.by_index("node", "n1"), indexer.index_keys("node", "n1"),
                indexer.list_index_func_values("node")):  # fmt: skip
        got.clear()
    assert_untouched(indexer)
    assert sorted(indexer.indexers()) == ["app", "namespace", "node"]


def test_an_entry_has_no_verb_that_changes_the_cache(indexer):
    indexer.add(OBJECT)
    entry = indexer.reader.entry("default/web")
    verbs = {name for name in dir(entry) if not name.startswith("_") and callable(getattr(entry, name))}
    assert verbs == {"decode", "is_same_object", "is_same_state", "is_older_than"}
    for name in entry.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(entry, name, None)
