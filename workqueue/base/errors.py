"""Every exception this package raises on purpose, so that callers can catch them by one root.

A user's mistake deserves one line and no traceback. Where click is there, as in every operator that
``kopf run`` starts, these errors are click's as well: one that leaves the user's file while Kopf
loads it ends the command with that line and status 1. Without click they are plain exceptions, and
this room needs nothing but the standard library.
"""

import sys
import traceback
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click import ClickException
else:
    try:
        from click import ClickException
    except ImportError:
        ClickException = Exception


class WorkqueueError(ClickException):
    """The root of this package's own exceptions."""

    def __init__(self, message: str = "") -> None:
        """:param message: one line: what is wrong, and what was expected."""
        super().__init__(message)

    def show(self, file: IO[Any] | None = None) -> None:
        """What click does with an error that ends a command: the line, as all fatal ones of ours begin."""
        import click  # only click calls this

        click.echo(f"error: {with_place(self)}", file=file, err=file is None)


def with_place(error: BaseException) -> str:
    """An error in one line, with the place in the user's own code that led to it.

    :param error: as it was caught.
    :return: such as ``'a/b/c' is no key: … (my_operator.py:12)``; without a place if the user's own code raised it.
    """
    if isinstance(error, BadSetting):
        return str(error)
    place = ""
    ours = True
    for frame, line in traceback.walk_tb(error.__traceback__):
        room = str(frame.f_globals.get("__name__")).partition(".")[0]
        ours = room == "workqueue"
        if not ours and room not in sys.stdlib_module_names:  # such as contextlib, between the user's "with" and ours
            place = f"{frame.f_code.co_filename}:{line}"
    return f"{error} ({place})" if ours and place else str(error)


class ShutDown(WorkqueueError):
    """The queue was shut down and holds nothing more to hand out: the worker's sign to go home."""


class Interrupted(WorkqueueError):
    """Whoever waited for a key is wanted elsewhere, and took none."""


class InvalidKey(WorkqueueError, ValueError):
    """A text or value that names no object: the message says what was expected instead."""


class IndexNotFound(WorkqueueError, LookupError):
    """An index of that name was never added."""


class IndexConflict(WorkqueueError, ValueError):
    """An index of that name exists already; nothing was added."""


class InvalidObject(WorkqueueError, ValueError):
    """Something that is no Kubernetes object (no metadata, no name) or cannot be stored."""


class ConfigurationError(WorkqueueError, ValueError):
    """A mistake in how the parts were put together, found before anything runs."""


class BadSetting(ConfigurationError):
    """A variable of the environment that cannot be read: no line of anybody's code is to blame."""


class NotLoggedIn(WorkqueueError, RuntimeError):
    """There are no credentials yet to make a client with."""


class ObjectNotFound(WorkqueueError, LookupError):
    """The cache holds no such object."""


class InvalidSelector(WorkqueueError, ValueError):
    """A label selector that cannot be read."""
