"""From the first SIGTERM or Ctrl-C on, another one ends the process at once.

controller-runtime's programs do the same (pkg/manager/signals). Kopf ignores all further signals and
logs a traceback for each.
"""

import asyncio
import signal
import threading
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Impatience:
    """Gives the signals back to the system when the first has come; its answer to them is the end of the process.

    It holds even if a handler blocks the loop. The first signal reaches Kopf as before, through asyncio's wakeup
    descriptor, whatever Python's handler does. Handlers that are not asyncio's own are the user's, and stay.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        #: True once the first signal has come: another one ends the process.
        self.has_begun = False

    def arm(self) -> None:
        """Begin; call it when Kopf minds the signals. In another thread than the main one neither of us does."""
        self.has_begun = False
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        for number in _NUMBERS:
            before = signal.getsignal(number)
            if getattr(before, "__module__", "").partition(".")[0] == asyncio.__name__:
                self._before[number] = before
                signal.signal(number, self._on_signal)
                signal.siginterrupt(number, False)  # noqa: FBT003 - as asyncio does

    def disarm(self) -> None:
        """The operator has ended; where no signal came, signals are again what they were."""
        for number in self._ours():
            signal.signal(number, self._before[number])
        self._before.clear()

    def _ours(self) -> list[signal.Signals]:
        """Those for which nobody has chosen another handler since."""
        return [number for number in self._before if signal.getsignal(number) == self._on_signal]

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.has_begun = True
        for number in self._ours():
            signal.signal(number, signal.SIG_DFL)
