"""Numbered pieces on a few threads.

Properties asserted by client-go's util/workqueue/parallelizer_test.go, and the departures of ours.
"""

import threading

import pytest

from workqueue.queues import parallelize_until

from .conftest import PATIENCE


def ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("workqueue-parallelize-")]


@pytest.mark.parametrize(
    ("pieces", "workers", "chunk_size"), [(1000, 10, 1), (1000, 10, 10), (1000, 10, 100), (999, 10, 13)]
)
def test_every_piece_is_handled_exactly_once(pieces, workers, chunk_size):
    seen = []
    parallelize_until(workers, pieces, seen.append, chunk_size=chunk_size)
    assert sorted(seen) == list(range(pieces))
    assert not ours()


def test_no_pieces_are_no_calls_and_no_threads():
    parallelize_until(10, 0, lambda piece: pytest.fail("there is no piece"))


def test_workers_work_at_the_same_time_on_threads_of_their_own():
    barrier = threading.Barrier(4)
    names = set()

    def fn(piece):
        names.add(threading.current_thread().name)
        barrier.wait(PATIENCE)

    parallelize_until(4, 4, fn)
    assert names == {f"workqueue-parallelize-{number}" for number in range(4)}


def test_no_more_threads_are_started_than_there_are_chunks(monkeypatch):
    started = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread))[1])
    parallelize_until(10, 7, lambda piece: None, chunk_size=3)
    assert len(started) == 3


@pytest.mark.parametrize("chunk_size", [0, -5])
def test_a_chunk_smaller_than_one_piece_is_one_piece(chunk_size):
    seen = []
    parallelize_until(3, 10, seen.append, chunk_size=chunk_size)
    assert sorted(seen) == list(range(10))


def test_one_worker_takes_the_pieces_in_order():
    seen = []
    parallelize_until(1, 10, seen.append, chunk_size=3)
    assert seen == list(range(10))


# Stopping.


def test_nothing_begins_after_a_stop_that_came_before():
    stop = threading.Event()
    stop.set()
    parallelize_until(3, 10, lambda piece: pytest.fail("stopped"), stop=stop)


def test_a_stop_is_looked_at_before_each_piece_also_inside_a_chunk():
    stop = threading.Event()
    seen = []

    def fn(piece):
        seen.append(piece)
        if piece == 4:
            stop.set()

    parallelize_until(1, 100, fn, chunk_size=10, stop=stop)
    assert seen == [0, 1, 2, 3, 4]


def test_a_stop_waits_for_the_pieces_that_have_begun():
    stop = threading.Event()
    begun = threading.Barrier(3)
    finished = []

    def fn(piece):
        begun.wait(PATIENCE)
        stop.set()
        finished.append(piece)

    parallelize_until(3, 100, fn, stop=stop)
    assert sorted(finished) == [0, 1, 2]


# Errors: the departure from client-go, which crashes.


def test_the_error_of_a_piece_is_raised_to_the_caller_and_no_further_piece_begins():
    seen = []

    def fn(piece):
        seen.append(piece)
        if piece == 3:
            raise LookupError("piece 3")

    with pytest.raises(LookupError, match="piece 3") as caught:
        parallelize_until(1, 100, fn, chunk_size=10)
    assert seen == [0, 1, 2, 3]
    assert caught.traceback[-1].name == "fn", "the traceback leads to the piece"
    assert not ours()


def test_after_an_error_no_other_worker_begins_a_piece():
    seen = []
    both = threading.Barrier(2)
    threads = {}

    def fn(piece):
        seen.append(piece)
        threads[piece] = threading.current_thread()
        if piece < 2:
            both.wait(PATIENCE)
        if piece == 0:
            raise LookupError
        threads[0].join(PATIENCE)  # until the error is known

    with pytest.raises(LookupError):
        parallelize_until(2, 1000, fn)
    assert sorted(seen) == [0, 1]


def test_an_error_waits_for_the_workers_that_have_begun():
    failed = threading.Event()
    both = threading.Barrier(2)
    finished = []

    def fn(piece):
        both.wait(PATIENCE)
        if piece == 0:
            failed.set()
            raise LookupError
        assert failed.wait(PATIENCE)
        finished.append(piece)

    with pytest.raises(LookupError):
        parallelize_until(2, 2, fn)
    assert finished == [1]
    assert not ours()


def test_several_errors_are_raised_as_a_group():
    barrier = threading.Barrier(3)

    def fn(piece):
        barrier.wait(PATIENCE)
        raise LookupError(piece)

    with pytest.raises(ExceptionGroup, match="3 pieces failed") as caught:
        parallelize_until(3, 3, fn)
    assert sorted(error.args[0] for error in caught.value.exceptions) == [0, 1, 2]


def test_several_errors_with_an_exit_among_them_are_a_base_group():
    barrier = threading.Barrier(2)

    def fn(piece):
        barrier.wait(PATIENCE)
        raise SystemExit if piece else LookupError

    with pytest.raises(BaseExceptionGroup) as caught:
        parallelize_until(2, 2, fn)
    assert not isinstance(caught.value, ExceptionGroup)
    assert {type(error) for error in caught.value.exceptions} == {SystemExit, LookupError}


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_a_piece_reaches_the_caller(error):
    def fn(piece):
        raise error

    with pytest.raises(error):
        parallelize_until(1, 2, fn)


def test_threads_that_cannot_be_started_leave_none_behind(monkeypatch):
    start = threading.Thread.start

    def limited(thread):
        if thread.name == "workqueue-parallelize-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        parallelize_until(5, 1_000_000, lambda piece: None)
    assert not ours()


@pytest.mark.parametrize("workers", [0, -1])
def test_less_than_one_worker_is_an_error(workers):
    with pytest.raises(ValueError, match=f"workers must be at least 1, not {workers}"):
        parallelize_until(workers, 10, lambda piece: None)


def test_a_negative_number_of_pieces_is_an_error():
    with pytest.raises(ValueError, match="pieces must be zero or more, not -1"):
        parallelize_until(1, -1, lambda piece: None)
