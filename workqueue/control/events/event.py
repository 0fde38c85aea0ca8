"""An event as data: what is told of an object, and how it is written down.

Source: makeEvent and GenerateEventName of client-go tools/record. A core/v1 event is what they write, and
what ``kubectl describe`` and ``kubectl get events`` read.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from workqueue.base.text import one_line
from workqueue.control.events.reference import Reference

#: The types that Kubernetes has.
TYPES = ("Normal", "Warning")
#: Bytes of a message. The API server holds events of events.k8s.io to it (NoteLengthLimit), and those of core/v1 only
#: if they have an eventTime, which ours have not; but who reads the one as the other relies on it.
MESSAGE_LIMIT = 1024
#: Where an object in the cluster scope has its events.
DEFAULT_NAMESPACE = "default"

_CUT = " ..."
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object, once or several times."""

    name: str
    about: Reference
    type: str
    reason: str
    message: str
    #: Who tells: the part of the operator, and on which host.
    component: str
    instance: str
    #: When it happened for the first and for the last time, as the API server writes times.
    first: str
    last: str
    #: How often it happened.
    count: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Where it is kept: with its object."""
        return self.about.namespace or DEFAULT_NAMESPACE

    def __str__(self) -> str:
        return one_line(f"{self.reason} of {self.about}")

    def body(self) -> dict[str, Any]:
        """What is created. It has no resourceVersion: one that has expired is created anew as it is."""
        metadata: dict[str, Any] = {"name": self.name, "namespace": self.namespace}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": self.about.body(),
            "type": self.type,
            "reason": self.reason,
            "message": self.message,
            "count": self.count,
            "firstTimestamp": self.first,
            "lastTimestamp": self.last,
            "source": {"component": self.component},
            "reportingComponent": self.component,
            "reportingInstance": self.instance,
        }

    def patch(self) -> dict[str, Any]:
        """What is changed in an event that exists, because it has happened again."""
        return {"count": self.count, "lastTimestamp": self.last, "message": self.message}


def event_name(name: str, nanoseconds: int) -> str:
    """A name for an event.

    :param name: of the object that it is about.
    :param nanoseconds: since 1970: what tells the events of one object apart.
    :return: both, or a random one if that would be no DNS subdomain, as the names of events must be.
    """
    made = f"{name}.{nanoseconds:x}"
    return made if len(made) <= 253 and _SUBDOMAIN.fullmatch(made) else str(uuid.uuid4())


def timestamp(nanoseconds: int) -> str:
    """An instant as the API server writes it, to the second.

    :param nanoseconds: since 1970.
    """
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shortened(message: str) -> str:
    """A message that is not too long, cut between two characters; of half a surrogate pair a "?" is left."""
    raw = message.encode(errors="replace")
    if len(raw) > MESSAGE_LIMIT:
        return raw[: MESSAGE_LIMIT - len(_CUT)].decode(errors="ignore") + _CUT
    return raw.decode()
