"""From the moment an operator stops, another SIGTERM or Ctrl-C ends the process at once.

controller-runtime's programs do the same (pkg/manager/signals). Kopf ignores all further signals and
logs a traceback for each.
"""

import signal
import threading

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


def end_at_next_signal() -> None:
    """Give the signals back to the system, whose answer to them is the end of the process.

    It holds even if the loop is blocked, since no Python runs then. Where Kopf does not mind signals, in another
    thread than the main one, neither does this.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_DFL)
