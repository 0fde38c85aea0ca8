"""Numbered pieces of work on a few threads, all finished before the call returns.

Semantics: client-go util/workqueue/parallelizer.go: pieces are handed out in chunks, each piece once,
and a stop is looked at before each piece. A helper for work that is known in advance; for keys that
keep coming there are the queues.

Departures from client-go, each because its way is a trap:

- a piece that raises ends the hand-out, every worker is waited for, and the error is raised to the
  caller (client-go crashes the process, or leaves the piece undone without telling the caller);
- less than one worker or a negative number of pieces is an error (client-go does nothing at all, or
  panics).
"""

import threading
from collections.abc import Callable
from typing import Protocol

from workqueue.base.errors import ConfigurationError


class Stop(Protocol):
    """A sign to stop early, such as a :class:`threading.Event`."""

    def is_set(self) -> bool:
        """True once no further piece should begin."""
        ...


def parallelize_until(
    workers: int, pieces: int, fn: Callable[[int], object], *, chunk_size: int = 1, stop: Stop | None = None
) -> None:
    """Call ``fn(piece)`` for each piece from 0 to ``pieces - 1``, on so many threads.

    Returns when every piece is done, or after a stop or an error when every piece that had begun is
    done. No thread outlives the call. Threads are named ``workqueue-parallelize-N``.

    Source: ``ParallelizeUntil``, client-go util/workqueue/parallelizer.go; the departures are told above.

    :param workers: how many threads at most; never more are started than there are chunks.
    :param pieces: how many pieces; 0 returns at once.
    :param fn: handles one piece; called from the threads, for each piece at most once.
    :param chunk_size: how many consecutive pieces a thread takes at a time; less than 1 means 1.
    :param stop: looked at before each piece; once set, no further piece begins.
    :raises ConfigurationError: if there is less than one worker or a negative number of pieces.
    :raises BaseException: what a piece raised; if several did, a group of them (an
        :class:`ExceptionGroup` if all of them are ordinary exceptions).
    """
    if workers < 1:
        raise ConfigurationError(f"workers must be at least 1, not {workers!r}")
    if pieces < 0:
        raise ConfigurationError(f"pieces must be zero or more, not {pieces!r}")
    chunk_size = max(1, chunk_size)
    starts = range(0, pieces, chunk_size)
    lock = threading.Lock()
    remaining = iter(starts)  # guarded by lock
    errors: list[BaseException] = []  # guarded by lock until the threads are joined
    halted = threading.Event()  # an error, or the caller was interrupted: nothing more begins

    def work() -> None:
        try:
            while True:
                with lock:
                    start = next(remaining, None)
                if start is None:
                    return
                for piece in range(start, min(start + chunk_size, pieces)):
                    if halted.is_set() or (stop is not None and stop.is_set()):
                        return
                    fn(piece)
        except BaseException as error:  # raised again, in the caller
            halted.set()
            with lock:
                errors.append(error)

    threads: list[threading.Thread] = []
    try:
        for number in range(min(workers, len(starts))):
            thread = threading.Thread(target=work, name=f"workqueue-parallelize-{number}")
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
    except BaseException:
        # No more threads could be started, or the caller was interrupted: still leave none behind.
        halted.set()
        for thread in threads:
            thread.join()
        raise
    if not errors:
        return
    try:
        raise errors[0] if len(errors) == 1 else BaseExceptionGroup(f"{len(errors)} pieces failed", errors)
    finally:
        # A traceback holds this frame, and this frame the errors: end the circle.
        errors.clear()
