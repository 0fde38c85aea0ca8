"""Bodies made small: what comes out is what went in, whatever happens to the dictionary meanwhile."""

import gc
import itertools
import os
import random
import sys

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cache.bodies import LIVE, body, fill, pod, read
from tests.cache.conftest import at_once
from tests.cache.objects import raw_entry
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import ConfigurationError
from workqueue.cache import Indexer, packing
from workqueue.cache.batches import BATCH, BATCH_BYTES, Batch
from workqueue.cache.entry import keep_frame
from workqueue.cache.packing import ALIVE, MAGIC, SAMPLES, WORTH, Dictionary, Packer, train
from workqueue.informer import Informer
from workqueue.informer.collection import Collection

RANDOM = settings(max_examples=100, deadline=None, derandomize="CI" in os.environ, print_blob=True)


# Dictionaries.


@pytest.fixture(scope="module")
def trained():
    return train([body(number) for number in range(SAMPLES)])


def test_a_dictionary_makes_a_tenth_of_a_pod(trained):
    bodies = [body(number) for number in range(1000, 1100)]
    frames = trained.pack(bodies)
    assert sum(map(len, frames)) < 0.12 * sum(map(len, bodies))
    assert [trained.unpack(frame) for frame in frames] == bodies
    assert trained.unpack_all(frames) == bodies
    assert all(frame.startswith(MAGIC) for frame in frames)


@RANDOM
@given(bodies=st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=5))
def test_any_bytes_come_back_as_they_were(trained, bodies):
    for dictionary in (trained, Dictionary(None)):
        frames = dictionary.pack(bodies)
        assert [dictionary.unpack(frame) for frame in frames] == bodies
        assert dictionary.unpack_all(frames) == bodies


def test_a_frame_is_in_memory_of_its_own_size(trained):
    for frame in trained.pack([body(number) for number in range(10)]):
        assert type(frame) is bytes
        assert sys.getsizeof(frame) == sys.getsizeof(b"") + len(frame)


def test_too_little_to_train_on_makes_no_dictionary():
    assert train([b"{}"]) is None
    assert train([]) is None


def test_threads_pack_and_unpack_at_the_same_time(trained, background, hectic):
    def work(seed):
        numbers = random.Random(seed).sample(range(500), 60)
        bodies = [body(number) for number in numbers]
        for _ in range(5):
            frames = trained.pack(bodies)
            assert [trained.unpack(frame) for frame in frames] == bodies
            assert trained.unpack_all(frames) == bodies
        return True

    assert all(each.result(PATIENCE) for each in [background(lambda seed=seed: work(seed)) for seed in range(12)])
    assert len(trained._packers) <= packing.IDLE
    assert len(trained._unpackers) <= packing.IDLE


# When.


def test_the_first_bodies_are_trained_on_and_those_after_them_packed():
    packer = Packer()
    first = fill(packer, count=SAMPLES - BATCH)
    assert all(frame is each for each, frame, _ in first)
    later = fill(packer, count=3 * BATCH, start=SAMPLES)
    assert all(frame.startswith(MAGIC) for _, frame, _ in later)
    assert read(later) == [each for each, *_ in later]
    statistics = packer.statistics()
    assert (statistics.dictionaries, statistics.dictionary_age) == (1, 3 * BATCH)
    assert statistics.dictionary_bytes > 10_000
    assert statistics.plain_bytes == sum(len(each) for each, *_ in later)
    assert statistics.kept_bytes == sum(len(frame) for _, frame, _ in later)


def test_bodies_of_a_small_cache_stay_as_they_are():
    packer = Packer()
    for number in range(2 * SAMPLES):
        packer.see(body(number), live=WORTH - 1)
    assert packer.dictionary is None
    assert packer.statistics().dictionaries == 0


def test_none_packs_nothing_and_zstd_everything():
    packer = Packer("none")
    fill(packer, count=2 * SAMPLES)
    assert packer.dictionary is None
    packer = Packer("zstd")
    assert all(frame.startswith(MAGIC) for _, frame, _ in fill(packer, count=BATCH))
    statistics = packer.statistics()
    assert (statistics.compression, statistics.dictionaries, statistics.dictionary_bytes) == ("zstd", 0, 0)


@pytest.mark.parametrize("compression", ["gzip", "", None, True])
def test_another_word_is_one_line(compression):
    with pytest.raises(ConfigurationError, match="expected one of 'auto', 'none', 'zstd'"):
        Indexer(compression=compression)


def test_what_does_not_become_smaller_stays_as_it_is():
    packer = Packer("zstd")
    noise = b'{"data":"' + random.Random(1).randbytes(5000).hex().encode() + b'"}'
    secret = b'{"metadata":' + random.Random(2).randbytes(3000) + b"}"
    [hexadecimal, random_bytes] = packer.pack(packer.dictionary, [noise, secret])
    assert hexadecimal.startswith(MAGIC), "half of it is known"
    assert random_bytes is secret


@pytest.mark.parametrize("compression", ["zstd", "auto"])
def test_nothing_and_nothing_at_all_stay_what_they_are(compression):
    packer = Packer(compression)
    dictionary = packer.dictionary or train([body(number) for number in range(SAMPLES)])
    assert list(packer.pack(dictionary, [])) == []
    assert list(packer.pack(dictionary, [b""])) == [b""]
    first, nothing, last = packer.pack(dictionary, [body(1) * 5, b"", body(2) * 5])
    assert nothing == b""
    assert dictionary.unpack_all([first, last]) == [body(1) * 5, body(2) * 5]


@pytest.mark.parametrize("error", [MemoryError, zstandard.ZstdError])
def test_what_cannot_be_packed_stays_as_it_is_and_no_change_is_lost(error, monkeypatch):
    def fail(self, bodies):
        raise error

    indexer = cache_of(MANY)
    monkeypatch.setattr(Dictionary, "pack", fail)
    for number in range(BATCH):
        indexer.add(pod(number, 10_000))
    indexer.replace([pod(number, 20_000) for number in range(10)])
    assert sorted(each["metadata"]["resourceVersion"] for each in indexer.list()) == ["20000"] * 10
    indexer._check()


def test_large_bodies_are_trained_on_in_parts():
    packer = Packer()
    for number in range(5):
        packer.see(body(number, "word") * 300, live=LIVE)
    packer.see(b"x" * 10_000_000, live=LIVE)
    assert packer.dictionary is None
    for number in range(100):
        packer.see(body(number, "word") * 300, live=LIVE)
    assert packer.dictionary is not None
    [frame] = packer.pack(packer.dictionary, [b"{" + b"x" * 10_000_000])
    assert packer.dictionary.unpack(frame) == b"{" + b"x" * 10_000_000


def test_samples_of_a_cache_that_became_small_are_dropped():
    packer = Packer()
    for number in range(50):
        packer.see(body(number) * 200, live=LIVE)
    assert sum(map(len, packer._samples)) == 50 * packing.SAMPLE, "of large ones the beginning"
    packer.see(body(1), live=WORTH - 1)
    assert packer._samples == []


# Another dictionary.


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(packing, "SOONEST", 2 * BATCH)


def test_when_objects_change_a_dictionary_is_trained_on_the_present_ones(soon):
    packer = Packer(aside=at_once)
    old = fill(packer, "apple", SAMPLES + BATCH)
    assert packer.statistics().dictionaries == 1
    fresh = fill(packer, "orange", 2 * SAMPLES + 8 * BATCH)
    statistics = packer.statistics()
    assert statistics.dictionaries >= 2
    assert statistics.dictionary_age < SAMPLES + 8 * BATCH
    assert len(fresh[-1][1]) < 0.8 * len(fresh[0][1])
    assert read(old + fresh) == [each for each, *_ in old + fresh], "what was packed before can be read"
    assert statistics.dictionary_bytes > 2 * 10_000
    del old, fresh
    gc.collect()
    assert packer.statistics().dictionary_bytes < statistics.dictionary_bytes, "it goes with the last that needs it"


def test_a_bad_beginning_is_made_up_for(soon):
    packer = Packer(aside=at_once)
    noise = [b'{"x":"' + random.Random(number).randbytes(400).hex().encode() + b'"}' for number in range(SAMPLES)]
    for each in noise:
        packer.see(each, live=LIVE)
    first = packer.dictionary
    kept = fill(packer, count=2 * SAMPLES + 8 * BATCH)
    assert packer.dictionary is not first
    assert len(kept[-1][1]) < 0.2 * len(kept[-1][0])


def test_a_dictionary_that_is_no_better_is_not_taken_and_one_is_trained_more_and_more_rarely(soon, monkeypatch):
    monkeypatch.setattr(packing, "LATEST", 16 * BATCH)
    packer = Packer(aside=at_once)
    fill(packer, "apple", SAMPLES)
    useless = train([body(number, "banana") for number in range(SAMPLES)])
    trainings = []
    monkeypatch.setattr(packing, "train", lambda samples: trainings.append(packer._bodies) or useless)
    fill(packer, "orange", 60 * SAMPLES)
    assert packer.statistics().dictionaries == 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(trainings)]
    assert pauses == sorted(pauses)
    assert SAMPLES < pauses[0] < pauses[-1]
    assert abs(pauses[-1] - (16 * BATCH + SAMPLES)) <= 2 * BATCH


def test_no_more_dictionaries_than_a_few_are_alive(monkeypatch):
    monkeypatch.setattr(packing, "SOONEST", 1)
    monkeypatch.setattr(packing, "LATEST", 1)
    packer, held = Packer(aside=at_once), []
    for number in range(2 * ALIVE):
        held += fill(packer, f"kind {number}", SAMPLES + BATCH)
    assert packer.statistics().dictionaries == len(packer._alive) == ALIVE
    assert read(held) == [each for each, *_ in held]
    held.clear()
    gc.collect()
    fill(packer, "another", 2 * SAMPLES + BATCH)
    assert packer.statistics().dictionaries > ALIVE


def test_a_training_that_fails_is_tried_again(soon, monkeypatch):
    def fail(samples):
        raise MemoryError

    packer = Packer()
    with monkeypatch.context() as failing:
        failing.setattr(packing, "train", fail)
        fill(packer)
    assert packer.dictionary is None
    fill(packer, count=2 * SAMPLES)
    assert packer.dictionary is not None


# In a cache.

#: So many pods are more than a dictionary waits for.
MANY = 1000


def cache_of(count, **options):
    indexer = Indexer(**options)
    indexer.replace([pod(number, number) for number in range(count)])
    return indexer


def test_a_list_is_packed_and_so_are_its_first_objects():
    indexer = cache_of(MANY)
    assert all(entry.stored.startswith(MAGIC) for entry in indexer.entries())
    assert {each["metadata"]["name"]: each for each in indexer.list()} == {
        each["metadata"]["name"]: each for each in (pod(number, number) for number in range(MANY))
    }
    statistics = indexer.statistics()
    assert statistics.body_bytes == statistics.packing.kept_bytes < 0.2 * statistics.packing.plain_bytes
    indexer._check()


def test_changes_are_packed_in_batches():
    indexer = cache_of(MANY)
    for number in range(BATCH - 1):
        indexer.add(pod(number, 10_000))
    assert sum(not entry.stored.startswith(MAGIC) for entry in indexer.entries()) == BATCH - 1
    indexer._check()
    indexer.add(pod(BATCH, 10_000))
    assert all(entry.stored.startswith(MAGIC) for entry in indexer.entries())
    assert indexer.get(pod(3, 0)) == pod(3, 10_000)
    indexer._check()


def test_what_is_replaced_or_gone_before_it_is_packed_counts_once():
    indexer = cache_of(MANY)
    for _ in range(3):
        for number in range(BATCH):
            indexer.add(pod(number, 10_000 + number))
            if number % 3 == 0:
                indexer.delete(pod(number, 0))
        indexer._check()


def test_a_cache_that_grows_object_by_object_is_packed_from_some_size_on():
    indexer = Indexer()
    for number in range(MANY):
        indexer.add(pod(number, number))
    entries = indexer.entries()
    assert 2 * BATCH < sum(entry.stored.startswith(MAGIC) for entry in entries) < len(entries)
    indexer._check()
    indexer.replace([pod(number, number + 1) for number in range(MANY)])
    assert all(entry.stored.startswith(MAGIC) for entry in indexer.entries())
    indexer._check()


def test_an_entry_that_is_packed_while_it_is_read_is_read_whole(trained, background, hectic):
    indexer = Indexer(compression="none")
    wanted = {}
    for number in range(400):
        indexer.add(pod(number, number))
        wanted[pod(number)["metadata"]["name"]] = pod(number, number)
    entries = indexer.entries()

    def look():
        for _ in range(10):
            assert {each["metadata"]["name"]: each for each in indexer.list()} == wanted
            assert all(entry.decode() == wanted[entry.key.name] for entry in entries)
        return True

    readers = [background(look) for _ in range(3)]
    for entry in entries:
        [frame] = trained.pack([entry.body])
        keep_frame(entry, frame, trained)
    assert all(each.result(PATIENCE) for each in readers)


def entry_of(name, size=100):
    return raw_entry(b"{" + b"x" * size, name)


def test_a_batch_is_full_by_number_or_by_bytes():
    batch = Batch()
    entries = [entry_of(f"e{number}") for number in range(BATCH)]
    for entry in entries:
        assert not batch.is_full
        batch.add(entry)
    assert batch.is_full
    assert batch.take() == entries
    assert not batch.is_full
    assert batch.take() == []
    batch.add(entry_of("large", BATCH_BYTES))
    assert batch.is_full


def test_an_entry_is_packed_once(trained):
    indexer = cache_of(MANY)
    first = indexer.prepare(pod(1, 5))
    indexer.put(first)
    indexer.remove(first.key)
    indexer.replace(indexer.draft([first]))
    dictionary = first.dictionary
    assert dictionary is not None
    assert keep_frame(first, b"(nonsense", trained) == 0
    assert first.dictionary is dictionary
    for number in range(2 * BATCH):
        indexer.add(pod(number, 7))
    assert indexer.get(pod(3)) == pod(3, 7)
    indexer._check()


def test_objects_of_a_megabyte_are_packed_one_by_one_and_only_the_present_one_is_kept():
    indexer = Indexer(compression="zstd")
    packed = []
    original = indexer._packer.pack
    indexer._packer.pack = lambda dictionary, bodies: packed.append(len(bodies)) or original(dictionary, bodies)
    for version in range(20):
        indexer.add({"metadata": {"name": "a", "resourceVersion": str(version)}, "text": "x" * 1_000_000})
    assert packed == [1] * 20
    assert indexer.statistics().body_bytes < 10_000
    indexer._check()


def test_of_many_changes_of_a_few_objects_only_the_latest_are_packed():
    indexer = cache_of(MANY)
    packed = []
    original = indexer._packer.pack
    indexer._packer.pack = lambda dictionary, bodies: packed.append(len(bodies)) or original(dictionary, bodies)
    for number in range(10 * BATCH):
        indexer.add(pod(number % 3, 1000 + number))
    assert packed == [3] * 10, "most of them were displaced before anybody had looked"
    indexer._check()


def test_what_a_function_of_a_users_indexes_by_is_found_before_bodies_are_packed(monkeypatch):
    informer = Informer("pods", indexer=Indexer({"images": lambda body: [body["spec"]["nodeName"]]}))
    collection = Collection(informer)
    for number in range(MANY):
        collection.add(body(number))
    unpacked = []
    original = Dictionary.unpack
    monkeypatch.setattr(Dictionary, "unpack", lambda self, frame: unpacked.append(1) or original(self, frame))
    informer.replace(collection.draft)
    assert unpacked == []
    assert informer.reader.index_keys("images", pod(3)["spec"]["nodeName"])


def test_what_was_packed_meanwhile_is_not_packed_again(trained):
    batch = Batch()
    waiting, packed = entry_of("a"), entry_of("b")
    batch.add(waiting)
    batch.add(packed)
    keep_frame(packed, b"{", trained)
    assert batch.take() == [waiting]


def test_what_was_removed_is_not_packed():
    indexer = cache_of(MANY)
    packed = []
    original = indexer._packer.pack
    indexer._packer.pack = lambda dictionary, bodies: packed.append(len(bodies)) or original(dictionary, bodies)
    for number in range(BATCH - 1):
        indexer.add(pod(number, 10_000))
        indexer.delete(pod(number, 0))
    assert packed == []
    indexer.add(pod(BATCH, 10_000))
    assert packed == [1]
    indexer._check()
