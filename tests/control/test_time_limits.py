"""A run has so much time: then it has failed, whatever comes of it; the rest goes on."""

import asyncio
import contextlib
import logging
import threading

import pytest

from tests.control.conftest import PATIENCE, Gate, alive, settle, until
from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, origin
from workqueue.control import Result, WatchedLoop

HUNG, OTHER = ObjectKey("default", "hung"), ObjectKey("default", "other")


@pytest.fixture
def hang(runs, gate):
    """The first run of HUNG waits at the gate; all others are through at once."""
    runs.answer = lambda request: gate(request) if request.key == HUNG and request.retry == 0 else None
    return runs


@pytest.fixture
def gated(runs):
    """``gated("ab")``: the first runs of two keys wait, each at a gate of its own, by which it is found."""
    gates = {}

    def waiting(names):
        gates.update({ObjectKey("default", name): Gate() for name in names})
        return gates

    runs.answer = lambda request: gates[request.key](request) if request.key in gates and not request.retry else None
    yield waiting
    for gate in gates.values():
        gate.set()


@pytest.fixture
def loop(clock):
    """A loop in a thread of its own; to be asked for before `make`, so that it outlives the controllers."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    watched = WatchedLoop(clock=clock, loop=made)
    yield watched
    watched.close()
    made.call_soon_threadsafe(made.stop)
    thread.join(PATIENCE)
    made.close()


def overrun(controller, clock, runs):
    """HUNG is in its run when its time is over, and stuck."""
    controller.start()
    clock.wait_for_waiters(1)
    controller.add(HUNG)
    runs.wait(1)
    clock.step(9.9)
    settle_watch(controller)
    assert controller.statistics().stuck == ()
    clock.step(0.1)
    until(lambda: controller.statistics().timeout == 1)
    settle_watch(controller)
    assert controller.statistics().stuck == ()
    clock.step(1.0)
    until(lambda: len(controller.statistics().stuck) == 1)
    until(lambda: controller.statistics().lost == 0 or not controller._pool._max_replacements)


def settle_watch(controller):
    until(lambda: controller._runs._sleeps_until is not None, "the watch sleeps")


def test_a_thread_that_overruns_is_named_with_its_key_and_its_place_and_replaced(make, hang, clock, caplog):
    controller = make(hang, workers=1, timeout=10.0)
    overrun(controller, clock, hang)
    [stuck] = controller.statistics().stuck
    assert (stuck.key, stuck.seconds) == (HUNG, 11.0)
    assert "threading.py" in stuck.stack
    assert "conftest.py" in stuck.stack
    assert "calls.py" not in stuck.stack
    until(lambda: "is stuck" in caplog.text)
    [line] = [record for record in caplog.records if "is stuck" in record.getMessage()]
    assert line.levelno == logging.ERROR
    assert "controller pods: default/hung is stuck for 11 s (workqueue-pods-0); another worker has its place: /" in (
        line.getMessage()
    )
    assert line.reconcile_id == stuck.id
    statistics = controller.statistics()
    assert (statistics.error, statistics.timeout, statistics.replaced, statistics.lost) == (1, 1, 1, 0)
    assert (statistics.workers, statistics.active) == (1, 0)
    assert alive() == ["workqueue-pods-0", "workqueue-pods-1", "workqueue-watch-pods"]
    controller.add(OTHER)
    hang.wait(2)


def test_what_ends_late_is_not_looked_at_and_its_key_is_handed_out_only_then(make, hang, gate, clock, caplog):
    caplog.set_level(logging.INFO, "workqueue.control")
    controller = make(hang, workers=2, timeout=10.0)
    overrun(controller, clock, hang)
    clock.step(5.0)  # its retry is due, and it is in hands
    controller.add(HUNG)
    controller.add(OTHER)
    until(lambda: controller.statistics().success == 1)
    assert hang.of(HUNG) == 1
    gate.set()
    hang.wait(3)
    settle(controller)
    assert hang.retries == [0, 0, 1]
    statistics = controller.statistics()
    assert (statistics.success, statistics.error, statistics.stuck) == (2, 1, ())
    assert "default/hung ended 6 s after its time was over; what it answered is not looked at" in caplog.text
    until(lambda: controller.statistics().workers == 2 and len(alive()) == 3, "the replaced one has gone home")


@pytest.mark.parametrize("answer", [Result.requeue(after=5), RuntimeError("late"), "nonsense", SystemExit(1)])
def test_any_late_answer_is_ignored(make, runs, gate, clock, answer):
    runs.answer = lambda request: (gate(request) or answer) if request.retry == 0 else None
    controller = make(runs, timeout=10.0)
    overrun(controller, clock, runs)
    gate.set()
    until(lambda: controller.statistics().stuck == ())
    settle(controller)
    clock.step(1.0)
    runs.wait(2)
    settle(controller)
    statistics = controller.statistics()
    assert (statistics.error, statistics.success, statistics.requeue_after) == (1, 1, 0)
    assert (statistics.panic, controller.queue.statistics().delayed) == (0, 0)


def overrun_once_more(controller, clock, runs, key, *, runs_before):
    """One more key is in its run when its time is over, and stuck."""
    stuck, timeouts = len(controller.statistics().stuck), controller.statistics().timeout
    controller.add(key)
    runs.wait(runs_before + 1)
    settle_watch(controller)
    clock.step(10.0)
    until(lambda: controller.statistics().timeout == timeouts + 1)
    settle_watch(controller)
    clock.step(1.0)
    until(lambda: len(controller.statistics().stuck) == stuck + 1)


def hang_one_by_one(controller, clock, runs, keys):
    """Each is in its run when its time is over, and stuck, before the next is added."""
    for number, key in enumerate(keys):
        overrun_once_more(controller, clock, runs, key, runs_before=number)


def places(controller):
    """How many were given to others, how many are lost, and how many workers there are."""
    statistics = controller.statistics()
    return statistics.replaced, statistics.lost, statistics.workers


def test_a_place_that_was_lost_is_given_to_another_once_one_that_was_replaced_ends(make, runs, gated, clock):
    gates = gated("ab")
    controller = make(runs, workers=2, timeout=10.0, max_replacements=1)
    controller.start()
    first, second = gates
    hang_one_by_one(controller, clock, runs, gates)
    until(lambda: places(controller) == (1, 1, 2))
    gates[first].set()
    until(lambda: places(controller) == (2, 0, 2))
    assert len(controller.statistics().stuck) == 1
    gates[second].set()
    runs.wait(4)  # the retries of both
    settle(controller)
    until(lambda: len(alive()) == 3, "two workers, and the watch")
    assert controller.statistics().success == 2


def test_a_place_that_was_lost_is_given_to_another_when_more_may_be_replaced(make, runs, gate, clock):
    runs.answer = lambda request: gate(request) if not request.retry else None
    controller = make(runs, workers=1, timeout=10.0)
    controller.start()
    hang_one_by_one(controller, clock, runs, ["default/a", "default/b"])
    until(lambda: places(controller) == (1, 1, 1))
    controller.resize(2)
    assert places(controller) == (2, 0, 2)
    gate.set()
    runs.wait(4)
    settle(controller)
    until(lambda: len(alive()) == 3, "two workers, and the watch")


def test_a_stuck_worker_whose_place_nobody_wants_takes_none_from_others(make, runs, gated, clock):
    gates = gated("abc")
    controller = make(runs, workers=2, timeout=10.0, max_replacements=1)
    controller.start()
    first, second, third = gates
    hang_one_by_one(controller, clock, runs, [first, second])
    until(lambda: places(controller) == (1, 1, 2))
    controller.resize(1)  # the one that lost its place is to go, once it can
    until(lambda: places(controller) == (1, 0, 1))
    gates[first].set()
    runs.wait(3)  # its retry
    until(lambda: len(controller.statistics().stuck) == 1)
    assert places(controller) == (1, 0, 1), "nobody was replaced once more"
    overrun_once_more(controller, clock, runs, third, runs_before=3)
    until(lambda: places(controller) == (2, 0, 1))
    controller.add(OTHER)
    runs.wait(5)
    for gate in gates.values():
        gate.set()
    settle(controller)
    until(lambda: len(alive()) == 2, "one worker, and the watch")


def test_a_worker_that_is_to_go_and_gets_stuck_is_not_replaced(make, runs, gated, clock, caplog):
    gates = gated("abc")
    controller = make(runs, workers=2, timeout=10.0, max_replacements=1)
    controller.start()
    first, second, third = gates
    controller.add(first)
    controller.add(second)
    runs.wait(2)
    hands = {thread.name: key for thread, key in zip(runs.threads, runs.keys, strict=True)}
    gates[hands["workqueue-pods-0"]].set()
    until(lambda: controller.statistics().active == 1)
    controller.resize(1)
    settle_watch(controller)
    clock.step(10.0)
    until(lambda: controller.statistics().timeout == 1)
    settle_watch(controller)
    clock.step(1.0)
    until(lambda: "is stuck for 11 s (workqueue-pods-1); there are as many workers without it: " in caplog.text)
    assert places(controller) == (0, 0, 1)
    overrun_once_more(controller, clock, runs, third, runs_before=2)
    until(lambda: places(controller) == (1, 0, 1))
    for gate in gates.values():
        gate.set()
    settle(controller)
    until(lambda: len(alive()) == 2, "one worker, and the watch")


def test_of_those_that_were_to_go_a_stuck_one_is_not_called_back(make, runs, gated, clock):
    gates = gated("ab")
    controller = make(runs, workers=3, timeout=10.0, max_replacements=0)
    controller.start()
    hang_one_by_one(controller, clock, runs, [ObjectKey("default", "a")])
    until(lambda: places(controller) == (0, 1, 3))
    controller.resize(1)
    until(lambda: controller.statistics().workers == 1)
    controller.resize(2)
    assert places(controller) == (0, 0, 2)
    controller.add("default/b")
    controller.add(OTHER)
    runs.wait(3)
    assert set(runs.keys[1:]) == {ObjectKey("default", "b"), OTHER}, "one is held up, and the other still runs"
    for gate in gates.values():
        gate.set()
    settle(controller)
    until(lambda: len(alive()) == 3, "two workers, and the watch")


@pytest.mark.parametrize(("limit", "replaced"), [(None, 2), (2, 2), (1, 1), (0, 0)])
def test_so_many_are_replaced_at_a_time_and_then_there_is_one_less(make, runs, gate, clock, *, caplog, limit, replaced):
    runs.answer = gate
    controller = make(runs, workers=2, timeout=10.0, max_replacements=limit)
    controller.start()
    for number in range(8):
        controller.add(f"default/{number}")
    for busy in dict.fromkeys((2, 2 + replaced)):
        runs.wait(busy)
        settle_watch(controller)
        clock.step(10.0)
        until(lambda wanted=busy: controller.statistics().timeout == wanted)
        settle_watch(controller)
        clock.step(1.0)
        until(lambda wanted=busy: len(controller.statistics().stuck) == wanted)
    statistics = controller.statistics()
    assert (statistics.replaced, statistics.lost, len(runs)) == (replaced, 2, 2 + replaced)
    until(lambda: caplog.text.count("no more workers are replaced, so there is one less") == 2)
    gate.set()
    runs.wait(8)
    settle(controller)
    assert controller.statistics().lost == 0
    until(lambda: controller.statistics().workers == 2)


def test_a_resize_down_sends_home_the_one_that_is_stuck(make, hang, clock):
    controller = make(hang, workers=2, timeout=10.0, max_replacements=0)
    overrun(controller, clock, hang)
    controller.resize(1)
    controller.add(OTHER)
    until(lambda: controller.statistics().success == 1, "the other one works")


def test_a_run_is_in_time_up_to_its_deadline_and_knows_it(make, runs, clock):
    seen = []

    def reconcile(request):
        seen.append((request.deadline, request.stopping))
        clock.step(4.0)
        seen.append((request.deadline, request.stopping))
        return Result.done()

    controller = make(reconcile, timeout=10.0)
    controller.start()
    controller.add(OTHER)
    until(lambda: controller.statistics().success == 1)
    assert seen == [(10.0, False), (10.0, False)]


def test_code_that_waits_as_it_should_is_never_stuck(make, runs, clock):
    said = []
    runs.answer = lambda request: said.append(request.wait(60)) if request.retry == 0 else None
    controller = make(runs, timeout=10.0)
    controller.start()
    controller.add(OTHER)
    runs.wait(1)
    clock.wait_for_waiters(2)
    settle_watch(controller)
    clock.step(10.0)
    until(lambda: said == [True])
    settle(controller)
    until(lambda: clock.step(0.1) or controller.statistics().success >= 1)
    statistics = controller.statistics()
    assert (statistics.replaced, statistics.stuck) == (0, ())


def test_a_limit_fails_a_run_like_any_error_until_the_key_is_parked(make, runs, clock, gate):
    ends = [Gate() for _ in range(3)]
    runs.answer = lambda request: ends[request.retry](request)
    controller = make(runs, timeout=10.0, max_retries=2)
    controller.start()
    controller.add(OTHER)
    for count, end in enumerate(ends, 1):
        runs.wait(count)
        settle_watch(controller)
        clock.step(10.0)
        until(lambda wanted=count: controller.statistics().timeout == wanted)
        end.set()
        settle(controller)
        clock.step(0.5)
    [parked] = controller.parked()
    assert (parked.error, parked.runs) == ("not over within 10 s", 3)


def test_a_key_of_the_start_whose_run_hangs_is_not_waited_for_any_longer_than_its_time(make, hang, clock):
    controller = make(hang, timeout=10.0)
    with origin(INITIAL):
        controller.add(HUNG)
    controller.initial_keys_queued()
    overrun(controller, clock, hang)
    assert (controller.readiness, controller.statistics().initial_keys_left) == ("processed", 0)


# Coroutines.


def test_a_stop_cancels_the_coroutines_that_are_left_when_its_grace_is_over(loop, make):
    ends = []

    async def reconcile(request):
        try:
            await asyncio.sleep(1000)
        finally:
            ends.append(request.key)

    controller = make(reconcile, loop=lambda: loop)
    controller.start()
    controller.add(OTHER)
    until(lambda: controller.statistics().active == 1)
    assert controller.stop(0) is False
    until(lambda: alive() == ["workqueue-loop"])
    assert controller.statistics().error == 1
    assert ends in ([], [OTHER]), "it may not have begun"


def test_a_coroutine_is_cancelled_when_its_time_is_over_and_can_clean_up(loop, make, clock):
    ends = []

    async def reconcile(request):
        if request.retry:
            return
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            ends.append("cleaned up")
            raise

    controller = make(reconcile, timeout=10.0, loop=lambda: loop)
    controller.start()
    controller.add(OTHER)
    until(lambda: controller.statistics().active == 1)
    settle_watch(controller)
    until(lambda: loop.statistics() and controller._runs.under_way()[0].call.stack())
    clock.step(10.0)
    until(lambda: ends == ["cleaned up"])
    settle(controller)
    until(lambda: clock.step(0.01) or controller.statistics().success == 1)
    statistics = controller.statistics()
    assert (statistics.timeout, statistics.error, statistics.replaced) == (1, 1, 0)


def test_a_coroutine_that_will_not_be_cancelled_is_stuck_after_a_grace(loop, make, clock):
    end = threading.Event()

    async def reconcile(request):
        while not end.is_set() and request.retry == 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    controller = make(reconcile, timeout=10.0, loop=lambda: loop)
    controller.start()
    controller.add(OTHER)
    until(lambda: controller.statistics().active == 1)
    until(lambda: controller._runs.under_way()[0].call.stack())
    settle_watch(controller)
    clock.step(10.0)
    until(lambda: controller.statistics().timeout == 1)
    settle_watch(controller)
    assert controller.statistics().stuck == ()
    clock.step(1.0)
    until(lambda: len(controller.statistics().stuck) == 1)
    assert "reconcile" in controller.statistics().stuck[0].stack
    end.set()
    until(lambda: controller.statistics().stuck == ())


def test_a_coroutine_whose_time_was_over_before_the_loop_had_time_for_it_ends_too(loop, make, clock):
    """The loop is busy with something else meanwhile: the task is made and cancelled before its first step."""
    busy, begun = Gate(), []

    async def reconcile(request):
        begun.append(request.retry)

    controller = make(reconcile, timeout=10.0, loop=lambda: loop)
    controller.start()
    loop.loop.call_soon_threadsafe(busy, None)
    controller.add(OTHER)
    until(lambda: controller.statistics().active == 1)
    settle_watch(controller)
    clock.step(10.0)
    until(lambda: controller.statistics().timeout == 1)
    settle_watch(controller)
    busy.set()
    until(lambda: clock.step(0.01) or controller.statistics().success == 1, "it is not in hands for ever")
    assert begun == [1]


# What fails on the way.


def test_a_limiter_that_raises_in_the_watch_costs_no_key_and_does_not_end_the_watch(make, hang, gate, clock, queue):
    def broken(key):
        queue.add_rate_limited = plain
        raise SystemExit("not today")

    plain, queue.add_rate_limited = queue.add_rate_limited, broken
    controller = make(hang, workers=1, timeout=10.0)
    overrun(controller, clock, hang)
    assert controller.statistics().replaced == 1
    gate.set()
    until(lambda: controller.statistics().stuck == ())
    until(lambda: clock.step(0.1) or controller.statistics().success == 1, "its key comes again")
    runs_before, end = len(hang), Gate()
    hang.answer = end
    controller.add(OTHER)
    hang.wait(runs_before + 1)
    until(lambda: clock.step(1.0) or controller.statistics().timeout == 2, "the watch goes on")
    end.set()


def test_a_handler_of_the_log_that_raises_does_not_end_the_watch(make, hang, gate, clock):
    class Handler(logging.Handler):
        def emit(self, record):
            raise SystemExit("out of paper")

    logger, handler = logging.getLogger("workqueue.control"), Handler()
    logger.addHandler(handler)
    try:
        controller = make(hang, workers=1, timeout=10.0)
        overrun(controller, clock, hang)
        assert controller.statistics().replaced == 1
        gate.set()
        until(lambda: clock.step(0.1) or hang.of(HUNG) == 2, "its key comes again")
    finally:
        logger.removeHandler(handler)
