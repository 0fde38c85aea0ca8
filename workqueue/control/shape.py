"""Finds a reconcile function of the wrong shape before it is ever called."""

from workqueue.base.errors import ConfigurationError
from workqueue.base.functions import cannot_take, is_generator


def check_shape(name: str, reconcile: object) -> None:
    """A reconcile function of the wrong shape is found before it is ever called."""
    if not callable(reconcile):
        raise ConfigurationError(f"controller {name!r}: {reconcile!r} is no function to reconcile with")
    if is_generator(reconcile):
        raise ConfigurationError(f"controller {name!r}: {_name(reconcile)} yields; a run is a call that returns")
    if why := cannot_take(reconcile, object()):
        raise ConfigurationError(f"controller {name!r}: {_name(reconcile)} must take one argument, the request: {why}")


def _name(function: object) -> str:
    return str(getattr(function, "__name__", function))
