"""What a user's function looks like from outside: mistakes are found when it is given, not when it is called."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import CodeType

#: As many layers around a function are looked through at most.
LAYERS = 100


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
    return _any_is(function, inspect.iscoroutinefunction, inspect.isasyncgenfunction)


def is_generator(function: object) -> bool:
    """Whether a call returns something to be iterated over, and runs nothing."""
    return _any_is(function, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


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


def _any_is(function: object, *checks: Callable[[object], bool]) -> bool:
    """Whether a function, or what is called when an object is, is of one of some kinds."""
    while isinstance(function, functools.partial):
        function = function.func
    called = (function, type(function).__call__ if callable(function) else None)
    return any(check(each) for check in checks for each in called)


def described(function: object) -> str:
    """A function's name and place, for who has to find it: such as ``reconcile (/app/pods.py:12)``.

    :param function: anything that can be called; of a decorated one both places are told, as either may be to blame.
    """
    try:
        layers = [code for layer in _layers(function) if (code := _code(layer)) is not None]
        if not layers:
            return str(getattr(function, "__qualname__", type(function).__name__))
        around, inner = layers[0], layers[-1]
        decorated = "" if around is inner else f"; decorated at {_place(around)}"
        return f"{inner.co_qualname} ({_place(inner)}{decorated})"
    except Exception:  # what it says of itself is somebody else's code
        return f"a {type(function).__name__}"


def _layers(function: object) -> Iterator[object]:
    """What is around a function, the outermost first, and the function itself."""
    for _ in range(LAYERS):
        if isinstance(function, functools.partial):
            function = function.func
            continue
        yield function
        if (inner := getattr(function, "__wrapped__", None)) is None:
            return
        function = inner


def _code(function: object) -> CodeType | None:
    """None if it is written in C."""
    function = getattr(function, "__func__", function)
    for each in (function, type(function).__call__ if callable(function) else None):
        if isinstance(code := getattr(each, "__code__", None), CodeType):
            return code
    return None


def _place(code: CodeType) -> str:
    return f"{code.co_filename}:{code.co_firstlineno}"
