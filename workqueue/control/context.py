"""What is said during a run tells which run it was.

Each record that is logged while a reconcile function runs, by whichever logger, gets ``controller``,
``key``, ``reconcile_id`` and ``attempt``; so does what follows the run. A formatter that writes what
records carry, such as Kopf's for JSON, has them without more ado. Source: the logger that
controller-runtime puts into the context of each call (pkg/internal/controller, ``reconcileID``).
"""

import logging
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from workqueue.base.keys import ObjectKey
from workqueue.base.text import one_line


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run that goes on in this thread or task."""

    controller: str
    key: ObjectKey
    reconcile_id: str
    #: 1 for the first.
    attempt: int

    def fields(self) -> dict[str, object]:
        """What log records carry of it."""
        return {
            "controller": self.controller,
            "key": one_line(self.key),
            "reconcile_id": self.reconcile_id,
            "attempt": self.attempt,
        }


_current: ContextVar[RunContext | None] = ContextVar("workqueue_run", default=None)


def current_run() -> RunContext | None:
    """The run that goes on in this thread or task; None outside of all."""
    return _current.get()


def enter(run: RunContext) -> None:
    """From now on this context is the run's. A run has a context of its own, so nobody has to leave it."""
    _current.set(run)


class RunFields(logging.Filter):
    """Puts the fields of the run that goes on into the records that pass; for handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See :class:`logging.Filter`: all pass."""
        run = _current.get()
        if run is not None:
            for name, value in run.fields().items():
                if not hasattr(record, name):
                    setattr(record, name, value)
        return True


class KeyLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the worker and the key in front of each message, and the run's fields into each record."""

    def __init__(self, logger: logging.Logger, run: RunContext) -> None:
        """Made in the thread of the worker: a coroutine logs in another, which says nothing.

        :param logger: writes.
        :param run: which run.
        """
        super().__init__(logger, run.fields())
        worker = threading.current_thread().name.removeprefix("workqueue-")
        self._prefix = f"[{worker}] {one_line(run.key)}: "

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """See :class:`logging.LoggerAdapter`."""
        if self.isEnabledFor(level):
            kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # who calls is not this file
            # Only with arguments a message is a format, in which what is a name here must not be one.
            prefix = self._prefix.replace("%", "%%") if args else self._prefix
            text = f"{prefix}{msg}"
            self.logger.log(level, text, *args, **kwargs)
