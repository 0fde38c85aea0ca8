"""Recording events: one call in a reconcile function, which neither waits nor fails.

Source: EventRecorder of client-go tools/record/event.go.
"""

import socket
from collections.abc import Mapping

from workqueue.base.errors import ConfigurationError
from workqueue.base.logs import SafeLogger
from workqueue.base.text import one_line, told
from workqueue.control.events.event import TYPES, Event, event_name, shortened, timestamp
from workqueue.control.events.outbox import Outbox
from workqueue.control.events.reference import NotRecordable, Reference, reference_of
from workqueue.control.events.tally import EventStatistics

logger = SafeLogger("workqueue.control")

#: Characters of a reason: events.k8s.io takes no more.
REASON = 128
#: Characters of all annotations of an event: a thousand events may wait.
ANNOTATIONS = 16_384


class EventRecorder:
    """Records events in the name of one part of an operator; for all threads."""

    def __init__(self, component: str, *, outbox: Outbox, instance: str | None = None) -> None:
        """
        :param component: who tells, such as "pod-controller".
        :param outbox: sends the events.
        :param instance: which one of several that tell alike; the name of the host by default.
        :raises ConfigurationError: if the component has no name.
        """
        if not isinstance(component, str) or not component.strip():
            raise ConfigurationError(f"recorder({component!r}): expected a name, such as 'pod-controller'")
        self.component = component
        self._outbox = outbox
        self._instance = instance if instance is not None else socket.gethostname()

    def event(
        self,
        obj: object,
        *,
        type: str,  # noqa: A002 - the name that the field has
        reason: str,
        message: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Record an event. It is sent later, by another thread; one that is none is a line in the log.

        :param obj: what it is about: an object's body, an object of pykube or of the official client, or the
            fields of a reference to one.
        :param type: "Normal" or "Warning".
        :param reason: why, in one word in UpperCamelCase: programs may look at it.
        :param message: for people; at most 1024 bytes of it are kept.
        :param annotations: of the event itself.
        """
        try:
            event = self._made(reference_of(obj), type, reason, message, annotations)
        except Exception as error:  # also of somebody else's code, such as a message that cannot be told
            logger.warning("%s: an event was not recorded: %s", self.component, _why(error))
            self._outbox.drop("invalid")
            return
        self._outbox.put(event)

    def statistics(self) -> EventStatistics:
        """What has become of the events of this recorder and of all others of the operator."""
        return self._outbox.statistics()

    def _made(
        self, about: Reference, kind: str, reason: str, message: str, annotations: Mapping[str, str] | None
    ) -> Event:
        if kind not in TYPES:
            raise NotRecordable(f"type={kind!r} of {about}: expected {' or '.join(map(repr, TYPES))}")
        if not isinstance(reason, str) or not reason.strip():
            raise NotRecordable(f"reason={reason!r} of {about}: expected a word, such as 'Synced'")
        if len(reason) > REASON:
            raise NotRecordable(f"the reason of {about} has {len(reason)} characters, at most {REASON} are allowed")
        if not isinstance(annotations, Mapping | None):
            raise NotRecordable(f"annotations={annotations!r} of {about}: expected texts by name")
        notes = {str(name): str(value) for name, value in (annotations or {}).items()}
        if (size := sum(len(name) + len(value) for name, value in notes.items())) > ANNOTATIONS:
            raise NotRecordable(f"the annotations of {about} have {size} characters, at most {ANNOTATIONS} are allowed")
        instant = self._outbox.instant()
        now = timestamp(instant)
        return Event(
            name=event_name(about.name, instant),
            about=about,
            type=kind,
            reason=reason,
            message=shortened(str(message)),
            component=self.component,
            instance=self._instance,
            first=now,
            last=now,
            annotations=notes,
        )


def _why(error: Exception) -> str:
    return one_line(error if isinstance(error, NotRecordable) else told(error))
