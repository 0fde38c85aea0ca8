"""How many events one object may have: a burst, and then one every five minutes.

Source: EventSourceObjectSpamFilter of client-go tools/record/events_cache.go. A token bucket is kept as the
one instant at which it will be full again, which says as much as a number of tokens and their time.
"""

from collections.abc import Callable, Hashable

from workqueue.base.clock import Clock
from workqueue.control.events.event import Event
from workqueue.control.events.recent import Recent

#: Events that an object may have at once.
BURST = 25
#: Seconds until it may have another.
REFILL = 300.0

SpamKey = Callable[[Event], Hashable]


def by_object(event: Event) -> Hashable:
    """Events of one source about one object, normal ones and warnings apart."""
    about = event.about
    return event.component, about.kind, about.namespace, about.name, about.uid, about.api_version, event.type


class SpamFilter:
    """Says which events are too many. Used by one thread."""

    def __init__(
        self, *, clock: Clock, size: int, burst: int = BURST, refill: float = REFILL, key: SpamKey = by_object
    ) -> None:
        """
        :param clock: where time comes from.
        :param size: how many buckets are remembered.
        :param burst: events that fit into one.
        :param refill: seconds until there is room for another.
        :param key: which events share a bucket.
        """
        self._clock = clock
        self._burst = burst
        self._refill = refill
        self._key = key
        #: Of each bucket: when it will be full again.
        self._full_at: Recent[Hashable, float] = Recent(size)

    def is_spam(self, event: Event) -> bool:
        """Take a token for an event; True if there is none."""
        now, key = self._clock.now(), self._key(event)
        full_at = self._full_at.get(key)
        full_at = now if full_at is None else max(full_at, now)
        spam = full_at - now > (self._burst - 1) * self._refill
        self._full_at.put(key, full_at if spam else full_at + self._refill)
        return spam
