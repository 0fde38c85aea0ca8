"""A time limit that is renewed as long as something comes: cheap to renew, a hundred thousand times a second."""

import asyncio
from collections.abc import Callable


class Patience:
    """Ends something when it was not renewed for so long. Renewing is cheap: one timer looks how long ago that was."""

    def __init__(self, seconds: float) -> None:
        """:param seconds: without a renewal."""
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_over = False

    def begin(self, finish: Callable[[], None]) -> None:
        """Count from now.

        :param finish: called when it is over.
        """
        self.renew()
        self._finish = finish
        self._timer = self._loop.call_at(self._deadline, self._look)

    def renew(self) -> None:
        """Count from now again."""
        self._deadline = self._loop.time() + self._seconds

    def end(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        else:
            self.is_over = True
            self._finish()
