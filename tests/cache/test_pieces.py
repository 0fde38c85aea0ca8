"""A map in pieces: what it holds, how large its pieces become, and what was taken of it at an instant."""

import pytest

from tests.cache.objects import raw_entry
from workqueue.cache import pieces
from workqueue.cache.pieces import PIECE, Pieces


def entries(count):
    return [raw_entry(b"{}", f"name-{number}") for number in range(count)]


def held(made):
    return {name: entry for piece in made.freeze() for name, entry in piece.items()}


@pytest.mark.parametrize("size", [64, PIECE])
@pytest.mark.parametrize("number", [1, 16, 100, 1000])
def test_some_are_about_as_many_and_from_all_over(size, number, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", size)
    made = Pieces()
    assert made.some(number) == []
    for entry in entries(3000):
        made.put(entry)
    some = made.some(number)
    assert len(set(some)) == len(some)
    assert number // 4 < len(some) <= 2 * number
    if number >= 100:
        assert {int(entry.name.partition("-")[2]) // 1000 for entry in some} == {0, 1, 2}
    few = Pieces()
    for entry in entries(10):
        few.put(entry)
    assert set(few.some(10)) == set(held(few).values())


@pytest.mark.parametrize("size", [2, PIECE])
def test_a_name_is_there_once_however_often_its_object_changes(size, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", size)
    made = Pieces()
    for _ in range(3):
        for entry in entries(20):
            made.put(entry)
            made.freeze()
    assert all(name is entry.name for name, entry in held(made).items())
    assert len(held(made)) == 20


@pytest.mark.parametrize("size", [1, 2, 7, PIECE])
def test_what_is_put_is_found_until_it_is_removed(size, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", size)
    made, all_ = Pieces(), entries(20 * size)
    for number, entry in enumerate(all_):
        assert made.get(entry.name) is None
        assert made.put(entry) is None
        assert made.count == number + 1
    assert held(made) == {entry.name: entry for entry in all_}
    assert all(made.get(entry.name) is entry for entry in all_)
    for entry in all_[::2]:
        assert made.remove(entry.name) is entry
        assert made.remove(entry.name) is None
    assert made.count == len(all_) // 2
    assert held(made) == {entry.name: entry for entry in all_[1::2]}
    again = raw_entry(b"{}", all_[1].name)
    assert made.put(again) is all_[1]
    assert made.get(again.name) is again
    assert made.count == len(all_) // 2


def test_no_piece_is_large_however_many_there_are(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 64)
    made = Pieces()
    for entry in entries(20_000):
        made.put(entry)
    sizes = [len(piece) for piece in made.freeze()]
    assert len(sizes) == 20_000 // 64 + 1
    assert max(sizes) < 4 * 64
    assert min(sizes) > 0


def test_what_was_frozen_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 4)
    made, all_ = Pieces(), entries(100)
    for entry in all_[:50]:
        made.put(entry)
    frozen = made.freeze()
    before = {name: entry for piece in frozen for name, entry in piece.items()}
    for entry in all_[50:]:
        made.put(entry)
    made.put(raw_entry(b"{}", all_[0].name))
    for entry in all_[1:20]:
        made.remove(entry.name)
    assert {name: entry for piece in frozen for name, entry in piece.items()} == before
    assert before == {entry.name: entry for entry in all_[:50]}
    assert len(held(made)) == made.count == 81


def test_a_write_after_a_snapshot_copies_one_piece_and_the_next_none(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 8)
    made = Pieces()
    for entry in entries(80):
        made.put(entry)
    before = {id(piece): piece for piece in made.freeze()}
    made.put(raw_entry(b"{}", "name-1"))
    made.put(raw_entry(b"{}", "name-1"))
    after = {id(piece): piece for piece in made._parts}
    assert len(before.keys() - after.keys()) == 1
    copied = set(after) - set(before)
    made.put(raw_entry(b"{}", "name-1"))
    assert set(map(id, made._parts)) - set(before) == copied
