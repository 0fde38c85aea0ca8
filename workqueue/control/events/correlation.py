"""Many events made few: those that are alike are combined, those that are the same are counted.

Source: EventCorrelator of client-go tools/record/events_cache.go, in its order: combine, count, filter. So an
event that is filtered is counted all the same, and the next one that passes tells the whole number.

Two things are simpler than there. Of ten different messages one is forgotten, any one, to keep the tenth to
the limit; here it is the last, so that the same nine stay on their own while whatever else comes is combined.
And an event that is combined keeps the name and the time that it was recorded with.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workqueue.base.clock import Clock
from workqueue.control.events.event import Event, shortened
from workqueue.control.events.recent import Recent
from workqueue.control.events.spam import SpamFilter

#: Entries that each part remembers.
SIZE = 4096
#: Events that differ by their messages alone are combined from this one on.
SIMILAR = 10
#: Seconds without any of them after which they are no longer similar.
INTERVAL = 600.0
#: What the message of a combined event begins with.
COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class Correlated:
    """An event as it should be sent."""

    event: Event
    #: What it is counted under.
    key: Hashable

    @property
    def is_new(self) -> bool:
        """True if it should be created, False if one exists that should be changed."""
        return self.event.count == 1


@dataclass(slots=True)
class _Group:
    """Similar events."""

    #: The messages of those that were left on their own: fewer than SIMILAR.
    messages: set[str]
    #: When the last one came, by the clock.
    last: float


class _Aggregator:
    """Combines events that differ by their messages alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: Recent[Hashable, _Group] = Recent(SIZE)

    def aggregate(self, event: Event) -> tuple[Event, Hashable]:
        """The event, or a combined one in its place; and the key that it is counted under."""
        now, key = self._clock.now(), _group_key(event)
        group = self._groups.get(key)
        if group is None or now - group.last > INTERVAL:
            group = _Group(set(), now)
            self._groups.put(key, group)
        group.last = now
        if event.message in group.messages:
            return event, _full_key(event)
        if len(group.messages) < SIMILAR - 1:
            group.messages.add(event.message)
            return event, _full_key(event)
        return replace(event, message=shortened(COMBINED + event.message), annotations={}), key


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event that was sent before."""

    name: str
    first: str
    count: int


class Correlator:
    """Says of each event what should be sent of it. Used by one thread."""

    def __init__(self, *, clock: Clock, spam: SpamFilter | None = None) -> None:
        """
        :param clock: where time comes from.
        :param spam: says which events are too many; client-go's by default.
        """
        self._aggregator = _Aggregator(clock)
        self._spam = spam if spam is not None else SpamFilter(clock=clock, size=SIZE)
        self._seen: Recent[Hashable, _Seen] = Recent(SIZE)

    def correlate(self, event: Event) -> Correlated | None:
        """Look at an event.

        :return: what to send; None if it is one too many.
        """
        event, key = self._aggregator.aggregate(event)
        if (seen := self._seen.get(key)) is not None:
            event = replace(event, name=seen.name, first=seen.first, count=seen.count + 1)
        self._seen.put(key, _Seen(event.name, event.first, event.count))
        return None if self._spam.is_spam(event) else Correlated(event, key)

    def answered(self, sent: Correlated, answer: Mapping[str, Any]) -> None:
        """The API server has taken an event: what it made of it is what the next one is counted from.

        :param sent: as :meth:`correlate` returned it.
        :param answer: the event as the server has it.
        """
        event = sent.event
        metadata, first, count = answer.get("metadata"), answer.get("firstTimestamp"), answer.get("count")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        self._seen.put(
            sent.key,
            _Seen(
                name=name if isinstance(name, str) and name else event.name,
                first=first if isinstance(first, str) and first else event.first,
                count=count if isinstance(count, int) and count > 0 else event.count,
            ),
        )


def _group_key(event: Event) -> Hashable:
    """What similar events have in common. A part of an object, such as a container, does not count."""
    about = event.about
    return (
        (event.component, event.instance, event.type, event.reason),
        (about.kind, about.namespace, about.name, about.uid, about.api_version),
    )


def _full_key(event: Event) -> Hashable:
    """What events that are the same have in common."""
    about = event.about
    return (
        (event.component, event.type, event.reason, event.message),
        (about.kind, about.namespace, about.name, about.uid, about.api_version, about.field_path),
    )
