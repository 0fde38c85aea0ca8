"""An ``async def`` runs on the loop, under the same bound and the same rules as a plain function in a thread."""

import asyncio
import functools
import logging
import threading

import pytest

from tests.control.conftest import PATIENCE, settle, step_until, until
from workqueue.base.keys import ObjectKey
from workqueue.control import Result
from workqueue.queues import ItemExponentialFailureRateLimiter, PriorityQueue

KEY = ObjectKey("default", "a")


class AsyncGate:
    """What coroutines wait at, until the test opens it; it knows how many wait."""

    def __init__(self, loop):
        self._loop = loop.loop
        self._event = asyncio.Event()
        self.inside = self.most = self.cancelled = 0

    async def __call__(self, request):
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._event.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.inside -= 1

    def open(self):
        self._loop.call_soon_threadsafe(self._event.set)


@pytest.fixture
def door(make_async, loop):
    """Opened before the controllers are stopped."""
    made = AsyncGate(loop)
    yield made
    if not loop.loop.is_closed():
        made.open()


def lines(caplog, level=logging.WARNING):
    return [each.getMessage() for each in caplog.records if each.name == "workqueue.control" and each.levelno >= level]


# Where it runs.


class Shapes:
    def __init__(self):
        self.seen = []

    async def method(self, request):
        self.seen.append((request.key, threading.current_thread().name))

    async def __call__(self, request):
        await self.method(request)

    async def with_more(self, more, request):
        await self.method(request)


@pytest.mark.parametrize(
    "shape",
    [
        lambda shapes: shapes,
        lambda shapes: shapes.method,
        lambda shapes: functools.partial(shapes.with_more, "more"),
        lambda shapes: functools.partial(shapes),
        lambda shapes: functools.partial(functools.partial(shapes)),
    ],
    ids=["object", "method", "partial", "partial of an object", "partial of a partial"],
)
def test_whatever_is_async_runs_on_the_loop(make_async, shape):
    shapes = Shapes()
    controller = make_async(shape(shapes))
    assert controller.is_async
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    assert shapes.seen == [(KEY, "loop of the test")]


def test_a_plain_function_stays_in_its_thread_though_there_is_a_loop(make_async, runs):
    controller = make_async(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    assert [thread.name for thread in runs.threads] == ["workqueue-pods-0"]


def test_without_a_loop_it_is_not_started(make):
    async def reconcile(request):
        """Never called."""

    with pytest.raises(RuntimeError, match="is async and has no loop to run on"):
        make(reconcile).start()


def test_each_run_is_a_task_that_is_named_after_the_controller_and_the_key(make_async):
    names = []

    async def reconcile(request):
        names.append(asyncio.current_task().get_name())

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    assert names == ["pods default/a"]


# The same rules.


def test_no_more_coroutines_are_under_way_than_there_are_workers(make_async, door):
    controller = make_async(door, workers=2)
    for number in range(6):
        controller.add(f"pod-{number}")
    controller.start()
    until(lambda: door.inside == 2)
    statistics = controller.statistics()
    assert (statistics.active, statistics.workers, len(controller.queue)) == (2, 2, 4)
    door.open()
    until(lambda: controller.statistics().success == 6)
    assert door.most == 2
    assert controller.statistics().reconcile_time.count == 6


def test_keys_come_by_their_priority(clock, make_async):
    queue = PriorityQueue(clock=clock)
    order = []

    async def reconcile(request):
        order.append((request.name, request.priority))

    controller = make_async(reconcile, queue=queue)
    queue.add_with(ObjectKey("", "low"), priority=-100)
    queue.add_with(ObjectKey("", "high"), priority=7)
    controller.add("usual")
    controller.start()
    until(lambda: controller.statistics().success == 3)
    assert order == [("high", 7), ("usual", 0), ("low", -100)]


def test_one_key_is_never_run_twice_at_once_and_a_change_meanwhile_is_one_more_run(make_async, door):
    controller = make_async(door, workers=4)
    controller.start()
    controller.add(KEY)
    until(lambda: door.inside == 1)
    for _ in range(3):
        controller.add(KEY)
    door.open()
    until(lambda: controller.statistics().success == 2)
    settle(controller)
    assert (door.most, controller.statistics().success) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (None, "success"),
        (Result.done(), "success"),
        (Result.requeue(), "requeue"),
        (Result.requeue(after=30), "requeue_after"),
        (ValueError("no"), "error"),
        ("a text", "error"),
    ],
)
def test_each_answer_means_what_it_means_in_a_thread(make_async, answer, outcome):
    async def reconcile(request):
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: getattr(controller.statistics(), outcome) == 1)
    settle(controller)
    statistics = controller.statistics()
    assert statistics.success + statistics.requeue + statistics.requeue_after + statistics.error == 1
    assert statistics.reconcile_time.count == 1


@pytest.mark.parametrize(
    ("raised", "panics"),
    [
        (SystemExit("out"), 1),
        (KeyboardInterrupt(), 1),
        (GeneratorExit(), 1),
        (asyncio.CancelledError("by hand"), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_that_a_coroutine_raises_ends_the_loop(make_async, loop, raised, panics):
    async def reconcile(request):
        if request.name == "a":
            raise raised

    controller = make_async(reconcile, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    controller.add("next")
    until(lambda: controller.statistics().success == 1)
    assert loop.turns()
    statistics = controller.statistics()
    assert (statistics.error, statistics.panic, statistics.workers) == (1, panics, 1)


def test_a_task_that_somebody_else_cancels_is_a_failure_and_comes_again(make_async, loop, clock):
    tasks = []

    async def reconcile(request):
        tasks.append(asyncio.current_task())
        if request.retry == 0:
            await asyncio.Event().wait()

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: tasks)
    loop.loop.call_soon_threadsafe(tasks[0].cancel)
    until(lambda: controller.statistics().error == 1)
    step_until(clock, lambda: controller.statistics().success == 1)
    assert len(tasks) == 2


def place(function):
    return f"{function.__code__.co_qualname} ({__file__}:{function.__code__.co_firstlineno})"


def told(caplog):
    """The line of the one failure, which has no trace."""
    [record] = [each for each in caplog.records if "given up" in each.getMessage()]
    assert record.exc_info is None
    return record.getMessage()


def test_a_plain_function_around_a_coroutine_function_is_told_so_and_nothing_is_left_unawaited(make, caplog):
    async def inner(request):
        """Never awaited, and closed."""

    def around(request):
        return inner(request)

    controller = make(around, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: "given up" in caplog.text)
    assert told(caplog).endswith(
        f": {place(around)} returned the coroutine {place(inner)}: what is around an async def, such as a decorator, "
        "must be an async def as well"
    )


def test_a_coroutine_that_an_async_def_forgets_to_await_is_told(make_async, caplog):
    async def inner():
        """Never awaited, and closed."""

    async def reconcile(request):
        return inner()

    controller = make_async(reconcile, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: "given up" in caplog.text)
    assert told(caplog).endswith(f": {place(reconcile)} returned the coroutine {place(inner)}: await it")


def test_a_wait_that_would_hold_up_the_loop_is_refused(make_async, caplog):
    async def reconcile(request):
        request.wait(3600)

    controller = make_async(reconcile, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    until(lambda: "use await asyncio.sleep" in caplog.text)


def test_a_task_factory_that_raises_is_a_failure_of_that_run_only(make_async, loop):
    made = []

    def factory(loop, coroutine, **kwargs):
        made.append(coroutine)
        if len(made) == 1:
            raise RuntimeError("no task for you")
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    async def reconcile(request):
        """The second one is well."""

    loop.loop.set_task_factory(factory)
    controller = make_async(reconcile, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    controller.add(KEY)
    until(lambda: controller.statistics().success == 1)
    assert len(made) == 2


# Time limits.


def test_a_coroutine_whose_time_is_over_is_cancelled_and_its_key_comes_again(make_async, door, clock):
    controller = make_async(door, timeout=10.0)
    controller.start()
    controller.add(KEY)
    until(lambda: door.inside == 1)
    clock.step(9.75)
    assert (door.cancelled, controller.statistics().timeout) == (0, 0)
    clock.step(0.25)
    until(lambda: door.cancelled == 1)
    until(lambda: not controller.statistics().active)
    statistics = controller.statistics()
    assert (statistics.timeout, statistics.error, statistics.panic, statistics.stuck) == (1, 1, 0, ())
    assert (statistics.replaced, statistics.reconcile_time.count, statistics.reconcile_time.sum) == (0, 1, 10.0)
    door.open()
    step_until(clock, lambda: controller.statistics().success == 1)


def test_what_a_coroutine_answers_after_its_time_is_not_looked_at(make_async, clock):
    begun = []

    async def reconcile(request):
        begun.append(request.id)
        if request.retry == 0:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return Result.requeue(after=3600)
        return None

    controller = make_async(reconcile, timeout=1.0)
    controller.start()
    controller.add(KEY)
    until(lambda: begun)
    step_until(clock, lambda: controller.statistics().success == 1)
    statistics = controller.statistics()
    assert (statistics.timeout, statistics.requeue_after, statistics.error) == (1, 0, 1)


class Stubborn:
    """A coroutine that swallows its cancellation, once it is inside of another one; one that is let go ends."""

    def __init__(self, name="stubborn"):
        self.name = name
        self.swallowed = 0
        self.inside = self.closed = False
        self.gone = False

    async def __call__(self, request):
        if request.name == self.name:
            await self.hold()

    async def hold(self):
        self.inside = True
        try:
            while not self.gone:
                try:
                    await asyncio.sleep(0.001 if self.swallowed else 3600)
                except asyncio.CancelledError:
                    self.swallowed += 1
        except GeneratorExit:
            self.closed = True
            raise


def test_one_that_swallows_its_cancellation_is_stuck_named_with_its_own_stack_and_its_place_is_taken(
    make_async, clock, caplog
):
    stubborn = Stubborn()
    controller = make_async(stubborn, timeout=10.0)
    controller.start()
    controller.add("default/stubborn")
    until(lambda: stubborn.inside)
    step_until(clock, lambda: controller.statistics().replaced)
    until(lambda: stubborn.swallowed == 1)
    [stuck] = controller.statistics().stuck
    assert stuck.key == ObjectKey("default", "stubborn")
    assert " hold < " in stuck.stack
    assert stuck.stack.endswith(" __call__")
    assert "calls.py" not in stuck.stack
    until(lambda: "is stuck" in caplog.text)
    [line] = [each for each in lines(caplog) if "is stuck" in each]
    assert "default/stubborn is stuck for" in line
    assert "another worker has its place" in line
    assert " hold < " in line

    controller.add("default/other")
    until(lambda: controller.statistics().success == 1)
    stubborn.gone = True
    until(lambda: not controller.statistics().stuck)
    until(lambda: len(controller._pool.threads()) == 1)
    until(lambda: controller.statistics().success == 2, "the retry was waiting for that")
    assert controller.statistics().error == 1


def test_one_that_blocks_is_named_with_the_plain_function_that_it_is_in(make_async, loop, gate, clock):
    def plain():
        gate.wait(PATIENCE)

    async def reconcile(request):
        plain()

    controller = make_async(reconcile, timeout=1.0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().active)
    step_until(clock, lambda: controller.statistics().stuck)
    [stuck] = controller.statistics().stuck
    assert " plain < " in stuck.stack
    assert stuck.stack.endswith(" reconcile")
    gate.set()
    until(lambda: not controller.statistics().stuck)


def test_a_stack_goes_through_what_is_awaited_by_a_generator(make_async, door, clock):
    def generator():
        yield from door(None).__await__()

    class Odd:
        def __await__(self):
            yield from generator()

    async def reconcile(request):
        await Odd()

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: door.inside == 1)
    [run] = controller._runs.under_way()
    assert " generator < " in run.call.stack()
    assert " __await__ < " in run.call.stack()
    assert run.call.stack().endswith(" reconcile")


def test_a_run_that_was_cancelled_before_its_first_step_holds_nobody_up(make_async, loop, gate, clock):
    """The loop is busy until the time of the run is over: its begin and its cancellation come in one turn."""
    called = []

    async def reconcile(request):
        called.append(request.retry)

    loop.loop.call_soon_threadsafe(gate.wait, PATIENCE)
    controller = make_async(reconcile, timeout=1.0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().active)
    step_until(clock, lambda: controller.statistics().stuck)
    gate.set()
    until(lambda: not controller.statistics().stuck)
    step_until(clock, lambda: controller.statistics().success == 1)
    assert called == [1]


def test_a_run_that_is_cancelled_before_it_began_never_begins(make_async, loop, gate):
    called = []

    async def reconcile(request):
        called.append(request.key)

    loop.loop.call_soon_threadsafe(gate.wait, PATIENCE)
    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(controller._runs.under_way)
    [run] = controller._runs.under_way()
    loop.loop.call_soon_threadsafe(run.call._begin)  # the order of the two is turned round
    run.call._cancelled = True
    gate.set()
    until(lambda: controller.statistics().error == 1)
    assert called == []


# The end of the loop.


def test_a_loop_that_is_closed_under_a_run_fails_it_and_says_so(make_async, loop, door, clock, caplog):
    controller = make_async(door)
    controller.start()
    controller.add(KEY)
    until(lambda: door.inside == 1)
    [task] = loop.tasks()
    task._log_destroy_pending = False  # asyncio would say of the task of the test what is true
    loop.stop()
    step_until(clock, lambda: controller.statistics().error)
    settle(controller)
    until(lambda: "the loop was closed before the run was over" in caplog.text)
    assert controller.queue.statistics().delayed == 1, "the key is not lost"


def test_a_loop_that_is_closed_while_it_is_blocked_is_noticed_as_well(make_async, loop, gate, clock, caplog):
    async def reconcile(request):
        loop.loop.stop()
        gate.wait(PATIENCE)
        await asyncio.Event().wait()

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().active)
    step_until(clock, lambda: loop.watched.statistics().blocked)
    [task] = loop.tasks()
    task._log_destroy_pending = False
    gate.set()
    loop.thread.join(PATIENCE)
    loop.loop.close()
    step_until(clock, lambda: controller.statistics().error)
    until(lambda: "the loop was closed before the run was over" in caplog.text)


def test_on_a_loop_that_is_closed_already_each_run_fails_and_the_worker_lives(make_async, loop, door, caplog):
    controller = make_async(door)
    controller.start()
    loop.stop()
    controller.add(KEY)
    until(lambda: controller.statistics().error == 1)
    settle(controller)
    assert (controller.statistics().workers, controller.queue.statistics().delayed) == (1, 1)
    until(lambda: "Event loop is closed" in caplog.text)


# The end of the controller.


def test_a_stop_lets_coroutines_finish(make_async, door, loop):
    controller = make_async(door, workers=2)
    for number in range(5):
        controller.add(f"pod-{number}")
    controller.start()
    until(lambda: door.inside == 2)
    loop.loop.call_soon_threadsafe(loop.loop.call_later, 0.05, door._event.set)
    assert controller.stop(PATIENCE)
    assert controller.statistics().success == 5
    assert controller.left() == []


def test_when_the_grace_is_over_they_are_cancelled_and_their_keys_said_to_be_left(make_async, door, caplog):
    controller = make_async(door)
    controller.start()
    controller.add(KEY)
    until(lambda: door.inside == 1)
    assert not controller.stop(0)
    assert (door.cancelled, controller.left()) == (1, [])
    [line] = lines(caplog)
    assert "default/a failed (run 1), left for the next start" in line


def test_one_that_swallows_its_cancellation_is_told_of_with_its_place_and_closed_so_that_kopf_can_end(make_async, loop):
    stubborn = Stubborn()
    controller = make_async(stubborn)
    controller.start()
    controller.add("stubborn")
    until(lambda: stubborn.inside)
    assert not controller.stop(0)
    [left] = controller.left()
    assert left.startswith("stubborn (")
    assert " hold < " in left
    until(lambda: not loop.tasks(), "no task is left on the loop")
    assert stubborn.closed
    until(lambda: not controller._pool.threads(), "its worker has gone home")


def test_one_that_waits_again_while_it_is_closed_gives_back_its_worker_all_the_same(make_async, loop):
    done = asyncio.Event()
    begun = []

    async def reconcile(request):
        while not done.is_set():
            begun.append(request.id)
            try:
                await asyncio.sleep(3600)
            except BaseException:  # what nobody should do, and somebody does
                continue

    controller = make_async(reconcile)
    controller.start()
    controller.add(KEY)
    until(lambda: begun)
    assert not controller.stop(0)
    until(lambda: not controller._pool.threads(), "its worker has gone home")
    [task] = loop.tasks()
    loop.loop.call_soon_threadsafe(done.set)
    loop.loop.call_soon_threadsafe(task.cancel)


def test_retries_keep_their_exponential_delays(make_async, clock):
    instants = []

    async def reconcile(request):
        instants.append(clock.now())
        raise ValueError("never well")

    queue = PriorityQueue(clock=clock, rate_limiter=ItemExponentialFailureRateLimiter(1.0, 1000.0))
    controller = make_async(reconcile, queue=queue, max_retries=2)
    controller.start()
    controller.add(KEY)
    for delay in (1.0, 2.0):
        until(lambda: queue.statistics().delayed == 1)
        settle(controller)
        clock.step(delay)
    until(lambda: controller.statistics().given_up == 1)
    assert instants == [0.0, 1.0, 3.0]
    assert [each.key for each in controller.parked()] == [KEY]
