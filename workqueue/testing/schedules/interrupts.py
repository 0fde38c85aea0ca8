"""Ctrl-C while schedules are explored."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Ctrl-C is remembered until it does no harm: raised just anywhere, it would leave threads and patches behind.

    Who insists is heard at once. Belongs to the thread that explores; where that is not the main thread, there is
    nothing to do.
    """

    def __init__(self) -> None:
        #: What would be called without us; None while we are not in the way.
        self._handler: Callable[[int, FrameType | None], object] | None = None
        self._pending = False

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self.pass_on()

    def pass_on(self) -> None:
        """Here it does no harm.

        :raises KeyboardInterrupt: if one is pending, or whatever the handler does that was there before.
        """
        if self._pending and self._handler is not None:
            self._pending = False
            self._handler(signal.SIGINT, None)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._pending and self._handler is not None:
            self._handler(number, frame)
        self._pending = True
