"""What Kopf logs: quiet about objects that are only watched, and told which run a line is from.

Kopf logs a line for each call of each handler, and takes its finalizer off every object that
carries one without need. Both are right for handlers that do work; ours only feed a cache, on each
event of each pod.
"""

import logging

import kopf

from workqueue.control import RunFields
from workqueue.plugin.internals import may_need_finalizers

#: Our handlers' ids begin with this.
PREFIX = "workqueue/"

#: A marker no other operator sets, so that Kopf finds none to take off.
FINALIZER = "workqueue.kopf.dev/unused"

#: Kopf's own default, which objects may carry from other operators.
_KOPF_FINALIZER = kopf.OperatorSettings().persistence.finalizer

_LOGGERS = tuple(
    logging.getLogger(f"kopf.{name}") for name in ("objects", "activities.startup", "activities.authentication")
)
#: How the lines end that say nothing; a login of ours is cancelled when the operator ends before it was in.
_DULL = (" succeeded.", " is invoked.", " is cancelled. Will escalate.")


class HandlerNoise(logging.Filter):
    """Drops "Handler 'workqueue/…' succeeded." and its like, of our handlers and activities, and nothing else."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line to drop."""
        message = record.msg if isinstance(record.msg, str) else ""
        return not (message.startswith((f"Handler '{PREFIX}", f"Activity '{PREFIX}")) and message.endswith(_DULL))

    def attach(self) -> None:
        """Filter from now on."""
        for logger in _LOGGERS:
            logger.addFilter(self)

    def detach(self) -> None:
        """Filter no more."""
        for logger in _LOGGERS:
            logger.removeFilter(self)


class RunFieldsEverywhere:
    """Whatever is logged during a run carries which run it is, also by loggers that know nothing of runs.

    A logger's filters see what is logged by it alone, a handler's whatever comes to it. So all handlers have one.
    """

    def __init__(self) -> None:
        self._filter = RunFields()
        #: Those that have the filter.
        self._handlers: list[logging.Handler] = []

    def attach(self) -> None:
        """From now on, in all handlers that there are: Kopf's, and the user's. Later ones are for another call."""
        root = logging.getLogger()
        for each in (root, *list(root.manager.loggerDict.values())):
            for handler in each.handlers if isinstance(each, logging.Logger) else ():
                if handler not in self._handlers:
                    handler.addFilter(self._filter)
                    self._handlers.append(handler)

    def detach(self) -> None:
        """No more."""
        for handler in self._handlers:
            handler.removeFilter(self._filter)
        self._handlers = []


def leave_finalizers_alone(settings: kopf.OperatorSettings, registry: kopf.OperatorRegistry) -> None:
    """Make Kopf write nothing to objects that are only watched.

    A pod with the finalizer of another Kopf operator would be patched to lose it. Where the user
    chose a finalizer, or has handlers that need one, everything stays as it is.
    """
    if settings.persistence.finalizer == _KOPF_FINALIZER and not may_need_finalizers(registry):
        settings.persistence.finalizer = FINALIZER
