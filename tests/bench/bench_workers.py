"""The question that started this: are several workers on one queue faster than one?

1,000 keys of 20 ms each, 5 workers against 1, in one run. `time.sleep` stands for I/O, which is what
reconcilers mostly do; for computing in Python the interpreter's lock allows no such gain.
"""

import threading
import time

from workqueue.base.keys import ObjectKey
from workqueue.control import Controller, Request
from workqueue.queues import RateLimitingQueue

KEYS = 1000
WORK = 0.02


def drain(workers: int) -> float:
    """Seconds until all keys are handled by so many workers."""
    queue: RateLimitingQueue[ObjectKey] = RateLimitingQueue()
    left = threading.Semaphore(0)

    def reconcile(request: Request) -> None:
        time.sleep(WORK)
        left.release()

    controller = Controller("bench", reconcile, queue=queue, workers=workers)
    for number in range(KEYS):
        controller.add(("default", f"pod-{number}"))
    began = time.perf_counter()
    controller.start()
    for _ in range(KEYS):
        left.acquire()
    took = time.perf_counter() - began
    controller.stop(grace=10)
    return took


def main() -> None:
    one, five = drain(1), drain(5)
    ideal = KEYS * WORK
    print(f"{KEYS} keys of {WORK * 1000:g} ms")
    print(f"  1 worker   {one:7.2f} s  ({ideal / one:6.1%} of ideal)")
    print(f"  5 workers  {five:7.2f} s  ({ideal / 5 / five:6.1%} of ideal)")
    print(f"  ratio      {one / five:7.2f}")


if __name__ == "__main__":
    main()
