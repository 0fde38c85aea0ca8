"""Dictionaries that are trained beside the events: nobody waits for one, whatever becomes of it."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest
import zstandard

from tests.cache.bodies import body, fill, pod, read
from tests.queues.conftest import PATIENCE
from workqueue.cache import Indexer, packing
from workqueue.cache.batches import BATCH
from workqueue.cache.packing import SAMPLES, Packer, train

#: Bodies after which another dictionary is trained, at the latest.
RENEWED = SAMPLES + 8 * BATCH


class Later:
    """Keeps what is to be done aside until it is asked for."""

    def __init__(self):
        self.works = []

    def __call__(self, work):
        self.works.append(work)

    def work(self):
        self.works.pop()()


class Held:
    """Trains dictionaries once it is let, and tells in which threads."""

    def __init__(self):
        self.begun, self.let, self.threads = threading.Event(), threading.Event(), []

    def __call__(self, samples):
        self.threads.append(threading.current_thread())
        self.begun.set()
        assert self.let.wait(PATIENCE)
        return train(samples)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(packing, "SOONEST", 2 * BATCH)
    monkeypatch.setattr(packing, "WORTH", 0)


@pytest.fixture
def held(monkeypatch):
    """Of the next training; it goes on at the end, at the latest."""
    held = Held()
    yield lambda: monkeypatch.setattr(packing, "train", held) or held
    held.let.set()
    for thread in held.threads:
        if thread is not threading.current_thread():
            thread.join(PATIENCE)


def packer_with(kind, *, compression="auto", **options):
    packer = Packer(compression, **options)
    fill(packer, kind)
    assert packer.statistics().dictionaries == 1
    return packer


@pytest.mark.parametrize("compression", ["auto", "zstd"])
def test_the_first_dictionary_is_there_when_the_bodies_for_it_came(compression, monkeypatch):
    threads, later = [], Later()
    monkeypatch.setattr(packing, "train", lambda samples: threads.append(threading.current_thread()) or train(samples))
    packer = packer_with("apple", compression=compression, aside=later)
    assert threads == [threading.current_thread()]
    assert packer.dictionary.size > 0
    assert later.works == []


def test_another_one_is_trained_in_a_thread_of_its_own_and_bodies_are_packed_meanwhile(held):
    packer = packer_with("apple")
    first, training = packer.dictionary, held()
    kept = fill(packer, "orange", 2 * RENEWED)
    assert training.begun.wait(PATIENCE)
    assert {id(dictionary) for *_, dictionary in kept} == {id(first)}
    [thread] = training.threads
    assert (thread.name, thread.daemon) == ("workqueue-dictionary", True)
    training.let.set()
    thread.join(PATIENCE)
    assert packer.dictionary is not first
    later = fill(packer, "orange", BATCH)
    assert len(later[0][1]) < 0.8 * len(kept[0][1])
    assert read(kept + later) == [each for each, *_ in kept + later]


def test_only_one_is_trained_at_a_time(held):
    packer, training = packer_with("apple"), held()
    fill(packer, "orange", 10 * RENEWED)
    assert training.begun.wait(PATIENCE)
    assert packer.statistics().dictionaries == len(training.threads) == 1
    assert packer._samples is None, "bodies for the one after it are not kept before that can be trained"


def test_the_next_one_is_wanted_some_bodies_after_the_last_has_ended():
    later = Later()
    packer = packer_with("apple", aside=later)
    fill(packer, "orange", 10 * RENEWED)
    [_] = later.works
    later.work()
    statistics = packer.statistics()
    assert (statistics.dictionaries, statistics.dictionary_age) == (2, 0)
    fill(packer, "orange", SAMPLES)
    assert later.works == []
    fill(packer, "orange", RENEWED)
    [_] = later.works


def test_it_is_trained_on_what_came_before_and_not_on_what_came_meanwhile(monkeypatch):
    later = Later()
    packer = packer_with("apple", aside=later)
    fill(packer, "orange", RENEWED)
    fill(packer, "banana", RENEWED)
    seen = []
    monkeypatch.setattr(packing, "train", lambda samples: seen.append(list(samples)))
    later.work()
    [samples] = seen
    assert len(samples) == SAMPLES
    assert all(each.startswith(b'{"metadata": {"name": "orange-') for each in samples)


@pytest.mark.parametrize("error", [MemoryError, zstandard.ZstdError, ArithmeticError])
def test_a_training_that_fails_is_counted_and_told_once_and_the_dictionary_stays(error, monkeypatch, caplog):
    def fail(samples):
        raise error("for a reason")

    later = Later()
    packer = packer_with("apple", aside=later)
    first = packer.dictionary
    with monkeypatch.context() as failing:
        failing.setattr(packing, "train", fail)
        for times in (1, 2):
            fill(packer, "orange", 2 * RENEWED)
            later.work()
            statistics = packer.statistics()
            assert (statistics.failures, statistics.dictionaries) == (times, 1)
            assert packer.dictionary is first
    [record] = caplog.records
    assert record.name == "workqueue.cache"
    assert record.exc_info[0] is error
    fill(packer, "orange", 3 * RENEWED)
    later.work()
    assert packer.dictionary is not first
    assert packer.statistics().failures == 2


def test_where_no_thread_is_to_be_had_the_dictionary_stays_and_it_is_tried_again(caplog):
    def refuse(work):
        raise RuntimeError("can't start new thread")

    packer = packer_with("apple", aside=refuse)
    first = packer.dictionary
    kept = fill(packer, "orange", 4 * RENEWED)
    assert {id(dictionary) for *_, dictionary in kept} == {id(first)}
    assert read(kept) == [each for each, *_ in kept]
    statistics = packer.statistics()
    assert statistics.dictionaries == 1
    assert statistics.failures > 1
    assert len(caplog.records) == 1


def test_a_first_training_that_fails_is_counted_and_tried_again_in_the_same_place(monkeypatch, caplog):
    def fail(samples):
        raise MemoryError

    later = Later()
    packer = Packer(aside=later)
    with monkeypatch.context() as failing:
        failing.setattr(packing, "train", fail)
        fill(packer, count=2 * SAMPLES)
    assert packer.dictionary is None
    assert packer.statistics().failures == 2
    assert len(caplog.records) == 1
    fill(packer)
    assert packer.dictionary is not None
    assert later.works == []


# In a cache.


def words(number, kind):
    made = pod(number)
    made["metadata"]["annotations"] = {"words": body(number, kind).decode()}
    return made


def cache_that_is_training(held):
    indexer = Indexer(compression="zstd")
    indexer.replace([words(number, "apple") for number in range(2 * SAMPLES)])
    assert indexer.statistics().packing.dictionaries == 1
    training = held()
    for number in range(2 * RENEWED):
        indexer.add(words(number % SAMPLES, "orange"))
    assert training.begun.wait(PATIENCE)
    return indexer, training


def test_a_cache_is_written_while_a_dictionary_is_trained_and_packed_with_it_afterwards(held):
    indexer, training = cache_that_is_training(held)
    before = indexer._packer.dictionary
    training.let.set()
    training.threads[0].join(PATIENCE)
    after = indexer._packer.dictionary
    for number in range(BATCH):
        indexer.add(words(number, "orange"))
    assert {id(entry.dictionary) for entry in indexer.entries() if entry.dictionary} == {id(before), id(after)}
    for number in range(SAMPLES):
        assert indexer.get(pod(number)) == words(number, "orange")
    indexer._check()


def test_a_cache_that_is_dropped_while_a_dictionary_is_trained_is_gone_at_once_and_the_rest_with_the_thread(held):
    indexer, training = cache_that_is_training(held)
    table, packer = weakref.ref(indexer._table), weakref.ref(indexer._packer)
    del indexer
    gc.collect()
    assert table() is None
    training.let.set()
    training.threads[0].join(PATIENCE)
    training.threads.clear()
    gc.collect()
    assert packer() is None


def test_objects_are_whole_while_others_write_and_dictionaries_come_and_go(monkeypatch, background, hectic):
    for name, value in {"SOONEST": BATCH, "LATEST": BATCH, "BETTER": 100.0}.items():
        monkeypatch.setattr(packing, name, value)
    indexer = Indexer(compression="zstd")
    kinds = {kind: [words(number, kind) for number in range(BATCH)] for kind in ("apple", "orange")}
    over = threading.Event()

    def look():
        while not over.is_set():
            for each in indexer.list():
                number = int(each["metadata"]["annotations"]["words"].split('"')[5].partition("-")[2])
                assert each in (kinds["apple"][number], kinds["orange"][number])
        return True

    readers = [background(look) for _ in range(2)]
    until = time.monotonic() + PATIENCE
    try:
        while indexer.statistics().packing.dictionaries < 5:
            assert time.monotonic() < until
            for kind in kinds.values():
                for each in kind:
                    indexer.add(each)
    finally:
        over.set()
    assert all(reader.result(PATIENCE) for reader in readers)
    assert indexer.statistics().packing.failures == 0
    indexer._check()


def test_several_caches_may_be_trained_at_the_same_time(background):
    samples = [[body(number, kind) for number in range(SAMPLES)] for kind in ("pod", "apple", "orange")]
    alone = [train(each)._words.as_bytes() for each in samples]
    together = [background(lambda each=each: train(each)._words.as_bytes()) for each in samples * 3]
    assert [each.result(PATIENCE) for each in together] == alone * 3


ENDS = """
import threading
from workqueue.cache import packing

begun, train = threading.Event(), packing.train

def train_for_ever(samples):
    begun.set()
    while True:
        train(samples)

packing.SOONEST = 1
packer = packing.Packer("zstd")

def fill():
    for number in range(packing.SAMPLES):
        body = b'{"name":"%d","text":"%s"}' % (number, b"some words of %d " % number * 100)
        packer.see(body, live=packing.WORTH)
        packer.pack(packer.dictionary, [body])

fill()
packing.train = train_for_ever
fill()
fill()
assert begun.wait(30)
"""


def test_the_end_of_a_process_does_not_wait_for_it():
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
