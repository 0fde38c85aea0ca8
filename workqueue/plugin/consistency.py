"""Compares a cache with the API server from time to time, for those who want to know.

An informer that follows a watch needs none of this as long as everybody keeps their promises. The
check is for the day when somebody does not: a proxy, an aggregated API server, a bug of ours. It
lists metadata, and what differs, and differs still in a second list some seconds later, is
reported, counted and mended.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey
from workqueue.base.sleeper import Sleeper
from workqueue.base.text import one_line
from workqueue.cache import Entry
from workqueue.informer import Informer
from workqueue.informer.lane import ConsistencyStatistics, Difference
from workqueue.plugin.presence import Presence

logger = logging.getLogger("workqueue.plugin")

#: The shortest period, in seconds: each check is a list of all metadata.
MINIMUM_PERIOD = 10.0
#: Seconds for events that are under way.
PATIENCE = 5.0
#: How many differences a report names.
NAMED = 5

#: A difference: of what kind, the version that the API server has ("" if none), and what the cache has.
_Found = tuple[Difference, str, Entry | None]


@dataclass(slots=True)
class _Tally:
    checks: int = 0
    failures: int = 0
    differences: dict[Difference, int] = field(default_factory=dict)


class ConsistencyCheck:
    """A thread that compares one informer's cache every now and then."""

    def __init__(
        self,
        informer: Informer,
        *,
        period: float,
        look: Callable[[], Sequence[Presence] | None],
        mend: Callable[[Mapping[ObjectKey, Difference]], None],
    ) -> None:
        """
        :param informer: whose cache is compared.
        :param period: seconds from one check to the next.
        :param look: lists what exists in each namespace that is watched; None if that is not known now.
        :param mend: told of what differs.
        :raises ConfigurationError: if the period is too short.
        """
        if isinstance(period, bool) or not isinstance(period, int | float) or not period >= MINIMUM_PERIOD:
            raise ConfigurationError(
                f"consistency_check={period!r}: expected at least {MINIMUM_PERIOD:.0f} seconds, or 0 for none"
            )
        self._informer = informer
        self._clock: Clock = informer.clock
        self._period = period
        self._look = look
        self._mend = mend
        self._lock = threading.Lock()
        #: Guarded by _lock.
        self._tally = _Tally()
        # Both belong to the thread: what was found the last time, by its versions there and here, and what of it was
        # told to be beyond mending.
        self._tried: dict[ObjectKey, tuple[str, str]] = {}
        self._stuck: set[ObjectKey] = set()
        self._sleeper = Sleeper(f"workqueue-check-{informer.name}", self._run, clock=informer.clock)

    def start(self) -> None:
        """Count from now."""
        self._sleeper.start()

    def stop(self) -> None:
        """End it; a request under way is left to end by itself."""
        self._sleeper.stop()

    def statistics(self) -> ConsistencyStatistics:
        """What was found so far."""
        with self._lock:
            tally = self._tally
            return ConsistencyStatistics(
                checks=tally.checks, failures=tally.failures, differences=dict(tally.differences)
            )

    def _run(self) -> None:
        while self._sleeper.sleep(self._clock.now() + self._period):
            try:
                found = self._check()
                if found is not None and not self._sleeper.is_stopped:
                    self._report(found)
            except Exception as error:  # whatever an odd answer makes of itself
                with self._lock:
                    self._tally.failures += 1
                logger.warning("informer %s: the consistency check failed: %s", self._informer.name, one_line(error))

    def _check(self) -> dict[ObjectKey, _Found] | None:
        """What differs twice; None if nothing can be said now."""
        first = self._compare()
        if not first:
            return None if first is None else {}
        if not self._sleeper.sleep(self._clock.now() + PATIENCE):
            return None
        second = self._compare()
        if second is None:
            return None
        return {key: difference for key, difference in second.items() if first.get(key) == difference}

    def _compare(self) -> dict[ObjectKey, _Found] | None:
        if not self._informer.has_synced:
            return None  # it is known to be behind
        before = {entry.key: entry for entry in self._informer.reader.entries()}
        present = self._look()
        if present is None or not self._informer.has_synced:
            return None
        found: dict[ObjectKey, _Found] = {}
        versions = {key: version for presence in present for key, version in presence.versions.items()}
        for key, version in versions.items():
            now = self._informer.reader.entry(key)
            if now is None:
                found[key] = ("missing", version, None)
            elif now.resource_version != version and before.get(key) is now:
                found[key] = ("outdated", version, now)
        for key, entry in before.items():
            if key not in versions and self._informer.reader.entry(key) is entry:
                found[key] = ("gone", "", entry)
        return found

    def _report(self, found: Mapping[ObjectKey, _Found]) -> None:
        # What was mended the last time and is as it was cannot be stored, or loses its version in a transform, say.
        states = {
            key: (version, "" if entry is None else entry.resource_version)
            for key, (_, version, entry) in found.items()
        }
        tried, self._tried = self._tried, states
        fresh = {key: what for key, (what, *_) in found.items() if tried.get(key) != states[key]}
        with self._lock:
            self._tally.checks += 1
            for difference in fresh.values():
                self._tally.differences[difference] = self._tally.differences.get(difference, 0) + 1
        if stuck := {key: what for key, (what, *_) in found.items() if key not in fresh and key not in self._stuck}:
            self._stuck |= stuck.keys()
            logger.error("informer %s: could not be mended: %s", self._informer.name, _named(stuck))
        self._stuck &= found.keys() - fresh.keys()
        if fresh:
            logger.error(
                "informer %s: the cache differs from the API server, and is being mended: %s",
                self._informer.name, _named(fresh),
            )  # fmt: skip
            self._mend(fresh)


def _named(found: Mapping[ObjectKey, Difference]) -> str:
    """The first few of them, in words."""
    named = ", ".join(f"{key} is {difference}" for key, difference in list(found.items())[:NAMED])
    return f"{named} and {len(found) - NAMED} more" if len(found) > NAMED else named
