"""What a user's function looks like from outside: mistakes are found when it is given, not when it is called."""

import functools
import inspect
from collections.abc import Iterable


def wrong_shape(function: object, *, argument: str) -> str:
    """Why something is no plain function of one argument, in a few words; "" if it is, or if that cannot be told.

    :param function: what a user gave, to be called in line.
    :param argument: what the one argument is.
    """
    if not callable(function):
        return "expected a function"
    if is_async(function):
        return "it is async, and would be called in line: expected a plain function"
    if why := cannot_take(function, object()):
        return f"it must take one argument, {argument}: {why}"
    return ""


def name_of(function: object) -> str:
    """What a line calls a function by, or what was given in its place."""
    return str(getattr(function, "__name__", None) or repr(function))


def is_async(function: object) -> bool:
    """Whether a call returns something to be awaited, or to be iterated over asynchronously, and runs nothing."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        check(each)
        for check in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for each in (function, type(function).__call__ if callable(function) else None)
    )


def taken_by_keyword(function: object, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these a function has as arguments that can be given by keyword; none if that cannot be told.

    :param function: anything that can be called.
    :param names: of arguments.
    """
    try:
        parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name in names if name in parameters and parameters[name].kind in kinds)


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
