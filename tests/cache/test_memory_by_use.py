"""What a cache says that it needs memory for, against the sizes of what it holds."""

import json
import sys

import pytest

from tests.bench.intake import pods
from workqueue.cache import Indexer, field, label, namespace, owner_uid

#: Python's allocator gives memory in steps of so many bytes.
STEP = 16


def steps(thing):
    return -(-sys.getsizeof(thing) // STEP) * STEP


def beside_bodies(indexer):
    """Bytes of all that is kept of objects but the bodies' letters."""
    entries = sum(
        sum(map(steps, (entry, entry.name, entry.compact_uid, entry.compact_version))) + sys.getsizeof(b"")
        for entry in indexer.entries()
    )
    return entries + sum(map(sys.getsizeof, indexer._table.freeze()))


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
