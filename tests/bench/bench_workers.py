"""The question that started this: are several workers on one queue faster than one? And how near to ideal is it?

`time.sleep` stands for I/O, which is what reconcilers mostly do; for computing in Python the interpreter's
lock allows no such gain. Beside the controller stand bare threads on a ``queue.Queue``, a ``ThreadPoolExecutor``, and
what a user of Kopf has otherwise: Kopf's own handlers, in as many threads of Kopf's.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.bench.intake.replayed import replay
from tests.bench.intake.subjects import ON_EVENT_SLEEPING, Load
from tests.bench.intake.turns import start
from tests.bench.records import Record, Records, save
from tests.bench.scale import scale
from tests.bench.sections import NOT_MEASURED, Section, Target, figures
from tests.bench.subjects import AS_CONTROLLERS_DO
from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, Request
from workqueue.queues import PriorityQueue

CONTROLLER, BARE, EXECUTOR = "Controller", "threads on a queue.Queue", "ThreadPoolExecutor"
#: (keys, seconds that each takes, workers).
QUESTION = ((1_000, 0.02, 1), (1_000, 0.02, 5))
BURST = (10_000, 0.01, 64)

TEXT = """
A key is a `time.sleep`, and ideal is the sum of these by the number of workers. The clock runs from the start of the
workers, which find all keys queued, until the last key is handled. With Kopf's own handlers (`--quiet`, and
`settings.execution.max_workers` as many as workers) it runs from the first call for one of as many pods, which a server
replays, to the end of the last: Kopf takes the pods in meanwhile.
"""


def controller(keys: int, work: float, workers: int) -> float:
    """Seconds until a controller has handled all keys."""
    left = threading.Semaphore(0)

    def reconcile(request: Request) -> None:
        time.sleep(work)
        left.release()

    ours: PriorityQueue[ObjectKey] = PriorityQueue(**AS_CONTROLLERS_DO)
    control = Controller("bench", reconcile, queue=ours, workers=workers)
    for number in range(keys):
        control.add(("default", f"pod-{number}"))
    began = time.perf_counter()
    control.start()
    for _ in range(keys):
        left.acquire()
    took = time.perf_counter() - began
    control.stop(grace=10)
    return took


def bare(keys: int, work: float, workers: int) -> float:
    """Seconds until as many threads have: no retries, no log, no names, nothing but the queue."""
    theirs: queue.Queue[ObjectKey | None] = queue.Queue()
    left = threading.Semaphore(0)

    def run() -> None:
        while theirs.get() is not None:
            time.sleep(work)
            left.release()
            theirs.task_done()

    for number in range(keys):
        theirs.put(ObjectKey("default", f"pod-{number}"))
    threads = [threading.Thread(target=run) for _ in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for _ in range(keys):
        left.acquire()
    took = time.perf_counter() - began
    for _ in threads:
        theirs.put(None)
    for thread in threads:
        thread.join()
    return took


def executor(keys: int, work: float, workers: int) -> float:
    """Seconds until an executor of the standard library has: no queue that merges, nothing tried again."""
    with ThreadPoolExecutor(workers) as pool:
        began = time.perf_counter()
        for handled in [pool.submit(time.sleep, work) for _ in range(keys)]:
            handled.result()
        return time.perf_counter() - began


def kopf(keys: int, work: float, workers: int) -> float:
    """Seconds until Kopf's own handlers have."""
    load = Load(objects=keys, workers=workers, sleep=work)
    with replay(keys) as server, start(ON_EVENT_SLEEPING, load, kubeconfig=server.kubeconfig) as subject:
        seconds: float = subject.hear("through")["seconds"]
        return seconds


def measure(repeats: int) -> Records:
    """Everybody in turn; the figure is the percentage of ideal."""
    plan: list[tuple[str, Callable[[int, float, int], float], tuple[int, float, int]]] = [
        *((CONTROLLER, controller, each) for each in (BURST, *QUESTION)),
        (BARE, bare, BURST),
        (EXECUTOR, executor, BURST),
        (ON_EVENT_SLEEPING, kopf, BURST),
    ]
    found: dict[tuple[str, int, int], list[float]] = {}
    for repeat in range(repeats):
        for name, run, (keys, work, workers) in plan:
            if repeat and workers == 1:
                continue  # twenty seconds that are always the same
            shares = found.setdefault((name, keys, workers), [])
            shares.append(100 * keys * work / workers / run(keys, work, workers))
    return Records(
        Record(task="burst", keys=keys, consumers=workers, contender=name, figures={"share": shares})
        for (name, keys, workers), shares in found.items()
    )


def section(records: Records) -> Section:
    """The page's part."""
    keys, work, workers = BURST
    shares = records.turns("burst", workers, CONTROLLER, keys, "share")
    percent = "{:.1f} %".format
    return Section(
        title="Workers",
        text=TEXT,
        targets=[
            Target(
                what=f"burst of {keys:,} keys of {work * 1000:g} ms, {workers} workers",
                limit="at least 95 % of ideal",
                measured=NOT_MEASURED if shares is None else f"{percent(min(shares))} at least in a turn",
                reached=None if shares is None else min(shares) >= 95,
            )
        ],
        tables=[
            (
                f"Of ideal, keys of {seconds * 1000:g} ms, workers: {number}:",
                figures(records, "burst", number, figure="share", show=percent),
            )
            for _, seconds, number in (BURST, *QUESTION)
        ],
    )


def main() -> None:
    """Measure, save and print."""
    records = measure(scale().repeats)
    save(records)
    print(section(records).render())


if __name__ == "__main__":
    main()
