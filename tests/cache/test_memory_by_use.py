"""What a cache says that it needs memory for, against the sizes of what it holds."""

import json
import sys

import pytest

from tests.bench.intake import pods
from workqueue.cache import Indexer, field, label, namespace, owner_uid
from workqueue.cache.reader import OBJECT
from workqueue.cache.weighing import label_bytes

#: Python's allocator gives memory in steps of so many bytes.
STEP = 16


def steps(thing):
    return -(-sys.getsizeof(thing) // STEP) * STEP


def labels(indexer):
    """Bytes of the label sets, and of their texts, each once."""
    sets = {id(entry.labels): entry.labels for entry in indexer.entries()}.values()
    texts = {id(text): text for each in sets for text in (*each, *each.values())}.values()
    return sum(steps(each) + steps(dict(each)) for each in sets) + sum(map(steps, texts))


def beside_bodies(indexer):
    """Bytes of all that is kept of objects but the bodies' letters."""
    entries = sum(
        sum(map(steps, (entry, entry.name, entry.compact_uid, entry.compact_version))) + sys.getsizeof(b"")
        for entry in indexer.entries()
    )
    return entries + sum(map(sys.getsizeof, indexer._table.freeze())) + labels(indexer)


def indexes(indexer):
    found = indexer._table.indices.values()
    return sum(sys.getsizeof(index) + sum(map(sys.getsizeof, index.values())) for index in found)


@pytest.mark.parametrize("count", [500, 5_000])
def test_memory_by_use_is_what_there_is_or_nearly(count):
    indexer = Indexer({"node": field("spec.nodeName"), "app": label("app")})
    draft = indexer.draft()
    for number in range(count):
        raw = json.dumps(pods.stored(number, 1_000_000_000 + number)).encode()
        draft.add(indexer.complete(indexer.prepare(raw)))
    indexer.replace(draft)
    statistics = indexer.statistics()
    told = statistics.bytes
    assert told["bodies"] == statistics.body_bytes == sum(len(entry.stored) for entry in indexer.entries())
    assert told["dictionaries"] == statistics.packing.dictionary_bytes
    assert told["objects"] == pytest.approx(beside_bodies(indexer), rel=0.25)
    assert told["indexes"] == pytest.approx(indexes(indexer), rel=0.25)
    assert statistics.index_entries == {"node": count, "app": count}


#: Labels of the objects of a cache, by their number.
LABELS = {
    "none": lambda _: {},
    "one set": lambda _: {"app": "web", "pod-template-hash": "5d9f7c9b8d"},
    "a hundred sets": lambda number: {"app.kubernetes.io/name": f"app-{number % 100}", "tier": "front"},
    "one each, half of it in common": lambda number: {
        "app.kubernetes.io/name": "web", "app.kubernetes.io/instance": f"web-{number}",
        "controller-revision-hash": "web-5d9f7c9b8d", "statefulset.kubernetes.io/pod-name": f"web-{number}",
    },
    "one each, with nothing in common": lambda number: {f"example.com/a-name-of-my-own-and-long-{number}": "x"},
    "one each for every third": lambda number: {"job-name": f"web-{0 if number % 3 else number}"},
}  # fmt: skip


@pytest.mark.parametrize("count", [100, 3_000, 10_000])
@pytest.mark.parametrize("given", list(LABELS.values()), ids=list(LABELS))
def test_labels_count_by_what_they_share(given, count):
    indexer = Indexer(compression="none")
    for number in range(count):
        space = "one" if number % 3 else f"space-{number % 300}"
        metadata = {"name": f"web-{number}", "namespace": space, "labels": given(number)}
        metadata |= {"uid": f"00000000-0000-0000-0000-{number:012d}", "resourceVersion": str(10**9 + number)}
        indexer.put(indexer.prepare(json.dumps({"metadata": metadata}).encode()))
    assert label_bytes(indexer._table) == pytest.approx(labels(indexer), rel=0.2, abs=16 * count)
    told = indexer.statistics().bytes["objects"]
    assert told == OBJECT * count + sum(len(entry.name) for entry in indexer.entries()) + label_bytes(indexer._table)


def test_a_cache_that_is_empty_needs_nothing_for_labels():
    indexer = Indexer()
    assert indexer.statistics().bytes["objects"] == 0
    indexer.add({"metadata": {"name": "a", "labels": {"app": "web"}}})
    indexer.delete({"metadata": {"name": "a"}})
    assert indexer.statistics().bytes["objects"] == 0


@pytest.mark.parametrize("write", ["put", "of one namespace", "of all"])
def test_an_object_that_changes_needs_no_more_than_before(write):
    """What a dictionary has as its key it keeps: the texts of the first state, were there others beside them."""
    indexer = Indexer({"owner": owner_uid(), "namespace": namespace()})
    for version in range(1, 4):
        entries = []
        for number in range(100):
            metadata = {"name": f"web-{number}", "namespace": "n", "resourceVersion": str(version)}
            metadata["ownerReferences"] = [{"uid": f"owner-{number}"}]
            entries.append(indexer.prepare(json.dumps({"metadata": metadata}).encode()))
        if write == "put":
            for entry in entries:
                indexer.put(entry)
        else:
            indexer.replace(indexer.draft(entries), namespace="n" if write == "of one namespace" else None)
    assert all(name is entry.name for piece in indexer._table.freeze() for name, entry in piece.items())
    owners = indexer._table.indices["owner"]
    assert all(owner is entry.values[0][0] for owner, bucket in owners.items() for entry in bucket)
    assert {entry.resource_version for entry in indexer.entries()} == {"3"}
    indexer._check()
