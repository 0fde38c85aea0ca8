"""A subject's account of itself: what it has used when something happens, told on stdout in lines of JSON.

Every subject tells the same, the one in Go by ``../peers/informers/probe.go``:

- "asked": as it was just before it asked for pods, whatever it did until then;
- "synced": as it is when all pods are there, in its store and at its handlers;
- "marked": the answer to a line "mark" on stdin; changes are counted from here;
- "done": so many changes as were announced have reached the handler;
- "runs": the answer to a line "runs": when keys came into a worker's hands, and the versions that were seen.

Each line has the time of the machine's clock, the CPU of the process, user and system, and its resident memory.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")


def look() -> dict[str, float]:
    """What this process has used so far: seconds, seconds of CPU, bytes."""
    return {"now": time.monotonic(), "cpu": time.process_time(), "rss": resident("self")}


def resident(process: int | str) -> float:
    """The resident memory of a process in bytes; 0 where the system does not tell."""
    try:
        return float(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except OSError:
        return 0.0


class Probe:
    """One for each process. The benchmark says by the environment how much there will be."""

    def __init__(
        self,
        *,
        synced: Callable[[], bool] = lambda: True,
        more: Mapping[str, Callable[[], dict[str, Any]]] | None = None,
    ) -> None:
        """
        :param synced: whether what has been handed to the handlers is all that there is; asked when it may be.
        :param more: what else it answers, by the line that asks for it.
        """
        self._more = more or {}
        self._objects = int(os.environ["BENCH_OBJECTS"])
        self._events = int(os.environ["BENCH_EVENTS"])
        self._synced = synced
        self._asked: dict[str, float] | None = None
        self._seen = self._counted = 0
        #: Whether changes are counted.
        self.live = False
        #: When a key came into a worker's hands, and the version that it saw.
        self.runs: list[tuple[float, int]] = []
        #: How long each of these took.
        self.busy: list[float] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def asks(self) -> None:
        """Pods are about to be asked for; the first time counts."""
        if self._asked is None:
            self._asked = look()

    def added(self) -> None:
        """A pod that existed has come, and each of them comes once."""
        self._seen += 1
        if self._seen == self._objects:
            if self._synced():
                self._tell_synced()
            else:
                threading.Thread(target=self._wait, daemon=True).start()

    def changed(self) -> None:
        """A pod has changed."""
        if self.live:
            self._counted += 1
            if self._counted == self._events:
                tell("done", look())

    def _wait(self) -> None:
        while not self._synced():
            time.sleep(0.0005)
        self._tell_synced()

    def _tell_synced(self) -> None:
        synced = look()
        tell("asked", self._asked or {})
        tell("synced", synced)

    def _listen(self) -> None:
        for line in sys.stdin:
            if line == "mark\n":
                self.live = True
                self.runs.clear()
                self.busy.clear()
                tell("marked", look())
            elif line == "runs\n":
                tell("runs", {**look(), "runs": list(self.runs), "busy": sum(self.busy)})
            elif answer := self._more.get(line.strip()):
                tell(line.strip(), answer())
        os._exit(0)  # the benchmark is gone, whatever became of it


def tell(at: str, what: dict[str, Any]) -> None:
    """Print a line."""
    print(json.dumps({"at": at, **what}), flush=True)
