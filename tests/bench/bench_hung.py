"""Runs that never end: what three of them cost a controller of 24 workers, before and after their time is over.

The keys are a `time.sleep` of 10 ms each, and there are always more of them than workers. The rate is
counted over a few seconds: before anything hangs; while three runs hang and their time is not over;
and after that, when other workers have their places.
"""

import logging
import threading
import time

from tests.bench.records import Record, Records, median, save
from tests.bench.scale import scale
from tests.bench.sections import NOT_MEASURED, Section, Target, markdown
from tests.bench.subjects import AS_CONTROLLERS_DO
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, Request
from workqueue.queues import PriorityQueue

WORKERS, HUNG, WORK = 24, 3, 0.01
#: In the queue all the time.
KEYS = 200
TASK, CONTENDER = "hung", "Controller"
#: Of the seconds that are counted: the time limit of a run.
LIMIT = 1.5
GRACE = 10.0

TEXT = """
24 workers, keys of 10 ms, three runs that never return; a run may take one and a half times as long as each count of
the rate. The stop has a grace of 10 s, and does not need it: what is stuck was waited for already.
"""


class Scene:
    """A controller with more keys than it can do, some of which hang."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = threading.Event()
        self._lock = threading.Lock()
        self._handled = 0
        self.hanging = threading.Semaphore(0)
        self._queue: PriorityQueue[ObjectKey] = PriorityQueue(**AS_CONTROLLERS_DO)
        self.controller = Controller(
            "bench", self._reconcile, queue=self._queue, workers=WORKERS, timeout=LIMIT * seconds, max_replacements=HUNG
        )
        #: Each key is added again while it is worked on, as long as this is true.
        self.goes_on = True
        for number in range(KEYS):
            self.controller.add(("default", f"pod-{number}"))

    def _reconcile(self, request: Request) -> None:
        if request.namespace == "hung":
            self.hanging.release()
            self.end.wait()
            return
        time.sleep(WORK)
        if self.goes_on:
            self.controller.add(request.key)
        with self._lock:
            self._handled += 1

    def rate(self) -> float:
        """Keys a second, counted from now on."""
        with self._lock:
            before, began = self._handled, time.perf_counter()
        time.sleep(self.seconds)
        with self._lock:
            return (self._handled - before) / (time.perf_counter() - began)

    def hang(self) -> None:
        """Let the runs begin that never end; returns when all have."""
        for number in range(HUNG):
            self._queue.add_with(ObjectKey("hung", str(number)), priority=1)
        for _ in range(HUNG):
            self.hanging.acquire()


def measure_once(seconds: float) -> dict[str, float]:
    """Rates, how many were named, and how long the stop took."""
    logging.getLogger("workqueue").addHandler(logging.NullHandler())
    scene = Scene(seconds)
    scene.controller.start()
    time.sleep(seconds / 4)
    before = scene.rate()
    scene.hang()
    during = scene.rate()
    while len(stuck := scene.controller.statistics().stuck) < HUNG:
        time.sleep(0.01)
    after = scene.rate()
    scene.goes_on = False
    began = time.perf_counter()
    scene.controller.stop(GRACE)
    stop = time.perf_counter() - began
    scene.end.set()
    named = sum(run.key.namespace == "hung" and "_reconcile" in run.stack for run in stuck)
    return {"before": before, "during": during, "after": after, "named": named, "stop": stop}


def measure(repeats: int, seconds: float) -> Records:
    """So many turns."""
    turns = [measure_once(seconds) for _ in range(repeats)]
    figures = {name: [turn[name] for turn in turns] for name in turns[0]}
    return Records([Record(task=TASK, keys=HUNG, consumers=WORKERS, contender=CONTENDER, figures=figures)])


def section(records: Records) -> Section:
    """The page's part."""

    def turns(name: str) -> list[float] | None:
        return records.turns(TASK, WORKERS, CONTENDER, HUNG, name)

    def share(name: str) -> list[float] | None:
        some, whole = turns(name), turns("before")
        return None if some is None or whole is None else [one / all_ for one, all_ in zip(some, whole, strict=True)]

    def target(what: str, limit: str, found: list[float] | None, least: float) -> Target:
        return Target(
            what=what,
            limit=limit,
            measured=NOT_MEASURED if found is None else f"{min(found):.3f} at least in a turn",
            reached=None if found is None else min(found) >= least,
        )

    named, stop = turns("named"), turns("stop")
    rows = [
        (label, f"{median(found):,.0f}")
        for name, label in (
            ("before", "nothing hangs"),
            ("during", "three hang, their time is not over"),
            ("after", "others have their places"),
        )
        if (found := turns(name)) is not None
    ]
    return Section(
        title="Runs that never end",
        text=TEXT,
        targets=[
            target("rate while three of 24 hang", "at least 20/24 of the whole", share("during"), 20 / 24),
            target("rate once their time is over", "at least 0.95 of the whole", share("after"), 0.95),
            Target(
                what="runs that are named, with the place where they are",
                limit="three",
                measured=NOT_MEASURED if named is None else f"{min(named):.0f} in each turn",
                reached=None if named is None else min(named) == HUNG,
            ),
            Target(
                what="a stop with a grace of 10 s",
                limit="within it",
                measured=NOT_MEASURED if stop is None else f"{max(stop):.2f} s at most",
                reached=None if stop is None else max(stop) < GRACE,
            ),
        ],
        tables=[("Keys a second:", markdown(("while", "rate"), rows) if rows else "")],
    )


def main() -> None:
    """Measure, save and print."""
    chosen = scale()
    records = measure(chosen.repeats, chosen.seconds)
    save(records)
    print(section(records).render())


if __name__ == "__main__":
    main()
