"""Readers on other threads see whole objects and whole replaces, and never an index that disagrees."""

import threading

from tests.cache.objects import pod
from tests.queues.conftest import PATIENCE
from workqueue.cache import Indexer, Lister, field, label

SIZE = 12
GENERATIONS = 150
READERS = 4


def generation(number):
    """All objects of one generation; each says three times which it is."""
    return [
        pod(f"p{index}", rv=number, labels={"generation": str(number)}, node=str(number), again=number)
        for index in range(SIZE)
    ]


def generations_in(bodies):
    """The generations that objects are of; each object must be of one."""
    found = set()
    for body in bodies:
        told = {body["metadata"]["labels"]["generation"], body["spec"]["nodeName"], str(body["spec"]["again"])}
        assert len(told) == 1, f"a torn object: {body}"
        found |= told
    return found


def read_while(background, indexer, look, write):
    """Look from several threads again and again while this one writes; an error of any of them is raised."""
    over = threading.Event()

    def read():
        looks = 0
        while not over.is_set() or looks == 0:
            look(indexer.reader)
            looks += 1
        return looks

    readers = [background(read) for _ in range(READERS)]
    try:
        write()
    finally:
        over.set()
    assert all(reader.result(PATIENCE) for reader in readers)
    indexer._check()


def test_readers_see_whole_replaces(background, hectic):
    indexer = Indexer({"node": field("spec.nodeName")})
    indexer.replace(generation(0))

    def look(reader):
        bodies = reader.list()
        assert len(bodies) == SIZE
        [number] = generations_in(bodies)
        assert len(reader.by_index("node", number)) in {0, SIZE}
        assert len(reader.index_keys("node", number)) in {0, SIZE}
        assert len(reader.list_index_func_values("node")) == 1
        assert len(reader.index("node", bodies[0])) in {0, SIZE}
        assert len(Lister(reader).list(f"generation={number}")) in {0, SIZE}
        assert len(reader) == len(reader.list_keys()) == SIZE
        statistics = reader.statistics()
        assert (statistics.objects, statistics.index_values) == (SIZE, {"node": 1})

    def write():
        for number in range(1, GENERATIONS):
            indexer.replace(generation(number))

    read_while(background, indexer, look, write)
    assert generations_in(indexer.list()) == {str(GENERATIONS - 1)}


def test_readers_see_whole_objects_and_indexes_that_agree_with_them(background, hectic):
    indexer = Indexer({"node": field("spec.nodeName")})

    def look(reader):
        generations_in(reader.list())
        for value in reader.list_index_func_values("node"):
            assert generations_in(reader.by_index("node", value)) <= {value}
        body = reader.get_by_key("default/p0")
        generations_in([body] if body else [])

    def write():
        for number in range(GENERATIONS):
            for body in generation(number)[:3]:
                indexer.update(body)
            indexer.delete(pod("p0"))

    read_while(background, indexer, look, write)
    assert sorted(key.name for key in indexer.list_keys()) == ["p1", "p2"]


def test_indexes_may_be_added_while_others_write_and_read(background, hectic):
    indexer = Indexer()
    names = [f"i{number}" for number in range(20)]

    def look(reader):
        for name in reader.indexers():
            for value in reader.list_index_func_values(name):
                assert generations_in(reader.by_index(name, value)) <= {value}

    def add_indexes():
        for name in names:
            indexer.add_indexers({name: label("generation")})

    def write():
        adding = background(add_indexes)
        for number in range(GENERATIONS):
            indexer.replace(generation(number)) if number % 5 == 0 else indexer.add(generation(number)[0])
        adding.result(PATIENCE)

    read_while(background, indexer, look, write)
    assert sorted(indexer.indexers()) == sorted(names)
    assert indexer.statistics().index_values == dict.fromkeys(names, 2)
