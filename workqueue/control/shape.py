"""Finds a reconcile function of the wrong shape before it is ever called."""

import inspect

from workqueue.base.errors import ConfigurationError


def check_shape(name: str, reconcile: object) -> None:
    """A reconcile function of the wrong shape is found before it is ever called."""
    if not callable(reconcile):
        raise ConfigurationError(f"controller {name!r}: {reconcile!r} is no function to reconcile with")
    if inspect.iscoroutinefunction(reconcile) or inspect.iscoroutinefunction(type(reconcile).__call__):
        raise ConfigurationError(f"controller {name!r}: {_name(reconcile)} is async; workers run plain functions")
    if inspect.isgeneratorfunction(reconcile) or inspect.isasyncgenfunction(reconcile):
        raise ConfigurationError(f"controller {name!r}: {_name(reconcile)} yields; a run is a call that returns")
    try:
        inspect.signature(reconcile).bind(object())
    except TypeError as error:
        raise ConfigurationError(
            f"controller {name!r}: {_name(reconcile)} must take one argument, the request: {error}"
        ) from None
    except ValueError:
        return  # a callable written in C tells nothing about its arguments


def _name(function: object) -> str:
    return str(getattr(function, "__name__", function))
