"""A login again when the API server refuses the credentials that there are: once, however many workers met it.

Kopf keeps what it logged in with in a vault of its own, which nobody else can ask for better. So this logs in as Kopf's
login handler does, beside Kopf: whoever notices first renews for all clients, and Kopf does the same when its own watch
is refused. A thread of its own logs in, as an exec plugin may take longer than a worker can wait.
"""

import logging
import threading
from collections.abc import Callable

import kopf

from workqueue.base.clock import Clock, RealClock
from workqueue.base.text import one_line
from workqueue.plugin.access import Access
from workqueue.plugin.credentials import fingerprint

logger = logging.getLogger("workqueue.plugin")

#: Seconds that a request waits for new credentials. A login that takes longer goes on, for later ones.
LIMIT = 10.0
#: Seconds until another login is tried after one that brought nothing new: plugins are slow, and workers many.
PAUSE = 5.0


class Renewal:
    """Logs in for all threads at once."""

    def __init__(
        self,
        changed: threading.Condition,
        *,
        is_current: Callable[[Access], bool],
        replace: Callable[[Access, kopf.ConnectionInfo], None],
    ) -> None:
        """
        :param changed: notified whenever there are new credentials.
        :param is_current: whether nobody has renewed an access yet; called with that condition held.
        :param replace: takes a login in the place of an access, if that is still the current one.
        """
        self._changed = changed
        self._is_current = is_current
        self._replace = replace
        # All below are guarded by _changed.
        self._log_in: Callable[[], kopf.ConnectionInfo] | None = None
        self._clock: Clock = RealClock()
        #: When the login under way began; None if there is none.
        self._begun: float | None = None
        #: Before that instant a login is not tried.
        self._not_before = 0.0

    def start(self, log_in: Callable[[], kopf.ConnectionInfo], *, clock: Clock) -> None:
        """From now on credentials are renewed.

        :param log_in: logs in; as long as it takes.
        :param clock: tells how long that is waited for.
        """
        with self._changed:
            self._log_in, self._clock, self._not_before = log_in, clock, clock.now()

    def stop(self) -> None:
        """The operator stops: nobody waits for a login any more, and a refusal is one at once."""
        with self._changed:
            self._log_in = None
            self._changed.notify_all()

    def after(self, refused: Access) -> bool:
        """Get other credentials than those that were refused.

        :param refused: the access of the request.
        :return: True if there are others now, or the same ones were accepted by whoever logged in meanwhile; False if
            there are none, or not within 10 s, or the operator stops.
        """
        with self._changed:
            while self._log_in is not None and self._is_current(refused):
                now = self._clock.now()
                # A login that began for others may end while this waits, and bring nothing for this: then another one.
                if self._begun is None and not (now >= self._not_before and self._start_locked(refused, self._log_in)):
                    return False
                begun = self._begun if self._begun is not None else now
                if now >= begun + LIMIT:
                    return False
                self._clock.wait(self._changed, begun + LIMIT)
            return self._log_in is not None

    def _start_locked(self, refused: Access, log_in: Callable[[], kopf.ConnectionInfo]) -> bool:
        try:
            threading.Thread(target=self._run, args=(refused, log_in), name="workqueue-renewal", daemon=True).start()
        except RuntimeError as error:
            logger.warning("the API server refuses the credentials, and a login cannot begin: %s", error)
            return False
        self._begun = self._clock.now()
        return True

    def _run(self, refused: Access, log_in: Callable[[], kopf.ConnectionInfo]) -> None:
        try:
            info = log_in()
            if fingerprint(info) == refused.fingerprint:
                logger.warning("the API server refuses the credentials, and a login brought the same ones")
            else:
                self._replace(refused, info)
        except Exception as error:  # a plugin that fails, a file that is being written
            logger.warning("the API server refuses the credentials, and the login failed: %s", one_line(error))
        finally:
            with self._changed:
                self._begun = None
                if self._is_current(refused):  # nothing came of it
                    self._not_before = self._clock.now() + PAUSE
                self._changed.notify_all()
