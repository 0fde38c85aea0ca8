"""How far a controller has come with what existed at its start.

Three states follow each other: the caches are synced; all keys of the initial lists are queued;
each of them was reconciled once. client-go knows the first two: ``HasSynced`` of an informer, and of
a handler's registration. The third is the idea of its ``AsyncTracker`` (tools/cache/synctrack):
through is who knows that upstream has given everything, and has nothing of it left.

Unlike there, a run counts only if it began after its key was noted, so that it has seen what the
key was noted for; and a key that was through once is not waited for again.
"""

import threading
from typing import Literal

from workqueue.base.keys import ObjectKey

#: How far: the caches are not synced; they are; the initial keys are all queued; each was reconciled once.
Readiness = Literal["syncing", "synced", "queued", "processed"]


class InitialKeys:
    """The keys that an initial list queued and that have not been reconciled yet.

    A key counts once, however often it is added, and whatever came of its first run: a failure's retries are not
    waited for. A key that never gets a run stays: one that a shutdown dropped, or that somebody took back from the
    queue. So a controller that was stopped early is never "processed", and says how many keys it has not seen.

    Once all are through it costs one look at :attr:`through` for each add and each run, and no lock.
    """

    def __init__(self) -> None:
        #: True from when upstream was done and no key was left, for good. Written under _lock, read without it: who
        #: sees the old value takes the lock and finds nothing to do.
        self.through = False
        self._lock = threading.Lock()
        # All below are guarded by _lock.
        self._upstream_done = False
        #: Keys without a run that began after they were noted. Once upstream is done it only shrinks.
        self._left: set[ObjectKey] = set()
        #: Keys that are through, none of them in _left. Empty once upstream is done, as no key comes any more; and in
        #: operators before, too, as workers start after that.
        self._processed: set[ObjectKey] = set()

    def add(self, key: ObjectKey) -> None:
        """The initial list is about to queue a key. To be said before it is queued: a run may follow at once."""
        if self.through:
            return
        with self._lock:
            if not self._upstream_done and key not in self._processed:
                self._left.add(key)

    def awaits(self, key: ObjectKey) -> bool:
        """Whether the run that begins now is the one that is waited for; if so, :meth:`finished` must follow."""
        if self.through:
            return False
        with self._lock:
            return key in self._left

    def finished(self, key: ObjectKey) -> None:
        """That run has ended, whatever came of it."""
        with self._lock:
            self._left.discard(key)
            if not self._upstream_done:
                self._processed.add(key)
            self._conclude_locked()

    def upstream_done(self) -> None:
        """All keys of the initial list have been added; more are not of it. Saying it again changes nothing."""
        with self._lock:
            self._upstream_done = True
            self._processed = set()
            self._conclude_locked()

    def state(self, *, synced: bool) -> tuple[Readiness, int]:
        """How far it has come, and how many keys are left, at one instant.

        :param synced: whether the caches are, which only counts as long as the keys are not all queued: from then on
            the state never goes back, though a cache may be interrupted.
        """
        if self.through:
            return "processed", 0
        with self._lock:
            left = len(self._left)
            if self._upstream_done:
                return "queued" if left else "processed", left
            return "synced" if synced else "syncing", left

    def _conclude_locked(self) -> None:
        if self._upstream_done and not self._left:
            self.through = True
            self._left = set()  # an empty set keeps what it has grown to
