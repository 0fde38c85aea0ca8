"""What a demonstration is played on: a command, the lives that go on beside it, and lines that say so to people."""

import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

#: A signal that comes so many seconds after the first is another one, and not the same that make passes on, too.
INSISTING = 0.5
#: Seconds that a command has to end after it was told to.
GRACE = 30
#: An environment variable: the number that makes one run like another.
SEED = "WORKQUEUE_DEMO_SEED"

_TICK = 0.2  # seconds between two looks at each life


class Life(Protocol):
    """Something to which things happen as time goes by."""

    def look(self, now: float) -> None:
        """Do what is due.

        :param now: an instant of ``time.monotonic``.
        """


class Lives:
    """The thread that lets some lives go on, inside a ``with`` block."""

    def __init__(self, lives: Sequence[Life], *, forgives: Sequence[type[Exception]]) -> None:
        """:param lives: belong to the thread once it runs.
        :param forgives: what a life may raise when somebody else was faster; it looks again a moment later.
        """
        self._lives = lives
        self._forgives = forgives
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workqueue-demo-lives", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            for life in self._lives:
                with contextlib.suppress(*self._forgives):
                    life.look(time.monotonic())


class Child:
    """The command, and the signals that are passed on to it. Belongs to the main thread.

    It runs in a session of its own: Ctrl-C in a terminal reaches only this process, which hands it on
    once, however often it comes in that moment, and again if somebody insists. A command that does not
    end in time is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        #: The first signal that came.
        self._told: signal.Signals | None = None
        self._told_at = 0.0
        self._passed_on = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start the command and wait for its end.

        :returns: an exit status as a shell has it: 128 and the signal's number if one ended it, 126 or 127
            if it could not be started.
        """
        if self._told is not None:
            return 0
        try:
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - the user's own
        except OSError as error:
            say(f"error: cannot run {command[0]}: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        self._pass_on()  # what came while the command was being started
        status = self._process.wait()
        signal.alarm(0)
        self._kill()  # what the command left behind would have no cluster
        return 128 - status if status < 0 else status

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._told is None:
            self._told, self._told_at = signal.Signals(number), time.monotonic()
            self._pass_on()
        elif time.monotonic() - self._told_at >= INSISTING:
            self._to_all(signal.Signals(number))

    def _pass_on(self) -> None:
        if self._process is not None and self._told is not None and not self._passed_on:
            self._passed_on = True
            signal.alarm(GRACE)
            self._to_all(self._told)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        say(f"the command did not end within {GRACE} s: killed")
        self._kill()

    def _kill(self) -> None:
        self._to_all(signal.SIGKILL)

    def _to_all(self, number: signal.Signals) -> None:
        """Send a signal to the command and the processes it started, as a terminal would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def say(line: str) -> None:
    """A line for people, beside the command's own output."""
    sys.stderr.write(f"demo: {line}\n")
    sys.stderr.flush()


def choose_seed() -> int:
    """The number that the environment gives, or a random one.

    :raises ValueError: if the environment gives something else; with one line that says so.
    """
    text = os.environ.get(SEED) or str(secrets.randbelow(10**6))
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"error: {SEED} must be a number, not {text!r}")
    return int(text)


def tell(*, cluster: str, kubeconfig: str | Path, command: Sequence[str]) -> None:
    """Say what runs, and how to look at it.

    :param cluster: what and where it is.
    :param kubeconfig: its path.
    :param command: with its arguments.
    """
    say(cluster)
    say(f"look at it with: KUBECONFIG={kubeconfig} kubectl get pods -A -w")
    say(f"running: {shlex.join(command)}   Ctrl-C ends it")
