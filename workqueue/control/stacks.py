"""Where code is now, in one line for a log."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Any

#: Places of a stack that are told, the innermost.
DEPTH = 12


def stack_of(thread: int | None, *, down_to: CodeType | None = None) -> str:
    """Where a thread is, the innermost place first.

    :param thread: its identifier; None for one that has ended.
    :param down_to: the function from which on it is of no interest; None tells all.
    :return: "" if it is nowhere.
    """
    frames = sys._current_frames()  # noqa: SLF001  # documented, in spite of its name
    return _told(_outwards(frames.get(thread or 0), down_to))


def stack_inside(coroutine: Any, *, up_from: CodeType | None = None) -> str:
    """Where a coroutine that waits is, the innermost place first: each waits for the next.

    :param coroutine: as of ``Task.get_coro()``.
    :param up_from: a function that is of no interest.
    :return: "" if it has ended.
    """
    found = []
    while (frame := _frame(coroutine)) is not None:
        if frame.f_code is not up_from:
            found.append(frame)
        # What is not written in Python, such as a future, is the end.
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return _told(reversed(found))


def _frame(waiting: Any) -> FrameType | None:
    """Of a coroutine, or of a generator: ``__await__`` may be one."""
    return getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)


def _outwards(frame: FrameType | None, down_to: CodeType | None) -> Iterator[FrameType]:
    while frame is not None and frame.f_code is not down_to:
        yield frame
        frame = frame.f_back


def _told(frames: Iterable[FrameType]) -> str:
    return " < ".join(
        f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
        for frame in itertools.islice(frames, DEPTH)
    )
