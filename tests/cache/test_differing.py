"""Which objects say something else than before: told in few steps, since an event loop waits for it."""

import json

import pytest

from tests.cache.bodies import pod
from tests.cache.objects import raw_entry
from workqueue.cache import Indexer, batches
from workqueue.cache.batches import PAIRS, differing
from workqueue.cache.entry import keep_frame
from workqueue.cache.packing import Dictionary, train

COUNT = 2 * PAIRS + 10
BODIES = [json.dumps(pod(number)).encode() for number in range(COUNT)]


@pytest.fixture(scope="module")
def dictionaries():
    return [train(BODIES[:256]), train(BODIES[256:512]), None]


@pytest.fixture
def unpacked(monkeypatch):
    """How many bodies were unpacked at each call."""
    calls = []
    unpack_all = Dictionary.unpack_all

    def counted(self, frames):
        calls.append(len(frames))
        return unpack_all(self, frames)

    monkeypatch.setattr(Dictionary, "unpack_all", counted)
    monkeypatch.setattr(Dictionary, "unpack", None)
    return calls


def entries(bodies, dictionary):
    made = [raw_entry(body, f"name-{number}") for number, body in enumerate(bodies)]
    if dictionary is not None:
        for entry, frame in zip(made, dictionary.pack(bodies), strict=True):
            keep_frame(entry, frame, dictionary)
    return made


def names(pairs):
    return [(one.name, other.name) for one, other in pairs]


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_says_something_else_is_told_however_it_is_kept(dictionaries, before, after):
    changed = BODIES.copy()
    for number in (0, PAIRS - 1, PAIRS, COUNT - 1):
        changed[number] = BODIES[number].replace(b'"', b' "', 1).replace(b"Running", b"Failed")
    changed[7] = json.dumps(dict(reversed(json.loads(BODIES[7]).items())), indent=1).encode()
    told = differing(zip(entries(BODIES, dictionaries[before]), entries(changed, dictionaries[after]), strict=True))
    expected = [f"name-{number}" for number in (0, PAIRS - 1, PAIRS, COUNT - 1)]
    assert sorted(names(told)) == sorted((name, name) for name in expected)


def test_frames_of_one_dictionary_are_compared_as_they_are(dictionaries, unpacked):
    one, other = entries(BODIES, dictionaries[0]), entries(BODIES, dictionaries[0])
    assert list(differing(zip(one, other, strict=True))) == []
    assert unpacked == []


def test_frames_of_two_dictionaries_are_unpacked_many_at_a_time(dictionaries, unpacked):
    one, other = entries(BODIES, dictionaries[0]), entries(BODIES, dictionaries[1])
    assert list(differing(zip(one, other, strict=True))) == []
    assert unpacked == [PAIRS, PAIRS, PAIRS, PAIRS, 10, 10]


def test_no_more_bodies_are_there_at_a_time_than_some_bytes(monkeypatch, dictionaries, unpacked):
    one, other = entries(BODIES[:10], dictionaries[0]), entries(BODIES[:10], dictionaries[1])
    monkeypatch.setattr(batches, "BATCH_BYTES", 1 + len(one[0].stored) + len(other[0].stored))
    assert list(differing(zip(one, other, strict=True))) == []
    assert max(unpacked) <= 2


def test_what_is_nested_too_deep_to_be_compared_is_taken_for_something_else(monkeypatch):
    class Deep:
        def __eq__(self, other):
            raise RecursionError("as Python does some hundreds of levels deep, by what is on its stack already")

        __hash__ = None

    monkeypatch.setattr(batches, "loads", lambda raw: Deep())
    one, same, spaced = raw_entry(b'{"a":1}'), raw_entry(b'{"a":1}'), raw_entry(b'{"a": 1}')
    assert list(differing([(one, same), (one, spaced)])) == [(one, spaced)]


def test_of_what_a_list_brought_only_what_is_news_is_left():
    indexer = Indexer()
    indexer.replace([pod(number) for number in range(5)])
    changed = [pod(0), pod(1, 7), {**pod(2), "status": {"phase": "Failed"}}, pod(3), pod(9)]
    changes = indexer.replace(changed)

    def told(changes):
        return [(old and old.name, new and new.name) for old, new in changes]

    gone, *came = told(changes)
    assert gone == (pod(4)["metadata"]["name"], None)
    first, second, third, fourth = (pod(number)["metadata"]["name"] for number in (0, 1, 2, 3))
    ninth = pod(9)["metadata"]["name"]
    assert came == [(first, first), (second, second), (third, third), (fourth, fourth), (None, ninth)]
    assert told(changes.news()) == [gone, (second, second), (None, ninth)]
    assert told(changes.news(by_content=True)) == [gone, (second, second), (third, third), (None, ninth)]
