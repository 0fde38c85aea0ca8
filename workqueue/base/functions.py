"""What a user's function looks like from outside: mistakes are found when it is given, not when it is called."""

import functools
import inspect


def is_async(function: object) -> bool:
    """Whether a call returns something to be awaited, or to be iterated over asynchronously, and runs nothing."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        check(each)
        for check in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for each in (function, type(function).__call__ if callable(function) else None)
    )


def cannot_take(function: object, *args: object, **kwargs: object) -> str:
    """Why a function cannot be called like this, in a few words; "" if it can, or if that cannot be told.

    :param function: anything that can be called; one written in C may tell nothing about its arguments.
    :param args, kwargs: anything in the places of what it would be called with.
    """
    try:
        inspect.signature(function).bind(*args, **kwargs)  # type: ignore[arg-type]
    except TypeError as error:
        return str(error)
    except ValueError:
        return ""
    return ""
