"""A deterministic scheduler for code with threads: it decides at every lock and condition who goes on.

A scenario sets up what is tested and says which threads run; it is called anew for each schedule, and
exactly one of its threads runs at any time::

    def scenario(run):
        queue = Queue(clock=run.clock)
        run.thread(queue.add, args=["a"], name="producer")
        taken = []
        run.thread(lambda: taken.append(queue.get()), name="worker")
        run.afterwards(lambda: check(taken))

    print(explore(scenario, preemptions=2))

The code under test is not changed and needs no parameter. While a scenario runs, its threads (and no
others of the process) find this in the standard library:

- ``threading.Lock`` and ``RLock``, and with them ``Condition``, ``Event``, ``Semaphore``, ``Barrier``,
  ``queue.Queue`` and its kin, ``concurrent.futures.Future``, however and whenever these were imported.
- ``threading.Thread`` and ``Timer``: a thread that the code under test starts takes part. A run is
  over when all but daemons have ended.
- ``time.monotonic`` and ``time.sleep``, timeouts of all these, and ``RealClock``: time is virtual, it
  stands still while anybody can go on and then jumps to the next instant that somebody waits for.
- ``threading.local`` and context variables are empty when a thread begins, as they are in a new one.

What is not covered: ``Lock`` and ``RLock`` where a module did ``from threading import Lock``, and locks
made before, such as those of modules and of logging. They stay real, which does no harm as long as nobody
holds one of them at a scheduling point while another thread asks for it. Sockets, processes, asyncio and
whatever else waits in the operating system is not seen; a thread that does not come back from there is
reported. ``time.time`` and ``perf_counter`` are real, and random numbers random: what a scenario does must
not depend on them.

This works with CPython, one exploration at a time in a process.
"""

from workqueue.testing.schedules.exploring import Grain, Scenario, explore, explore_random, replay
from workqueue.testing.schedules.results import Exploration, NotDeterministic, ScheduleFailed
from workqueue.testing.schedules.run import ScheduledRun

__all__ = [
    "Exploration",
    "Grain",
    "NotDeterministic",
    "Scenario",
    "ScheduleFailed",
    "ScheduledRun",
    "explore",
    "explore_random",
    "replay",
]
