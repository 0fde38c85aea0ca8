"""Blocking work beside Kopf's loop.

Each call has a daemon thread of its own: Kopf's executor is the user's, may be full, and outlives the operator.
"""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_thread(function: Callable[[], T], *, name: str) -> "asyncio.Future[T]":
    """Run a blocking function in a thread; call it in the loop.

    :param function: what to run.
    :param name: of the thread.
    :return: resolves to what the function returns or raises; a SystemExit and its like become a RuntimeError.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        try:
            settle = functools.partial(done.set_result, function())
        except BaseException as error:  # else nobody would ever hear of a SystemExit, which is for no loop to end by
            told = error if isinstance(error, Exception) else RuntimeError(repr(error))
            settle = functools.partial(done.set_exception, told)
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(finish, settle)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:  # no thread is to be had: whoever waits is told, and goes on with the rest
        done.set_exception(error)
    return done
